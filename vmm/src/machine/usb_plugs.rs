//! Plugging USB devices in and out, before the machine starts and while it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use block::Backend;
use usb::xhci::{AttachError, Control, PortId};
use usb::{Capture, Speed, UsbDevice};

use super::drives::{Drives, Name};
use super::hands::{Hands, Owner};
use super::plan::{ROOT_PORTS, root_port};
use super::usb_devices::{Model, StorageModel};
use crate::config::DiskConfig;

/// The ports of the controller and of the hubs behind it, and what is in them.
pub struct Plugs {
    control: Control,
    capture: Option<Capture>,
    hands: Hands,
    drives: Arc<Drives>,
    plugged: Mutex<Vec<Plugged>>,
}

/// What is in a port.
struct Plugged {
    /// Unlike any other's.
    number: u32,
    id: Option<String>,
    speed: Speed,
    path: Path,
    backend: Option<Arc<dyn Backend>>,
    /// The drive that it is, if its medium can go.
    drive: Option<Name>,
    /// The node that is its contents, if they stay.
    node: Option<String>,
}

/// Port numbers from the controller on, each from 1. The first counts among the root ports of the device's speed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(pub Vec<u8>);

/// A device that a program wants plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// A keyboard.
    Keyboard,
    /// A mouse.
    Mouse,
    /// A tablet.
    Tablet,
    /// A hub of four ports.
    Hub,
    /// A disk.
    Storage(AddedStorage),
}

/// A disk that a program wants plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedStorage {
    /// The name of its contents among the nodes.
    pub node: String,
    /// What tells it from others.
    pub serial: Option<String>,
    /// Whether it says that its medium can be taken out.
    pub removable: bool,
    /// How fast it talks.
    pub speed: Speed,
}

/// A device that was made.
pub(super) struct Made {
    pub(super) device: Box<dyn UsbDevice>,
    /// What keeps its data.
    pub(super) backend: Option<Arc<dyn Backend>>,
    /// The drive that it is, if its medium can go.
    pub(super) drive: Option<MadeDrive>,
}

/// A drive whose medium can go.
pub(super) struct MadeDrive {
    /// Its name, if it was there from the start.
    pub(super) name: Option<String>,
    pub(super) tray: scsi::Tray,
    /// Its first medium.
    pub(super) config: DiskConfig,
}

/// Why a device cannot be plugged in or out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlugsError {
    /// The id is another's.
    #[error("Duplicate device ID '{0}'")]
    Duplicate(String),
    /// There is no device of this id.
    #[error("Device '{0}' not found")]
    NotFound(String),
    /// All ports are taken.
    #[error("all {ROOT_PORTS} USB ports for devices of its speed are taken, name a hub's with port=")]
    Full,
    /// No such port.
    #[error("there is no USB port {0}, use 1 to {ROOT_PORTS}, or HUB.PORT behind a hub")]
    NoPort(String),
    /// It cannot have its contents.
    #[error("{0}")]
    Node(String),
    /// No text that a disk can be told by.
    #[error(transparent)]
    Serial(#[from] scsi::BadSerial),
    /// The port does not take it.
    #[error(transparent)]
    Attach(#[from] AttachError),
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(u8::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

impl Path {
    /// Behind a hub all devices talk at high speed.
    #[must_use]
    pub fn is_behind_a_hub(&self) -> bool {
        self.0.len() > 1
    }

    /// The root port of a device of this speed, and the way from there. Hubs are of high speed.
    fn split(&self, speed: Speed) -> Option<(PortId, &[u8])> {
        let (&first, behind) = self.0.split_first()?;
        let speed = if behind.is_empty() { speed } else { Speed::High };
        (1..=ROOT_PORTS).contains(&first).then(|| (PortId(root_port(first, speed)), behind))
    }
}

impl Plugs {
    /// The ports of the controller behind `control`, with nothing in them. `capture` records what is plugged in, `hands` work
    /// on it, and `drives` has the media of disks.
    pub(super) fn new(control: Control, capture: Option<Capture>, hands: Hands, drives: Arc<Drives>) -> Self {
        Self { control, capture, hands, drives, plugged: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Plugged>> {
        self.plugged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plugs in what `make` makes, into the port at `path`, or into the first free one of the controller's.
    ///
    /// # Errors
    /// The port, or the id, is not free.
    pub(super) fn plug(
        &self,
        id: Option<&str>,
        path: Option<Path>,
        make: impl FnOnce(&Hands, u32) -> Result<Made, PlugsError>,
    ) -> Result<(), PlugsError> {
        self.plug_node(id, path, None, make)
    }

    /// Plugs in a device that a program wants.
    ///
    /// # Errors
    /// The port, the id or the disk's contents are not free.
    pub fn add(&self, id: Option<&str>, path: Option<Path>, device: Added) -> Result<(), PlugsError> {
        let (model, node) = match device {
            Added::Keyboard => (Model::Keyboard, None),
            Added::Mouse => (Model::Mouse, None),
            Added::Tablet => (Model::Tablet, None),
            Added::Hub => (Model::Hub, None),
            Added::Storage(AddedStorage { node, serial, removable, speed }) => {
                let disk =
                    self.drives.nodes().take(&node).map_err(|error| PlugsError::Node(error.to_string()))?;
                let model = StorageModel { disk, drive: None, serial, cdrom: false, removable, speed };
                (Model::Storage(Box::new(model)), Some(node))
            }
        };
        let added = self.plug_node(id, path, node.clone(), |hands, number| model.make(hands, number));
        if let (Err(_), Some(node)) = (&added, node) {
            self.drives.nodes().give_back(&node);
        }
        added
    }

    fn plug_node(
        &self,
        id: Option<&str>,
        path: Option<Path>,
        node: Option<String>,
        make: impl FnOnce(&Hands, u32) -> Result<Made, PlugsError>,
    ) -> Result<(), PlugsError> {
        let mut plugged = self.lock();
        if let Some(id) = id.filter(|id| plugged.iter().any(|other| other.id.as_deref() == Some(id))) {
            return Err(PlugsError::Duplicate(id.into()));
        }
        let number = plugged.iter().map(|other| other.number + 1).max().unwrap_or_default();
        let Made { device, backend, drive } = make(&self.hands, number)?;
        let speed = device.speed();
        let device = match &self.capture {
            Some(capture) => capture.tap(device),
            None => device,
        };
        let placed = self.place(&plugged, path, speed).and_then(|path| {
            self.attach(&path, speed, device)?;
            Ok(path)
        });
        match placed {
            Ok(path) => {
                let id = id.map(ToOwned::to_owned);
                let drive = drive.map(|MadeDrive { name, tray, config }| {
                    let name = Name { drive: name, id: id.clone() };
                    self.drives.add(name.clone(), tray, config, node.clone());
                    name
                });
                let node = node.filter(|_| drive.is_none());
                plugged.push(Plugged { number, id, speed, path, backend, drive, node });
                Ok(())
            }
            Err(error) => {
                self.hands.let_go(Owner::Usb(number));
                Err(error)
            }
        }
    }

    /// The path that was asked for, or of the first free root port.
    fn place(&self, plugged: &[Plugged], path: Option<Path>, speed: Speed) -> Result<Path, PlugsError> {
        let is_super = |speed| speed == Speed::Super;
        let taken = |path: &Path| {
            plugged.iter().any(|other| other.path == *path && is_super(other.speed) == is_super(speed))
        };
        match path {
            Some(path) => Ok(path),
            None => (1..=ROOT_PORTS)
                .map(|port| Path(vec![port]))
                .find(|path| !taken(path))
                .ok_or(PlugsError::Full),
        }
    }

    fn attach(&self, path: &Path, speed: Speed, device: Box<dyn UsbDevice>) -> Result<(), PlugsError> {
        let (root, behind) = path.split(speed).ok_or_else(|| PlugsError::NoPort(path.to_string()))?;
        if behind.is_empty() {
            self.control.attach(Some(root), device)?;
        } else {
            self.control.attach_behind(root, behind, device)?;
        }
        Ok(())
    }

    /// Pulls out the device of this id, and what is behind it. What it acknowledged is kept. Returns the ids of all that went,
    /// this one last.
    ///
    /// # Errors
    /// There is no such device.
    pub fn unplug(&self, id: &str) -> Result<Vec<String>, PlugsError> {
        let mut plugged = self.lock();
        let device = plugged.iter().find(|device| device.id.as_deref() == Some(id));
        let Some(device) = device else { return Err(PlugsError::NotFound(id.into())) };
        let (path, speed) = (device.path.clone(), device.speed);
        let pulled = path.split(speed).and_then(|(root, behind)| self.control.detach_behind(root, behind));
        drop(pulled);
        let is_gone = |other: &Plugged| match other.path == path {
            true => other.id.as_deref() == Some(id),
            false => speed != Speed::Super && other.path.0.starts_with(&path.0),
        };
        let (mut gone, left): (Vec<_>, Vec<_>) = plugged.drain(..).partition(is_gone);
        *plugged = left;
        gone.sort_by_key(|device| std::cmp::Reverse(device.path.0.len()));
        Ok(gone.into_iter().filter_map(|device| self.let_go(device)).collect())
    }

    fn let_go(&self, device: Plugged) -> Option<String> {
        self.hands.let_go(Owner::Usb(device.number));
        if let Some(drive) = &device.drive {
            self.drives.forget(drive);
        }
        let flushed = device.backend.map_or(Ok(()), |backend| backend.flush());
        if let Err(error) = flushed {
            tracing::error!(%error, id = device.id, "a USB disk that was pulled out could not be flushed");
        }
        if let Some(node) = &device.node {
            self.drives.nodes().give_back(node);
        }
        device.id
    }
}

/// A controller with nothing in its ports, for `hands`.
#[cfg(test)]
pub(crate) fn empty(hands: Hands, drives: &Arc<Drives>) -> (usb::xhci::Xhci, Plugs) {
    let memory = vm_memory::GuestMemoryMmap::from_ranges(&[(vm_memory::GuestAddress(0), 0x1000)]).unwrap();
    let irq = Box::new(bus::IrqLine::unconnected());
    let (xhci, _) = usb::xhci::Xhci::start(usb::xhci::Config::default(), memory, irq).unwrap();
    let plugs = Plugs::new(xhci.control().clone(), None, hands, Arc::clone(drives));
    (xhci, plugs)
}

#[cfg(test)]
mod tests {
    use usb::PlugError;

    use super::super::fd_sets::FdSets;
    use super::super::hands::{Chord, HandsError};
    use super::*;

    fn empty(hands: Hands) -> (usb::xhci::Xhci, Plugs) {
        super::empty(hands, &Arc::new(Drives::new(FdSets::default(), |_| {})))
    }

    fn keyboard(hands: &Hands, number: u32) -> Result<Made, PlugsError> {
        Model::Keyboard.make(hands, number)
    }

    fn hub(hands: &Hands, number: u32) -> Result<Made, PlugsError> {
        Model::Hub.make(hands, number)
    }

    #[expect(clippy::unnecessary_wraps, reason = "as `plug` takes it")]
    fn at(path: &[u8]) -> Option<Path> {
        Some(Path(path.to_vec()))
    }

    #[test]
    fn devices_come_and_go_with_what_is_behind_them() {
        let (_xhci, plugs) = empty(Hands::default());
        plugs.plug(Some("hub"), None, hub).unwrap();
        plugs.plug(Some("inner"), at(&[1, 4]), hub).unwrap();
        plugs.plug(Some("keys"), at(&[1, 4, 2]), keyboard).unwrap();
        plugs.plug(None, at(&[1, 1]), keyboard).unwrap();
        assert_eq!(plugs.unplug("keys"), Ok(vec!["keys".into()]));
        plugs.plug(Some("keys"), at(&[1, 4, 2]), keyboard).unwrap();
        assert_eq!(plugs.unplug("hub"), Ok(vec!["keys".into(), "inner".into(), "hub".into()]));
        let chord = Chord { usages: vec![4], hold: std::time::Duration::ZERO };
        assert_eq!(plugs.hands.type_chord(chord), Err(HandsError::NoKeyboard));
        assert_eq!(plugs.unplug("hub"), Err(PlugsError::NotFound("hub".into())));
    }

    #[test]
    fn ports_and_ids_are_each_for_one() {
        let (_xhci, plugs) = empty(Hands::default());
        plugs.plug(Some("a"), at(&[2]), keyboard).unwrap();
        assert_eq!(plugs.plug(Some("a"), None, keyboard), Err(PlugsError::Duplicate("a".into())));
        let taken = AttachError::Taken(PortId(10));
        assert_eq!(plugs.plug(Some("b"), at(&[2]), keyboard), Err(taken.into()));
        let no_hub = AttachError::NoHub(PortId(10));
        assert_eq!(plugs.plug(Some("b"), at(&[2, 1]), keyboard), Err(no_hub.into()));
        for path in [&[0][..], &[9], &[255, 1], &[]] {
            let error = PlugsError::NoPort(Path(path.to_vec()).to_string());
            assert_eq!(plugs.plug(Some("b"), at(path), keyboard), Err(error));
        }
        for _ in 0..7 {
            plugs.plug(None, None, hub).unwrap();
        }
        assert_eq!(plugs.plug(None, None, keyboard), Err(PlugsError::Full));
        let error = AttachError::Hub(PlugError::NoPort(5));
        assert_eq!(plugs.plug(None, at(&[1, 5]), keyboard), Err(error.into()));
        assert_eq!(plugs.unplug("a"), Ok(vec!["a".into()]));
        plugs.plug(Some("a"), None, keyboard).unwrap();
    }
}
