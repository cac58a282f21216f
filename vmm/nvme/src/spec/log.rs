//! Log pages. NVMe 1.4, 5.14.1.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Which log.
pub(crate) mod id {
    pub(crate) const ERROR: u8 = 0x01;
    pub(crate) const HEALTH: u8 = 0x02;
    pub(crate) const FIRMWARE: u8 = 0x03;
    pub(crate) const CHANGED_NAMESPACES: u8 = 0x04;
}

/// An entry of the error log. NVMe 1.4, 5.14.1.1.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct ErrorEntry {
    /// How many errors there were, this one included; 0 in an unused entry.
    pub(crate) count: U64,
    pub(crate) submission_queue: U16,
    pub(crate) command: U16,
    /// As in the completion.
    pub(crate) status: U16,
    /// All ones: no particular byte of the command.
    pub(crate) parameter: U16,
    /// First logical block.
    pub(crate) block: U64,
    pub(crate) namespace: U32,
    /// Vendor and transport specifics.
    pub(crate) specific: [u8; 12],
    pub(crate) reserved: [u8; 24],
}

/// The health log: SMART. NVMe 1.4, 5.14.1.2.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Health {
    /// Bit 1: temperature beyond a threshold.
    pub(crate) critical_warning: u8,
    /// Kelvin.
    pub(crate) temperature: U16,
    /// Percent of spare blocks left, and when to warn.
    pub(crate) spare: u8,
    pub(crate) spare_threshold: u8,
    pub(crate) percentage_used: u8,
    pub(crate) endurance_group: u8,
    pub(crate) reserved: [u8; 25],
    /// Thousands of 512 bytes, rounded up.
    pub(crate) units_read: Wide,
    pub(crate) units_written: Wide,
    pub(crate) read_commands: Wide,
    pub(crate) write_commands: Wide,
    /// Minutes.
    pub(crate) busy: Wide,
    pub(crate) power_cycles: Wide,
    pub(crate) power_on_hours: Wide,
    pub(crate) unsafe_shutdowns: Wide,
    pub(crate) media_errors: Wide,
    pub(crate) error_entries: Wide,
    /// Temperature times, sensors, thermal management.
    pub(crate) rest: [u8; 320],
}

/// [`Health::critical_warning`]: temperature beyond a threshold.
pub(crate) const TEMPERATURE_BEYOND: u8 = 1 << 1;

/// A counter of 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Wide {
    low: U64,
    high: U64,
}

impl From<u64> for Wide {
    fn from(low: u64) -> Self {
        Self { low: low.into(), high: 0.into() }
    }
}

/// The firmware slots. NVMe 1.4, 5.14.1.3.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct FirmwareSlots {
    /// The slot that runs.
    pub(crate) active: u8,
    pub(crate) reserved: [u8; 7],
    /// What is in each slot.
    pub(crate) revisions: [[u8; 8]; 7],
    pub(crate) rest: [u8; 448],
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn fields_are_where_the_standard_puts_them() {
        let offsets = [
            (offset_of!(ErrorEntry, status), 12),
            (offset_of!(ErrorEntry, block), 16),
            (offset_of!(ErrorEntry, namespace), 24),
            (size_of::<ErrorEntry>(), 64),
            (offset_of!(Health, temperature), 1),
            (offset_of!(Health, spare), 3),
            (offset_of!(Health, units_read), 32),
            (offset_of!(Health, busy), 96),
            (offset_of!(Health, error_entries), 176),
            (size_of::<Health>(), 512),
            (offset_of!(FirmwareSlots, revisions), 8),
            (size_of::<FirmwareSlots>(), 512),
        ];
        offsets.iter().for_each(|(ours, standard)| assert_eq!(ours, standard));
    }
}
