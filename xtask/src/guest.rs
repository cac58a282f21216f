//! The guest of `cargo xtask run` and of the matrix: the Debian disk, and the machine that it is in.

use std::ffi::OsString;
use std::path::Path;

use clap::ValueEnum;

use crate::product;

/// Why some disks cannot be booted from.
pub(crate) const NO_PCI: &str = "SeaBIOS and qboot see no PCI on this machine, use --firmware edk2";

/// The machine.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Guest {
    /// The firmware that boots it: a recipe of firmware/manifest.toml
    #[arg(long, default_value = product::FIRMWARE)]
    pub(crate) firmware: String,
    /// What the disk is plugged into
    #[arg(long, value_enum, default_value_t = DiskBus::VirtioMmio)]
    pub(crate) disk_bus: DiskBus,
    /// How many CPUs the guest has
    #[arg(long, default_value = "1")]
    pub(crate) cpus: String,
    /// How much memory the guest has
    #[arg(long, default_value = "512M")]
    pub(crate) memory: String,
}

/// How a guest reaches its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiskBus {
    /// virtio-blk on a virtio-mmio transport
    VirtioMmio,
    /// virtio-blk as a PCI function of the host bridge
    VirtioPci,
    /// The same behind a root port
    VirtioPciPort,
    /// An NVMe controller of the host bridge
    Nvme,
    /// The same behind a root port
    NvmePort,
}

impl DiskBus {
    /// The name by which the command line takes it.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Whether `firmware` looks there for a disk.
    pub(crate) fn is_known_to(self, firmware: &str) -> bool {
        self == Self::VirtioMmio || firmware.starts_with("edk2")
    }

    /// What follows the disk's path.
    const fn disk_options(self) -> &'static str {
        match self {
            Self::VirtioMmio => ",bus=virtio-mmio",
            Self::VirtioPci => ",bus=virtio-pci",
            Self::VirtioPciPort => ",bus=virtio-pci,port=slot",
            Self::Nvme => ",bus=nvme",
            Self::NvmePort => ",bus=nvme,port=slot",
        }
    }

    /// What the machine needs for it.
    const fn machine_arguments(self) -> &'static [&'static str] {
        match self {
            Self::VirtioMmio | Self::VirtioPci | Self::Nvme => &[],
            Self::VirtioPciPort | Self::NvmePort => &["--device", "root-port,id=slot"],
        }
    }
}

impl Guest {
    /// The arguments of `tinderbox` that run it from `disk`.
    pub(crate) fn arguments(&self, disk: &Path) -> Vec<OsString> {
        // A comma in a path is written twice.
        let disk = disk.to_string_lossy().replace(',', ",,") + self.disk_bus.disk_options();
        let machine =
            ["--firmware", &self.firmware, "--cpus", &self.cpus, "--memory", &self.memory, "--disk", &disk];
        let machine = machine.iter().chain(self.disk_bus.machine_arguments());
        std::iter::once(&"run").chain(machine).map(OsString::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(disk_bus: DiskBus, disk: &str) -> String {
        let guest = Guest { firmware: "edk2".into(), disk_bus, cpus: "4".into(), memory: "6G".into() };
        let arguments = guest.arguments(Path::new(disk));
        arguments.join(" ".as_ref()).into_string().unwrap()
    }

    #[test]
    fn disk_behind_a_root_port_brings_the_port() {
        let expected = "run --firmware edk2 --cpus 4 --memory 6G --disk d.raw,bus=nvme,port=slot \
                        --device root-port,id=slot";
        assert_eq!(arguments(DiskBus::NvmePort, "d.raw"), expected);
    }

    #[test]
    fn comma_in_the_path_of_a_disk_is_doubled() {
        assert!(arguments(DiskBus::VirtioMmio, "a,b").ends_with("--disk a,,b,bus=virtio-mmio"));
    }

    #[test]
    fn seabios_finds_disks_on_virtio_mmio_alone() {
        let of = |firmware| DiskBus::value_variants().iter().filter(|bus| bus.is_known_to(firmware)).count();
        assert_eq!((of("seabios"), of("seabios-usb"), of("edk2"), of("edk2-debug")), (1, 1, 5, 5));
    }
}
