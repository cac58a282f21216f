//! The xHCI host controller.
//!
//! ```text
//!  vCPU threads                    │ shared                              │ worker thread
//!                                  │                                     │
//!  bus ──► Registers ── lock ────► │ State: USBCMD … PORTSC, CRCR,       │ ◄── lock ── Engine: slots, endpoints,
//!           │                      │        interrupters, event rings    │             command ring, root hub
//!           ├─ doorbell ─────────► │ a bit for each endpoint             │ ──► swap      │
//!           └─ wake ───────────────┼──── eventfd ────────────────────────┼──► epoll      ▼
//!                                  │                                     │         dyn UsbDevice
//!  guest ◄── Interrupts (wire or messages) ◄── settle, by either end     │ ◄── Waker ────┘
//! ```
//!
//! * **Registers** ([`Registers`]) are what a vCPU touches. They change `State` under its lock, which nobody holds during
//!   I/O, and ring. Whatever needs a device (commands, transfers, resets) is the engine's.
//! * **The baton** says who runs the engine: mostly the worker. A vCPU that rings while nobody does runs it for what is done at
//!   once ([`UsbDevice::transfer_at_once`](crate::UsbDevice::transfer_at_once)), as a command block or a status is; that saves
//!   two changes of threads. Disks are read and written by the worker alone.
//! * **The engine** does it in bounded turns: so many commands, so many windows of each endpoint, then again. A ring without an
//!   end stops when the credit of its last doorbell is used up.
//! * **Windows**: a transfer is done in parts of up to 256 TRBs, in place in guest memory, whatever its length.
//! * **Events** go to the ring of their interrupter; while it is full they wait, and so do the endpoints that cause them.
//! * **Volatile state** is `State` and `Slots`; a reset assigns both anew.
//!
//! What a guest does wrong comes back as the standard's completion code: TRBs that make no sense, links in a circle and rings
//! or buffers outside memory as TRB Error, and the endpoint is in the state Error; an event ring outside memory as Host System
//! Error, a segment table that cannot be as Host Controller Error.
//!
//! Standard: *eXtensible Host Controller Interface for Universal Serial Bus*, revision 1.2, cited as `xHCI 1.2, 4.6.5`. Left
//! out: streams, virtualisation of its own (VFs, and with them Force Event), extended properties, the debug capability, USB 2
//! link power management (L1), and interrupts of Link TRBs. Bandwidth is without end, so that negotiation always succeeds.

mod baton;
mod control;
mod engine;
mod event_ring;
#[cfg(any(test, feature = "testing"))]
#[expect(clippy::indexing_slicing, reason = "a harness, not the product")]
pub mod fuzz;
mod interrupter;
mod memory;
mod port;
mod registers;
mod ring;
mod shared;
mod spec;
mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod worker;

use std::io;
use std::time::{Duration, Instant};

use bus::IrqLine;
use vm_memory::GuestMemoryMmap;

pub use control::{AttachError, Control, PortId};
use port::Protocol;
pub use registers::Registers;
use worker::Worker;

/// Bytes of the register window.
pub const LEN: u64 = spec::registers::LEN;

/// What a controller has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// SuperSpeed ports, numbered from 1; at most 15.
    pub usb3_ports: u8,
    /// Ports for slower devices, numbered behind those; at most 15.
    pub usb2_ports: u8,
    /// Device slots, 1 to 255.
    pub slots: u8,
    /// Interrupters, 1 to 16.
    pub interrupters: u8,
    /// Contexts of 64 bytes instead of 32.
    pub large_contexts: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { usb3_ports: 8, usb2_ports: 8, slots: 64, interrupters: 8, large_contexts: false }
    }
}

impl Config {
    fn ports(&self) -> usize {
        usize::from(self.usb3_ports) + usize::from(self.usb2_ports)
    }

    /// What each port speaks, in their order.
    fn protocols(&self) -> impl Iterator<Item = Protocol> + use<> {
        let usb3 = std::iter::repeat_n(Protocol::Usb3, usize::from(self.usb3_ports));
        usb3.chain(std::iter::repeat_n(Protocol::Usb2, usize::from(self.usb2_ports)))
    }
}

/// Where interrupts go. Called with the registers' lock held.
pub trait Interrupts: Send + Sync {
    /// Drives the wire, which is the first interrupter's. Called when the level changes.
    fn set_line(&self, level: bool);

    /// Sends the message of an interrupter. False if the driver uses the wire.
    fn send(&self, interrupter: u16) -> bool;
}

/// A controller that has a wire and no messages.
impl Interrupts for IrqLine {
    fn set_line(&self, level: bool) {
        self.set(level);
    }

    fn send(&self, _interrupter: u16) -> bool {
        false
    }
}

/// Tells the time since some start.
pub(crate) type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// A controller at work: its worker thread runs until this is dropped.
pub struct Xhci {
    control: Control,
    _worker: Worker,
}

impl Xhci {
    /// A controller with nothing plugged in, and the register window to put on a bus.
    ///
    /// # Errors
    /// The host has no more descriptors or threads.
    pub fn start(
        config: Config,
        memory: GuestMemoryMmap,
        interrupts: Box<dyn Interrupts>,
    ) -> io::Result<(Self, Registers)> {
        let start = Instant::now();
        let (worker, shared) = Worker::spawn(config, memory, interrupts, Box::new(move || start.elapsed()))?;
        let control = worker.control();
        let registers = Registers::new(shared, control.clone(), worker.look());
        Ok((Self { control, _worker: worker }, registers))
    }

    /// The handle for plugging.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }
}
