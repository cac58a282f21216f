//! What Identify returns. NVMe 1.4, 5.15.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// CNS: which structure.
pub(crate) mod cns {
    pub(crate) const NAMESPACE: u8 = 0x00;
    pub(crate) const CONTROLLER: u8 = 0x01;
    pub(crate) const ACTIVE_NAMESPACES: u8 = 0x02;
    pub(crate) const NAMESPACE_DESCRIPTORS: u8 = 0x03;
}

/// Identify Controller. NVMe 1.4, 5.15.2.2. Fields of which this controller has none are in the gaps.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Controller {
    /// VID and SSVID, as in PCI's configuration space.
    pub(crate) vendor: U16,
    pub(crate) subsystem_vendor: U16,
    /// SN, MN and FR: ASCII, padded with spaces.
    pub(crate) serial: [u8; 20],
    pub(crate) model: [u8; 40],
    pub(crate) firmware: [u8; 8],
    pub(crate) gap_72: [u8; 5],
    /// MDTS: longest transfer, as a power of two of pages.
    pub(crate) max_transfer: u8,
    /// CNTLID.
    pub(crate) id: U16,
    /// VER.
    pub(crate) version: U32,
    pub(crate) gap_84: [u8; 8],
    /// OAES: optional asynchronous events.
    pub(crate) events: U32,
    pub(crate) gap_96: [u8; 15],
    /// CNTRLTYPE: 1 is an I/O controller.
    pub(crate) kind: u8,
    pub(crate) gap_112: [u8; 144],
    /// OACS: optional admin commands.
    pub(crate) admin_commands: U16,
    /// ACL: concurrent Abort commands, less one.
    pub(crate) abort_limit: u8,
    /// AERL: concurrent Asynchronous Event Requests, less one.
    pub(crate) event_limit: u8,
    /// FRMW: firmware slots.
    pub(crate) firmware_slots: u8,
    /// LPA: log page attributes.
    pub(crate) log_attributes: u8,
    /// ELPE: entries of the error log, less one.
    pub(crate) error_entries: u8,
    pub(crate) gap_263: [u8; 3],
    /// WCTEMP and CCTEMP.
    pub(crate) warning_temperature: U16,
    pub(crate) critical_temperature: U16,
    pub(crate) gap_270: [u8; 242],
    /// SQES and CQES: sizes of queue entries, smallest in the low half.
    pub(crate) submission_sizes: u8,
    pub(crate) completion_sizes: u8,
    pub(crate) gap_514: [u8; 2],
    /// NN.
    pub(crate) namespaces: U32,
    /// ONCS: optional I/O commands.
    pub(crate) io_commands: U16,
    pub(crate) gap_522: [u8; 3],
    /// VWC: volatile write cache.
    pub(crate) write_cache: u8,
    pub(crate) gap_526: [u8; 10],
    /// SGLS.
    pub(crate) sgl: U32,
    pub(crate) gap_540: [u8; 228],
    /// SUBNQN, UTF-8, padded with NUL.
    pub(crate) subsystem_name: [u8; 256],
    pub(crate) gap_1024: [u8; 1024],
    /// PSD0: the one power state, of whose power nothing is known.
    pub(crate) power_states: [u8; 1024],
    pub(crate) vendor_specific: [u8; 1024],
}

impl Controller {
    /// OAES bit 8: of attributes of namespaces that change. The same bit of the feature asks for them.
    pub(crate) const NAMESPACE_NOTICES: u32 = 1 << 8;
    /// OACS bit 8: Doorbell Buffer Config.
    pub(crate) const DOORBELL_BUFFER: u16 = 1 << 8;
    /// FRMW: one slot, which is read-only.
    pub(crate) const ONE_FIXED_SLOT: u8 = 1 << 1 | 1;
    /// LPA bit 2: Get Log Page with an offset and long lengths.
    pub(crate) const LOG_OFFSET: u8 = 1 << 2;
    /// ONCS bits.
    pub(crate) const COMPARE: u16 = 1;
    pub(crate) const DATASET_MANAGEMENT: u16 = 1 << 2;
    pub(crate) const WRITE_ZEROES: u16 = 1 << 3;
    pub(crate) const SELECT_FEATURE: u16 = 1 << 4;
    pub(crate) const VERIFY: u16 = 1 << 7;
    /// VWC: there is a write cache, and a flush of all namespaces at once is a flush.
    pub(crate) const FLUSH_ALL: u8 = 3 << 1 | 1;
    /// SGLS: supported, at any alignment.
    pub(crate) const SGL_ANYWHERE: u32 = 1;
}

/// Identify Namespace. NVMe 1.4, 5.15.2.1.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Namespace {
    /// NSZE, NCAP and NUSE, in logical blocks.
    pub(crate) size: U64,
    pub(crate) capacity: U64,
    pub(crate) used: U64,
    /// NSFEAT.
    pub(crate) features: u8,
    pub(crate) gap_25: [u8; 8],
    /// DLFEAT: what becomes of deallocated blocks.
    pub(crate) deallocation: u8,
    pub(crate) gap_34: [u8; 30],
    /// NPWG and NPWA: writes are best made of so many blocks, less one, and aligned to so many.
    pub(crate) write_granularity: U16,
    pub(crate) write_alignment: U16,
    /// NPDG and NPDA: the same for deallocation.
    pub(crate) deallocate_granularity: U16,
    pub(crate) deallocate_alignment: U16,
    /// NOWS: writes are best a multiple of so many blocks, less one.
    pub(crate) optimal_write: U16,
    pub(crate) gap_74: [u8; 25],
    /// NSATTR.
    pub(crate) attributes: u8,
    pub(crate) gap_100: [u8; 28],
    /// LBAF0: metadata bytes in 15:0, block size as a power of two in 23:16.
    pub(crate) format: U32,
    pub(crate) formats: [U32; 15],
    pub(crate) reserved: [u8; 192],
    pub(crate) vendor_specific: [u8; 3712],
}

impl Namespace {
    /// NSFEAT bit 4: the granularities below are filled in.
    pub(crate) const GRANULARITIES: u8 = 1 << 4;
    /// DLFEAT bit 3: Write Zeroes may deallocate. What deallocated blocks read as is not told.
    pub(crate) const ZEROES_DEALLOCATE: u8 = 1 << 3;
    /// NSATTR bit 0.
    pub(crate) const WRITE_PROTECTED: u8 = 1;
    /// Blocks of 512 bytes, no metadata.
    pub(crate) const FORMAT_512: u32 = 9 << 16;
}

/// A namespace identification descriptor with a UUID. NVMe 1.4, 5.15.2.3.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct UuidDescriptor {
    /// NIDT.
    pub(crate) kind: u8,
    /// NIDL.
    pub(crate) len: u8,
    pub(crate) reserved: [u8; 2],
    pub(crate) uuid: [u8; 16],
}

impl UuidDescriptor {
    /// The descriptor of `uuid`.
    pub(crate) fn new(uuid: [u8; 16]) -> Self {
        Self { kind: 3, len: 16, uuid, ..Self::new_zeroed() }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn fields_are_where_the_standard_puts_them() {
        let offsets = [
            (offset_of!(Controller, max_transfer), 77),
            (offset_of!(Controller, version), 80),
            (offset_of!(Controller, events), 92),
            (offset_of!(Controller, kind), 111),
            (offset_of!(Controller, admin_commands), 256),
            (offset_of!(Controller, error_entries), 262),
            (offset_of!(Controller, warning_temperature), 266),
            (offset_of!(Controller, submission_sizes), 512),
            (offset_of!(Controller, namespaces), 516),
            (offset_of!(Controller, io_commands), 520),
            (offset_of!(Controller, write_cache), 525),
            (offset_of!(Controller, sgl), 536),
            (offset_of!(Controller, subsystem_name), 768),
            (size_of::<Controller>(), 4096),
            (offset_of!(Namespace, features), 24),
            (offset_of!(Namespace, deallocation), 33),
            (offset_of!(Namespace, write_granularity), 64),
            (offset_of!(Namespace, optimal_write), 72),
            (offset_of!(Namespace, attributes), 99),
            (offset_of!(Namespace, format), 128),
            (size_of::<Namespace>(), 4096),
            (size_of::<UuidDescriptor>(), 20),
        ];
        offsets.iter().for_each(|(ours, standard)| assert_eq!(ours, standard));
    }
}
