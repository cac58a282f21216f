//! Registers of the real-time clock. Motorola MC146818A data sheet, "Address map" and "Registers"; the PC's use of its
//! memory.

use bitfield_struct::bitfield;

/// Ports: index and data.
pub const LEN: u64 = 2;
/// Bytes behind the ports.
pub const BYTES: usize = 128;

/// The index; its bit 7, which masks NMIs on a PC, goes nowhere here.
pub const INDEX: u64 = 0;
/// The byte that the index selects.
pub const DATA: u64 = 1;

/// Bits of the index that select a byte.
pub const INDEX_MASK: u8 = 0x7f;

/// Seconds, 0 to 59.
pub const SECONDS: u8 = 0x00;
/// Seconds at which the alarm rings.
pub const SECONDS_ALARM: u8 = 0x01;
/// Minutes, 0 to 59.
pub const MINUTES: u8 = 0x02;
/// Minutes at which the alarm rings.
pub const MINUTES_ALARM: u8 = 0x03;
/// Hours, 0 to 23, or 1 to 12 with [`PM`].
pub const HOURS: u8 = 0x04;
/// Hours at which the alarm rings.
pub const HOURS_ALARM: u8 = 0x05;
/// Day of the week, 1 (Sunday) to 7.
pub const WEEKDAY: u8 = 0x06;
/// Day of the month, from 1.
pub const DAY: u8 = 0x07;
/// Month, from 1.
pub const MONTH: u8 = 0x08;
/// Year of the century.
pub const YEAR: u8 = 0x09;
/// [`RegisterA`].
pub const REGISTER_A: u8 = 0x0a;
/// [`RegisterB`].
pub const REGISTER_B: u8 = 0x0b;
/// [`RegisterC`].
pub const REGISTER_C: u8 = 0x0c;
/// [`VALID`].
pub const REGISTER_D: u8 = 0x0d;
/// Century: where PCs with ACPI keep it, in the chip's memory.
pub const CENTURY: u8 = 0x32;

/// In a byte of hours, of a 12-hour clock: after noon.
pub const PM: u8 = 0x80;
/// These bits in a byte of the alarm: rings at any value.
pub const ANY: u8 = 0xc0;
/// What register D shows: the battery never failed.
pub const VALID: u8 = 0x80;

/// How long before an update [`RegisterA::update_in_progress`] announces it: 244 µs.
pub const UPDATE_WARNING: u64 = 244_000;

/// Register A: divider.
#[bitfield(u8)]
pub struct RegisterA {
    /// Rate of the periodic interrupt; see [`RegisterA::period`].
    #[bits(4)]
    pub rate: u8,
    /// Which crystal is there; or that the divider is held in reset.
    #[bits(3)]
    pub divider: u8,
    /// The time is updated within 244 µs. Read-only.
    pub update_in_progress: bool,
}

impl RegisterA {
    /// At power-on: crystal of 32,768 Hz, 1024 interrupts a second.
    pub const POWER_ON: Self = Self::new().with_divider(0b010).with_rate(6);

    /// Whether time passes. The three crystals count as the one that is there; the codes above are test and reset.
    #[must_use]
    pub fn runs(self) -> bool {
        self.divider() <= 0b010
    }

    /// Cycles of 32,768 Hz between periodic interrupts, if there are any. Table 5.
    #[must_use]
    pub fn period(self) -> Option<u64> {
        match self.rate() {
            0 => None,
            fast @ 1..=2 => Some(1 << (fast + 6)),
            rate => Some(1 << (rate - 1)),
        }
    }
}

/// Register B: modes and interrupt enables.
#[bitfield(u8)]
pub struct RegisterB {
    /// Daylight saving. Kept, without effect: this clock shows UTC.
    pub daylight_saving: bool,
    /// The clock has 24 hours, not twice 12.
    pub hours_24: bool,
    /// Numbers are binary, not BCD.
    pub binary: bool,
    /// Square wave, on a pin that a PC leaves open.
    pub square_wave: bool,
    /// Interrupt after updates.
    pub update_ended: bool,
    /// Interrupt when the alarm rings.
    pub alarm: bool,
    /// Interrupt at the rate in [`RegisterA`].
    pub periodic: bool,
    /// No updates: the guest sets the time.
    pub set: bool,
}

impl RegisterB {
    /// At power-on: 24 hours, BCD.
    pub const POWER_ON: Self = Self::new().with_hours_24(true);

    /// The register after the RESET pin.
    #[must_use]
    pub fn reset(self) -> Self {
        self.with_periodic(false).with_alarm(false).with_update_ended(false).with_square_wave(false)
    }

    /// The flags whose interrupts are enabled.
    #[must_use]
    pub fn enabled(self) -> RegisterC {
        RegisterC::new()
            .with_update_ended(self.update_ended())
            .with_alarm(self.alarm())
            .with_periodic(self.periodic())
    }
}

/// Register C: what happened since it was last read. Read-only, and reading clears it.
#[bitfield(u8)]
#[derive(PartialEq, Eq)]
pub struct RegisterC {
    #[bits(4)]
    __: u8,
    /// The time was updated.
    pub update_ended: bool,
    /// The alarm rang.
    pub alarm: bool,
    /// A period is over.
    pub periodic: bool,
    /// One of them interrupts.
    pub interrupt: bool,
}

impl RegisterC {
    /// The flags that are set here and enabled in `b`.
    #[must_use]
    pub fn interrupts(self, b: RegisterB) -> bool {
        self.into_bits() & b.enabled().into_bits() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_stand_where_the_data_sheet_puts_them() {
        assert_eq!(RegisterA::POWER_ON.into_bits(), 0x26);
        assert_eq!(RegisterA::new().with_update_in_progress(true).into_bits(), 0x80);
        assert_eq!(RegisterB::POWER_ON.into_bits(), 0x02);
        assert_eq!(RegisterB::new().with_daylight_saving(true).into_bits(), 0x01);
        assert_eq!(RegisterB::new().with_binary(true).into_bits(), 0x04);
        assert_eq!(RegisterB::new().with_square_wave(true).into_bits(), 0x08);
        assert_eq!(RegisterB::new().with_set(true).into_bits(), 0x80);
        assert_eq!(RegisterC::new().with_interrupt(true).into_bits(), 0x80);
    }

    #[test]
    fn each_enable_stands_at_the_place_of_its_flag() {
        for bit in [0x10, 0x20, 0x40] {
            assert_eq!(RegisterB::from_bits(bit).enabled().into_bits(), bit);
            assert!(RegisterC::from_bits(bit).interrupts(RegisterB::from_bits(bit)));
            assert!(!RegisterC::from_bits(bit).interrupts(RegisterB::from_bits(0x70 & !bit)));
        }
        assert_eq!(RegisterB::from_bits(0x8f).enabled(), RegisterC::new());
    }

    #[test]
    fn reset_leaves_modes_alone() {
        assert_eq!(RegisterB::from_bits(0xff).reset().into_bits(), 0x87);
    }

    #[test]
    fn periods_are_those_of_the_data_sheet() {
        let microseconds = |rate| RegisterA::new().with_rate(rate).period().map(|p| p as f64 * 1e6 / 32768.0);
        assert_eq!(microseconds(0), None);
        assert_eq!([1, 2].map(microseconds), [Some(3906.25), Some(7812.5)]);
        assert_eq!([3, 4].map(microseconds), [Some(122.070_312_5), Some(244.140_625)]);
        assert_eq!([6, 15].map(microseconds), [Some(976.5625), Some(500_000.0)]);
    }

    #[test]
    fn time_passes_with_any_crystal_and_not_in_reset() {
        let runs = |divider| RegisterA::new().with_divider(divider).runs();
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(runs), [true, true, true, false, false, false, false, false]);
    }
}
