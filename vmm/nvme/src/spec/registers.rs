//! Controller registers. NVMe 1.4, 3.1.

use bitfield_struct::bitfield;

/// Bytes of registers and doorbells: admin queue and I/O queues fit two pages.
pub const SIZE: u64 = 0x2000;
/// Where the doorbells begin.
pub(crate) const DOORBELLS: u64 = 0x1000;
/// Most I/O submission queues, and most I/O completion queues.
pub(crate) const IO_QUEUES: u16 = 64;
/// Most entries of an I/O queue.
pub(crate) const MAX_ENTRIES: u16 = 1024;

/// Version 1.4.0.
pub(crate) const VERSION: u32 = 0x0001_0400;

/// A register of 32 bits, or half of one with 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Register {
    /// CAP, capabilities; low half.
    CapLow,
    /// CAP, high half.
    CapHigh,
    /// VS.
    Version,
    /// INTMS: writing ones masks vectors.
    MaskSet,
    /// INTMC: writing ones opens vectors.
    MaskClear,
    /// CC.
    Configuration,
    /// CSTS.
    Status,
    /// AQA: sizes of the admin queues.
    AdminAttributes,
    /// ASQ, low half.
    AdminSubmissionLow,
    /// ASQ, high half.
    AdminSubmissionHigh,
    /// ACQ, low half.
    AdminCompletionLow,
    /// ACQ, high half.
    AdminCompletionHigh,
}

impl Register {
    /// The register at byte `offset`; others are reserved, or of what this controller has not.
    #[must_use]
    pub(crate) fn decode(offset: u64) -> Option<Self> {
        Some(match offset {
            0x00 => Self::CapLow,
            0x04 => Self::CapHigh,
            0x08 => Self::Version,
            0x0c => Self::MaskSet,
            0x10 => Self::MaskClear,
            0x14 => Self::Configuration,
            0x1c => Self::Status,
            0x24 => Self::AdminAttributes,
            0x28 => Self::AdminSubmissionLow,
            0x2c => Self::AdminSubmissionHigh,
            0x30 => Self::AdminCompletionLow,
            0x34 => Self::AdminCompletionHigh,
            _ => return None,
        })
    }
}

/// CAP, controller capabilities. NVMe 1.4, 3.1.1.
#[bitfield(u64)]
pub(crate) struct Capabilities {
    /// MQES: most entries of an I/O queue, less one.
    pub(crate) max_entries: u16,
    /// CQR: queues must be physically contiguous.
    pub(crate) contiguous_queues: bool,
    /// AMS: arbitration beyond round robin.
    #[bits(2)]
    pub(crate) arbitration: u8,
    #[bits(5)]
    __: u8,
    /// TO: longest that CSTS.RDY takes to follow CC.EN, in 500 ms.
    pub(crate) timeout: u8,
    /// DSTRD: doorbells are `4 << stride` bytes apart.
    #[bits(4)]
    pub(crate) stride: u8,
    /// NSSRS: NVM subsystem reset.
    pub(crate) subsystem_reset: bool,
    /// CSS bit 0: the NVM command set.
    pub(crate) nvm_commands: bool,
    #[bits(7)]
    pub(crate) other_commands: u8,
    /// BPS: boot partitions.
    pub(crate) boot_partitions: bool,
    #[bits(2)]
    __: u8,
    /// MPSMIN: smallest page is `4096 << min`.
    #[bits(4)]
    pub(crate) page_min: u8,
    /// MPSMAX: largest page.
    #[bits(4)]
    pub(crate) page_max: u8,
    /// PMRS: persistent memory region.
    pub(crate) persistent_memory: bool,
    /// CMBS: controller memory buffer.
    pub(crate) controller_memory: bool,
    #[bits(6)]
    __: u8,
}

impl Capabilities {
    /// What this controller can do.
    pub(crate) const OURS: Self = Self::new()
        .with_max_entries(MAX_ENTRIES - 1)
        .with_contiguous_queues(true)
        .with_timeout(20) // 10 s: a reset waits for the transfer in flight
        .with_nvm_commands(true);
}

/// CC, controller configuration. NVMe 1.4, 3.1.5.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub(crate) struct Configuration {
    /// EN: the controller works.
    pub(crate) enable: bool,
    #[bits(3)]
    __: u8,
    /// CSS: command set; 0 is NVM.
    #[bits(3)]
    pub(crate) command_set: u8,
    /// MPS: pages are `4096 << page` bytes.
    #[bits(4)]
    pub(crate) page: u8,
    /// AMS: arbitration; 0 is round robin.
    #[bits(3)]
    pub(crate) arbitration: u8,
    /// SHN: the driver is about to take the power away.
    #[bits(2)]
    pub(crate) shutdown: u8,
    /// IOSQES: entries of I/O submission queues are `1 << size` bytes.
    #[bits(4)]
    pub(crate) submission_size: u8,
    /// IOCQES: the same of completion queues.
    #[bits(4)]
    pub(crate) completion_size: u8,
    __: u8,
}

/// CSTS, controller status. NVMe 1.4, 3.1.6.
pub(crate) mod csts {
    /// RDY: commands are processed.
    pub(crate) const READY: u32 = 1;
    /// CFS: something is wrong that no completion can tell.
    pub(crate) const FATAL: u32 = 1 << 1;
    /// SHST: both bits.
    pub(crate) const SHUTDOWN: u32 = 3 << 2;
    /// SHST: shutdown in progress.
    pub(crate) const SHUTDOWN_BUSY: u32 = 1 << 2;
    /// SHST: shutdown complete.
    pub(crate) const SHUTDOWN_DONE: u32 = 2 << 2;
}

/// AQA, admin queue attributes. NVMe 1.4, 3.1.8.
#[bitfield(u32)]
pub(crate) struct AdminAttributes {
    /// ASQS: entries of the submission queue, less one.
    #[bits(12)]
    pub(crate) submission: u16,
    #[bits(4)]
    __: u8,
    /// ACQS: entries of the completion queue, less one.
    #[bits(12)]
    pub(crate) completion: u16,
    #[bits(4)]
    __: u8,
}

impl AdminAttributes {
    /// Bits that can be written.
    pub(crate) const WRITABLE: u32 = 0x0fff_0fff;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_have_their_bits_where_the_standard_puts_them() {
        // MQES 15:0, CQR 16, TO 31:24, CSS 37, pages of 4 KiB alone.
        assert_eq!(Capabilities::OURS.into_bits(), 0x3ff | 1 << 16 | 20 << 24 | 1 << 37);
        let all = Capabilities::new().with_stride(0xf).with_subsystem_reset(true).with_boot_partitions(true);
        assert_eq!(all.into_bits(), 0xf << 32 | 1 << 36 | 1 << 45);
        let pages = Capabilities::new().with_page_min(0xf).with_page_max(0xf).with_arbitration(3);
        assert_eq!(pages.into_bits(), 0xff << 48 | 3 << 17);
        let memory = Capabilities::new().with_persistent_memory(true).with_controller_memory(true);
        assert_eq!(memory.into_bits(), 3 << 56);
    }

    #[test]
    fn configuration_of_linux_is_understood() {
        // EN, CSS 0, MPS 0, AMS 0, SHN 0, IOSQES 6, IOCQES 4.
        let linux = Configuration::from_bits(0x0046_0001);
        assert!(linux.enable());
        assert_eq!((linux.submission_size(), linux.completion_size()), (6, 4));
        let rest = Configuration::from_bits(0x0000_fff0);
        assert_eq!((rest.command_set(), rest.page(), rest.arbitration(), rest.shutdown()), (7, 15, 7, 3));
    }

    #[test]
    fn admin_attributes_have_12_bits_each() {
        let both = AdminAttributes::from_bits(0x0123_0456);
        assert_eq!((both.completion(), both.submission()), (0x123, 0x456));
    }
}
