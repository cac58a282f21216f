//! The devices on USB: what the host contributes to each, and how they are plugged in.

use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use scsi::{Kind, Loading, Target, Unit};
use usb::xhci::{Control, PortId};
use usb::{Capture, Hub, Keyboard, Mouse, Serial, Speed, Storage, Tablet, UsbDevice};

use super::disks::Disk;
use super::plan::{Plan, UsbPlace};
use super::remote::Chord;
use crate::config::{UsbConfig, UsbKind, UsbStorage};

/// What the devices use of the host's, open.
pub(super) struct UsbDevices {
    devices: Vec<Opened>,
    capture: Option<Capture>,
}

/// A device that is not made yet.
enum Opened {
    Storage(UsbStorage),
    Keyboard,
    Mouse,
    Tablet,
    Hub,
    Serial(File),
}

/// What types on the keyboards.
#[derive(Default)]
pub(super) struct Hands {
    keyboards: Mutex<Vec<Keyboard>>,
}

impl Hands {
    /// Presses keys of the first keyboard and releases them; false if there is none.
    pub(super) fn type_chord(&self, chord: Chord) -> bool {
        let mut keyboards = self.keyboards.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(keyboard) = keyboards.first_mut() else { return false };
        chord.usages().for_each(|usage| keyboard.press(usage));
        chord.usages().rev().for_each(|usage| keyboard.release(usage));
        true
    }
}

impl UsbDevices {
    /// Opens everything that `config` names but for the disks.
    pub(super) fn open(config: &UsbConfig) -> anyhow::Result<Self> {
        let devices =
            config.devices.iter().map(|device| open(&device.kind)).collect::<anyhow::Result<_>>()?;
        let capture = config.pcap.as_deref().map(record).transpose()?;
        Ok(Self { devices, capture })
    }

    /// Makes the devices, those of the controller's own ports with what is behind them, and plugs them in.
    pub(super) fn plug(self, plan: &Plan, disks: &[Disk], control: &Control) -> anyhow::Result<Hands> {
        let mut maker = Maker {
            devices: self.devices.into_iter().map(Some).collect(),
            capture: self.capture,
            places: &plan.usb_places,
            disks,
            keyboards: Vec::new(),
        };
        let roots = plan.usb_places.iter().enumerate().filter(|(_, place)| place.hub.is_none());
        for (n, place) in roots {
            let device = maker.make(n)?;
            control.attach(Some(root_port(place)), device).context("--usb")?;
        }
        Ok(Hands { keyboards: Mutex::new(maker.keyboards) })
    }
}

fn open(kind: &UsbKind) -> anyhow::Result<Opened> {
    Ok(match kind {
        UsbKind::Storage(storage) => Opened::Storage(*storage),
        UsbKind::Keyboard => Opened::Keyboard,
        UsbKind::Mouse => Opened::Mouse,
        UsbKind::Tablet => Opened::Tablet,
        UsbKind::Hub => Opened::Hub,
        UsbKind::Serial(path) => Opened::Serial(create(path, "--usb serial,file=")?),
    })
}

fn record(path: &Path) -> anyhow::Result<Capture> {
    let file = create(path, "--usb-pcap")?;
    Capture::begin(Box::new(file)).with_context(|| format!("--usb-pcap: write {}", path.display()))
}

fn create(path: &Path, option: &str) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("{option}: create {}", path.display()))
}

/// SuperSpeed ports come first. xHCI 1.2, 7.2.
fn root_port(place: &UsbPlace) -> PortId {
    let first = place.path.first().copied().unwrap_or_default();
    match place.speed {
        Speed::Super => PortId(first),
        _ => PortId(usb::xhci::Config::default().usb3_ports + first),
    }
}

struct Maker<'a> {
    devices: Vec<Option<Opened>>,
    capture: Option<Capture>,
    places: &'a [UsbPlace],
    disks: &'a [Disk],
    keyboards: Vec<Keyboard>,
}

impl Maker<'_> {
    /// Device number `n`, which is made once. Hubs are few in a row.
    fn make(&mut self, n: usize) -> anyhow::Result<Box<dyn UsbDevice>> {
        let opened = self.devices.get_mut(n).and_then(Option::take).context("--usb: no such device")?;
        let device = match opened {
            Opened::Storage(storage) => self.storage(n, storage)?,
            Opened::Keyboard => self.keyboard(),
            Opened::Mouse => Box::new(Mouse::new().1),
            Opened::Tablet => Box::new(Tablet::new().1),
            Opened::Hub => self.hub(n)?,
            Opened::Serial(file) => Box::new(Serial::new(Box::new(file)).1),
        };
        Ok(match &self.capture {
            Some(capture) => capture.tap(device),
            None => device,
        })
    }

    fn keyboard(&mut self) -> Box<dyn UsbDevice> {
        let (keyboard, device) = Keyboard::new();
        self.keyboards.push(keyboard);
        Box::new(device)
    }

    fn hub(&mut self, n: usize) -> anyhow::Result<Box<dyn UsbDevice>> {
        let mut hub = Hub::new();
        for (behind, _) in self.places.iter().enumerate().filter(|(_, place)| place.hub == Some(n)) {
            hub.plug(self.make(behind)?).context("--usb")?;
        }
        Ok(Box::new(hub))
    }

    fn storage(&self, n: usize, storage: UsbStorage) -> anyhow::Result<Box<dyn UsbDevice>> {
        let disk = self.disks.get(storage.disk).context("--usb storage: no such disk")?;
        let serial = match disk.serial() {
            Some(text) => text.into(),
            None => format!("{:012}", n + 1), // BOT 1.0, 4.1.1: at least 12 digits that no other device has
        };
        let loading = if storage.removable { Loading::Removable } else { Loading::Fixed };
        let kind = if storage.cdrom { Kind::CdRom } else { Kind::Disk };
        let unit = Unit::new(kind, loading, serial.parse()?).with(disk.backend.clone());
        let unit = unit.with_cache(disk.scsi_cache());
        Ok(Box::new(Storage::new(storage.speed, Target::new(vec![unit]), &serial)))
    }
}
