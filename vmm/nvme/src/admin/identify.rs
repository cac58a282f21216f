//! Identify. NVMe 1.4, 5.15.

use block::{Access, SECTOR};
use zerocopy::little_endian::U32;
use zerocopy::{FromZeros, IntoBytes};

use super::{ABORT_LIMIT, Admin, events};
use crate::data::MAX_TRANSFER_EXPONENT;
use crate::function::VENDOR;
use crate::health::ERROR_ENTRIES;
use crate::queue::Outcome;
use crate::spec::NAMESPACE;
use crate::spec::command::Command;
use crate::spec::feature::{TEMPERATURE_CRITICAL, TEMPERATURE_WARNING};
use crate::spec::identify::{Controller, Namespace, UuidDescriptor, cns};
use crate::spec::registers::VERSION;
use crate::spec::status::Status;

/// Bytes of every structure.
const LEN: usize = 4096;
/// CNTRLTYPE.
const IO_CONTROLLER: u8 = 1;
/// Queue entries of 64 and 16 bytes, no others.
const SUBMISSION_SIZES: u8 = 0x66;
const COMPLETION_SIZES: u8 = 0x44;
/// The largest number of a namespace that a list can begin behind. NVMe 1.4, 5.15.2.4.
const LAST_NAMESPACE: u32 = 0xffff_fffd;

impl Admin {
    pub(super) fn identify(&mut self, command: &Command) -> Outcome {
        let namespace = command.namespace.get();
        match command.cdw10.get() as u8 {
            cns::CONTROLLER => self.return_data(command, self.controller().as_bytes()),
            cns::ACTIVE_NAMESPACES if namespace <= LAST_NAMESPACE => {
                self.return_data(command, namespaces_after(namespace).as_bytes())
            }
            cns::NAMESPACE if namespace == NAMESPACE => {
                self.return_data(command, self.namespace().as_bytes())
            }
            cns::NAMESPACE_DESCRIPTORS if namespace == NAMESPACE => {
                self.return_data(command, &self.descriptors())
            }
            cns::ACTIVE_NAMESPACES | cns::NAMESPACE | cns::NAMESPACE_DESCRIPTORS => {
                Err(Status::INVALID_NAMESPACE)
            }
            _ => Err(Status::INVALID_FIELD),
        }
    }

    fn controller(&self) -> Controller {
        let identity = &self.drive.options.identity;
        let mut controller = Controller {
            vendor: VENDOR.into(),
            subsystem_vendor: VENDOR.into(),
            serial: identity.serial(),
            model: identity.model(),
            firmware: identity.firmware(),
            max_transfer: MAX_TRANSFER_EXPONENT,
            version: VERSION.into(),
            events: Controller::NAMESPACE_NOTICES.into(),
            kind: IO_CONTROLLER,
            admin_commands: Controller::DOORBELL_BUFFER.into(),
            abort_limit: ABORT_LIMIT,
            event_limit: events::LIMIT,
            firmware_slots: Controller::ONE_FIXED_SLOT,
            log_attributes: Controller::LOG_OFFSET,
            error_entries: (ERROR_ENTRIES - 1) as u8,
            warning_temperature: TEMPERATURE_WARNING.into(),
            critical_temperature: TEMPERATURE_CRITICAL.into(),
            submission_sizes: SUBMISSION_SIZES,
            completion_sizes: COMPLETION_SIZES,
            namespaces: NAMESPACE.into(),
            io_commands: IO_COMMANDS.into(),
            write_cache: Controller::FLUSH_ALL,
            sgl: Controller::SGL_ANYWHERE.into(),
            ..Controller::new_zeroed()
        };
        let name = identity.subsystem_name();
        controller.subsystem_name.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
        controller
    }

    fn namespace(&self) -> Namespace {
        let geometry = self.drive.geometry();
        // As "blocks less one". It is at least one block, and a power of two.
        let granularity = (u64::from(geometry.block_size) / SECTOR).saturating_sub(1);
        let granularity = u16::try_from(granularity).unwrap_or(0);
        let attributes = match geometry.access {
            Access::ReadWrite => 0,
            Access::ReadOnly => Namespace::WRITE_PROTECTED,
        };
        Namespace {
            size: geometry.sectors.into(),
            capacity: geometry.sectors.into(),
            used: geometry.sectors.into(),
            features: Namespace::GRANULARITIES,
            deallocation: Namespace::ZEROES_DEALLOCATE,
            write_granularity: granularity.into(),
            write_alignment: granularity.into(),
            deallocate_granularity: granularity.into(),
            deallocate_alignment: granularity.into(),
            optimal_write: granularity.into(),
            attributes,
            format: Namespace::FORMAT_512.into(),
            ..Namespace::new_zeroed()
        }
    }

    /// One descriptor; zeroes end the list.
    fn descriptors(&self) -> [u8; LEN] {
        let descriptor = UuidDescriptor::new(self.drive.options.identity.uuid());
        let mut list = [0; LEN];
        list.iter_mut().zip(descriptor.as_bytes()).for_each(|(place, byte)| *place = *byte);
        list
    }
}

/// ONCS.
const IO_COMMANDS: u16 = Controller::COMPARE
    | Controller::DATASET_MANAGEMENT
    | Controller::WRITE_ZEROES
    | Controller::SELECT_FEATURE
    | Controller::VERIFY;

/// The list of namespaces with a number above `number`; zeroes end it.
fn namespaces_after(number: u32) -> [U32; LEN / 4] {
    let mut list = [U32::ZERO; LEN / 4];
    if let (true, [first, ..]) = (number < NAMESPACE, &mut list) {
        *first = NAMESPACE.into();
    }
    list
}
