//! Registers of the interval timer. Intel 8254 data sheet, "Programming the 8254".

use bitfield_struct::bitfield;

/// Ports.
pub const LEN: u64 = 4;
/// Counters, each at the port of its number. The last port is for control words, [`Command`] or [`ReadBack`].
pub const COUNTERS: usize = 3;

/// Clocks in a second: a twelfth of 14.31818 MHz, rounded as Linux and SeaBIOS round it.
pub const HERTZ: u64 = 1_193_182;

/// What a counter does. Figure 7, "Mode definitions".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// 0: output rises at the end of the count.
    TerminalCount,
    /// 1: output is low from a trigger until the end of the count.
    OneShot,
    /// 2: output is low for the last clock of each period.
    RateGenerator,
    /// 3: output is low for the second half of each period.
    SquareWave,
    /// 4: output is low for one clock after the end of the count.
    SoftwareStrobe,
    /// 5: output is low for one clock after the end of the count, which a trigger starts.
    HardwareStrobe,
}

impl Mode {
    /// The mode of a code of three bits. The highest is not looked at in modes 2 and 3.
    #[must_use]
    pub fn decode(code: u8) -> Self {
        match code {
            0 => Self::TerminalCount,
            1 => Self::OneShot,
            4 => Self::SoftwareStrobe,
            5 => Self::HardwareStrobe,
            code if code & 1 == 0 => Self::RateGenerator,
            _ => Self::SquareWave,
        }
    }

    /// Starts again by itself at the end of the count.
    #[must_use]
    pub fn is_periodic(self) -> bool {
        matches!(self, Self::RateGenerator | Self::SquareWave)
    }

    /// Counting starts when the gate rises, and whether it stays high does not matter.
    #[must_use]
    pub fn is_triggered(self) -> bool {
        matches!(self, Self::OneShot | Self::HardwareStrobe)
    }
}

/// Which of a count's two bytes are written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// The low one; the other is zero.
    Low,
    /// The high one; the other is zero.
    High,
    /// The low one, then the high one.
    Both,
}

/// Control word.
#[bitfield(u8)]
pub struct Command {
    /// Counts decimally, four digits.
    pub bcd: bool,
    /// [`Mode`], coded.
    #[bits(3)]
    pub mode: u8,
    /// 0 for the latch command, else [`Bytes`], coded.
    #[bits(2)]
    pub access: u8,
    /// The counter; 3 for [`ReadBack`].
    #[bits(2)]
    pub counter: u8,
}

impl Command {
    /// What the counters are programmed for at power-on; open in the data sheet.
    pub const POWER_ON: Self = Self::new().with_access(3);

    /// The bytes to access; none for the latch command.
    #[must_use]
    pub fn bytes(self) -> Option<Bytes> {
        match self.access() {
            0 => None,
            1 => Some(Bytes::Low),
            2 => Some(Bytes::High),
            _ => Some(Bytes::Both),
        }
    }
}

/// Read-back command: a control word for "counter" 3.
#[bitfield(u8)]
pub struct ReadBack {
    __: bool,
    /// The counters that are meant, one bit each.
    #[bits(3)]
    pub counters: u8,
    /// Does not latch [`Status`].
    pub no_status: bool,
    /// Does not latch the count.
    pub no_count: bool,
    #[bits(2)]
    __: u8,
}

/// What read-back tells of a counter, besides its count.
#[bitfield(u8)]
pub struct Status {
    /// The low bits of [`Command`], as they were written.
    #[bits(6)]
    pub command: u8,
    /// The count that was written last is not in the counting element yet.
    pub null_count: bool,
    /// The output is high.
    pub output: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_stand_where_the_data_sheet_puts_them() {
        let square_wave = Command::from_bits(0xb6);
        assert_eq!((square_wave.counter(), square_wave.bytes()), (2, Some(Bytes::Both)));
        assert_eq!((Mode::decode(square_wave.mode()), square_wave.bcd()), (Mode::SquareWave, false));
        assert!(Command::from_bits(0x01).bcd());
        assert_eq!(ReadBack::from_bits(0xce).counters(), 0b111);
        assert!(ReadBack::from_bits(0xd0).no_status() && ReadBack::from_bits(0xe0).no_count());
        assert_eq!(Status::new().with_null_count(true).into_bits(), 0x40);
        assert_eq!(Status::new().with_output(true).with_command(0x3f).into_bits(), 0xbf);
    }

    #[test]
    fn modes_two_and_three_have_two_codes() {
        use Mode::{HardwareStrobe, OneShot, RateGenerator, SoftwareStrobe, SquareWave, TerminalCount};
        let modes = [0, 1, 2, 3, 4, 5, 6, 7].map(Mode::decode);
        assert_eq!(modes[..4], [TerminalCount, OneShot, RateGenerator, SquareWave]);
        assert_eq!(modes[4..], [SoftwareStrobe, HardwareStrobe, RateGenerator, SquareWave]);
    }

    #[test]
    fn access_codes() {
        let bytes = |access| Command::new().with_access(access).bytes();
        assert_eq!([0, 1, 2, 3].map(bytes), [None, Some(Bytes::Low), Some(Bytes::High), Some(Bytes::Both)]);
    }
}
