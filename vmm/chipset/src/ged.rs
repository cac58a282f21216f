//! The generic event device, and the registers beside it that end a session.
//!
//! ```text
//!  0xFEA00000  event selector   host sets a bit, pulses the line; the guest's _EVT reads it, which clears it
//!  0xFEA00200  sleep control    bits 4:2 type, bit 5 enable
//!  0xFEA00201  sleep status     reads 0
//!  0xFEA00202  reset            0x42
//! ```
//!
//! Standards: ACPI 6.5, 5.6.9 (interrupt-signalled events) and 4.8.3.7 (sleep registers of hardware-reduced ACPI); the
//! selector register is QEMU's. Left out: memory, NVDIMM and CPU hot-plug events, which this machine has not.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bitfield_struct::bitfield;
use bus::{Access, Device, IrqLine, Refused, Width};

pub use crate::describe::Event;

/// Bytes of the event selector.
pub const SELECTOR_LEN: u64 = 4;
/// Bytes of sleep control, sleep status and reset register together.
pub const SLEEP_RESET_LEN: u64 = 3;

/// The event selector.
pub struct Ged {
    pending: Arc<AtomicU32>,
    line: IrqLine,
}

impl Ged {
    /// A selector with no event, which announces events on `line`.
    #[must_use]
    pub fn new(line: IrqLine) -> Self {
        Self { pending: Arc::default(), line }
    }

    /// What makes `event` happen.
    #[must_use]
    pub fn trigger(&self, event: Event) -> Trigger {
        Trigger { event, pending: self.pending.clone(), line: self.line.clone() }
    }
}

impl Device for Ged {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        whole_selector(at)?;
        Ok(self.pending.swap(0, Ordering::AcqRel).into())
    }

    fn write(&mut self, at: Access, _value: u64) -> Result<(), Refused> {
        whole_selector(at)
    }

    fn reset(&mut self) {
        self.pending.store(0, Ordering::Release);
        self.line.set(false);
    }
}

fn whole_selector(at: Access) -> Result<(), Refused> {
    let whole = Access { offset: 0, width: Width::Dword };
    if at == whole { Ok(()) } else { Err(Refused) }
}

/// One event, for whoever on the host makes it happen, such as a button. Clones are the same event.
#[derive(Clone, Debug)]
pub struct Trigger {
    event: Event,
    pending: Arc<AtomicU32>,
    line: IrqLine,
}

impl Trigger {
    /// Tells the guest. Once more before the guest took notice changes nothing.
    pub fn pull(&self) {
        self.pending.fetch_or(self.event.bit(), Ordering::AcqRel);
        self.line.pulse();
    }
}

/// What the guest asks of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerEvent {
    /// Soft off, S5.
    PowerOff,
    /// Start again from the reset vector.
    Reset,
}

/// Sleep Control Register. ACPI 6.5, table 4.21.
#[bitfield(u8)]
struct SleepControl {
    #[bits(2)]
    __: u8,
    #[bits(3)]
    sleep_type: u8,
    enable: bool,
    #[bits(2)]
    __: u8,
}

/// The sleep type that means off; the DSDT's `_S5` names it.
pub const SOFT_OFF: u8 = 5;
/// What the reset register wants; RESET_VALUE in the FADT.
pub const RESET_VALUE: u8 = 0x42;

/// Sleep control, sleep status and reset register.
pub struct SleepReset {
    request: Box<dyn Fn(PowerEvent) + Send>,
}

impl SleepReset {
    /// Registers that call `request`, on the thread of the vCPU that wrote, with the device's lock held.
    pub fn new(request: impl Fn(PowerEvent) + Send + 'static) -> Self {
        Self { request: Box::new(request) }
    }

    /// A write of one byte to the register at `offset`.
    fn write_byte(&self, offset: u64, value: u8) {
        let control = SleepControl::from_bits(value);
        match offset {
            0 if control.enable() && control.sleep_type() == SOFT_OFF => (self.request)(PowerEvent::PowerOff),
            2 if value == RESET_VALUE => (self.request)(PowerEvent::Reset),
            _ => {}
        }
    }
}

impl fmt::Debug for SleepReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SleepReset")
    }
}

impl Device for SleepReset {
    fn read(&mut self, _at: Access) -> Result<u64, Refused> {
        Ok(0)
    }

    /// The registers are bytes. A wider write reaches each of them, as it does in QEMU.
    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        let bytes = value.to_le_bytes();
        for (offset, byte) in (at.offset..at.offset + at.width.len()).zip(bytes) {
            self.write_byte(offset, byte);
        }
        Ok(())
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const SELECTOR: Access = Access { offset: 0, width: Width::Dword };

    /// A GED and the levels its line went through.
    fn ged() -> (Ged, Arc<Mutex<Vec<bool>>>) {
        let levels = Arc::new(Mutex::new(Vec::new()));
        let wire = levels.clone();
        (Ged::new(IrqLine::new(move |level| wire.lock().unwrap().push(level))), levels)
    }

    #[test]
    fn selector_is_zero_at_power_on() {
        let (mut ged, levels) = ged();
        assert_eq!(ged.read(SELECTOR), Ok(0));
        assert!(levels.lock().unwrap().is_empty());
    }

    #[test]
    fn button_sets_bit_one_and_pulses_the_line() {
        let (mut ged, levels) = ged();
        ged.trigger(Event::PowerButton).pull();
        assert_eq!(*levels.lock().unwrap(), [true, false]);
        assert_eq!(ged.read(SELECTOR), Ok(2));
    }

    #[test]
    fn reading_clears_the_selector() {
        let (mut ged, _) = ged();
        ged.trigger(Event::PowerButton).pull();
        ged.read(SELECTOR).unwrap();
        assert_eq!(ged.read(SELECTOR), Ok(0));
    }

    #[test]
    fn presses_before_the_guest_reads_are_one_event() {
        let (mut ged, _) = ged();
        let button = ged.trigger(Event::PowerButton);
        button.pull();
        button.clone().pull();
        assert_eq!(ged.read(SELECTOR), Ok(2));
        assert_eq!(ged.read(SELECTOR), Ok(0));
    }

    #[test]
    fn events_are_told_together() {
        let (mut ged, _) = ged();
        for event in [Event::PowerButton, Event::SleepButton, Event::GenerationId] {
            ged.trigger(event).pull();
        }
        assert_eq!(ged.read(SELECTOR), Ok(0x3_0002));
    }

    #[test]
    fn event_is_visible_when_the_line_rises() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let pending: Arc<Mutex<Option<Arc<AtomicU32>>>> = Arc::default();
        let (record, peek) = (seen.clone(), pending.clone());
        let ged = Ged::new(IrqLine::new(move |_| {
            let pending = peek.lock().unwrap().clone().unwrap();
            record.lock().unwrap().push(pending.load(Ordering::Acquire));
        }));
        *pending.lock().unwrap() = Some(ged.pending.clone());
        ged.trigger(Event::PowerButton).pull();
        assert_eq!(*seen.lock().unwrap(), [2, 2]);
    }

    #[test]
    fn writes_to_the_selector_change_nothing() {
        let (mut ged, _) = ged();
        ged.trigger(Event::PowerButton).pull();
        assert_eq!(ged.write(SELECTOR, 0), Ok(()));
        assert_eq!(ged.read(SELECTOR), Ok(2));
    }

    #[test]
    fn selector_accesses_of_another_width_are_refused_and_clear_nothing() {
        let (mut ged, _) = ged();
        ged.trigger(Event::PowerButton).pull();
        for (offset, width) in [(0, Width::Byte), (0, Width::Word), (2, Width::Word), (3, Width::Byte)] {
            let at = Access { offset, width };
            assert_eq!((ged.read(at), ged.write(at, 0)), (Err(Refused), Err(Refused)));
        }
        assert_eq!(ged.read(SELECTOR), Ok(2));
    }

    #[test]
    fn reset_forgets_events_and_lowers_the_line() {
        let (mut ged, levels) = ged();
        ged.trigger(Event::PowerButton).pull();
        ged.reset();
        assert_eq!(ged.read(SELECTOR), Ok(0));
        assert_eq!(levels.lock().unwrap().last(), Some(&false));
    }

    /// What the guest asks for by one write.
    fn asked(offset: u64, width: Width, value: u64) -> Vec<PowerEvent> {
        let events = Arc::new(Mutex::new(Vec::new()));
        let record = events.clone();
        let mut registers = SleepReset::new(move |event| record.lock().unwrap().push(event));
        registers.write(Access { offset, width }, value).unwrap();
        events.lock().unwrap().clone()
    }

    #[test]
    fn soft_off_needs_type_five_and_the_enable_bit() {
        for value in 0..=0xff_u8 {
            let off = value & 0b0011_1100 == 0b0011_0100;
            let expected: &[_] = if off { &[PowerEvent::PowerOff] } else { &[] };
            assert_eq!(asked(0, Width::Byte, value.into()), expected, "{value:#x}");
        }
    }

    #[test]
    fn reset_needs_its_value() {
        for value in 0..=0xff_u8 {
            let expected: &[_] = if value == 0x42 { &[PowerEvent::Reset] } else { &[] };
            assert_eq!(asked(2, Width::Byte, value.into()), expected, "{value:#x}");
        }
    }

    #[test]
    fn sleep_status_takes_no_value() {
        assert!((0..=0xff).all(|value| asked(1, Width::Byte, value).is_empty()));
    }

    #[test]
    fn wider_write_reaches_each_byte() {
        assert_eq!(asked(0, Width::Dword, 0xff42_0000), [PowerEvent::Reset]);
        assert_eq!(asked(1, Width::Word, 0x4200), [PowerEvent::Reset]);
        assert_eq!(asked(0, Width::Word, 0x0034), [PowerEvent::PowerOff]);
        assert_eq!(asked(0, Width::Qword, 0x42), []);
    }

    #[test]
    fn all_three_registers_read_zero() {
        let mut registers = SleepReset::new(|_| {});
        for offset in 0..3 {
            assert_eq!(registers.read(Access { offset, width: Width::Byte }), Ok(0));
        }
    }
}
