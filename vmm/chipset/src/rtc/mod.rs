//! The real-time clock: an MC146818A, and the memory behind it.
//!
//! ```text
//!   0x70 index ──┐     0x00-0x09, 0x32  time and alarm          32,768 Hz ──► dividers ──► seconds
//!                ├───► 0x0A-0x0D        registers A to D                         │
//!   0x71 data  ──┘     the others       memory                                periods ──► register C ──► IRQ 8
//! ```
//!
//! The clock starts with the time of a [`Clock`], keeps whatever the guest sets, and goes on at that one's pace; when the
//! other is set, this one moves by as much. Time passes when somebody looks ([`crate::time`]): the seconds since the last
//! look are added, and flags of register C are set as if one had looked all the time.
//!
//! Updates take no time. The 244 µs before one are announced, as the data sheet has it, so a guest that reads the time
//! while UIP is clear reads all of it between two updates.
//!
//! Standard: Motorola MC146818A data sheet, 1984; the century at 0x32 and the memory's contents as QEMU has them. Left
//! out: daylight saving (the clock shows UTC), the square wave (a PC does not connect it), other crystals than 32,768 Hz
//! (their codes run the clock at its pace), the NMI mask in bit 7 of the index.

mod alarm;
mod calendar;
mod divider;
mod format;
mod memory;
mod model;
pub mod spec;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bus::{Access, Device, IrqLine, Refused};
use model::Model;
use spec::{DATA, INDEX};

pub use memory::RamSize;

use crate::isa::byte_wide;
use crate::time::{Clock, Shared, Timed};

/// The clock's two ports.
pub struct Rtc(Arc<Shared<Model>>);

impl Rtc {
    /// A clock that interrupts on `line`. `time` tells the nanoseconds since 1970, and `ram` goes into the clock's memory.
    ///
    /// `rearm` is called when the next event of the [`timer`](Self::timer) became earlier. It runs on the thread of a
    /// vCPU and should do no more than wake the thread that sleeps until then.
    pub fn new(
        line: IrqLine,
        time: Arc<dyn Clock>,
        ram: RamSize,
        rearm: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let model = Model::new(line, time.now(), ram);
        Self(Shared::new(model, time, rearm))
    }

    /// The clock's interrupts, for a timer of the host.
    #[must_use]
    pub fn timer(&self) -> Arc<dyn Timed> {
        self.0.clone()
    }
}

impl Device for Rtc {
    /// The index cannot be read.
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        match byte_wide(at)? {
            DATA => Ok(self.0.act(Model::read).into()),
            _ => Err(Refused),
        }
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        let value = value as u8;
        match byte_wide(at)? {
            INDEX => self.0.act(|model| model.select(value)),
            DATA => self.0.act(|model| model.write(value)),
            _ => return Err(Refused),
        }
        Ok(())
    }

    /// Time, alarm, modes and memory are kept.
    fn reset(&mut self) {
        self.0.act(Model::reset);
    }
}

impl fmt::Debug for Rtc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rtc")
    }
}
