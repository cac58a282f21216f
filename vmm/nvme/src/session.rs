//! What a reset of the controller forgets: everything between one CC.EN and the next.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::doorbell::{Doorbell, Refusal};
use crate::drive::Drive;
use crate::options::WriteCache;
use crate::spec::registers::csts;

/// State shared by registers and workers. A new one starts with each enabling.
pub(crate) struct Session {
    submission: Vec<Doorbell>,
    completion: Vec<CompletionBell>,
    status: AtomicU32,
    /// A bit for each vector that the driver wants to be silent.
    mask: AtomicU32,
    /// Doorbell refusals that no event has told of yet: a bit for each.
    refusals: AtomicU8,
    /// Writes may stay in a cache until a flush.
    pub(crate) write_cache: AtomicBool,
    /// The driver leaves the values of I/O queues' doorbells in memory.
    shadows: AtomicBool,
}

/// The doorbell of a completion queue, and who waits for it.
#[derive(Default)]
struct CompletionBell {
    doorbell: Doorbell,
    /// The I/O submission queues whose workers found the queue full: bit n for queue n + 1.
    starved: AtomicU64,
}

impl Session {
    pub(crate) fn new(drive: &Drive) -> Self {
        let queues = 0..drive.vectors();
        Self {
            submission: queues.clone().map(|_| Doorbell::default()).collect(),
            completion: queues.map(|_| CompletionBell::default()).collect(),
            status: AtomicU32::new(0),
            mask: AtomicU32::new(0),
            refusals: AtomicU8::new(0),
            write_cache: AtomicBool::new(drive.options.write_cache == WriteCache::On),
            shadows: AtomicBool::new(false),
        }
    }
}

/// CSTS.
impl Session {
    pub(crate) fn status(&self) -> u32 {
        self.status.load(Ordering::Acquire)
    }

    pub(crate) fn set_ready(&self) {
        self.status.fetch_or(csts::READY, Ordering::AcqRel);
    }

    /// Something is wrong that no completion can tell. NVMe 1.4, 9.5.
    pub(crate) fn fail(&self) {
        self.status.fetch_or(csts::FATAL, Ordering::AcqRel);
    }

    pub(crate) fn set_shutdown(&self, state: u32) {
        let replace = |status| Some(status & !csts::SHUTDOWN | state);
        let _always = self.status.fetch_update(Ordering::AcqRel, Ordering::Acquire, replace);
    }

    /// Whether the driver waits for a shutdown to be complete.
    pub(crate) fn shuts_down(&self) -> bool {
        self.status() & csts::SHUTDOWN == csts::SHUTDOWN_BUSY
    }
}

/// INTMS and INTMC.
impl Session {
    pub(crate) fn set_mask(&self, mask: u32) {
        self.mask.store(mask, Ordering::Release);
    }

    pub(crate) fn masks(&self, vector: u16) -> bool {
        self.mask.load(Ordering::Acquire).checked_shr(vector.into()).is_some_and(|mask| mask & 1 != 0)
    }
}

/// Doorbells.
impl Session {
    pub(crate) fn submission(&self, queue: u16) -> Option<&Doorbell> {
        self.submission.get(usize::from(queue))
    }

    pub(crate) fn completion(&self, queue: u16) -> Option<&Doorbell> {
        self.completion.get(usize::from(queue)).map(|bell| &bell.doorbell)
    }

    /// From now on the driver leaves the values of I/O queues' doorbells in memory.
    pub(crate) fn set_shadows(&self) {
        self.shadows.store(true, Ordering::Release);
    }

    pub(crate) fn has_shadows(&self) -> bool {
        self.shadows.load(Ordering::Acquire)
    }

    /// The driver writes doorbell register `index`: tail of queue 0, head of queue 0, tail of queue 1 and so on.
    /// NVMe 1.4, 3.1.24 and 3.1.25.
    pub(crate) fn ring(&self, drive: &Drive, index: u64, value: u16) {
        let queue = (index / 2) as u16;
        let rung = match index % 2 {
            0 => self.submission(queue).ok_or(Refusal::Register).and_then(|bell| bell.ring(value)),
            _ => self.completion(queue).ok_or(Refusal::Register).and_then(|bell| bell.ring(value)),
        };
        match (rung, index % 2) {
            (Err(refusal), _) => self.refuse(drive, refusal),
            (Ok(()), 0) => drive.kick(queue),
            (Ok(()), _) => self.feed(drive, queue),
        }
    }

    /// Notes that a doorbell was refused and has the admin queue's worker tell of it.
    pub(crate) fn refuse(&self, drive: &Drive, refusal: Refusal) {
        self.refusals.fetch_or(1 << refusal as u8, Ordering::AcqRel);
        drive.kick(0);
    }

    /// The refusals since this was last asked.
    pub(crate) fn take_refusals(&self) -> impl Iterator<Item = Refusal> {
        let bits = self.refusals.swap(0, Ordering::AcqRel);
        [Refusal::Register, Refusal::Value].into_iter().filter(move |&refusal| bits & 1 << refusal as u8 != 0)
    }

    /// The worker of `submission` waits for room in completion queue `completion`.
    pub(crate) fn starve(&self, completion: u16, submission: u16) {
        if let (Some(bell), Some(bit)) =
            (self.completion.get(usize::from(completion)), submission.checked_sub(1))
        {
            bell.starved.fetch_or(1 << bit, Ordering::SeqCst);
        }
    }

    /// Completion queue `queue` has room again: wakes those who wait for it. The admin queue's own has one waiter alone.
    fn feed(&self, drive: &Drive, queue: u16) {
        if queue == 0 {
            return drive.kick(0);
        }
        let starved =
            self.completion.get(usize::from(queue)).map(|bell| bell.starved.swap(0, Ordering::SeqCst));
        let starved = starved.unwrap_or_default();
        (0..u64::BITS as u16).filter(|bit| starved >> bit & 1 != 0).for_each(|bit| drive.kick(bit + 1));
    }
}
