//! How numbers stand in the registers.

use super::calendar::Calendar;
use super::spec::{BYTES, CENTURY, DAY, HOURS, MINUTES, MONTH, PM, RegisterB, SECONDS, WEEKDAY, YEAR};

/// BCD or binary, once or twice around the clock. Register B says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    binary: bool,
    hours_24: bool,
}

impl From<RegisterB> for Format {
    fn from(b: RegisterB) -> Self {
        Self { binary: b.binary(), hours_24: b.hours_24() }
    }
}

impl Format {
    /// The number in `byte`. What is not BCD counts its tens and its ones all the same.
    pub(super) fn number(self, byte: u8) -> i64 {
        let number = if self.binary { byte } else { (byte >> 4) * 10 + (byte & 0xf) };
        number.into()
    }

    /// The last two digits of `number`.
    fn byte(self, number: i64) -> u8 {
        let number = number.rem_euclid(100) as u8;
        if self.binary { number } else { number / 10 * 16 + number % 10 }
    }

    /// The hour in `byte`, of 24.
    pub(super) fn hour(self, byte: u8) -> i64 {
        if self.hours_24 {
            return self.number(byte);
        }
        let half = if byte & PM == 0 { 0 } else { 12 };
        self.number(byte & !PM) % 12 + half
    }

    /// The byte of `hour`, of 24.
    fn hour_byte(self, hour: i64) -> u8 {
        if self.hours_24 {
            return self.byte(hour);
        }
        let half = if hour < 12 { 0 } else { PM };
        self.byte((hour + 11) % 12 + 1) | half
    }

    /// Reads the time out of the registers.
    pub(super) fn decode(self, bytes: &[u8; BYTES]) -> Calendar {
        let number = |index| self.number(bytes[usize::from(index)]);
        Calendar {
            year: number(CENTURY) * 100 + number(YEAR),
            month: number(MONTH),
            day: number(DAY),
            hour: self.hour(bytes[usize::from(HOURS)]),
            minute: number(MINUTES),
            second: number(SECONDS),
            weekday: number(WEEKDAY),
        }
    }

    /// Writes the time into the registers.
    pub(super) fn encode(self, time: Calendar, bytes: &mut [u8; BYTES]) {
        let mut put = |index, byte| bytes[usize::from(index)] = byte;
        put(CENTURY, self.byte(time.year.div_euclid(100)));
        put(YEAR, self.byte(time.year));
        put(MONTH, self.byte(time.month));
        put(DAY, self.byte(time.day));
        put(WEEKDAY, self.byte(time.weekday));
        put(HOURS, self.hour_byte(time.hour));
        put(MINUTES, self.byte(time.minute));
        put(SECONDS, self.byte(time.second));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const BCD_24: Format = Format { binary: false, hours_24: true };
    const BCD_12: Format = Format { binary: false, hours_24: false };
    const BINARY_12: Format = Format { binary: true, hours_24: false };
    const BINARY_24: Format = Format { binary: true, hours_24: true };

    #[rstest]
    #[case::midnight(0, [0x00, 0x12, 0x00, 0x0c])]
    #[case::one(1, [0x01, 0x01, 0x01, 0x01])]
    #[case::before_noon(11, [0x11, 0x11, 0x0b, 0x0b])]
    #[case::noon(12, [0x12, 0x92, 0x0c, 0x8c])]
    #[case::afternoon(13, [0x13, 0x81, 0x0d, 0x81])]
    #[case::late(23, [0x23, 0x91, 0x17, 0x8b])]
    fn hour_in_each_format(#[case] hour: i64, #[case] bytes: [u8; 4]) {
        for (format, byte) in [BCD_24, BCD_12, BINARY_24, BINARY_12].into_iter().zip(bytes) {
            assert_eq!(format.hour_byte(hour), byte, "{format:?}");
            assert_eq!(format.hour(byte), hour, "{format:?}");
        }
    }

    #[test]
    fn numbers_are_bcd_or_binary() {
        assert_eq!((BCD_24.byte(59), BINARY_24.byte(59)), (0x59, 59));
        assert_eq!((BCD_24.number(0x59), BINARY_24.number(59)), (59, 59));
        assert_eq!(BCD_24.number(0xff), 165);
    }

    #[test]
    fn moment_stands_in_its_registers() {
        let mut bytes = [0; BYTES];
        BCD_24.encode(Calendar::utc(1_785_844_799), &mut bytes);
        assert_eq!(bytes[..10], [0x59, 0, 0x59, 0, 0x11, 0, 0x03, 0x04, 0x08, 0x26]);
        assert_eq!(bytes[0x32], 0x20);
    }

    proptest! {
        #[test]
        fn sensible_moments_survive_any_format(
            seconds in -60_000_000_000_i64..250_000_000_000, binary: bool, hours_24: bool,
        ) {
            let format = Format { binary, hours_24 };
            let (time, mut bytes) = (Calendar::utc(seconds), [0; BYTES]);
            format.encode(time, &mut bytes);
            prop_assert_eq!(format.decode(&bytes), time);
        }
    }
}
