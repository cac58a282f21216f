//! The devices on USB: what the host contributes to each, and how they are made.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use chardev::Keep;
use scsi::{Kind, Loading, Target, Unit};
use usb::host::HostDevice;
use usb::xhci::Control;
use usb::{Capture, Hub, Keyboard, Mouse, Serial, Speed, Storage, Tablet};

use super::disks::Disk;
use super::drives::Drives;
use super::hands::{Hands, Owner};
use super::plan::Plan;
use super::usb_host;
use super::usb_plugs::{Made, MadeDrive, Path as PortPath, Plugs, PlugsError};
use super::virtio::open_end;
use crate::config::{PortEnd, UsbConfig, UsbDevice, UsbKind, UsbStorage};

/// What the devices use of the host's, open.
pub(super) struct UsbDevices {
    devices: Vec<(Option<String>, Opened)>,
    capture: Option<Capture>,
}

/// A device whose disk is not looked up yet.
enum Opened {
    Storage(UsbStorage),
    Other(Model),
}

/// A device that is to be made.
pub(super) enum Model {
    Storage(Box<StorageModel>),
    Keyboard,
    Mouse,
    Tablet,
    Hub,
    Serial(Serial),
    Host(HostDevice),
}

/// A mass storage device, with its contents.
pub(super) struct StorageModel {
    pub(super) disk: Disk,
    /// The name of the drive, if it has one.
    pub(super) drive: Option<String>,
    /// What tells it from others; else its number does.
    pub(super) serial: Option<String>,
    pub(super) cdrom: bool,
    pub(super) removable: bool,
    pub(super) speed: Speed,
}

impl UsbDevices {
    /// Opens everything that `config` names but for the disks.
    pub(super) fn open(config: &UsbConfig) -> anyhow::Result<Self> {
        let open = |device: &UsbDevice| Ok((device.id.clone(), open(&device.kind)?));
        let devices = config.devices.iter().map(open).collect::<anyhow::Result<_>>()?;
        let capture = config.pcap.as_deref().map(record).transpose()?;
        Ok(Self { devices, capture })
    }

    /// Makes the devices and plugs them in, hubs before what is behind them.
    pub(super) fn plug(
        self,
        plan: &Plan,
        disks: &[Disk],
        control: &Control,
        hands: Hands,
        drives: Arc<Drives>,
    ) -> anyhow::Result<Plugs> {
        let plugs = Plugs::new(control.clone(), self.capture, hands, drives);
        let mut devices: Vec<_> = self.devices.into_iter().zip(&plan.usb_places).collect();
        devices.sort_by_key(|(_, place)| place.path.is_empty()); // those without a place of their own come last
        for ((id, opened), place) in devices {
            let path = Some(PortPath(place.path.clone())).filter(|path| !path.0.is_empty());
            let model = match opened {
                Opened::Storage(storage) => Model::Storage(Box::new(StorageModel::of(storage, disks)?)),
                Opened::Other(model) => model,
            };
            plugs.plug(id.as_deref(), path, |hands, number| model.make(hands, number)).context("--usb")?;
        }
        Ok(plugs)
    }
}

fn open(kind: &UsbKind) -> anyhow::Result<Opened> {
    Ok(Opened::Other(match kind {
        UsbKind::Storage(storage) => return Ok(Opened::Storage(*storage)),
        UsbKind::Keyboard => Model::Keyboard,
        UsbKind::Mouse => Model::Mouse,
        UsbKind::Tablet => Model::Tablet,
        UsbKind::Hub => Model::Hub,
        UsbKind::Serial(end) => Model::Serial(serial(end).context("--usb serial")?),
        UsbKind::Host(wanted) => Model::Host(usb_host::open(*wanted)?),
    }))
}

/// A console: a client that comes late is told the last of what was written.
fn serial(end: &PortEnd) -> anyhow::Result<Serial> {
    Serial::new(open_end(end, Keep::Last)?).context("make a serial port")
}

fn record(path: &Path) -> anyhow::Result<Capture> {
    let file = File::create(path).with_context(|| format!("--usb-pcap: create {}", path.display()))?;
    Capture::begin(Box::new(file)).with_context(|| format!("--usb-pcap: write {}", path.display()))
}

impl Model {
    /// The device with this number, and the hand on it.
    pub(super) fn make(self, hands: &Hands, number: u32) -> Result<Made, PlugsError> {
        let device: Box<dyn usb::UsbDevice> = match self {
            Self::Storage(storage) => return storage.make(number),
            Self::Keyboard => {
                let (keyboard, device) = Keyboard::new();
                hands.keyboard(Owner::Usb(number), keyboard);
                Box::new(device)
            }
            Self::Mouse => {
                let (mouse, device) = Mouse::new();
                hands.mouse(Owner::Usb(number), mouse);
                Box::new(device)
            }
            Self::Tablet => {
                let (tablet, device) = Tablet::new();
                hands.tablet(Owner::Usb(number), tablet);
                Box::new(device)
            }
            Self::Hub => Box::new(Hub::new()),
            Self::Serial(port) => Box::new(port),
            Self::Host(device) => Box::new(device),
        };
        Ok(Made { device, backend: None, drive: None })
    }
}

impl StorageModel {
    fn of(storage: UsbStorage, disks: &[Disk]) -> anyhow::Result<Self> {
        let disk = disks.get(storage.disk).context("--usb storage: no such disk")?.clone();
        let serial = disk.serial().map(Into::into);
        let UsbStorage { cdrom, removable, speed, .. } = storage;
        let drive = disk.name(storage.disk).drive;
        Ok(Self { disk, drive, serial, cdrom, removable, speed })
    }

    fn make(self, number: u32) -> Result<Made, PlugsError> {
        // BOT 1.0, 4.1.1: at least 12 digits that no other device has.
        let serial = self.serial.unwrap_or_else(|| format!("{:012}", number + 1));
        let loading = if self.removable { Loading::Removable } else { Loading::Fixed };
        let kind = if self.cdrom { Kind::CdRom } else { Kind::Disk };
        let backend = self.disk.backend.clone();
        let unit = Unit::new(kind, loading, serial.parse()?).with_cache(self.disk.scsi_cache());
        let unit = match &backend {
            Some(backend) => unit.with(backend.clone()),
            None => unit,
        };
        let drive = unit.tray().map(|tray| MadeDrive { name: self.drive, tray, config: self.disk.config });
        let device = Storage::new(self.speed, Target::new(vec![unit]), &serial);
        Ok(Made { device: Box::new(device), backend, drive })
    }
}
