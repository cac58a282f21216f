//! MSI: up to 32 messages that differ in their low bits. PCIe 5.0, 7.7.1.

use bus::Msi;

/// The registers of the capability.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MsiRegisters {
    /// Message Control.
    pub(crate) control: u16,
    /// Message Address, both halves.
    pub(crate) address: u64,
    /// Message Data of vector 0.
    pub(crate) data: u16,
    /// A bit for each vector that is masked.
    pub(crate) mask: u32,
}

impl MsiRegisters {
    /// How many vectors the driver uses. More than the function has may be written here, and count as all it has.
    pub(super) fn granted(&self) -> u16 {
        let capable = self.control >> 1 & 0b111;
        let enabled = self.control >> 4 & 0b111;
        1 << enabled.min(capable).min(5)
    }

    pub(super) fn is_masked(&self, vector: u16) -> bool {
        self.mask.checked_shr(vector.into()).unwrap_or(0) & 1 != 0
    }

    /// The message of `vector`: its number replaces the low bits of the data.
    pub(super) fn message(&self, vector: u16) -> Msi {
        let low = self.granted() - 1;
        Msi { address: self.address, data: u32::from(self.data & !low | vector & low) }
    }
}

/// What the function does to the capability.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MsiState {
    /// A bit for each message held back.
    pub(super) pending: u32,
}

impl MsiState {
    /// Takes the vectors that are pending and not masked.
    pub(super) fn take_unmasked(&mut self, registers: &MsiRegisters) -> Vec<u16> {
        let ready = self.pending & !registers.mask;
        self.pending &= !ready;
        (0..32).filter(|vector| ready >> vector & 1 != 0).collect()
    }
}
