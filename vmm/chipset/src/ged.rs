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

/// Bytes of the event selector.
pub const SELECTOR_LEN: u64 = 4;
/// Bytes of sleep control, sleep status and reset register together.
pub const SLEEP_RESET_LEN: u64 = 3;

/// Event bit: the power button was pressed.
const POWER_BUTTON: u32 = 1 << 1;

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

    /// A button on this device.
    #[must_use]
    pub fn power_button(&self) -> PowerButton {
        PowerButton { pending: self.pending.clone(), line: self.line.clone() }
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

/// The power button, for whoever on the host wants the guest to shut down. Clones are the same button.
#[derive(Clone, Debug)]
pub struct PowerButton {
    pending: Arc<AtomicU32>,
    line: IrqLine,
}

impl PowerButton {
    /// Asks the guest to shut down. Pressing again before the guest took notice changes nothing.
    pub fn press(&self) {
        self.pending.fetch_or(POWER_BUTTON, Ordering::AcqRel);
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
