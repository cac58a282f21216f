//! The contracts a device lives by. This crate knows no device and no KVM.
//!
//! ```text
//!  vCPU exit ──► Bus (PIO or MMIO) ──► Mutex<dyn Device> ──► IrqLine ──► IOAPIC pin ──► MsiRoutes
//!                 range lookup           offset 0 based        level        chipset       KVM
//!                 width and bounds       legal widths only
//! ```
//!
//! * [`Bus`] finds the device of an address. Unassigned reads give all ones, unassigned writes vanish; so do accesses that
//!   a device [`Refused`].
//! * [`Device`] is data in, data out: a unit test drives it without a VMM.
//! * [`IrqLine`] is a wire; [`MsiRoutes`] is where an interrupt controller puts its messages.
//! * [`spawn_worker`] starts a thread that does a device's work, and [`Courtesy`] tells it when to wait for its turn.
//!
//! Lock order: a device's lock is taken by the bus; with it held, only interrupt lines are called, which may take the
//! interrupt controller's lock. Nothing is called with that one held but [`MsiRoutes`].
#![forbid(unsafe_code)]

mod bus;
mod irq;
mod worker;

pub use bus::{Access, Bus, Device, Overlap, Refused, Width};
pub use irq::{IrqLine, Message, Msi, MsiRoutes};
pub use worker::{Courtesy, Manner, spawn_worker, workers_behave};
