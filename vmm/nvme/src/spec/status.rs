//! How a command ended. NVMe 1.4, 4.6.1.

/// The status field of a completion without its phase bit: code in bits 7:0, type in 10:8, "do not retry" in 14.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(u16);

const DO_NOT_RETRY: u16 = 1 << 14;

/// Another try of the same command ends the same way.
const fn permanent(kind: u16, code: u16) -> Status {
    Status(DO_NOT_RETRY | kind << 8 | code)
}

/// Another try may go better.
const fn passing(kind: u16, code: u16) -> Status {
    Status(kind << 8 | code)
}

/// Generic command status. NVMe 1.4, 4.6.1.2.1.
impl Status {
    pub(crate) const SUCCESS: Self = Self(0);
    pub(crate) const INVALID_OPCODE: Self = permanent(0, 0x01);
    pub(crate) const INVALID_FIELD: Self = permanent(0, 0x02);
    /// Memory that a command names is none.
    pub(crate) const DATA_TRANSFER_ERROR: Self = permanent(0, 0x04);
    pub(crate) const INTERNAL_ERROR: Self = passing(0, 0x06);
    pub(crate) const ABORT_REQUESTED: Self = passing(0, 0x07);
    pub(crate) const COMMAND_SEQUENCE_ERROR: Self = permanent(0, 0x0c);
    pub(crate) const INVALID_NAMESPACE: Self = permanent(0, 0x0b);
    pub(crate) const INVALID_SEGMENT: Self = permanent(0, 0x0d);
    pub(crate) const INVALID_DESCRIPTOR_COUNT: Self = permanent(0, 0x0e);
    pub(crate) const DATA_LENGTH_INVALID: Self = permanent(0, 0x0f);
    pub(crate) const DESCRIPTOR_TYPE_INVALID: Self = permanent(0, 0x11);
    pub(crate) const PRP_OFFSET_INVALID: Self = permanent(0, 0x13);
    pub(crate) const OPERATION_DENIED: Self = permanent(0, 0x15);
    pub(crate) const WRITE_PROTECTED: Self = permanent(0, 0x20);
    pub(crate) const LBA_OUT_OF_RANGE: Self = permanent(0, 0x80);
    pub(crate) const CAPACITY_EXCEEDED: Self = passing(0, 0x81);
}

/// Command specific status. NVMe 1.4, 4.6.1.2.2.
impl Status {
    pub(crate) const COMPLETION_QUEUE_INVALID: Self = permanent(1, 0x00);
    pub(crate) const INVALID_QUEUE_ID: Self = permanent(1, 0x01);
    pub(crate) const INVALID_QUEUE_SIZE: Self = permanent(1, 0x02);
    pub(crate) const EVENT_LIMIT_EXCEEDED: Self = permanent(1, 0x05);
    pub(crate) const INVALID_VECTOR: Self = permanent(1, 0x08);
    pub(crate) const INVALID_LOG_PAGE: Self = permanent(1, 0x09);
    pub(crate) const INVALID_QUEUE_DELETION: Self = permanent(1, 0x0c);
    pub(crate) const NOT_SAVEABLE: Self = permanent(1, 0x0d);
    pub(crate) const NOT_NAMESPACE_SPECIFIC: Self = permanent(1, 0x0f);
}

/// Media and data integrity errors. NVMe 1.4, 4.6.1.2.3.
impl Status {
    pub(crate) const WRITE_FAULT: Self = passing(2, 0x80);
    pub(crate) const READ_ERROR: Self = passing(2, 0x81);
    pub(crate) const COMPARE_FAILURE: Self = permanent(2, 0x85);
}

impl Status {
    /// The field as a completion has it, in bits 15:1, beside the phase.
    pub(crate) const fn field(self) -> u16 {
        self.0 << 1
    }

    /// Whether it is one of the media's, not of the driver's making.
    pub(crate) const fn is_media_error(self) -> bool {
        self.0 >> 8 & 7 == 2 && self.0 != Self::COMPARE_FAILURE.0
    }
}
