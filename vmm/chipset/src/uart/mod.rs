//! The serial port: a 16550A.
//!
//! ```text
//!  vCPU ── ports ──► Uart ──┐                    ┌── UartHost ◄── console thread
//!                           ▼                    ▼
//!                  Mutex<Model>: registers, receive FIFO (16), output queue (64 KiB)
//!                           │                    ▲
//!  IOAPIC ◄── IrqLine ──────┘                    └── notify: there is output, or room for input
//! ```
//!
//! Transmitting takes no time: a byte that is written is in the queue, and the transmitter is empty again. Only when the
//! host does not keep up does THRE stay off, until it takes the output, as with a slow line; the transmit FIFO is the
//! queue's last 16 places. So a guest that obeys THRE loses nothing and one that does not cannot make us allocate. A host
//! that is gone (the last [`UartHost`] is dropped) leaves an open line: what is sent is discarded and nobody waits.
//!
//! Receiving takes no time either, hence the time-out interrupt is pending as soon as a byte waits below the trigger
//! level. The host keeps what does not fit into the FIFO, so that clearing it costs the guest 16 bytes at most.
//!
//! Why not the crate vm-superio: its transmitter calls `Write` on the thread of the vCPU, which a terminal that does
//! not read would then stop; and it has no FIFOs, that is neither trigger levels nor the identification bits by which
//! Linux recognises a 16550A.
//!
//! Standard: National Semiconductor PC16550D data sheet, June 1995; reset values as QEMU has them. Left out: baud rate
//! and line format (kept, without effect), parity and framing errors and breaks (nothing causes them), DMA signalling,
//! the interrupt gate behind OUT2.

mod model;
pub mod spec;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bus::{Access, Device, IrqLine, Refused};
use model::Model;

use crate::isa::byte_wide;

/// Bytes that wait for the host, at most.
pub const OUTPUT_CAPACITY: usize = 64 << 10;

/// A serial port that interrupts on `line`, and its other end.
///
/// `notify` is called when there is output after there was none, and when there is room for input after the host was
/// told of none. It runs on the thread of a vCPU and should do no more than wake the thread that holds the [`UartHost`].
/// That thread may wait a moment before it takes the output, to get more at once.
pub fn pair(line: IrqLine, notify: impl Fn() + Send + Sync + 'static) -> (Uart, UartHost) {
    let shared = Arc::new(Shared { model: Mutex::new(Model::new(line)), notify: Box::new(notify) });
    let cable = Arc::new(Cable(Arc::downgrade(&shared)));
    (Uart(shared.clone()), UartHost { shared, _cable: cable })
}

struct Shared {
    model: Mutex<Model>,
    notify: Box<dyn Fn() + Send + Sync>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the guest does. The host is called afterwards, without the lock.
    fn guest<T>(&self, act: impl FnOnce(&mut Model) -> T) -> T {
        let mut model = self.lock();
        let result = act(&mut model);
        let wake = model.take_wake();
        drop(model);
        if wake {
            (self.notify)();
        }
        result
    }
}

/// The guest's end: eight ports, a byte each.
pub struct Uart(Arc<Shared>);

impl Device for Uart {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        let offset = byte_wide(at)?;
        Ok(self.0.guest(|model| model.read(offset)).into())
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        let offset = byte_wide(at)?;
        self.0.guest(|model| model.write(offset, value as u8));
        Ok(())
    }

    fn reset(&mut self) {
        self.0.guest(Model::reset);
    }
}

/// The host's end. Clones are the same end; when the last one is dropped, the line is open.
#[derive(Clone)]
pub struct UartHost {
    shared: Arc<Shared>,
    _cable: Arc<Cable>,
}

impl UartHost {
    /// Moves all that the guest sent to the end of `into`.
    pub fn take_output(&self, into: &mut Vec<u8>) {
        self.shared.lock().take_output(into);
    }

    /// How many bytes of input the guest's receiver can take. After a zero, `notify` is called when that changes.
    #[must_use]
    pub fn input_space(&self) -> usize {
        self.shared.lock().input_space()
    }

    /// Sends input to the guest, as much as there is room for, and returns how much that was. If it was not all of it,
    /// `notify` is called when there is room again.
    #[must_use = "the rest must be sent later"]
    pub fn push_input(&self, bytes: &[u8]) -> usize {
        self.shared.lock().push_input(bytes)
    }
}

impl fmt::Debug for UartHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UartHost")
    }
}

/// Unplugs itself.
struct Cable(Weak<Shared>);

impl Drop for Cable {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.lock().detach();
        }
    }
}
