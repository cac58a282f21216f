//! `tinderbox acpi`: the tables of a machine without the machine. No KVM, no firmware, no disk is opened.

mod dump;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use acpi::{Resolved, TableSet};
use clap::{Args, Subcommand};

use super::failure::Failure;
use super::print;
use super::run::{ConfigArgs, address_bits};
use crate::machine::Plan;
use crate::machine::plan::MIB;
use crate::machine::tables::acpi_tables;

const EXAMPLES: &str = "\
Examples:
  tinderbox acpi show --cpus 4
  tinderbox acpi dump --disk debian.raw -o tables && iasl -d tables/dsdt.dat";

/// The tables say nothing of the firmware image, so any size will do for the plan.
const FIRMWARE_LEN: u64 = 128 << 10;
/// Where the tables are taken to lie; firmware finds its own place.
const TABLES_AT: u64 = MIB;
/// Where the RSDP is taken to lie.
const RSDP_AT: u64 = 0xf_0000;

/// What can be done with the tables.
#[derive(Debug, Subcommand)]
pub(crate) enum AcpiCommand {
    /// Write the ACPI tables of a machine to files, linked as if they began at 1 MiB
    #[command(after_help = EXAMPLES)]
    Dump(DumpArgs),
    /// Print the ACPI tables of a machine for people
    #[command(after_help = EXAMPLES)]
    Show(TableArgs),
}

/// Whose tables.
#[derive(Args, Debug)]
pub(crate) struct TableArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Physical address bits of the guest's CPU, which limit memory and windows [default: the host's]
    #[arg(long, value_name = "N", help_heading = "Tables")]
    address_bits: Option<AddressBits>,
}

/// Whose tables, and where to.
#[derive(Args, Debug)]
pub(crate) struct DumpArgs {
    #[command(flatten)]
    tables: TableArgs,
    /// The folder, made if it is not there; fw_cfg's files with the table-loader script go to DIR/fw_cfg
    #[arg(short, long, value_name = "DIR", help_heading = "Tables")]
    output: PathBuf,
}

/// A number of physical address bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AddressBits(u32);

/// Why a text is no number of address bits.
#[derive(Debug, thiserror::Error)]
#[error("not a number of physical address bits, write one from 32 to 52")]
struct AddressBitsError;

impl FromStr for AddressBits {
    type Err = AddressBitsError;

    fn from_str(text: &str) -> Result<Self, AddressBitsError> {
        let bits = text.parse().map_err(|_| AddressBitsError)?;
        if (32..=52).contains(&bits) { Ok(Self(bits)) } else { Err(AddressBitsError) }
    }
}

/// Carries out `command`.
pub(crate) fn run(command: AcpiCommand) -> Result<ExitCode, Failure> {
    match command {
        AcpiCommand::Dump(args) => {
            let set = args.tables.into_set()?;
            dump::write(&set, &linked(&set)?, &args.output)?;
        }
        AcpiCommand::Show(args) => print(&show::text(&linked(&args.into_set()?)?))?,
    }
    Ok(ExitCode::SUCCESS)
}

impl TableArgs {
    fn into_set(self) -> Result<TableSet, Failure> {
        let bits = self.address_bits.map_or_else(address_bits, |AddressBits(bits)| Ok(bits))?;
        let plan = Plan::new(&self.config.into_config()?, FIRMWARE_LEN, bits)?;
        acpi_tables(&plan)
            .ok_or_else(|| Failure::Usage("--machine acpi=off has no tables, leave it out".into()))
    }
}

fn linked(set: &TableSet) -> Result<Resolved, Failure> {
    Ok(set.resolve(TABLES_AT, RSDP_AT).map_err(anyhow::Error::new)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_bits_are_what_processors_have() {
        assert_eq!("46".parse::<AddressBits>().unwrap(), AddressBits(46));
        for text in ["", "31", "53", "-1", "many"] {
            assert!(text.parse::<AddressBits>().is_err(), "{text}");
        }
    }
}
