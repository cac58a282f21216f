//! The tables of a machine, as `tinderbox acpi dump` wrote them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use acpi::Resolved;
use acpi::inspect::{self, Namespace, ResourceMap};
use anyhow::{Context as _, ensure};

use super::matrix::Cell;

/// Where `acpi dump` takes the tables and the RSDP to lie.
pub(super) const TABLES_AT: u64 = 1 << 20;
pub(super) const RSDP_AT: u64 = 0xf_0000;
const RSDP_FILE: &str = "etc/acpi/rsdp";
const TABLES_FILE: &str = "etc/acpi/tables";
/// Length of the header all tables share. ACPI 6.5, 5.2.6.
pub(super) const HEADER_LEN: usize = 36;

/// A dump.
pub(super) struct Dump {
    folder: PathBuf,
    /// The tables as firmware would leave them behind, made from the script.
    pub(super) linked: Resolved,
}

impl Dump {
    /// Dumps the tables of `cell` to `folder` and links them as the script says.
    pub(super) fn take(tinderbox: &Path, cell: &Cell, folder: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(tinderbox);
        command.args(["acpi", "dump", "--address-bits", &cell.address_bits.to_string(), "--output"]);
        let output = command.arg(folder).args(&cell.args).output().context("start tinderbox")?;
        let message = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "tinderbox acpi dump: {}", message.trim());
        let file = |name: &str| read(&folder.join("fw_cfg").join(name));
        let (rsdp, tables) = (file(RSDP_FILE)?, file(TABLES_FILE)?);
        let files = [(RSDP_FILE, rsdp.as_slice()), (TABLES_FILE, &tables)];
        let place = |name: &str| if name == RSDP_FILE { RSDP_AT } else { TABLES_AT };
        let mut linked = inspect::link(&file("etc/table-loader")?, &files, place)?.into_iter();
        let mut take = |name: &str| {
            let found = linked.find(|(file, ..)| file == name);
            found.map(|(.., bytes)| bytes).with_context(|| format!("the script does not place {name}"))
        };
        let linked = Resolved { rsdp: take(RSDP_FILE)?, tables: take(TABLES_FILE)? };
        Ok(Self { folder: folder.into(), linked })
    }

    /// The file of the table with this signature.
    pub(super) fn file(&self, signature: &str) -> PathBuf {
        self.folder.join(format!("{}.dat", signature.to_lowercase()))
    }

    /// A file of that name beside the tables.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The signatures of all tables that ACPICA's tools read: all but the RSDP.
    pub(super) fn signatures(&self) -> Vec<String> {
        self.linked.each().iter().map(|(signature, _)| (*signature).to_owned()).collect()
    }

    /// What the script leads to and the dump does not have.
    pub(super) fn differences(&self) -> anyhow::Result<Vec<String>> {
        let rsdp = [("RSDP", self.linked.rsdp.as_slice())];
        let mut faults = Vec::new();
        for (signature, bytes) in rsdp.into_iter().chain(self.linked.each()) {
            if read(&self.file(signature))? != bytes {
                faults.push(format!("{signature}: the script does not lead to the dumped table"));
            }
        }
        Ok(faults)
    }

    /// Everything that the DSDT declares.
    pub(super) fn namespace(&self) -> anyhow::Result<Namespace> {
        let dsdt = self.table("DSDT").context("there is no DSDT")?;
        Ok(Namespace::read(dsdt.get(HEADER_LEN..).unwrap_or_default())?)
    }

    /// Who has which memory, ports and interrupts.
    pub(super) fn map(&self) -> anyhow::Result<ResourceMap> {
        let madt = self.table("APIC").and_then(inspect::decode).unwrap_or_default();
        Ok(ResourceMap::collect(&self.namespace()?, &madt).0)
    }

    fn table(&self, signature: &str) -> Option<&[u8]> {
        self.linked.each().into_iter().find(|(name, _)| *name == signature).map(|(_, bytes)| bytes)
    }
}

pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}
