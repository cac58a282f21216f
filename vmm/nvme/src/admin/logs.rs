//! Get Log Page. NVMe 1.4, 5.14.

use zerocopy::{FromZeros, IntoBytes};

use super::Admin;
use crate::queue::Outcome;
use crate::spec::BROADCAST;
use crate::spec::command::Command;
use crate::spec::log::{FirmwareSlots, id};
use crate::spec::status::Status;

/// The list of namespaces that changed since it was last read: none ever do.
const CHANGED_NAMESPACES: [u8; 4096] = [0; 4096];

impl Admin {
    pub(super) fn get_log_page(&mut self, command: &Command) -> Outcome {
        let id = command.cdw10.get() as u8;
        if !matches!(command.namespace.get(), 0 | BROADCAST) {
            return Err(Status::INVALID_FIELD); // logs are the controller's: LPA bit 0
        }
        let log = self.log(id)?;
        let rest = usize::try_from(offset(command)).ok().and_then(|offset| log.get(offset..));
        let rest = rest.ok_or(Status::INVALID_FIELD)?;
        let wanted = usize::try_from(len(command)).unwrap_or(usize::MAX);
        let outcome = self.return_data(command, rest.get(..wanted).unwrap_or(rest))?;
        let retains_event = command.cdw10.get() >> 15 & 1 != 0;
        if !retains_event {
            self.events.log_read(id);
        }
        Ok(outcome)
    }

    fn log(&self, id: u8) -> Result<Vec<u8>, Status> {
        let health = &self.drive.health;
        Ok(match id {
            id::ERROR => health.error_log().as_bytes().to_vec(),
            id::HEALTH => health.health_log(self.features.critical_warning()).as_bytes().to_vec(),
            id::FIRMWARE => self.firmware_slots().as_bytes().to_vec(),
            id::CHANGED_NAMESPACES => CHANGED_NAMESPACES.to_vec(),
            _ => return Err(Status::INVALID_LOG_PAGE),
        })
    }

    /// There is one slot, which runs.
    fn firmware_slots(&self) -> FirmwareSlots {
        let mut slots = FirmwareSlots { active: 1, ..FirmwareSlots::new_zeroed() };
        let [first, ..] = &mut slots.revisions;
        *first = self.drive.options.identity.firmware();
        slots
    }
}

/// First byte: LPOL and LPOU; the two lowest bits are none.
fn offset(command: &Command) -> u64 {
    (u64::from(command.cdw12.get()) | u64::from(command.cdw13.get()) << 32) & !3
}

/// Bytes: NUMDL and NUMDU count dwords, less one.
fn len(command: &Command) -> u64 {
    let dwords = u64::from(command.cdw10.get() >> 16) | u64::from(command.cdw11.get() & 0xffff) << 16;
    4 * (dwords + 1)
}
