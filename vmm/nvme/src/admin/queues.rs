//! Creating and deleting I/O queues, and shadows for their doorbells. NVMe 1.4, 5.3 to 5.7.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Admin;
use crate::doorbell::Shadow;
use crate::drive::Drive;
use crate::nvm::NvmCommands;
use crate::queue::{CompletionQueue, Outcome, Ring, SubmissionQueue, Worker};
use crate::session::Session;
use crate::spec::PAGE;
use crate::spec::command::{COMMAND_LEN, COMPLETION_LEN, Command};
use crate::spec::registers::MAX_ENTRIES;
use crate::spec::status::Status;

/// All queues but the admin submission queue, which is carrying these commands out.
pub(super) struct Queues {
    drive: Arc<Drive>,
    session: Arc<Session>,
    // Dropped in this order: no worker is left that uses a completion queue.
    submission: BTreeMap<u16, Submission>,
    completion: BTreeMap<u16, Arc<CompletionQueue>>,
    /// Where shadows of doorbells are, once the driver has said so.
    shadows: Option<Shadow>,
}

struct Submission {
    _worker: Worker,
    /// The completion queue it uses.
    completion: u16,
}

/// Bit 0 of CDW11: the queue is contiguous. Nothing else is supported: CAP.CQR.
const CONTIGUOUS: u32 = 1;
/// Bit 1 of CDW11: the completion queue interrupts.
const INTERRUPTS: u32 = 2;

impl Queues {
    pub(super) fn new(drive: &Arc<Drive>, session: &Arc<Session>, admin: &Arc<CompletionQueue>) -> Self {
        Self {
            drive: Arc::clone(drive),
            session: Arc::clone(session),
            submission: BTreeMap::new(),
            completion: BTreeMap::from([(0, Arc::clone(admin))]),
            shadows: None,
        }
    }

    /// Whether I/O submission queue `queue` exists.
    pub(super) fn has_submission(&self, queue: u16) -> bool {
        self.submission.contains_key(&queue)
    }

    /// Whether there are I/O queues.
    pub(super) fn has_any(&self) -> bool {
        !self.submission.is_empty() || self.completion.len() > 1
    }

    /// The ring that a Create command describes.
    fn ring(&self, command: &Command, entry_len: u64) -> Result<Ring, Status> {
        let entries = (command.cdw10.get() >> 16) + 1;
        if !(2..=MAX_ENTRIES.into()).contains(&entries) {
            return Err(Status::INVALID_QUEUE_SIZE);
        }
        if command.cdw11.get() & CONTIGUOUS == 0 {
            return Err(Status::INVALID_FIELD);
        }
        let [base, _] = command.data;
        Ring::new(&self.drive, base.get(), entries as u16, entry_len)
    }

    /// Gives the doorbells of queue pair `queue` their shadows, if there are any.
    fn shadow(&self, queue: u16) -> Result<(), Status> {
        let Some(shadows) = self.shadows.filter(|_| queue != 0) else { return Ok(()) };
        // The stride of the doorbells is 0: 4 bytes each, the tail first.
        let at = |offset: u64| Shadow { value: shadows.value + offset, event: shadows.event + offset };
        let offset = 8 * u64::from(queue);
        let memory = &self.drive.memory;
        if let Some(doorbell) = self.session.submission(queue).filter(|_| self.has_submission(queue)) {
            let tail = doorbell.value(memory) as u16;
            doorbell.set_shadow(memory, at(offset), tail).map_err(|_| Status::INVALID_FIELD)?;
            self.drive.kick(queue);
        }
        if let (Some(doorbell), Some(completions)) =
            (self.session.completion(queue), self.completion.get(&queue))
        {
            let head = completions.head();
            doorbell.set_shadow(memory, at(offset + 4), head).map_err(|_| Status::INVALID_FIELD)?;
        }
        Ok(())
    }
}

/// A queue's number: one that is granted and not in use.
fn new_id(command: &Command, granted: u16, in_use: impl Fn(&u16) -> bool) -> Result<u16, Status> {
    let id = command.cdw10.get() as u16;
    if (1..=granted).contains(&id) && !in_use(&id) { Ok(id) } else { Err(Status::INVALID_QUEUE_ID) }
}

impl Admin {
    /// NVMe 1.4, 5.3.
    pub(super) fn create_completion_queue(&mut self, command: &Command) -> Outcome {
        let queues = &mut self.queues;
        let id = new_id(command, self.features.completion_queues(), |id| queues.completion.contains_key(id))?;
        let ring = queues.ring(command, COMPLETION_LEN)?;
        let vector = (command.cdw11.get() >> 16) as u16;
        if vector >= self.drive.vectors() {
            return Err(Status::INVALID_VECTOR);
        }
        let vector = (command.cdw11.get() & INTERRUPTS != 0).then_some(vector);
        let queue = CompletionQueue::new(&self.drive, &self.session, id, ring, vector);
        queues.completion.insert(id, Arc::new(queue));
        queues.shadow(id)?;
        Ok(0)
    }

    /// NVMe 1.4, 5.4. The priority means nothing in round robin.
    pub(super) fn create_submission_queue(&mut self, command: &Command) -> Outcome {
        let queues = &mut self.queues;
        let completion = (command.cdw11.get() >> 16) as u16;
        let completions = queues.completion.get(&completion).filter(|_| completion != 0);
        let completions = Arc::clone(completions.ok_or(Status::COMPLETION_QUEUE_INVALID)?);
        let id = new_id(command, self.features.submission_queues(), |id| queues.submission.contains_key(id))?;
        let ring = queues.ring(command, COMMAND_LEN)?;
        let queue = SubmissionQueue::new(&self.drive, &self.session, id, ring, completions);
        let worker = Worker::spawn(queue, NvmCommands::new(&self.drive, &self.session));
        let worker = worker.map_err(|_| Status::INTERNAL_ERROR)?;
        queues.submission.insert(id, Submission { _worker: worker, completion });
        queues.shadow(id)?;
        Ok(0)
    }

    /// NVMe 1.4, 5.5.
    pub(super) fn delete_completion_queue(&mut self, command: &Command) -> Outcome {
        let id = command.cdw10.get() as u16;
        let queues = &mut self.queues;
        if id == 0 || !queues.completion.contains_key(&id) {
            return Err(Status::INVALID_QUEUE_ID);
        }
        if queues.submission.values().any(|submission| submission.completion == id) {
            return Err(Status::INVALID_QUEUE_DELETION);
        }
        queues.completion.remove(&id);
        Ok(0)
    }

    /// NVMe 1.4, 5.6. What was not fetched is gone; what was has completed when this does.
    pub(super) fn delete_submission_queue(&mut self, command: &Command) -> Outcome {
        let removed = self.queues.submission.remove(&(command.cdw10.get() as u16));
        removed.map(|_| 0).ok_or(Status::INVALID_QUEUE_ID)
    }

    /// NVMe 1.4, 5.7. The admin queue keeps its registers: Linux never writes its shadows.
    pub(super) fn configure_doorbell_buffer(&mut self, command: &Command) -> Outcome {
        let [value, event] = command.data.map(u64::from);
        let usable = |page: u64| page != 0 && Ring::new(&self.drive, page, 1, PAGE).is_ok();
        if !usable(value) || !usable(event) {
            return Err(Status::INVALID_FIELD);
        }
        let queues = &mut self.queues;
        queues.shadows = Some(Shadow { value, event });
        (1..self.drive.vectors()).try_for_each(|queue| queues.shadow(queue))?;
        self.session.set_shadows();
        Ok(0)
    }
}
