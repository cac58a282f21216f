//! Drives whose medium comes and goes while the machine runs, and the images that programs open for them.
//!
//! ```text
//!  the guest ──► scsi::Unit ──┐
//!                             ├── Tray: open or closed, locked, its medium ──► watchers: DEVICE_TRAY_MOVED
//!  programs ───► Drives ──────┘
//! ```

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use scsi::{Tray, TrayError};

use super::disks::Disk;
use super::fd_sets::FdSets;
use super::nodes::{NodeError, Nodes};
use crate::config::DiskConfig;

/// The drives of a machine.
pub struct Drives {
    nodes: Nodes,
    fds: FdSets,
    drives: Mutex<Vec<Drive>>,
    moved: Arc<dyn Fn(Moved) + Send + Sync>,
}

/// A tray moved: the guest, or a program, did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Whose.
    pub name: Name,
    /// Where it is now.
    pub open: bool,
}

/// What programs know a drive by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    /// The name of the drive, if it was there from the start.
    pub drive: Option<String>,
    /// The name of the device that shows it.
    pub id: Option<String>,
}

impl Name {
    /// Whether `text` means it; ids may come with their place in QEMU's tree.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        let id = text.strip_prefix("/machine/peripheral/").unwrap_or(text);
        self.drive.as_deref() == Some(text) || self.id.as_deref() == Some(id)
    }
}

struct Drive {
    name: Name,
    tray: Tray,
    /// How its medium is used, with the last one that was there.
    config: DiskConfig,
    contents: Contents,
}

/// Where a medium comes from.
enum Contents {
    Nothing,
    Image,
    Node(String),
}

/// A drive as programs see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What it is known by.
    pub name: Name,
    /// Whether its tray is open.
    pub open: bool,
    /// Whether the guest keeps it closed.
    pub locked: bool,
    /// The image in it.
    pub medium: Option<DiskConfig>,
}

/// Another medium for a drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMedium {
    /// Where it is.
    pub path: PathBuf,
    /// What it is; else it is found out.
    pub format: Option<block::Format>,
    /// Whether the guest may not write; else as with the last one.
    pub readonly: Option<bool>,
    /// Whether the guest is not asked.
    pub force: bool,
}

/// Why a medium cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// There is no drive of this name.
    #[error("Device '{0}' not found")]
    NotFound(String),
    /// Its tray does not allow it.
    #[error("Device '{0}' {1}")]
    Tray(String, TrayError),
    /// An image that cannot be had.
    #[error(transparent)]
    Node(#[from] NodeError),
}

impl Drives {
    /// No drives yet; `moved` hears of each move of their trays, and must not ask for them.
    pub(crate) fn new(fds: FdSets, moved: impl Fn(Moved) + Send + Sync + 'static) -> Self {
        Self { nodes: Nodes::default(), fds, drives: Mutex::default(), moved: Arc::new(moved) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Drive>> {
        self.drives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a drive with the medium that `config` describes, which is that of `node` if it has one.
    pub(crate) fn add(&self, name: Name, tray: Tray, config: DiskConfig, node: Option<String>) {
        let (moved, mover) = (Arc::clone(&self.moved), name.clone());
        tray.watch(move |open| moved(Moved { name: mover.clone(), open }));
        let contents = match node {
            Some(node) => Contents::Node(node),
            None if config.is_empty() => Contents::Nothing,
            None => Contents::Image,
        };
        self.lock().push(Drive { name, tray, config, contents });
    }

    /// The device that showed the drive is gone; a node that was in it is free.
    pub(super) fn forget(&self, name: &Name) {
        let mut drives = self.lock();
        if let Some(at) = drives.iter().position(|drive| drive.name == *name) {
            self.give_back(&drives.remove(at).contents);
        }
    }

    fn give_back(&self, contents: &Contents) {
        if let Contents::Node(node) = contents {
            self.nodes.give_back(node);
        }
    }

    /// All drives.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        self.lock().iter().map(Drive::listed).collect()
    }

    /// The descriptors of programs.
    #[must_use]
    pub const fn fds(&self) -> &FdSets {
        &self.fds
    }

    /// Opens the image of `config` as the node `name`.
    ///
    /// # Errors
    /// The name is taken, or the image cannot be opened.
    pub fn add_node(&self, name: &str, config: &DiskConfig) -> Result<(), NodeError> {
        self.nodes.add(name, config, &self.fds)
    }

    /// Closes the node `name`.
    ///
    /// # Errors
    /// There is none, or somebody has it.
    pub fn delete_node(&self, name: &str) -> Result<(), NodeError> {
        self.nodes.delete(name)
    }

    /// The nodes.
    pub(super) const fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Opens the tray of the drive `device`. A guest that locked it is asked to open it, unless `force`.
    ///
    /// # Errors
    /// There is no such drive, or the guest was asked.
    pub fn open(&self, device: &str, force: bool) -> Result<(), DriveError> {
        self.with(device, |drive| drive.open(force))
    }

    /// Closes the tray.
    ///
    /// # Errors
    /// There is no such drive.
    pub fn close(&self, device: &str) -> Result<(), DriveError> {
        self.with(device, |drive| {
            drive.tray.close();
            Ok(())
        })
    }

    /// Takes the medium out of the open tray, and closes its image.
    ///
    /// # Errors
    /// There is no such drive, or its tray is closed.
    pub fn remove(&self, device: &str) -> Result<(), DriveError> {
        self.with(device, |drive| self.take_out(drive))
    }

    /// Opens the tray and takes the medium out.
    ///
    /// # Errors
    /// There is no such drive, or the guest was asked to open it.
    pub fn eject(&self, device: &str, force: bool) -> Result<(), DriveError> {
        self.with(device, |drive| {
            drive.open(force)?;
            self.take_out(drive)
        })
    }

    /// Puts the node `node` into the open and empty tray.
    ///
    /// # Errors
    /// There is no such drive or node, or no room for it.
    pub fn insert(&self, device: &str, node: &str) -> Result<(), DriveError> {
        self.with(device, |drive| {
            let disk = self.nodes.take(node)?;
            let put = drive.put_in(&disk);
            match put {
                Ok(()) => drive.contents = Contents::Node(node.into()),
                Err(_) => self.nodes.give_back(node),
            }
            put
        })
    }

    /// Changes the medium: the tray opens, and closes with the other one in it.
    ///
    /// # Errors
    /// There is no such drive, the image cannot be opened, or the guest was asked to open the tray.
    pub fn change(&self, device: &str, medium: NewMedium) -> Result<(), DriveError> {
        self.with(device, |drive| {
            let mut config = drive.config.clone();
            config.path = medium.path;
            config.image.format = medium.format;
            config.readonly = medium.readonly.unwrap_or(config.readonly);
            let disk = Disk::open(&config, &self.fds).map_err(NodeError::open)?;
            drive.open(medium.force)?;
            self.take_out(drive)?;
            drive.put_in(&disk)?;
            drive.contents = Contents::Image;
            drive.tray.close();
            Ok(())
        })
    }

    fn with(
        &self,
        device: &str,
        act: impl FnOnce(&mut Drive) -> Result<(), DriveError>,
    ) -> Result<(), DriveError> {
        let mut drives = self.lock();
        let drive = drives.iter_mut().find(|drive| drive.name.is(device));
        drive.ok_or_else(|| DriveError::NotFound(device.into())).and_then(act).map_err(|error| match error {
            DriveError::Tray(_, why) => DriveError::Tray(device.into(), why),
            error => error,
        })
    }

    fn take_out(&self, drive: &mut Drive) -> Result<(), DriveError> {
        drive.tray.remove().map_err(tray)?;
        self.give_back(&std::mem::replace(&mut drive.contents, Contents::Nothing));
        Ok(())
    }
}

/// Whose tray it is is known further up.
const fn tray(error: TrayError) -> DriveError {
    DriveError::Tray(String::new(), error)
}

impl Drive {
    fn listed(&self) -> Listed {
        let medium = match self.contents {
            Contents::Nothing => None,
            Contents::Image | Contents::Node(_) => Some(self.config.clone()),
        };
        let (open, locked) = (self.tray.is_open(), self.tray.is_locked());
        Listed { name: self.name.clone(), open, locked, medium }
    }

    fn open(&self, force: bool) -> Result<(), DriveError> {
        self.tray.open(force).map_err(tray)
    }

    fn put_in(&mut self, disk: &Disk) -> Result<(), DriveError> {
        let Some(backend) = disk.backend.clone() else { return Ok(()) };
        self.tray.insert(backend).map_err(tray)?;
        self.config.path.clone_from(&disk.config.path);
        self.config.image.format = disk.config.image.format;
        self.config.readonly = disk.config.readonly;
        Ok(())
    }
}
