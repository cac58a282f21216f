//! Submission queues, and the loop that serves them. NVMe 1.4, 4.1 and 4.2.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bus::Courtesy;
use vm_memory::Bytes;
use zerocopy::{FromZeros, IntoBytes};

use super::completion::Slot;
use super::{CompletionQueue, Executor, Outcome, Ring};
use crate::doorbell::{Doorbell, Refusal};
use crate::drive::Drive;
use crate::session::Session;
use crate::spec::command::{COMMAND_LEN, Command, Completion};
use crate::spec::status::Status;

/// Most commands of a batch: after these, there is a look at whether the queue is to end.
const BATCH: usize = 256;
/// Most commands between two interrupts.
const SILENCE: usize = 16;

/// A submission queue. Lives on its worker's thread.
pub(crate) struct SubmissionQueue {
    drive: Arc<Drive>,
    session: Arc<Session>,
    id: u16,
    ring: Ring,
    completions: Arc<CompletionQueue>,
    /// The next entry to fetch.
    head: u16,
    /// Commands since the last sleep.
    found: usize,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    /// There may be more commands.
    Some,
    /// The queue is empty; the next command comes with a ring.
    All,
    /// No entry of the completion queue is free.
    Starved,
}

impl SubmissionQueue {
    /// Takes the queue into use; its doorbell works from now on, until it is dropped.
    pub(crate) fn new(
        drive: &Arc<Drive>,
        session: &Arc<Session>,
        id: u16,
        ring: Ring,
        completions: Arc<CompletionQueue>,
    ) -> Self {
        let queue = Self {
            drive: Arc::clone(drive),
            session: Arc::clone(session),
            id,
            ring,
            completions,
            head: 0,
            found: 0,
        };
        if let Some(doorbell) = queue.doorbell() {
            doorbell.open(ring.entries());
        }
        queue
    }

    pub(super) const fn drive(&self) -> &Arc<Drive> {
        &self.drive
    }

    pub(super) const fn id(&self) -> u16 {
        self.id
    }

    /// Has `executor` carry out what comes in, until `stop`.
    pub(super) fn serve(mut self, executor: &mut impl Executor, stop: &AtomicBool, mut courtesy: Courtesy) {
        let completions = Arc::clone(&self.completions);
        while !stop.load(Ordering::Acquire) {
            let mut batch = Batch::new(&mut self, &completions, stop);
            executor.serve(&mut batch);
            let served = batch.served;
            completions.interrupt();
            if self.may_sleep(served) && !stop.load(Ordering::Acquire) {
                courtesy.sleeps(std::mem::take(&mut self.found));
                self.drive.wait(self.id);
            }
        }
    }

    /// Whether nothing can be done before the next kick, which is sure to come.
    fn may_sleep(&self, served: Served) -> bool {
        match served {
            Served::Some => false,
            Served::All => {
                let Some(doorbell) = self.doorbell() else { return true };
                doorbell.want_ring_after(&self.drive.memory, self.head);
                !doorbell.has_shadow() || self.tail() == Some(self.head)
            }
            Served::Starved => self.completions.is_full_for(self.id),
        }
    }

    /// Takes the next command, if there is one.
    fn fetch(&mut self) -> Option<Command> {
        self.tail().filter(|tail| *tail != self.head)?;
        let mut command = Command::new_zeroed();
        let at = self.ring.entry(self.head, COMMAND_LEN);
        if self.drive.memory.read_slice(command.as_mut_bytes(), at).is_err() {
            self.session.fail();
        }
        self.head = self.ring.after(self.head);
        self.found += 1;
        Some(command)
    }

    /// Where the driver says that commands end; where we are if it says nonsense.
    fn tail(&self) -> Option<u16> {
        let value = self.doorbell()?.value(&self.drive.memory);
        let tail = u16::try_from(value).ok().filter(|tail| *tail < self.ring.entries());
        if tail.is_none() {
            self.session.refuse(&self.drive, Refusal::Value);
        }
        Some(tail.unwrap_or(self.head))
    }

    fn doorbell(&self) -> Option<&Doorbell> {
        self.session.submission(self.id)
    }
}

/// Commands of a queue on their way through an executor.
pub(crate) struct Batch<'q> {
    queue: &'q mut SubmissionQueue,
    completions: &'q CompletionQueue,
    stop: &'q AtomicBool,
    /// How many more there may be.
    left: usize,
    /// How many have completed since the last interrupt.
    silent: usize,
    /// Why there was no more when that was last asked.
    served: Served,
}

impl<'q> Batch<'q> {
    fn new(queue: &'q mut SubmissionQueue, completions: &'q CompletionQueue, stop: &'q AtomicBool) -> Self {
        Self { queue, completions, stop, left: BATCH, silent: 0, served: Served::Some }
    }

    /// A place for the completion of the next command, which comes first: what is fetched can complete.
    pub(crate) fn reserve(&mut self) -> Option<Slot<'q>> {
        if self.left == 0 || self.stop.load(Ordering::Acquire) {
            self.served = Served::Some;
            return None;
        }
        let slot = self.completions.reserve();
        match slot {
            Some(_) => self.left -= 1,
            None => self.served = Served::Starved,
        }
        slot
    }

    /// The next command, if there is one.
    pub(crate) fn fetch(&mut self) -> Option<Command> {
        let command = self.queue.fetch();
        if command.is_none() {
            self.served = Served::All;
        }
        command
    }

    /// `command` ended like this.
    pub(crate) fn complete(&mut self, slot: Slot<'_>, command: &Command, outcome: Outcome) {
        if let Err(status) = outcome {
            self.queue.drive.health.record(self.queue.id, command, status);
        }
        self.complete_late(slot, command.id.get(), outcome);
    }

    /// A command that was known by `id` completes at last.
    pub(crate) fn complete_late(&mut self, slot: Slot<'_>, id: u16, outcome: Outcome) {
        let (result, status) = match outcome {
            Ok(result) => (result, Status::SUCCESS),
            Err(status) => (0, status),
        };
        slot.fill(Completion {
            result: result.into(),
            submission_head: self.queue.head.into(),
            submission_queue: self.queue.id.into(),
            id: id.into(),
            status: status.field().into(),
            ..Completion::default()
        });
        self.silent += 1;
        if self.silent >= SILENCE {
            self.announce();
        }
    }

    /// Tells the driver of what has completed. This happens anyway when the batch is served; before that it is for executors that
    /// wait.
    pub(crate) fn announce(&mut self) {
        self.silent = 0;
        self.completions.interrupt();
    }
}

impl Drop for SubmissionQueue {
    fn drop(&mut self) {
        if let Some(doorbell) = self.doorbell() {
            doorbell.close();
        }
    }
}
