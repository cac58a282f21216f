//! Queues: where commands come from and completions go to. NVMe 1.4, 4.1.

mod completion;
mod submission;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use vm_memory::{GuestAddress, GuestMemory, Permissions};

use crate::drive::Drive;
use crate::spec::PAGE;
use crate::spec::status::Status;

pub(crate) use completion::{CompletionQueue, Slot};
pub(crate) use submission::{Batch, SubmissionQueue};

/// How a command ended: DW0 of its completion, or why it failed.
pub(crate) type Outcome = Result<u32, Status>;

/// What carries out the commands of a submission queue, on the queue's own thread.
pub(crate) trait Executor: Send {
    /// Carries out the commands of `batch` until it has no more, and completes them, then or in a later batch.
    fn serve(&mut self, batch: &mut Batch<'_>);
}

/// Where a queue's entries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ring {
    base: u64,
    entries: u16,
}

impl Ring {
    /// A ring of `entries` entries of `entry_len` bytes at `base`, if it is page-aligned and in memory.
    ///
    /// # Errors
    /// The status for a command that asks for such a queue.
    pub(crate) fn new(drive: &Drive, base: u64, entries: u16, entry_len: u64) -> Result<Self, Status> {
        if !base.is_multiple_of(PAGE) {
            return Err(Status::PRP_OFFSET_INVALID);
        }
        let len = u64::from(entries) * entry_len;
        if !drive.memory.check_range(GuestAddress(base), len as usize, Permissions::ReadWrite) {
            return Err(Status::DATA_TRANSFER_ERROR);
        }
        Ok(Self { base, entries })
    }

    /// How many entries it has; one of them is always free.
    pub(crate) const fn entries(&self) -> u16 {
        self.entries
    }

    /// The address of entry `index`, of `entry_len` bytes.
    const fn entry(&self, index: u16, entry_len: u64) -> GuestAddress {
        GuestAddress(self.base + index as u64 * entry_len)
    }

    /// The index after `index`.
    const fn after(&self, index: u16) -> u16 {
        if index + 1 < self.entries { index + 1 } else { 0 }
    }

    /// The index before `index`.
    const fn before(&self, index: u16) -> u16 {
        match index {
            0 => self.entries - 1,
            _ => index - 1,
        }
    }

    /// How many steps lead from `from` to `to`.
    const fn distance(&self, from: u16, to: u16) -> u16 {
        if to >= from { to - from } else { to + (self.entries - from) }
    }
}

/// The thread of a submission queue. Dropping it ends the thread, once what is in flight is done.
pub(crate) struct Worker {
    drive: Arc<Drive>,
    queue: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Has `executor` carry out the commands of `queue`.
    ///
    /// # Errors
    /// The host has no more threads.
    pub(crate) fn spawn(queue: SubmissionQueue, mut executor: impl Executor + 'static) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (drive, id) = (Arc::clone(queue.drive()), queue.id());
        let stopped = Arc::clone(&stop);
        let name = format!("nvme-queue-{id}");
        let thread = bus::spawn_worker(name, move |courtesy| queue.serve(&mut executor, &stopped, courtesy))?;
        Ok(Self { drive, queue: id, stop, thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.drive.kick(self.queue);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_wraps_at_its_size() {
        let ring = Ring { base: 0x1000, entries: 3 };
        assert_eq!([0, 1, 2].map(|index| ring.after(index)), [1, 2, 0]);
        assert_eq!([0, 1, 2].map(|index| ring.before(index)), [2, 0, 1]);
        assert_eq!([(0, 0), (0, 2), (2, 0), (2, 1)].map(|(from, to)| ring.distance(from, to)), [0, 2, 1, 2]);
        assert_eq!(ring.entry(2, 16), GuestAddress(0x1020));
    }
}
