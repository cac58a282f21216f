//! virtio SCSI host device: names and numbers from virtio 1.2, 5.6, nothing else.

use virtio_bindings::bindings::virtio_scsi as numbers;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Device type.
pub(super) const ID: u32 = virtio_bindings::virtio_ids::VIRTIO_ID_SCSI;

/// Queue of task management.
pub(super) const CONTROL: u16 = 0;
/// Queue of events.
pub(super) const EVENT: u16 = 1;
/// Queues before those of commands.
pub(super) const FIRST_COMMANDS: u16 = 2;

/// Bytes of a CDB and of sense data after a reset. virtio 1.2, 5.6.4.
pub(super) const CDB_SIZE: u32 = numbers::VIRTIO_SCSI_CDB_DEFAULT_SIZE;
pub(super) const SENSE_SIZE: u32 = numbers::VIRTIO_SCSI_SENSE_DEFAULT_SIZE;

/// Configuration space. virtio 1.2, 5.6.4.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Config {
    /// Queues of commands.
    pub(super) num_queues: U32,
    /// Most data segments of a command.
    pub(super) seg_max: U32,
    /// Most sectors of a command, a hint.
    pub(super) max_sectors: U32,
    /// Most commands for a unit at a time, a hint.
    pub(super) cmd_per_lun: U32,
    pub(super) event_info_size: U32,
    /// Bytes of sense data in a response. The driver may change it.
    pub(super) sense_size: U32,
    /// Bytes of a CDB in a request. The driver may change it.
    pub(super) cdb_size: U32,
    /// The last channel.
    pub(super) max_channel: U16,
    /// The last target.
    pub(super) max_target: U16,
    /// The last unit of a target.
    pub(super) max_lun: U32,
}

/// What a command begins with; its CDB follows. virtio 1.2, 5.6.6.1.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Command {
    pub(super) lun: [u8; 8],
    pub(super) id: [u8; 8],
    pub(super) task_attr: u8,
    pub(super) prio: u8,
    pub(super) crn: u8,
}

/// How a command ended; its sense data follows. virtio 1.2, 5.6.6.1.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Response {
    /// Valid bytes of the sense data.
    pub(super) sense_len: U32,
    /// Bytes of the buffers that were not used.
    pub(super) residual: U32,
    pub(super) status_qualifier: U16,
    /// The status of SCSI, if the response is OK.
    pub(super) status: u8,
    pub(super) response: u8,
}

/// What happened to a request. virtio 1.2, 5.6.6.1 and 5.6.6.2.
pub(super) mod response {
    use super::numbers;

    /// It was carried out, and its status says the rest.
    pub(in super::super) const OK: u8 = numbers::VIRTIO_SCSI_S_OK as u8;
    /// It needs more room than it has.
    pub(in super::super) const OVERRUN: u8 = numbers::VIRTIO_SCSI_S_OVERRUN as u8;
    /// There is no such target or unit.
    pub(in super::super) const BAD_TARGET: u8 = numbers::VIRTIO_SCSI_S_BAD_TARGET as u8;
    /// It is not known here.
    pub(in super::super) const FUNCTION_REJECTED: u8 = numbers::VIRTIO_SCSI_S_FUNCTION_REJECTED as u8;
    /// There is no such unit.
    pub(in super::super) const INCORRECT_LUN: u8 = numbers::VIRTIO_SCSI_S_INCORRECT_LUN as u8;
}

/// Types of requests on the control queue. virtio 1.2, 5.6.6.2.
pub(super) mod control {
    use super::numbers;

    /// Task management.
    pub(in super::super) const TASK_MANAGEMENT: u32 = numbers::VIRTIO_SCSI_T_TMF;
    /// Asks which notifications there are.
    pub(in super::super) const NOTIFICATION_QUERY: u32 = numbers::VIRTIO_SCSI_T_AN_QUERY;
    /// Asks for notifications.
    pub(in super::super) const NOTIFICATION_SUBSCRIBE: u32 = numbers::VIRTIO_SCSI_T_AN_SUBSCRIBE;
}

/// Task management functions. virtio 1.2, 5.6.6.2.
pub(super) mod function {
    use super::numbers;

    pub(in super::super) const ABORT_TASK: u32 = numbers::VIRTIO_SCSI_T_TMF_ABORT_TASK;
    pub(in super::super) const ABORT_TASK_SET: u32 = numbers::VIRTIO_SCSI_T_TMF_ABORT_TASK_SET;
    pub(in super::super) const CLEAR_TASK_SET: u32 = numbers::VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET;
    pub(in super::super) const NEXUS_RESET: u32 = numbers::VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET;
    pub(in super::super) const UNIT_RESET: u32 = numbers::VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET;
    pub(in super::super) const QUERY_TASK: u32 = numbers::VIRTIO_SCSI_T_TMF_QUERY_TASK;
    pub(in super::super) const QUERY_TASK_SET: u32 = numbers::VIRTIO_SCSI_T_TMF_QUERY_TASK_SET;
}

/// A request on the control queue, as far as it matters here. virtio 1.2, 5.6.6.2.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct TaskManagement {
    pub(super) kind: U32,
    pub(super) function: U32,
    pub(super) lun: [u8; 8],
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn structures_are_laid_out_as_the_standard_says() {
        let config = [
            offset_of!(Config, event_info_size),
            offset_of!(Config, sense_size),
            offset_of!(Config, cdb_size),
            offset_of!(Config, max_channel),
            offset_of!(Config, max_target),
            offset_of!(Config, max_lun),
            size_of::<Config>(),
        ];
        assert_eq!(config, [0x10, 0x14, 0x18, 0x1c, 0x1e, 0x20, 0x24]);
        assert_eq!((size_of::<Command>(), size_of::<Response>()), (19, 12));
        assert_eq!((offset_of!(Response, status), offset_of!(Response, response)), (10, 11));
        assert_eq!((offset_of!(TaskManagement, lun), CDB_SIZE, SENSE_SIZE), (8, 32, 96));
    }
}
