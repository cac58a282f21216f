//! Hints: the guest tells which pages it has free, when the host asks. virtio 1.2, 5.5.6.5.
//!
//! ```text
//!  device:   STOP ── asked ──► 2 ──┐                        ┌──► DONE      in the configuration space
//!  driver:                         └─► 2, pages, … , STOP ──┘     └─► frees what it held back
//! ```
//!
//! What comes between the number of the run and STOP goes back to the host at once; all else is ignored.
//!
//! A driver holds its pages back until DONE, but may use one before (5.5.6.5.1), and Linux does when memory runs short. If
//! that page is still in the queue then, what the guest wrote to it is lost. So this is for guests at rest; reports have no
//! such gap.

use crate::Buffers;

/// No run. virtio 1.2, 5.5.6.5.
const STOP: u32 = 0;
/// The driver can use its pages again.
const DONE: u32 = 1;
/// The number of the first run.
const FIRST: u32 = 2;

/// A run, as the host sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hinting {
    /// How far it is.
    pub stage: Stage,
    /// Bytes that went back to the host.
    pub bytes: u64,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// There is no driver that gives hints.
    #[default]
    Unable,
    /// The driver was not asked yet.
    Ready,
    /// The host asked; the driver does not know yet.
    Asked,
    /// The driver was asked, and tells its pages.
    Runs,
    /// The driver told all of them; it does not know yet that it can use them again.
    Told,
    /// It knows.
    Done,
}

impl Hinting {
    /// Asks the driver for hints; false if there is none that gives any.
    pub(super) fn ask(&mut self) -> bool {
        let able = self.stage != Stage::Unable;
        if able {
            *self = Self { stage: Stage::Asked, bytes: 0 };
        }
        able
    }
}

/// The device's side of a run.
#[derive(Debug)]
pub(super) struct Hints {
    /// What the configuration space says: STOP, DONE or the number of the run.
    word: u32,
    /// The number of the next run.
    next: u32,
    /// The driver began the run, and did not end it.
    open: bool,
}

impl Default for Hints {
    fn default() -> Self {
        Self { word: STOP, next: FIRST, open: false }
    }
}

impl Hints {
    /// What the driver reads.
    pub(super) const fn word(&self) -> u32 {
        self.word
    }

    /// A driver starts, which gives hints if it is `able`.
    pub(super) fn begin(&mut self, run: &mut Hinting, able: bool) {
        (self.word, self.open) = (STOP, false);
        run.stage = if able { Stage::Ready } else { Stage::Unable };
    }

    /// Says in the configuration space what happened to the run.
    pub(super) fn proceed(&mut self, run: &mut Hinting) {
        match run.stage {
            Stage::Asked => {
                self.word = self.next;
                self.next = self.next.checked_add(1).unwrap_or(FIRST);
                run.stage = Stage::Runs;
            }
            Stage::Told => {
                self.word = DONE;
                run.stage = Stage::Done;
            }
            Stage::Unable | Stage::Ready | Stage::Runs | Stage::Done => return,
        }
        self.open = false;
    }

    /// Takes the driver's word; true if that ends the run.
    pub(super) fn take(&mut self, run: &mut Hinting, buffers: &Buffers<'_>) -> bool {
        let mut word = [0; 4];
        if buffers.len() != 4 || buffers.copy_to(&mut word) != 4 {
            return false;
        }
        let was_open = std::mem::take(&mut self.open);
        match u32::from_le_bytes(word) {
            STOP if was_open && run.stage == Stage::Runs => {
                run.stage = Stage::Told;
                return true;
            }
            word => self.open = word >= FIRST && word == self.word && run.stage == Stage::Runs,
        }
        false
    }

    /// Whether what the driver names now is free. Once the host asks anew, the pages of the run before are let alone.
    pub(super) fn is_open(&self, run: &Hinting) -> bool {
        self.open && run.stage == Stage::Runs
    }
}
