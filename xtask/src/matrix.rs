//! `cargo xtask test matrix`: Debian by every firmware, from every bus, with one CPU and little memory and with four and
//! much. Each cell is a smoke test with a lab and a disk of its own; its logs stay in `target/tests/matrix/<cell>`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::ValueEnum as _;

use crate::accel::{self, Accel};
use crate::guest::{DiskBus, Guest};
use crate::{firmware, paths, product, run, smoke};

/// Options of the verb; each is repeatable, and means all if it is not given.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Cells of this firmware [default: seabios and edk2, and their variants with more drivers for what those do not boot from]
    #[arg(long)]
    firmware: Vec<String>,
    /// Cells with the disk on this bus
    #[arg(long, value_enum)]
    disk_bus: Vec<DiskBus>,
    /// Cells with so many CPUs: 1 with 512M of memory, 4 with 6G
    #[arg(long)]
    cpus: Vec<u32>,
}

/// What boots the cells if nothing else is asked for.
const FIRMWARE: [&str; 4] = ["seabios", "seabios-usb", "edk2", "edk2-usb"];

/// Whether one of [`FIRMWARE`] that `firmware` is a variant of boots from `bus`, too.
fn is_covered(firmware: &str, bus: DiskBus) -> bool {
    FIRMWARE
        .iter()
        .any(|other| other.len() < firmware.len() && firmware.starts_with(other) && bus.is_known_to(other))
}

/// CPUs, and the memory that goes with them: below the hole under 4 GiB, and above it too.
const SIZES: [(u32, &str); 2] = [(1, "512M"), (4, "6G")];

/// Boots every cell, one after the other; fails at the end if one did.
pub(crate) fn run(args: &Args, accel: Option<Accel>) -> anyhow::Result<ExitCode> {
    let guests = args.guests();
    ensure!(!guests.is_empty(), "there is no such cell: the firmware looks for no disk on that bus");
    guests.iter().try_for_each(|guest| firmware::build(&guest.firmware).map(drop))?;
    let tinderbox = product::build(product::FIRMWARE)?;
    let choice = accel::choose(accel, &tinderbox)?;
    eprintln!("{}", choice.why);
    let mut failures = 0;
    for guest in &guests {
        let cell = Cell::new(guest)?;
        let started = Instant::now();
        let verdict = guest.image().and_then(|image| cell.boot(choice.accel, &tinderbox, &image.raw));
        println!("{}", cell.line(&verdict, started.elapsed().as_secs()));
        failures += usize::from(verdict.is_err());
    }
    println!("{} of {} cells boot", guests.len() - failures, guests.len());
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Args {
    /// The guests of all cells that are wanted, and that the firmware can boot.
    fn guests(&self) -> Vec<Guest> {
        let chosen = !self.firmware.is_empty();
        let firmware = if chosen { self.firmware.clone() } else { FIRMWARE.map(str::to_owned).to_vec() };
        let buses = DiskBus::value_variants().iter().copied();
        let buses: Vec<_> =
            buses.filter(|bus| self.disk_bus.is_empty() || self.disk_bus.contains(bus)).collect();
        let sizes: Vec<_> =
            SIZES.into_iter().filter(|(cpus, _)| self.cpus.is_empty() || self.cpus.contains(cpus)).collect();
        let mut guests = Vec::new();
        for firmware in &firmware {
            let wanted =
                |bus: &&DiskBus| bus.is_known_to(firmware) && (chosen || !is_covered(firmware, **bus));
            for &disk_bus in buses.iter().filter(wanted) {
                guests.extend(sizes.iter().map(|(cpus, memory)| Guest {
                    firmware: firmware.clone(),
                    disk_bus,
                    cpus: cpus.to_string(),
                    memory: (*memory).to_owned(),
                }));
            }
        }
        guests
    }
}

/// One guest, with the folder for its logs.
struct Cell<'a> {
    guest: &'a Guest,
    folder: PathBuf,
}

impl<'a> Cell<'a> {
    fn new(guest: &'a Guest) -> anyhow::Result<Self> {
        let name = format!("{}-{}-{}", guest.firmware, guest.disk_bus.name(), guest.cpus);
        let folder = paths::target_dir("tests")?.join("matrix").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("empty {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(Self { guest, folder })
    }

    /// To the login prompt and down again.
    fn boot(&self, accel: Accel, tinderbox: &Path, image: &Path) -> anyhow::Result<()> {
        let disk = self.folder.join("debian.raw");
        run::copy(image, &disk)?;
        let mut command = smoke::command(&self.guest.firmware, &self.folder, tinderbox)?;
        command.extend(self.guest.arguments(&disk));
        let timeline = self.folder.join("timeline.txt");
        let output = File::create(&timeline).with_context(|| format!("create {}", timeline.display()))?;
        let status = run::start_into(accel, &command, &self.folder, output)?;
        fs::remove_file(&disk).with_context(|| format!("remove {}", disk.display()))?;
        ensure!(status == 0, "see {}", self.folder.display());
        Ok(())
    }

    /// For people: one line of fixed columns.
    fn line(&self, verdict: &anyhow::Result<()>, seconds: u64) -> String {
        let Guest { firmware, disk_bus, cpus, memory } = self.guest;
        let word = if verdict.is_ok() { "ok" } else { "FAILED" };
        let line = format!(
            "{word:7} {firmware:12} {:16} {cpus:>2} CPUs {memory:>5} {seconds:>5} s",
            disk_bus.name()
        );
        match verdict {
            Ok(()) => line,
            Err(error) => format!("{line}  {error:#}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(firmware: &[&str], disk_bus: &[DiskBus], cpus: &[u32]) -> Vec<String> {
        let firmware = firmware.iter().map(|&name| name.to_owned()).collect();
        let args = Args { firmware, disk_bus: disk_bus.to_vec(), cpus: cpus.to_vec() };
        let name = |guest: &Guest| format!("{} {} {}", guest.firmware, guest.disk_bus.name(), guest.cpus);
        args.guests().iter().map(name).collect()
    }

    #[test]
    fn all_cells_are_those_that_the_firmware_can_boot() {
        let cells = cells(&[], &[], &[]);

        assert_eq!(cells.len(), 2 * (2 + 6 + 7 + 1));
        let expected =
            ["seabios scsi 1", "seabios scsi 4", "seabios-usb virtio-pci 1", "seabios-usb virtio-pci 4"];
        assert_eq!(cells[2..6], expected);
        assert_eq!(cells[6..].iter().filter(|cell| cell.starts_with("edk2-usb ")).count(), 2);
    }

    #[test]
    fn cells_are_chosen_by_each_column() {
        assert_eq!(cells(&["edk2-debug"], &[DiskBus::Nvme], &[4]), ["edk2-debug nvme 4"]);
        assert!(cells(&["seabios"], &[DiskBus::Nvme], &[]).is_empty());
    }
}
