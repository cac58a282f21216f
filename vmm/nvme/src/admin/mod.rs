//! Admin commands. NVMe 1.4, 5.

mod events;
mod features;
mod identify;
mod logs;
mod queues;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::data::{Data, Direction};
use crate::drive::Drive;
use crate::nvm::check_flags;
use crate::queue::{Batch, CompletionQueue, Executor, Outcome};
use crate::session::Session;
use crate::spec::command::{Command, Pointer, admin};
use crate::spec::registers::csts;
use crate::spec::status::Status;

use events::Events;
use features::Features;
use queues::Queues;

/// ACL: Abort commands at a time, less one. NVMe 1.4 recommends three or more; they are carried out one by one.
const ABORT_LIMIT: u8 = 3;

/// Carries out the commands of the admin queue, and owns what they change. Dropping it ends all I/O.
pub(crate) struct Admin {
    drive: Arc<Drive>,
    session: Arc<Session>,
    queues: Queues,
    features: Features,
    events: Events,
    size: Size,
}

/// What the driver was told of the namespace's size.
struct Size {
    sectors: u64,
    /// It is another than when the driver last read the list of changed namespaces.
    changed: bool,
}

impl Executor for Admin {
    fn serve(&mut self, batch: &mut Batch<'_>) {
        while let Some(slot) = batch.reserve() {
            if let Some((id, outcome)) = self.late() {
                batch.complete_late(slot, id, outcome);
                continue;
            }
            let Some(command) = batch.fetch() else { return };
            if let Some(outcome) = self.execute(&command) {
                batch.complete(slot, &command, outcome);
            }
        }
    }
}

impl Admin {
    /// Carries out `command`; `None` if it completes later.
    fn execute(&mut self, command: &Command) -> Option<Outcome> {
        let outcome = match command.opcode {
            admin::ASYNC_EVENT_REQUEST => match self.events.request(command) {
                Ok(()) => return None,
                Err(status) => Err(status),
            },
            _ => self.carry_out(command),
        };
        Some(outcome)
    }

    /// A command, by its id, that completes now. Asked before each command and before each sleep.
    fn late(&mut self) -> Option<(u16, Outcome)> {
        if self.session.shuts_down() {
            self.shut_down();
        }
        self.look_at_size();
        self.session.take_refusals().for_each(|refusal| self.events.refused(refusal));
        self.events.complete()
    }

    /// The executor of the admin queue, whose completions go to `completions`.
    pub(crate) fn new(
        drive: &Arc<Drive>,
        session: &Arc<Session>,
        completions: &Arc<CompletionQueue>,
    ) -> Self {
        Self {
            drive: Arc::clone(drive),
            session: Arc::clone(session),
            queues: Queues::new(drive, session, completions),
            features: Features::new(&drive.options),
            events: Events::default(),
            size: Size { sectors: drive.geometry().sectors, changed: false },
        }
    }

    /// Somebody may have made the disk larger.
    fn look_at_size(&mut self) {
        let sectors = self.drive.geometry().sectors;
        if std::mem::replace(&mut self.size.sectors, sectors) != sectors {
            self.size.changed = true;
            self.events.namespace_changed(&self.features);
        }
    }

    fn carry_out(&mut self, command: &Command) -> Outcome {
        let act = match command.opcode {
            admin::IDENTIFY => Self::identify,
            admin::GET_LOG_PAGE => Self::get_log_page,
            admin::SET_FEATURES => Self::set_features,
            admin::GET_FEATURES => Self::get_features,
            admin::CREATE_COMPLETION_QUEUE => Self::create_completion_queue,
            admin::CREATE_SUBMISSION_QUEUE => Self::create_submission_queue,
            admin::DELETE_COMPLETION_QUEUE => Self::delete_completion_queue,
            admin::DELETE_SUBMISSION_QUEUE => Self::delete_submission_queue,
            admin::DOORBELL_BUFFER_CONFIG => Self::configure_doorbell_buffer,
            admin::ABORT => Self::abort,
            _ => return Err(Status::INVALID_OPCODE),
        };
        check_flags(command)?;
        if command.pointer() != Some(Pointer::Prp) {
            return Err(Status::INVALID_FIELD); // no SGLs in admin commands over PCIe. NVMe 1.4, 4.2
        }
        act(self, command)
    }

    /// Gives `bytes` to the driver.
    fn return_data(&self, command: &Command, bytes: &[u8]) -> Outcome {
        let data = Data::of(command, bytes.len() as u64, Direction::ToGuest, &self.drive.memory)?;
        data.copy_from(bytes);
        Ok(0)
    }

    /// Commands are carried out as they come, so that none but event requests can be aborted. NVMe 1.4, 5.1.
    fn abort(&mut self, command: &Command) -> Outcome {
        const NOT_ABORTED: u32 = 1;
        let queue = command.cdw10.get() as u16;
        let id = (command.cdw10.get() >> 16) as u16;
        if queue != 0 && !self.queues.has_submission(queue) {
            return Err(Status::INVALID_FIELD);
        }
        let aborted = queue == 0 && self.events.abort(id);
        Ok(if aborted { 0 } else { NOT_ABORTED })
    }

    /// The driver is about to take the power away: nothing may be in a cache after this. NVMe 1.4, 7.6.2.
    fn shut_down(&mut self) {
        if self.drive.backend.flush().is_err() {
            tracing::warn!("an NVMe disk could not be flushed at shutdown");
        }
        self.session.set_shutdown(csts::SHUTDOWN_DONE);
    }

    fn set_features(&mut self, command: &Command) -> Outcome {
        let result = self.features.set(command, self.queues.has_any())?;
        self.session.write_cache.store(self.features.has_write_cache(), Ordering::Relaxed);
        if self.features.critical_warning() != 0 {
            self.events.too_warm(&self.features);
        }
        Ok(result)
    }

    fn get_features(&mut self, command: &Command) -> Outcome {
        self.features.get(command)
    }
}
