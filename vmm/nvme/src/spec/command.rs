//! Entries of the queues. NVMe 1.4, 4.2 and 4.6.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of a submission queue entry.
pub(crate) const COMMAND_LEN: u64 = size_of::<Command>() as u64;
/// Bytes of a completion queue entry.
pub(crate) const COMPLETION_LEN: u64 = size_of::<Completion>() as u64;

/// A submission queue entry.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Command {
    pub(crate) opcode: u8,
    /// FUSE in bits 1:0, PSDT in 7:6.
    pub(crate) flags: u8,
    /// CID, the driver's name for this command.
    pub(crate) id: U16,
    /// NSID.
    pub(crate) namespace: U32,
    pub(crate) cdw2: [U32; 2],
    /// MPTR.
    pub(crate) metadata: U64,
    /// DPTR: two PRP entries, or one SGL descriptor.
    pub(crate) data: [U64; 2],
    pub(crate) cdw10: U32,
    pub(crate) cdw11: U32,
    pub(crate) cdw12: U32,
    pub(crate) cdw13: U32,
    pub(crate) cdw14: U32,
    pub(crate) cdw15: U32,
}

/// How DPTR is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pointer {
    Prp,
    Sgl,
}

impl Command {
    /// What kind of pointer DPTR is; `None` for a reserved code. NVMe 1.4, 4.2, PSDT.
    pub(crate) fn pointer(&self) -> Option<Pointer> {
        match self.flags >> 6 {
            0 => Some(Pointer::Prp),
            1 | 2 => Some(Pointer::Sgl), // they differ in the metadata, which there is none of
            _ => None,
        }
    }

    /// Whether the command is half of a fused operation.
    pub(crate) fn is_fused(&self) -> bool {
        self.flags & 3 != 0
    }

    /// First logical block of an I/O command.
    pub(crate) fn first_block(&self) -> u64 {
        u64::from(self.cdw10.get()) | u64::from(self.cdw11.get()) << 32
    }

    /// How many logical blocks an I/O command means: 1 to 65,536.
    pub(crate) fn blocks(&self) -> u64 {
        u64::from(self.cdw12.get() & 0xffff) + 1
    }

    /// FUA: the data shall be durable when the command is complete.
    pub(crate) fn is_forced(&self) -> bool {
        self.cdw12.get() >> 30 & 1 != 0
    }

    /// DEAC of Write Zeroes: the blocks need no storage.
    pub(crate) fn may_deallocate(&self) -> bool {
        self.cdw12.get() >> 25 & 1 != 0
    }

    /// AD of Dataset Management: nobody needs what is in the ranges.
    pub(crate) fn deallocates(&self) -> bool {
        self.cdw11.get() >> 2 & 1 != 0
    }

    /// NR of Dataset Management: 1 to 256 ranges.
    pub(crate) fn dataset_ranges(&self) -> usize {
        usize::from(self.cdw10.get() as u8) + 1
    }
}

/// A range of Dataset Management. NVMe 1.4, 6.7.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct DatasetRange {
    /// How the range will be used.
    attributes: U32,
    pub(crate) blocks: U32,
    pub(crate) first: U64,
}

/// A completion queue entry.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Completion {
    /// DW0, whose meaning depends on the command.
    pub(crate) result: U32,
    pub(crate) reserved: U32,
    /// SQHD: how far the submission queue has been read.
    pub(crate) submission_head: U16,
    /// SQID.
    pub(crate) submission_queue: U16,
    /// CID.
    pub(crate) id: U16,
    /// Phase in bit 0, status above.
    pub(crate) status: U16,
}

/// Admin commands. NVMe 1.4, 5. Drivers choose the number, so it is no Rust enum.
pub(crate) mod admin {
    pub(crate) const DELETE_SUBMISSION_QUEUE: u8 = 0x00;
    pub(crate) const CREATE_SUBMISSION_QUEUE: u8 = 0x01;
    pub(crate) const GET_LOG_PAGE: u8 = 0x02;
    pub(crate) const DELETE_COMPLETION_QUEUE: u8 = 0x04;
    pub(crate) const CREATE_COMPLETION_QUEUE: u8 = 0x05;
    pub(crate) const IDENTIFY: u8 = 0x06;
    pub(crate) const ABORT: u8 = 0x08;
    pub(crate) const SET_FEATURES: u8 = 0x09;
    pub(crate) const GET_FEATURES: u8 = 0x0a;
    pub(crate) const ASYNC_EVENT_REQUEST: u8 = 0x0c;
    pub(crate) const DOORBELL_BUFFER_CONFIG: u8 = 0x7c;
}

/// Commands of the NVM command set. NVMe 1.4, 6.
pub(crate) mod nvm {
    pub(crate) const FLUSH: u8 = 0x00;
    pub(crate) const WRITE: u8 = 0x01;
    pub(crate) const READ: u8 = 0x02;
    pub(crate) const COMPARE: u8 = 0x05;
    pub(crate) const WRITE_ZEROES: u8 = 0x08;
    pub(crate) const DATASET_MANAGEMENT: u8 = 0x09;
    pub(crate) const VERIFY: u8 = 0x0c;
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn fields_are_where_the_standard_puts_them() {
        let offsets = [
            (offset_of!(Command, id), 2),
            (offset_of!(Command, namespace), 4),
            (offset_of!(Command, metadata), 16),
            (offset_of!(Command, data), 24),
            (offset_of!(Command, cdw10), 40),
            (offset_of!(Command, cdw15), 60),
            (size_of::<Command>(), 64),
            (offset_of!(Completion, submission_head), 8),
            (offset_of!(Completion, submission_queue), 10),
            (offset_of!(Completion, id), 12),
            (offset_of!(Completion, status), 14),
            (size_of::<Completion>(), 16),
            (offset_of!(DatasetRange, blocks), 4),
            (offset_of!(DatasetRange, first), 8),
            (size_of::<DatasetRange>(), 16),
        ];
        offsets.iter().for_each(|(ours, standard)| assert_eq!(ours, standard));
    }

    #[test]
    fn pointer_follows_psdt() {
        let with = |flags| Command { flags, ..Command::default() };
        let pointers = [0x00, 0x40, 0x80, 0xc0].map(|flags| with(flags).pointer());
        assert_eq!(pointers, [Some(Pointer::Prp), Some(Pointer::Sgl), Some(Pointer::Sgl), None]);
        assert!(with(1).is_fused() && with(2).is_fused() && !with(0xc0).is_fused());
    }
}
