//! Reports that wait for the driver.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Waker;

/// Most reports that wait. Beyond that the last one takes what is new, so that the driver ends with the truth.
const CAPACITY: usize = 64;

/// One report, up to 8 bytes.
pub(super) type Report = Vec<u8>;

/// What a device and the hands on it share.
#[derive(Clone)]
pub(super) struct Reports(Arc<Mutex<Shared>>);

struct Shared {
    queue: VecDeque<Report>,
    current: Report,
    lamps: u8,
    waker: Waker,
}

impl Reports {
    /// Nothing waits; `current` is the report of a device that nobody touches.
    pub(super) fn new(current: Report) -> Self {
        let shared = Shared { queue: VecDeque::new(), current, lamps: 0, waker: Waker::unconnected() };
        Self(Arc::new(Mutex::new(shared)))
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connect(&self, waker: Waker) {
        self.lock().waker = waker;
    }

    /// Forgets what waits.
    pub(super) fn clear(&self) {
        self.lock().queue.clear();
    }

    /// The next report in turn.
    pub(super) fn next(&self) -> Option<Report> {
        self.lock().queue.pop_front()
    }

    /// Whether there is a next report.
    pub(super) fn wait(&self) -> bool {
        !self.lock().queue.is_empty()
    }

    /// How things are.
    pub(super) fn current(&self) -> Report {
        self.lock().current.clone()
    }

    pub(super) fn lamps(&self) -> u8 {
        self.lock().lamps
    }

    pub(super) fn set_lamps(&self, lamps: u8) {
        self.lock().lamps = lamps;
    }

    /// Reports `report`. `merge` makes one of the last report that waits and this one, if that loses nothing or if there is no
    /// room for both.
    pub(super) fn push(&self, report: Report, merge: fn(&Report, &Report, Room) -> Option<Report>) {
        let mut shared = self.lock();
        let room = if shared.queue.len() < CAPACITY { Room::Left } else { Room::None };
        let merged = shared.queue.back().and_then(|last| merge(last, &report, room));
        match (merged, shared.queue.back_mut()) {
            (Some(merged), Some(last)) => *last = merged,
            _ if matches!(room, Room::Left) => shared.queue.push_back(report.clone()),
            _ => {}
        }
        shared.current = report;
        shared.waker.wake();
    }
}

/// Whether another report can wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Left,
    None,
}
