//! What a function is to its host bridge.

use bus::{Access, Refused};
use vmm_sys_util::eventfd::EventFd;

use crate::{ConfigSpace, Effect};

/// A PCI function: configuration space, and registers behind its BARs.
///
/// A new device needs the four methods without a default. All calls come with the host bridge's lock held, from a vCPU's
/// thread: none may block. Threads of the function interrupt through a clone of [`ConfigSpace::interrupts`].
pub trait Function: Send {
    /// Its configuration space.
    fn config(&mut self) -> &mut ConfigSpace;

    /// Reads a register of BAR `bar`; the whole access lies inside it.
    ///
    /// # Errors
    /// [`Refused`] if there is no such access: the guest reads all ones.
    fn read_bar(&mut self, bar: usize, at: Access) -> Result<u64, Refused>;

    /// Writes a register of BAR `bar`; the whole access lies inside it.
    ///
    /// # Errors
    /// [`Refused`] if there is no such access: it is dropped.
    fn write_bar(&mut self, bar: usize, at: Access, value: u64) -> Result<(), Refused>;

    /// Power-on state of everything but the configuration space, which the host bridge resets after this. When it returns nothing
    /// is in flight any more.
    fn reset(&mut self);

    /// Gives away the writes that need not come here but may signal an event. Asked for once, when the function is plugged in.
    fn doorbells(&mut self) -> Vec<Doorbell> {
        Vec::new()
    }

    /// Whether writes to the doorbells need not come here now, so that they can be connected. Asked after each write to a BAR.
    fn doorbells_are_quiet(&self) -> bool {
        true
    }

    /// Reads configuration space. A function with registers there that mean something to it alone has its own.
    fn read_config(&mut self, at: Access) -> u64 {
        self.config().read(at)
    }

    /// Writes configuration space; returns what this asks of the host bridge.
    fn write_config(&mut self, at: Access, value: u64) -> Effect {
        self.config().write(at, value)
    }
}

/// A register where each write, of any width and value, means no more than "look".
#[derive(Debug)]
pub struct Doorbell {
    /// The BAR it is in.
    pub bar: usize,
    /// Byte offset in the BAR.
    pub offset: u64,
    /// What to signal.
    pub event: EventFd,
}

/// Who signals doorbells without asking the function; implemented by the machine.
pub trait DoorbellSink: Send {
    /// From now on a write to `address` signals `event`.
    fn connect(&mut self, address: u64, event: &EventFd);

    /// No longer.
    fn disconnect(&mut self, address: u64, event: &EventFd);
}
