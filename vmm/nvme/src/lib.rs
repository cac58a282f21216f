//! An NVMe controller with one namespace, and the PCI function it is. This crate knows no KVM.
//!
//! ```text
//!   vCPU thread                           │  threads: one for the admin queue, one for each I/O submission queue
//!                                         │
//!   bus ──► Controller ── doorbell ── kick ──► SubmissionQueue ── Command ──► Admin: identify, features, logs,
//!           registers     (session)       │      fetch                                 events, I/O queues
//!              │                          │                              └──► NvmCommands ── Data ──► block backend
//!              └── CC.EN: starts and      │    CompletionQueue ◄── Outcome                (PRP, SGL)
//!                  ends the threads       │      post, interrupt ──► dyn Interrupts
//! ```
//!
//! * **The function** ([`Nvme`]) puts registers and MSI-X into a BAR. The controller itself knows no PCI.
//! * **Registers** ([`Controller`]) are decoded on the vCPU's thread, which does no I/O: a doorbell is a number stored and a
//!   thread woken. Enabling starts the admin queue's thread; disabling, or a reset, drops it with all that it owns, and
//!   returns when nothing is in flight.
//! * **A session** is everything between two resets: doorbells, status, queues, features. A reset is a new one.
//! * **Queues**: the thread of a submission queue fetches a command only when its completion has a place to go. Reads, writes
//!   and flushes go to the queue's [engine](block::Engine), several at a time; the others it carries out one by one. It interrupts
//!   once for all it did before it waits.
//! * **Data** moves between guest memory and the backend in place; PRPs and SGLs become slices of guest memory.
//! * **Shadow doorbells** (Doorbell Buffer Config): Linux leaves its doorbells in memory and rings only for threads asleep.
//!
//! A driver's mistake is answered with the status that the standard has for it, and remembered in the error log. Only admin
//! queues that cannot be used set CSTS.CFS.
//!
//! Standard: *NVM Express, Revision 1.4*, cited as `NVMe 1.4, 5.15`. Left out: more than one namespace, namespace management,
//! metadata and protection information, fused commands, reservations, firmware download, format, security, keyed and
//! bit-bucket SGLs, controller memory buffer, weighted arbitration, pages other than 4 KiB, interrupts by a pin.
//! Interrupt coalescing is accepted and not done.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod admin;
mod controller;
mod data;
mod doorbell;
mod drive;
mod function;
mod health;
mod identity;
mod interrupt;
mod nvm;
mod options;
mod queue;
mod session;
mod spec;

pub use controller::Controller;
pub use function::Nvme;
pub use identity::{BadSerial, Identity, Serial};
pub use interrupt::Interrupts;
pub use options::{MAX_QUEUES, MIN_QUEUES, Options, WriteCache};
pub use spec::registers::SIZE;
