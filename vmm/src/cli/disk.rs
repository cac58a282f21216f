//! `--disk PATH[,bus=virtio-mmio|virtio-pci|scsi|nvme][,media=disk|cdrom][,port=ID][,addr=SLOT[.FUNCTION]][,readonly=on|off][,bootindex=N][,serial=TEXT][,…]`, the plain `DISK`, and `--snapshot`.

use std::path::PathBuf;
use std::str::FromStr;

use block::Aio;
use clap::Args;

use super::fields::{Fields, FieldsError};
use super::image::{ImageError, ImageKeys};
use super::machine::decimal;
use super::options::msix;
use crate::config::{DiskBus, DiskConfig, Media, PciAddress};

/// The disks of a machine.
#[derive(Args, Debug)]
#[command(next_help_heading = "Disks, in boot order unless bootindex= says otherwise")]
pub(crate) struct DiskArgs {
    /// The first disk: an image or a block device
    #[arg(value_name = "DISK", display_order = 1)]
    first: Option<PathBuf>,
    /// A disk, repeatable; a comma in PATH is written twice, and without PATH a drive for media=cdrom is empty. Further keys:
    /// id=NAME (for QMP), format=raw|qcow2|vmdk|auto,
    /// cache=writeback|writethrough|none, aio=auto|io_uring|threads, snapshot=on|off, backing-dir=DIR, queues=N, bps=SIZE, bps-burst=SIZE, iops=N,
    /// iops-burst=N, msix=on|off
    #[arg(
        long = "disk",
        value_name = "PATH[,bus=virtio-mmio|virtio-pci|scsi|nvme][,media=disk|cdrom][,port=ID][,addr=SLOT[.FUNCTION]][,readonly=on|off][,bootindex=N][,serial=TEXT][,…]",
        display_order = 2
    )]
    more: Vec<DiskConfig>,
    /// Keep nothing of what the guest writes to its disks
    #[arg(long, display_order = 3)]
    snapshot: bool,
}

impl DiskArgs {
    /// All disks in boot order.
    pub(crate) fn into_disks(self) -> Vec<DiskConfig> {
        let first = self.first.map(DiskConfig::new);
        let mut disks: Vec<_> = first.into_iter().chain(self.more).collect();
        disks.iter_mut().for_each(|disk| disk.image.snapshot |= self.snapshot);
        disks
    }
}

/// Why a text is no disk.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DiskError {
    /// Nothing before the first comma.
    #[error("no path, write PATH[,bus=virtio-mmio|virtio-pci|scsi|nvme][,readonly=on|off]")]
    NoPath,
    /// A bus that this machine does not have.
    #[error("unknown bus `{0}`, use bus=virtio-mmio, bus=virtio-pci, bus=scsi or bus=nvme")]
    Bus(String),
    /// No kind of medium.
    #[error("media={0} is no choice, use media=disk or media=cdrom")]
    Media(String),
    /// A disc where there are no drives for it.
    #[error("media=cdrom is for bus=scsi, not bus={0}: leave one of them out, or use --usb storage")]
    CdRom(DiskBus),
    /// A root port for what is not on PCI.
    #[error("port={0} is a root port of PCI, and bus={1} is not behind one: use bus=virtio-pci or bus=nvme")]
    Port(String, DiskBus),
    /// No place on a PCI bus.
    #[error(
        "addr={0} is no PCI slot, write SLOT or SLOT.FUNCTION with SLOT from 0 to 1f and FUNCTION from 0 to 7"
    )]
    Address(String),
    /// A PCI slot for what is not on PCI.
    #[error("addr={0} is a PCI slot, and bus={1} has none for its disks: use bus=virtio-pci or bus=nvme")]
    NotOnPci(PciAddress, DiskBus),
    /// Neither with nor without MSI-X.
    #[error("msix={0} is no choice, use msix=on or msix=off")]
    Msix(String),
    /// MSI-X or not for what has no choice.
    #[error("msix is for bus=nvme, not bus={0}: leave one of them out")]
    NoChoice(DiskBus),
    /// An engine for what does one thing at a time.
    #[error(
        "aio is for bus=virtio-mmio, virtio-pci or nvme; disks on bus={0} do one thing at a time: leave one of them out"
    )]
    NoEngine(DiskBus),
    /// Neither yes nor no.
    #[error("readonly={0} is no choice, use readonly=on or readonly=off")]
    Readonly(String),
    /// Not a place in the boot order.
    #[error("bootindex={0} is no place in the boot order, use a number from 0 to {MAX}", MAX = u32::MAX)]
    BootIndex(String),
    /// Not an identity that virtio-blk can tell.
    #[error("serial={0} is no serial, use up to 20 printable ASCII characters")]
    Serial(String),
    /// A key that disks do not have.
    #[error(
        "unknown key `{0}`, use id, bus, media, port, addr, msix, readonly, bootindex, serial, format, cache, aio, snapshot, backing-dir, queues, bps, bps-burst, iops or iops-burst; a comma in a path is written twice"
    )]
    Key(String),
    /// Nothing to be done with an image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for DiskConfig {
    type Err = DiskError;

    fn from_str(text: &str) -> Result<Self, DiskError> {
        let Fields { first: path, pairs } = Fields::parse(text)?;
        let is_empty = path.is_empty();
        let disk = Self::with_keys(path, pairs)?;
        match disk.media {
            Media::Disk if is_empty => Err(DiskError::NoPath),
            _ => Ok(disk),
        }
    }
}

impl DiskConfig {
    /// The disk at `path` with the keys of `--disk`.
    pub(super) fn with_keys(path: String, pairs: Vec<(String, String)>) -> Result<Self, DiskError> {
        let mut disk = Self::new(path);
        let (mut bus, mut messages, mut image) = (None, None, ImageKeys::default());
        for (key, value) in pairs {
            match key.as_str() {
                "bus" => bus = Some(value.parse()?),
                "id" => disk.id = Some(value),
                "media" => disk.media = value.parse()?,
                "port" => disk.port = Some(value),
                "addr" => disk.addr = Some(value.parse()?),
                "msix" => messages = Some(msix(&value).ok_or(DiskError::Msix(value))?),
                "readonly" => disk.readonly = on_or_off(&value)?,
                "bootindex" => disk.bootindex = Some(boot_index(value)?),
                "serial" => disk.serial = value.parse().map_err(|_| DiskError::Serial(value))?,
                _ if image.set(&key, &value)? => {}
                _ => return Err(DiskError::Key(key)),
            }
        }
        disk.bus = bus.unwrap_or(match disk.media {
            Media::Disk => DiskBus::default(),
            Media::CdRom => DiskBus::Scsi,
        });
        match (&disk.port, disk.bus) {
            (Some(port), DiskBus::VirtioMmio | DiskBus::Scsi) => {
                return Err(DiskError::Port(port.clone(), disk.bus));
            }
            _ if disk.media == Media::CdRom && disk.bus != DiskBus::Scsi => {
                return Err(DiskError::CdRom(disk.bus));
            }
            _ => {}
        }
        if let (Some(addr), DiskBus::VirtioMmio | DiskBus::Scsi) = (disk.addr, disk.bus) {
            return Err(DiskError::NotOnPci(addr, disk.bus));
        }
        if messages.is_some() && disk.bus != DiskBus::Nvme {
            return Err(DiskError::NoChoice(disk.bus));
        }
        disk.messages = messages.unwrap_or_default();
        disk.readonly |= disk.media == Media::CdRom;
        disk.image = image.finish()?;
        if disk.image.aio != Aio::Auto && disk.bus == DiskBus::Scsi {
            return Err(DiskError::NoEngine(disk.bus));
        }
        Ok(disk)
    }
}

impl FromStr for DiskBus {
    type Err = DiskError;

    fn from_str(text: &str) -> Result<Self, DiskError> {
        match text {
            "virtio-mmio" | "mmio" => Ok(Self::VirtioMmio),
            "virtio-pci" | "pci" => Ok(Self::VirtioPci),
            "scsi" | "virtio-scsi" => Ok(Self::Scsi),
            "nvme" => Ok(Self::Nvme),
            _ => Err(DiskError::Bus(text.into())),
        }
    }
}

impl FromStr for PciAddress {
    type Err = DiskError;

    fn from_str(text: &str) -> Result<Self, DiskError> {
        let (device, function) = text.split_once('.').unwrap_or((text, "0"));
        let number = |digits: &str, limit: u8| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            u8::from_str_radix(digits, 16).ok().filter(|number| plain && *number < limit)
        };
        match (number(device, 32), number(function, 8)) {
            (Some(device), Some(function)) => Ok(Self { device, function }),
            _ => Err(DiskError::Address(text.into())),
        }
    }
}

impl FromStr for Media {
    type Err = DiskError;

    fn from_str(text: &str) -> Result<Self, DiskError> {
        match text {
            "disk" => Ok(Self::Disk),
            "cdrom" => Ok(Self::CdRom),
            _ => Err(DiskError::Media(text.into())),
        }
    }
}

pub(super) fn on_or_off(text: &str) -> Result<bool, DiskError> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(DiskError::Readonly(text.into())),
    }
}

fn boot_index(text: String) -> Result<u32, DiskError> {
    decimal(&text).ok_or(DiskError::BootIndex(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(text: &str) -> Result<DiskConfig, DiskError> {
        text.parse()
    }

    #[test]
    fn address_is_a_slot_and_a_function_of_it() {
        let addr = |text: &str| disk(&format!("a,bus=nvme,addr={text}")).map(|disk| disk.addr);
        assert_eq!(addr("1f.7"), Ok(Some(PciAddress { device: 31, function: 7 })));
        assert_eq!(addr("3"), Ok(Some(PciAddress { device: 3, function: 0 })));
        for text in ["20", "3.8", "", "+3", "3.", "3.1.1", "100.0"] {
            assert_eq!(addr(text), Err(DiskError::Address(text.into())));
        }
        let error = disk("a,addr=3.1").unwrap_err().to_string();
        assert!(error.starts_with("addr=3.1 is a PCI slot, and bus=virtio-mmio"), "{error}");
    }

    #[test]
    fn plain_path_is_a_writable_virtio_mmio_disk() {
        let found = disk("a.raw").unwrap();
        assert_eq!(found, DiskConfig::new("a.raw"));
        assert_eq!((found.bus, found.readonly, found.bootindex), (DiskBus::VirtioMmio, false, None));
    }

    #[test]
    fn keys_come_in_any_order() {
        assert!(disk("a.raw,readonly=on,bus=virtio-mmio").unwrap().readonly);
        assert!(!disk("a.raw,bus=virtio-mmio,readonly=off").unwrap().readonly);
        assert_eq!(disk("a.raw,bus=nvme").unwrap().bus, DiskBus::Nvme);
        let full = disk("a.raw,serial=root disk,bootindex=4294967295").unwrap();
        assert_eq!((full.bootindex, full.serial), (Some(u32::MAX), "root disk".parse().unwrap()));
    }

    #[test]
    fn pci_disk_may_be_behind_a_port() {
        let behind = disk("a.raw,port=p,bus=virtio-pci").unwrap();
        assert_eq!((behind.bus, behind.port.as_deref()), (DiskBus::VirtioPci, Some("p")));
        assert_eq!(disk("a.raw,bus=pci").unwrap().port, None);
        assert_eq!(disk("a.raw,port=p"), Err(DiskError::Port("p".into(), DiskBus::VirtioMmio)));
    }

    #[test]
    fn nvme_may_be_without_msix() {
        assert_eq!(disk("a.raw,bus=nvme").unwrap().messages, pcie::Messages::Either);
        assert_eq!(disk("a.raw,msix=off,bus=nvme").unwrap().messages, pcie::Messages::Msi);
        assert_eq!(disk("a.raw,bus=nvme,msix=no"), Err(DiskError::Msix("no".into())));
        assert_eq!(disk("a.raw,bus=virtio-pci,msix=off"), Err(DiskError::NoChoice(DiskBus::VirtioPci)));
    }

    #[test]
    fn disc_is_read_only_in_a_drive_on_scsi() {
        let disc = disk("a.iso,media=cdrom").unwrap();
        assert_eq!((disc.bus, disc.media, disc.readonly), (DiskBus::Scsi, Media::CdRom, true));
        assert_eq!(disk("a.iso,bus=scsi,media=cdrom,readonly=off"), Ok(disc));
        let hard_disk = disk("a.raw,bus=scsi").unwrap();
        assert_eq!((hard_disk.bus, hard_disk.media, hard_disk.readonly), (DiskBus::Scsi, Media::Disk, false));
        assert_eq!(disk("a.iso,media=cdrom,bus=nvme"), Err(DiskError::CdRom(DiskBus::Nvme)));
        assert_eq!(disk("a.iso,media=dvd"), Err(DiskError::Media("dvd".into())));
        assert_eq!(disk("a.raw,bus=scsi,port=p"), Err(DiskError::Port("p".into(), DiskBus::Scsi)));
    }

    #[test]
    fn engine_is_for_what_does_several_things_at_a_time() {
        assert_eq!(disk("a.raw,aio=io_uring,bus=nvme").unwrap().image.aio, Aio::IoUring);
        assert_eq!(disk("a.raw,bus=scsi,aio=auto").unwrap().image.aio, Aio::Auto);
        assert_eq!(disk("a.raw,bus=scsi,aio=threads"), Err(DiskError::NoEngine(DiskBus::Scsi)));
    }

    #[test]
    fn doubled_comma_belongs_to_the_path() {
        assert_eq!(disk("a,,b.raw,readonly=on").unwrap().path, PathBuf::from("a,b.raw"));
    }

    #[test]
    fn wrong_values_are_named() {
        assert_eq!(disk(""), Err(DiskError::NoPath));
        assert_eq!(disk(",readonly=on"), Err(DiskError::NoPath));
        assert_eq!(disk("a,bus=ide"), Err(DiskError::Bus("ide".into())));
        assert_eq!(disk("a,bus="), Err(DiskError::Bus(String::new())));
        assert_eq!(disk("a,readonly=yes"), Err(DiskError::Readonly("yes".into())));
        for text in ["", "-1", "+1", "first", "4294967296"] {
            assert_eq!(disk(&format!("a,bootindex={text}")), Err(DiskError::BootIndex(text.into())));
        }
        let long = "s".repeat(21);
        assert_eq!(disk(&format!("a,serial={long}")), Err(DiskError::Serial(long)));
        assert_eq!(disk("a,frmt=raw"), Err(DiskError::Key("frmt".into())));
        assert_eq!(disk("a,format=vdi"), Err(DiskError::Image(ImageError::Format("vdi".into()))));
        assert_eq!(disk("a,b.raw"), Err(DiskError::Fields(FieldsError::NoValue("b.raw".into()))));
    }
}
