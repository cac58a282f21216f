//! Submission queues, and the loop that serves them. NVMe 1.4, 4.1 and 4.2.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vm_memory::Bytes;
use zerocopy::{FromZeros, IntoBytes};

use super::completion::Slot;
use super::{CompletionQueue, Executor, Outcome, Ring};
use crate::doorbell::{Doorbell, Refusal};
use crate::drive::Drive;
use crate::session::Session;
use crate::spec::command::{COMMAND_LEN, Command, Completion};
use crate::spec::status::Status;

/// Most commands between two interrupts.
const BATCH: usize = 16;

/// A submission queue. Lives on its worker's thread.
pub(crate) struct SubmissionQueue {
    drive: Arc<Drive>,
    session: Arc<Session>,
    id: u16,
    ring: Ring,
    completions: Arc<CompletionQueue>,
    /// The next entry to fetch.
    head: u16,
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
        let queue =
            Self { drive: Arc::clone(drive), session: Arc::clone(session), id, ring, completions, head: 0 };
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
    pub(super) fn serve(mut self, executor: &mut impl Executor, stop: &AtomicBool) {
        let stopped = || stop.load(Ordering::Acquire);
        while !stopped() {
            let served = self.serve_batch(executor, stopped);
            self.completions.interrupt();
            if self.may_sleep(served) && !stopped() {
                self.drive.wait(self.id);
            }
        }
    }

    fn serve_batch(&mut self, executor: &mut impl Executor, stopped: impl Fn() -> bool) -> Served {
        let completions = Arc::clone(&self.completions);
        for _ in 0..BATCH {
            let Some(slot) = completions.reserve() else { return Served::Starved };
            if let Some((id, outcome)) = executor.late() {
                self.complete(slot, id, outcome);
                continue;
            }
            let Some(command) = self.fetch() else { return Served::All };
            if let Some(outcome) = executor.execute(&command) {
                self.note(&command, outcome);
                self.complete(slot, command.id.get(), outcome);
            }
            if stopped() {
                break;
            }
        }
        Served::Some
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

    fn note(&self, command: &Command, outcome: Outcome) {
        if let Err(status) = outcome {
            self.drive.health.record(self.id, command, status);
        }
    }

    fn complete(&self, slot: Slot<'_>, id: u16, outcome: Outcome) {
        let (result, status) = match outcome {
            Ok(result) => (result, Status::SUCCESS),
            Err(status) => (0, status),
        };
        slot.fill(Completion {
            result: result.into(),
            submission_head: self.head.into(),
            submission_queue: self.id.into(),
            id: id.into(),
            status: status.field().into(),
            ..Completion::default()
        });
    }

    fn doorbell(&self) -> Option<&Doorbell> {
        self.session.submission(self.id)
    }
}

impl Drop for SubmissionQueue {
    fn drop(&mut self) {
        if let Some(doorbell) = self.doorbell() {
            doorbell.close();
        }
    }
}
