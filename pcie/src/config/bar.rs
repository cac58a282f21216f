//! Base address registers. PCIe 5.0, 7.5.1.2.1.

use super::registers::Registers;
use super::spec;

/// Memory behind a base address register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Bytes: a power of two, at least 16, at most 2 GiB for a 32-bit BAR.
    pub size: u64,
    /// Where it can be.
    pub kind: BarKind,
}

/// What kind of address a BAR takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarKind {
    /// Below 4 GiB, not prefetchable.
    Memory32,
    /// Anywhere, not prefetchable: behind a bridge still below 4 GiB. Takes the next BAR's register too.
    Memory64,
    /// Anywhere, prefetchable: reads have no side effects. Takes the next BAR's register too.
    Prefetchable64,
}

impl BarKind {
    /// Whether it takes two registers.
    pub(crate) const fn is_64_bit(self) -> bool {
        matches!(self, Self::Memory64 | Self::Prefetchable64)
    }

    const fn flags(self) -> u32 {
        match self {
            Self::Memory32 => 0,
            Self::Memory64 => spec::BAR_64,
            Self::Prefetchable64 => spec::BAR_64 | spec::BAR_PREFETCHABLE,
        }
    }
}

impl Bar {
    /// Makes the registers of BAR `index`: address bits below the size cannot be written, which is how software finds it.
    pub(super) fn define(self, index: usize, registers: &mut Registers) {
        assert!(self.size.is_power_of_two() && self.size >= 16, "the size of a BAR is a power of two");
        let offset = spec::BAR0 + 4 * index;
        let mask = !(self.size - 1);
        registers.define(offset, self.kind.flags().to_le_bytes(), (mask as u32).to_le_bytes());
        if self.kind.is_64_bit() {
            registers.define(offset + 4, [0; 4], ((mask >> 32) as u32).to_le_bytes());
        }
    }
}
