//! Memory-mapped configuration space of PCI Express. PCI Firmware 3.3, 4.1.2.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes};

use super::{Definition, OemIds, Table};

/// PCI Firmware 3.3, table 4-2.
const REVISION: u8 = 1;

/// The enhanced configuration access mechanisms (ECAM) of a machine.
#[derive(Clone, Debug, Default)]
pub struct Mcfg {
    /// One for each range of buses.
    pub ranges: Vec<Ecam>,
}

/// The configuration space of a range of buses. PCI Firmware 3.3, table 4-3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ecam {
    /// Physical address of bus 0, even if `first_bus` is another: 1 MiB a bus.
    pub base: u64,
    /// PCI segment group.
    pub segment: u16,
    /// First bus decoded.
    pub first_bus: u8,
    /// Last bus decoded.
    pub last_bus: u8,
}

impl Definition for Mcfg {
    fn encode(&self, ids: &OemIds) -> Table {
        let mut table = Table::new(*b"MCFG", REVISION, ids);
        table.append(&[0; 8]); // reserved
        for range in &self.ranges {
            table.append(Allocation::new(range).as_bytes());
        }
        table
    }
}

/// PCI Firmware 3.3, table 4-3.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Allocation {
    base: U64,
    segment: U16,
    first_bus: u8,
    last_bus: u8,
    reserved: U32,
}

const _: () = assert!(size_of::<Allocation>() == 16);

impl Allocation {
    fn new(range: &Ecam) -> Self {
        Self {
            base: U64::new(range.base),
            segment: U16::new(range.segment),
            first_bus: range.first_bus,
            last_bus: range.last_bus,
            reserved: U32::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mcfg_range_follows_eight_reserved_bytes() {
        let ecam = Ecam { base: 0xe000_0000, segment: 0, first_bus: 0, last_bus: 0xff };

        let table = Mcfg { ranges: vec![ecam] }.encode(&OemIds::default());

        assert_eq!(table.bytes()[..9], *b"MCFG\x3c\0\0\0\x01");
        assert_eq!(table.bytes()[36..], *b"\0\0\0\0\0\0\0\0\0\0\0\xe0\0\0\0\0\0\0\0\xff\0\0\0\0");
    }
}
