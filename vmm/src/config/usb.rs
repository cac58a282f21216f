//! The devices on USB.

use std::fmt;
use std::path::PathBuf;

use ::usb::Speed;
use pcie::Messages;

use super::{Config, ExtraDevice, PortEnd};

/// What is plugged in, and whether anybody looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsbConfig {
    /// The devices in the order of the command line.
    pub devices: Vec<UsbDevice>,
    /// Where all transfers are recorded, if anywhere.
    pub pcap: Option<PathBuf>,
}

impl Config {
    /// Whether there is a USB controller on the system bus: if it is switched on, or if something is to be plugged in and
    /// there is no other.
    #[must_use]
    pub fn has_usb(&self) -> bool {
        self.options.usb.or(!self.usb.devices.is_empty() && !self.has_pci_usb())
    }

    /// Whether there is a USB controller on PCI Express.
    #[must_use]
    pub fn has_pci_usb(&self) -> bool {
        self.pci_usb().is_some()
    }

    /// How the USB controller on PCI Express interrupts, if there is one.
    #[must_use]
    pub fn pci_usb(&self) -> Option<Messages> {
        self.extras.iter().find_map(|device| match device {
            ExtraDevice::Xhci(messages) => Some(*messages),
            _ => None,
        })
    }
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsbDevice {
    /// What programs know it by.
    pub id: Option<String>,
    /// What it is.
    pub kind: UsbKind,
    /// The hub it is behind, counted from 1 in the order of the command line; the controller's own ports if none.
    pub hub: Option<u32>,
}

/// What a USB device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsbKind {
    /// A disk.
    Storage(UsbStorage),
    /// A keyboard.
    Keyboard,
    /// A mouse.
    Mouse,
    /// A tablet.
    Tablet,
    /// A hub of four ports.
    Hub,
    /// A serial port, and its other end.
    Serial(PortEnd),
    /// A device of the host's.
    Host(HostUsb),
}

impl UsbKind {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Storage(_) => "storage",
            Self::Keyboard => "kbd",
            Self::Mouse => "mouse",
            Self::Tablet => "tablet",
            Self::Hub => "hub",
            Self::Serial(_) => "serial",
            Self::Host(_) => "host",
        }
    }

    /// How fast it talks; what that is of a device of the host's shows when it is opened.
    #[must_use]
    pub const fn speed(&self) -> Speed {
        match self {
            Self::Storage(storage) => storage.speed,
            _ => Speed::High,
        }
    }
}

/// A device of the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostUsb {
    /// Its vendor's number.
    pub vendor: u16,
    /// The vendor's number for it.
    pub product: u16,
}

/// As `lsusb` has it.
impl fmt::Display for HostUsb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.product)
    }
}

/// A disk on USB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsbStorage {
    /// Its contents, as an index into [`Config::disks`](super::Config::disks).
    pub disk: usize,
    /// Whether it is a CD-ROM drive, and its contents a disc.
    pub cdrom: bool,
    /// Whether it says that its medium can be taken out.
    pub removable: bool,
    /// How fast it talks: high or SuperSpeed.
    pub speed: Speed,
}
