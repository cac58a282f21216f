//! virtio devices and the transports that show them to a guest. This crate knows no KVM.
//!
//! ```text
//!   vCPU thread                                   │  the device's worker thread
//!                                                 │
//!   bus ──► MmioTransport ──► Core ── Command ───────► Engine ── Chain ──► dyn VirtioDevice ──► block
//!   pcie ─► PciTransport      status, features,   │    rings, kicks        blk, net, console,   net
//!           (registers)       queue addresses  ◄──── configuration       vsock, balloon, rng  chardev
//!   ioeventfd or notification ─────── kick ──────────► epoll
//!                                                 │      │
//!   IOAPIC ◄── IrqLine ◄── dyn Interrupt ◄────────│──────┘ used buffers, broken rings
//!   KVM ◄──── message ◄──── of each transport     │
//! ```
//!
//! * A **transport** decodes registers and never does I/O. `transport::core` is the half that all share.
//! * A **worker** is a thread that owns one device and its rings. It sleeps in epoll until a queue is kicked or the transport
//!   has a command; commands are answered only between two requests, so after a reset nothing is in flight.
//! * A **device** ([`VirtioDevice`]) takes [`Chain`]s of guest buffers out of its [`Requests`] and says how much of each is
//!   used. It never sees a ring, a notification or an interrupt. What it waits for on the host's side wakes its worker too.
//! * Or its queues are served [outside](Outside), by another process or the kernel: the worker then hands over rings and events,
//!   and is woken by interrupts alone.
//!
//! A guest that breaks the rules (rings outside its memory, chains that loop, buffers in the wrong order) gets a device
//! with DEVICE_NEEDS_RESET and a configuration interrupt; only a reset brings it back.
//!
//! Standard: *Virtual I/O Device (VIRTIO) Version 1.2*, cited as `virtio 1.2, 2.7.13`. Split rings come from the crate
//! `virtio-queue`. Left out so far: packed rings, legacy (version 1) registers, shared memory regions, queue reset,
//! notification data.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

pub mod balloon;
pub mod blk;
pub mod console;
pub mod describe;
pub mod input;
pub mod net;
pub mod pmem;
pub mod rng;
pub mod scsi;
pub mod vhost_kernel;
pub mod vhost_user;
pub mod vsock;

mod chain;
mod config_space;
mod device;
mod features;
mod interrupt;
mod outside;
mod queue;
mod requests;
mod status;
mod transport;
mod vhost_rings;
mod worker;

pub use chain::{Buffers, Chain};
pub use device::{Broken, VirtioDevice};
pub use features::Features;
pub use outside::{Outside, OutsideQueue};
pub use requests::{Request, Requests};
pub use transport::{mmio, pci};
