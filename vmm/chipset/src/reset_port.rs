//! The ports by which PCs without ACPI are reset.
//!
//! Firmware and systems try them one after the other, so that they need not be there; where they are, a reboot is
//! quicker, because nobody waits for one that does nothing.
//!
//! Standards: reset control register, Intel 82371AB (PIIX4) data sheet, 4.2.5, and the full reset bit of its successors;
//! keyboard controller, Intel 8042, command 0xFE. Left out: the difference between resets of the processor and of the
//! machine (all are of the machine), and the keyboard.

use std::fmt;

use bitfield_struct::bitfield;
use bus::{Access, Device, Refused};

use crate::isa::byte_wide;

/// Port of the reset control register, the only one of [`ResetControl`]. It lies among those of PCI's configuration
/// mechanism, whose 32-bit accesses at 0xCF8 do not reach it.
pub const RESET_CONTROL_PORT: u64 = 0xcf9;
/// Command port of the keyboard controller, the only one of [`KeyboardReset`].
pub const KEYBOARD_COMMAND_PORT: u64 = 0x64;

/// Reset Control Register.
#[bitfield(u8)]
struct ResetControlRegister {
    __: bool,
    /// The reset is a hard one.
    hard: bool,
    /// Reset now. Reads as zero, because who could read it is gone.
    reset: bool,
    /// The reset includes the power supply.
    full: bool,
    #[bits(4)]
    __: u8,
}

/// The reset control register.
pub struct ResetControl {
    request: Box<dyn Fn() + Send>,
    register: ResetControlRegister,
}

impl ResetControl {
    /// A register that calls `request`, on the thread of the vCPU that wrote, with the device's lock held.
    pub fn new(request: impl Fn() + Send + 'static) -> Self {
        Self { request: Box::new(request), register: ResetControlRegister::new() }
    }
}

impl Device for ResetControl {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        byte_wide(at)?;
        Ok(self.register.into_bits().into())
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        byte_wide(at)?;
        let written = ResetControlRegister::from_bits(value as u8);
        self.register = ResetControlRegister::new().with_hard(written.hard()).with_full(written.full());
        if written.reset() {
            (self.request)();
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.register = ResetControlRegister::new();
    }
}

impl fmt::Debug for ResetControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResetControl").field("register", &self.register).finish_non_exhaustive()
    }
}

/// Commands 0xF0 to 0xFF pulse the controller's outputs whose bits are zero; output 0 is the reset line.
const PULSE: u8 = 0xf0;
const NOT_RESET: u8 = 0x01;

/// A keyboard controller that can pulse the reset line, and nothing else. It reads as absent, as it is but for that.
pub struct KeyboardReset {
    request: Box<dyn Fn() + Send>,
}

impl KeyboardReset {
    /// A port that calls `request`, on the thread of the vCPU that wrote, with the device's lock held.
    pub fn new(request: impl Fn() + Send + 'static) -> Self {
        Self { request: Box::new(request) }
    }
}

impl Device for KeyboardReset {
    fn read(&mut self, _at: Access) -> Result<u64, Refused> {
        Err(Refused)
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        byte_wide(at)?;
        let command = value as u8;
        if command & PULSE == PULSE && command & NOT_RESET == 0 {
            (self.request)();
        }
        Ok(())
    }

    fn reset(&mut self) {}
}

impl fmt::Debug for KeyboardReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyboardReset")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bus::Width;
    use rstest::rstest;

    use super::*;

    const BYTE: Access = Access { offset: 0, width: Width::Byte };

    fn counter() -> (Arc<AtomicUsize>, impl Fn() + Send + 'static) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        let request = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        (count, request)
    }

    /// How many resets `values` ask for.
    fn resets(make: impl FnOnce(Box<dyn Fn() + Send>) -> Box<dyn Device>, values: &[u8]) -> usize {
        let (count, request) = counter();
        let mut device = make(Box::new(request));
        values.iter().for_each(|&value| device.write(BYTE, value.into()).unwrap());
        count.load(Ordering::Relaxed)
    }

    fn control(values: &[u8]) -> usize {
        resets(|request| Box::new(ResetControl::new(request)), values)
    }

    fn keyboard(values: &[u8]) -> usize {
        resets(|request| Box::new(KeyboardReset::new(request)), values)
    }

    #[rstest]
    #[case::seabios(&[0x02, 0x06])]
    #[case::linux_warm(&[0x02, 0x06])]
    #[case::linux_cold(&[0x02, 0x0e])]
    #[case::edk2_cold(&[0x06])]
    #[case::edk2_warm(&[0x04])]
    fn reset_control_resets_once(#[case] values: &[u8]) {
        assert_eq!(control(values), 1);
    }

    #[test]
    fn every_value_with_bit_two_resets_and_no_other() {
        (0..=255).for_each(|value| assert_eq!(control(&[value]), usize::from(value & 4 != 0), "{value:#x}"));
    }

    #[test]
    fn reset_control_keeps_the_kind_of_reset() {
        let mut register = ResetControl::new(|| {});
        assert_eq!(register.read(BYTE), Ok(0));
        register.write(BYTE, 0xff).unwrap();
        assert_eq!(register.read(BYTE), Ok(0x0a));
        register.reset();
        assert_eq!(register.read(BYTE), Ok(0));
    }

    #[test]
    fn keyboard_resets_on_pulses_of_output_zero() {
        assert_eq!(keyboard(&[0xfe]), 1);
        (0..=255).for_each(|value| {
            let pulses = value >= 0xf0 && value % 2 == 0;
            assert_eq!(keyboard(&[value]), usize::from(pulses), "{value:#x}");
        });
    }

    /// edk2 and Linux must not take it for a keyboard.
    #[test]
    fn keyboard_reads_as_absent() {
        assert_eq!(KeyboardReset::new(|| {}).read(BYTE), Err(Refused));
    }

    #[test]
    fn wider_accesses_are_refused() {
        let (count, request) = counter();
        let (mut control, mut keyboard) = (ResetControl::new(request), KeyboardReset::new(|| {}));
        for width in [Width::Word, Width::Dword, Width::Qword] {
            let at = Access { offset: 0, width };
            assert_eq!((control.read(at), control.write(at, 0x0606)), (Err(Refused), Err(Refused)));
            assert_eq!(keyboard.write(at, 0xfefe), Err(Refused));
        }
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }
}
