//! The interval timer: an i8254.
//!
//! ```text
//!                  ┌─ counter 0 ── output ──► IRQ 0
//!  0x40-0x42 ──────┼─ counter 1   (once refreshed memory)
//!  0x43 control ───┴─ counter 2 ◄── gate
//! ```
//!
//! Nothing counts. Between two loads, count and output of a counter are a formula of the clocks that passed, so reading
//! costs the same whenever it happens, and only a rising output of counter 0 needs a timer of the host ([`crate::time`]).
//! Periodic interrupts that the host was late for are one interrupt; they come at most every 200 µs.
//!
//! Standard: Intel 8254 data sheet, 1993: modes 0 to 5, binary and BCD, latch and read-back commands; what it leaves open
//! is at power-on mode 0 with no count. The microvm machine has no port 0x61, hence nothing drives the gate of counter 2,
//! which is high, and nobody sees its output but by the read-back command.

mod channel;
mod counter;
mod model;
pub mod spec;
mod wave;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bus::{Access, Device, IrqLine, Refused};
use model::Model;
use spec::COUNTERS;

use crate::isa::byte_wide;
use crate::time::{Clock, Shared, Timed};

/// The timer's four ports.
pub struct Pit(Arc<Shared<Model>>);

impl Pit {
    /// A timer whose counter 0 is `line`. `clock` should run evenly.
    ///
    /// `rearm` is called when the next event of the [`timer`](Self::timer) became earlier. It runs on the thread of a
    /// vCPU and should do no more than wake the thread that sleeps until then.
    pub fn new(line: IrqLine, clock: Arc<dyn Clock>, rearm: impl Fn() + Send + Sync + 'static) -> Self {
        let model = Model::new(line, clock.now());
        Self(Shared::new(model, clock, rearm))
    }

    /// The timer's interrupts, for a timer of the host.
    #[must_use]
    pub fn timer(&self) -> Arc<dyn Timed> {
        self.0.clone()
    }

    /// The gate of counter 2, which is high until somebody drives it.
    #[must_use]
    pub fn gate(&self) -> IrqLine {
        let shared = self.0.clone();
        IrqLine::new(move |level| shared.act(|model| model.set_gate(level)))
    }
}

impl Device for Pit {
    /// Control words cannot be read.
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        let counter = counter(byte_wide(at)?).ok_or(Refused)?;
        Ok(self.0.act(|model| model.read(counter)).into())
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        let value = value as u8;
        match counter(byte_wide(at)?) {
            Some(counter) => self.0.act(|model| model.write(counter, value)),
            None => self.0.act(|model| model.control(value)),
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.0.act(Model::reset);
    }
}

/// The counter at `offset`, unless it is the control port.
fn counter(offset: u64) -> Option<usize> {
    usize::try_from(offset).ok().filter(|&counter| counter < COUNTERS)
}

impl fmt::Debug for Pit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pit")
    }
}
