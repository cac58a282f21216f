//! The guest of `cargo xtask run` and of the matrix: the Debian disk, and the machine that it is in.

use std::ffi::OsString;
use std::path::Path;

use clap::ValueEnum;

use crate::image::{self, Image};
use crate::{product, xhci_platform};

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
    /// A target of a virtio SCSI adapter on a virtio-mmio transport
    Scsi,
    /// virtio-blk as a PCI function of the host bridge
    VirtioPci,
    /// The same behind a root port
    VirtioPciPort,
    /// An NVMe controller of the host bridge
    Nvme,
    /// The same behind a root port
    NvmePort,
    /// A USB disk on an xHCI controller of the host bridge
    Usb,
    /// A USB disk on the xHCI controller of the system bus
    UsbPlatform,
}

impl DiskBus {
    /// The name by which the command line takes it.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The firmware that looks there for a disk, by the beginning of its name.
    fn readers(self) -> &'static [&'static str] {
        match self {
            Self::VirtioMmio | Self::Scsi => &["seabios", "edk2"],
            Self::VirtioPci | Self::VirtioPciPort | Self::Nvme | Self::NvmePort | Self::Usb => {
                &["seabios-usb", "edk2"]
            }
            Self::UsbPlatform => &["seabios-usb", "edk2-usb"],
        }
    }

    /// Whether `firmware` looks there for a disk.
    pub(crate) fn is_known_to(self, firmware: &str) -> bool {
        self.readers().iter().any(|reader| firmware.starts_with(reader))
    }

    /// Says that `firmware` does not, and which does.
    pub(crate) fn unknown_to(self, firmware: &str) -> String {
        let (name, readers) = (self.name(), self.readers().join(" or "));
        format!("{firmware} finds no disk on {name}: use --firmware {readers}")
    }

    /// The option that plugs in `disk`, a path whose commas are written twice.
    fn disk_option(self, disk: &str) -> [String; 2] {
        let option = match self {
            Self::Usb | Self::UsbPlatform => return ["--usb".into(), format!("storage,disk={disk}")],
            Self::VirtioMmio => ",bus=virtio-mmio",
            Self::Scsi => ",bus=scsi",
            Self::VirtioPci => ",bus=virtio-pci",
            Self::VirtioPciPort => ",bus=virtio-pci,port=slot",
            Self::Nvme => ",bus=nvme",
            Self::NvmePort => ",bus=nvme,port=slot",
        };
        ["--disk".into(), format!("{disk}{option}")]
    }

    /// What the machine needs for it.
    const fn machine_arguments(self) -> &'static [&'static str] {
        match self {
            Self::VirtioMmio | Self::Scsi | Self::VirtioPci | Self::Nvme | Self::UsbPlatform => &[],
            Self::VirtioPciPort | Self::NvmePort => &["--device", "root-port,id=slot"],
            Self::Usb => &["--device", "xhci"],
        }
    }
}

impl Guest {
    /// The disk that it boots, to be copied: Debian's, with one driver more if its kernel could not find its root without.
    pub(crate) fn image(&self) -> anyhow::Result<Image> {
        let debian = image::debian()?;
        if self.disk_bus == DiskBus::UsbPlatform { xhci_platform::image(&debian) } else { Ok(debian) }
    }

    /// The arguments of `tinderbox` that run it from `disk`.
    pub(crate) fn arguments(&self, disk: &Path) -> Vec<OsString> {
        // A comma in a path is written twice.
        let [option, disk] = self.disk_bus.disk_option(&disk.to_string_lossy().replace(',', ",,"));
        let machine =
            ["--firmware", &self.firmware, "--cpus", &self.cpus, "--memory", &self.memory, &option, &disk];
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
    fn usb_disk_is_no_disk_option() {
        let expected = "run --firmware edk2 --cpus 4 --memory 6G --usb storage,disk=a,,b --device xhci";
        assert_eq!(arguments(DiskBus::Usb, "a,b"), expected);
    }

    #[test]
    fn firmware_finds_disks_where_it_has_drivers() {
        let of = |firmware| DiskBus::value_variants().iter().filter(|bus| bus.is_known_to(firmware)).count();
        assert_eq!((of("seabios"), of("seabios-usb")), (2, 8));
        assert_eq!((of("edk2"), of("edk2-debug"), of("edk2-usb")), (7, 7, 8));
    }

    #[test]
    fn firmware_that_looks_elsewhere_is_answered_with_one_that_does_not() {
        let expected = "seabios finds no disk on usb-platform: use --firmware seabios-usb or edk2-usb";
        assert_eq!(DiskBus::UsbPlatform.unknown_to("seabios"), expected);
    }
}
