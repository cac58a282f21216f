//! Get Log Page. NVMe 1.4, 5.14.

use zerocopy::little_endian::U32;
use zerocopy::{FromZeros, IntoBytes};

use super::Admin;
use crate::queue::Outcome;
use crate::spec::command::Command;
use crate::spec::log::{FirmwareSlots, id};
use crate::spec::status::Status;
use crate::spec::{BROADCAST, NAMESPACE};

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
            self.size.changed &= id != id::CHANGED_NAMESPACES;
        }
        Ok(outcome)
    }

    fn log(&self, id: u8) -> Result<Vec<u8>, Status> {
        let health = &self.drive.health;
        Ok(match id {
            id::ERROR => health.error_log().as_bytes().to_vec(),
            id::HEALTH => health.health_log(self.features.critical_warning()).as_bytes().to_vec(),
            id::FIRMWARE => self.firmware_slots().as_bytes().to_vec(),
            id::CHANGED_NAMESPACES => self.changed_namespaces().as_bytes().to_vec(),
            _ => return Err(Status::INVALID_LOG_PAGE),
        })
    }

    /// The namespaces that changed since the list was last read; zeroes end it. NVMe 1.4, 5.14.1.4.
    fn changed_namespaces(&self) -> [U32; 1024] {
        let mut list = [U32::ZERO; 1024];
        if let (true, [first, ..]) = (self.size.changed, &mut list) {
            *first = NAMESPACE.into();
        }
        list
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
