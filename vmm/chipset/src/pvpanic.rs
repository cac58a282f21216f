//! The panic port: a guest's kernel tells that it panicked.
//!
//! Standard: QEMU's `pvpanic` (docs/specs/pvpanic.rst), its ISA interface. Left out: the event of an orderly shutdown,
//! which the machine sees anyway.

use std::fmt;

use bitfield_struct::bitfield;
use bus::{Access, Device, Refused};

use crate::isa::byte_wide;

/// The port. Guests learn it from the DSDT, see [`crate::describe::PvPanic`].
pub const PORT: u64 = 0x505;
/// Ports.
pub const LEN: u64 = 1;

/// The events, a bit each.
#[bitfield(u8)]
struct Events {
    panicked: bool,
    crash_loaded: bool,
    #[bits(6)]
    __: u8,
}

/// What a read gives: the events that have a meaning.
const SUPPORTED: Events = Events::new().with_panicked(true).with_crash_loaded(true);

/// What happened to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanicEvent {
    /// Its kernel panicked, and the host should act.
    Panicked,
    /// Its kernel panicked and starts another one that writes a dump; the host should let it.
    CrashLoaded,
}

/// The port.
pub struct PvPanic {
    report: Box<dyn Fn(PanicEvent) + Send>,
}

impl PvPanic {
    /// A port that calls `report`, on the thread of the vCPU that wrote, with the device's lock held.
    pub fn new(report: impl Fn(PanicEvent) + Send + 'static) -> Self {
        Self { report: Box::new(report) }
    }
}

impl Device for PvPanic {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        byte_wide(at)?;
        Ok(SUPPORTED.into_bits().into())
    }

    /// One event at a time; of several, the worst.
    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        byte_wide(at)?;
        let events = Events::from_bits(value as u8);
        if events.panicked() {
            (self.report)(PanicEvent::Panicked);
        } else if events.crash_loaded() {
            (self.report)(PanicEvent::CrashLoaded);
        }
        Ok(())
    }

    fn reset(&mut self) {}
}

impl fmt::Debug for PvPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PvPanic")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bus::Width;

    use super::*;

    const BYTE: Access = Access { offset: 0, width: Width::Byte };

    fn reported(value: u8) -> Vec<PanicEvent> {
        let events = Arc::new(Mutex::new(Vec::new()));
        let record = events.clone();
        let mut port = PvPanic::new(move |event| record.lock().unwrap().push(event));
        port.write(BYTE, value.into()).unwrap();
        std::mem::take(&mut *events.lock().unwrap())
    }

    #[test]
    fn read_tells_the_events_that_are_known() {
        assert_eq!(PvPanic::new(|_| {}).read(BYTE), Ok(0x03));
    }

    #[test]
    fn each_bit_is_an_event() {
        assert_eq!(reported(0x01), [PanicEvent::Panicked]);
        assert_eq!(reported(0x02), [PanicEvent::CrashLoaded]);
        assert_eq!(reported(0x03), [PanicEvent::Panicked]);
    }

    #[test]
    fn unknown_bits_are_no_events() {
        (0..=255).for_each(|value| assert_eq!(reported(value), reported(value & 0x03)));
        assert_eq!(reported(0xfc), []);
    }

    #[test]
    fn wider_accesses_are_refused() {
        let mut port = PvPanic::new(|event| panic!("{event:?}"));
        for width in [Width::Word, Width::Dword, Width::Qword] {
            let at = Access { offset: 0, width };
            assert_eq!((port.read(at), port.write(at, 0x0101)), (Err(Refused), Err(Refused)));
        }
    }
}
