//! Where a medium is: part of its unit, or in a tray that initiator and host both move. SBC-3, 5.9 and 5.25; MMC-6, 6.7.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use block::Backend;

use crate::medium::Medium;
use crate::multimedia::{MediaEvent, MediaStatus};
use crate::sense::Sense;

/// The host's hand on the tray of a unit; clones are hands on the same one.
#[derive(Clone)]
pub struct Tray {
    /// Bytes in a logical block of the unit.
    block_len: u32,
    state: Arc<Mutex<State>>,
}

/// Told when the tray has moved, with whether it is open now, and by whom.
type Watcher = Box<dyn Fn(bool) + Send>;

#[derive(Default)]
struct State {
    // What hands did.
    medium: Option<Arc<Medium>>,
    open: bool,
    watcher: Option<Watcher>,
    // Volatile: what the initiator wants and does not know yet.
    locked: bool,
    changed: bool,
    event: MediaEvent,
}

/// Why the host cannot move a medium.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TrayError {
    /// The initiator keeps it closed, and was asked to open it.
    #[error("is locked and force was not specified, wait for tray to open and try again")]
    Locked,
    /// The medium can be reached in an open tray alone.
    #[error("has a tray that is not open")]
    Closed,
    /// There is a medium.
    #[error("has a medium already")]
    Full,
}

impl Tray {
    pub(crate) fn new(block_len: u32) -> Self {
        Self { block_len, state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `watcher` told of every move from now on, whoever moves the tray. It must not use the tray.
    pub fn watch(&self, watcher: impl Fn(bool) + Send + 'static) {
        self.lock().watcher = Some(Box::new(watcher));
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lock().open
    }

    /// Whether the initiator keeps it closed.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.lock().locked
    }

    /// Opens it. One that the initiator locked stays closed unless `force`, and the initiator is asked to open it.
    ///
    /// # Errors
    /// It is locked.
    pub fn open(&self, force: bool) -> Result<(), TrayError> {
        let mut state = self.lock();
        if state.locked && !state.open && !force {
            state.event = MediaEvent::EjectRequest;
            return Err(TrayError::Locked);
        }
        state.open();
        Ok(())
    }

    /// Closes it. The initiator is told of the medium in it with its next command.
    pub fn close(&self) {
        self.lock().close();
    }

    /// Takes out the medium, if there is one. Transfers under way keep it until they end.
    ///
    /// # Errors
    /// The tray is not open.
    pub fn remove(&self) -> Result<(), TrayError> {
        let mut state = self.lock();
        if !state.open {
            return Err(TrayError::Closed);
        }
        // Nobody is left to be told of a failure, which was logged.
        let _ = state.medium.take().map(|medium| medium.flush());
        Ok(())
    }

    /// Puts a medium in.
    ///
    /// # Errors
    /// The tray is not open, or has one.
    pub fn insert(&self, backend: Arc<dyn Backend>) -> Result<(), TrayError> {
        let mut state = self.lock();
        match state.medium {
            _ if !state.open => Err(TrayError::Closed),
            Some(_) => Err(TrayError::Full),
            None => {
                state.medium = Some(Medium::new(backend, self.block_len));
                Ok(())
            }
        }
    }

    /// The medium that was there before anybody looked.
    pub(crate) fn begin_with(&self, backend: Arc<dyn Backend>) {
        self.lock().medium = Some(Medium::new(backend, self.block_len));
    }

    /// The medium, if it can be used.
    pub(crate) fn medium(&self) -> Result<Arc<Medium>, Sense> {
        let state = self.lock();
        match &state.medium {
            _ if state.open => Err(Sense::TRAY_OPEN),
            Some(medium) => Ok(medium.clone()),
            None => Err(Sense::NO_MEDIUM),
        }
    }

    /// The initiator opens it.
    pub(crate) fn eject(&self) -> Result<(), Sense> {
        let mut state = self.lock();
        if state.locked {
            return Err(Sense::REMOVAL_PREVENTED);
        }
        state.open();
        Ok(())
    }

    /// The initiator wants the medium to stay, or not.
    pub(crate) fn set_locked(&self, locked: bool) {
        self.lock().locked = locked;
    }

    /// Whether the medium is another than the initiator knows; asked once.
    pub(crate) fn take_change(&self) -> bool {
        std::mem::take(&mut self.lock().changed)
    }

    /// What happened since this was last asked, and how things are.
    pub(crate) fn take_event(&self) -> (MediaEvent, MediaStatus) {
        let mut state = self.lock();
        let status = MediaStatus { tray_open: state.open, present: state.medium.is_some() && !state.open };
        (std::mem::take(&mut state.event), status)
    }

    /// Forgets what concerns the initiator.
    pub(crate) fn reset(&self) {
        let mut state = self.lock();
        (state.locked, state.changed, state.event) = (false, false, MediaEvent::None);
    }
}

impl State {
    fn open(&mut self) {
        self.event = MediaEvent::Removed;
        self.set_open(true);
    }

    fn close(&mut self) {
        if self.medium.is_some() {
            self.changed = true;
            self.event = MediaEvent::New;
        }
        self.set_open(false);
    }

    fn set_open(&mut self, open: bool) {
        if std::mem::replace(&mut self.open, open) != open {
            self.watcher.iter().for_each(|watcher| watcher(open));
        }
    }
}
