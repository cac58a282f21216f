//! Registers of the I/O APIC. Intel 82093AA data sheet, section 3.

use bitfield_struct::bitfield;
use bus::Msi;

/// Bytes of the register window.
pub const LEN: u64 = 0x1000;
/// Inputs.
pub const PINS: usize = 24;

/// Selects what [`IOWIN`] shows. 82093AA, 3.1.1.
pub const IOREGSEL: u64 = 0x00;
/// The selected register. 82093AA, 3.1.2.
pub const IOWIN: u64 = 0x10;
/// End of interrupt: a vector. Since version 0x20, after the 82093AA.
pub const EOI: u64 = 0x40;

/// What version register shows: version 0x20, highest input in bits 23:16. 82093AA, 3.2.2.
pub const VERSION: u32 = 0x20 | (PINS as u32 - 1) << 16;

/// A register behind [`IOWIN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// The APIC's id. 82093AA, 3.2.1.
    Id,
    /// [`VERSION`].
    Version,
    /// The same id, once for the arbitration on the APIC bus. 82093AA, 3.2.3.
    Arbitration,
    /// Bits 31:0 of the entry of an input. 82093AA, 3.2.4.
    EntryLow(usize),
    /// Bits 63:32 of the entry of an input.
    EntryHigh(usize),
}

impl Register {
    /// The register that `index` selects, if there is one.
    #[must_use]
    pub fn decode(index: u8) -> Option<Self> {
        const ENTRIES: u8 = 0x10;
        match index {
            0 => Some(Self::Id),
            1 => Some(Self::Version),
            2 => Some(Self::Arbitration),
            _ => {
                let half = index.checked_sub(ENTRIES)?;
                let pin = usize::from(half / 2);
                let register = if half % 2 == 0 { Self::EntryLow(pin) } else { Self::EntryHigh(pin) };
                (pin < PINS).then_some(register)
            }
        }
    }
}

/// The id register, and the arbitration register alike.
#[bitfield(u32)]
pub struct Id {
    #[bits(24)]
    __: u32,
    /// Four bits that software may choose.
    #[bits(4)]
    pub id: u8,
    #[bits(4)]
    __: u8,
}

/// What an input does. 82093AA, 3.2.4.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Redirection {
    /// Interrupt vector at the local APIC.
    pub vector: u8,
    /// Delivery mode: 0 fixed, 1 lowest priority, 2 SMI, 4 NMI, 5 INIT, 7 ExtINT.
    #[bits(3)]
    pub delivery: u8,
    /// The destination is a set of processors, not an APIC id.
    pub logical: bool,
    /// Delivery status: a message waits for the APIC bus. Here none ever does.
    pub delivering: bool,
    /// Kept for the guest to read; wires of this machine are active high whatever it says.
    pub active_low: bool,
    /// A local APIC accepted the message of a level-triggered input, and did not end the interrupt yet.
    pub remote_irr: bool,
    /// Level-triggered.
    pub level: bool,
    /// Sends nothing.
    pub masked: bool,
    #[bits(32)]
    __: u64,
    /// Bits 14:8 of the APIC id, for guests whose hypervisor says that they count (`KVM_FEATURE_MSI_EXT_DEST_ID`). The data
    /// sheet has them reserved.
    #[bits(7)]
    pub extended_destination: u8,
    /// Local APIC id, or set of processors.
    pub destination: u8,
}

impl Redirection {
    /// At power-on.
    pub const RESET: Self = Self::new().with_masked(true);

    /// The bits that software can change.
    pub const WRITABLE: u64 = Self::new()
        .with_vector(0xff)
        .with_delivery(0b111)
        .with_logical(true)
        .with_active_low(true)
        .with_level(true)
        .with_masked(true)
        .with_extended_destination(0x7f)
        .with_destination(0xff)
        .into_bits();

    /// The entry after software wrote `value` to the half that `half` covers.
    #[must_use]
    pub fn written(self, value: u64, half: u64) -> Self {
        let mask = Self::WRITABLE & half;
        Self::from_bits(self.into_bits() & !mask | value & mask)
    }

    /// The message that the entry stands for. Intel SDM 3A, 11.11.
    #[must_use]
    pub fn message(self) -> Msi {
        const LOCAL_APICS: u64 = 0xfee0_0000;
        let data = u32::from(self.vector()) | u32::from(self.delivery()) << 8 | u32::from(self.level()) << 15;
        let destination = u64::from(self.destination()) << 12 | u64::from(self.extended_destination()) << 5;
        let address = LOCAL_APICS | destination | u64::from(self.logical()) << 2;
        Msi { address, data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirection_bits_stand_where_the_data_sheet_puts_them() {
        let bits = |entry: Redirection| entry.into_bits();
        assert_eq!(bits(Redirection::new().with_vector(0xff)), 0xff);
        assert_eq!(bits(Redirection::new().with_delivery(7)), 7 << 8);
        assert_eq!(bits(Redirection::new().with_logical(true)), 1 << 11);
        assert_eq!(bits(Redirection::new().with_delivering(true)), 1 << 12);
        assert_eq!(bits(Redirection::new().with_active_low(true)), 1 << 13);
        assert_eq!(bits(Redirection::new().with_remote_irr(true)), 1 << 14);
        assert_eq!(bits(Redirection::new().with_level(true)), 1 << 15);
        assert_eq!(bits(Redirection::new().with_masked(true)), 1 << 16);
        assert_eq!(bits(Redirection::new().with_destination(0xff)), 0xff << 56);
        assert_eq!(bits(Redirection::new().with_extended_destination(0x7f)), 0x7f << 49);
        assert_eq!(Redirection::WRITABLE, 0xfffe_0000_0001_afff);
    }

    #[test]
    fn message_carries_destination_mode_vector_delivery_and_trigger() {
        let entry =
            Redirection::new().with_vector(0x31).with_delivery(1).with_logical(true).with_destination(0xa5);
        assert_eq!(entry.message(), Msi { address: 0xfeea_5004, data: 0x0131 });
        let entry = Redirection::new().with_destination(0x1f).with_extended_destination(1);
        assert_eq!(entry.message(), Msi { address: 0xfee1_f020, data: 0 });
        let entry = Redirection::new().with_vector(0x22).with_level(true).with_active_low(true);
        assert_eq!(entry.message(), Msi { address: 0xfee0_0000, data: 0x8022 });
    }

    #[test]
    fn registers_between_and_behind_the_known_ones_do_not_exist() {
        assert_eq!(Register::decode(0x03), None);
        assert_eq!(Register::decode(0x0f), None);
        assert_eq!(Register::decode(0x10), Some(Register::EntryLow(0)));
        assert_eq!(Register::decode(0x3f), Some(Register::EntryHigh(23)));
        assert_eq!(Register::decode(0x40), None);
        assert_eq!(Register::decode(0xff), None);
    }

    #[test]
    fn id_is_in_bits_27_to_24() {
        assert_eq!(Id::new().with_id(0xf).into_bits(), 0x0f00_0000);
    }
}
