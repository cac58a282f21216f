//! Disks that grow while the guest runs.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use block::{Backend, ResizeError};

/// The host's hand on a disk's size. Clones are the same.
#[derive(Clone)]
pub struct DiskSize(Arc<Shared>);

struct Shared {
    backend: Arc<dyn Backend>,
    /// The devices that show the disk to the guest.
    listeners: Mutex<Vec<Listener>>,
}

type Listener = Box<dyn Fn() + Send + Sync>;

/// Why a disk keeps its size.
#[derive(Debug, thiserror::Error)]
pub enum DiskSizeError {
    /// Its device has no way to say so.
    #[error("only disks on virtio-mmio, virtio-pci and nvme tell the guest of another size")]
    Unheard,
    /// Its image cannot have another.
    #[error(transparent)]
    Image(#[from] ResizeError),
}

impl DiskSize {
    /// The hand on the size of the disk in `backend`, of which no device tells yet.
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        Self(Arc::new(Shared { backend, listeners: Mutex::default() }))
    }

    /// Has `listener` called when the size has changed.
    pub(crate) fn listen(&self, listener: impl Fn() + Send + Sync + 'static) {
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(listener));
    }

    /// Makes the disk `bytes` long and lets the guest know.
    ///
    /// # Errors
    /// The disk cannot have that size, or the guest would not learn of it.
    pub fn set(&self, bytes: u64) -> Result<(), DiskSizeError> {
        let listeners = self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if listeners.is_empty() {
            return Err(DiskSizeError::Unheard);
        }
        self.0.backend.resize(bytes)?;
        listeners.iter().for_each(|listener| listener());
        Ok(())
    }
}

impl fmt::Debug for DiskSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiskSize({} sectors)", self.0.backend.geometry().sectors)
    }
}
