//! SCSI targets: disks and CD-ROM drives whose blocks are in a [backend](block::Backend). This crate knows no transport.
//!
//! ```text
//!  USB bulk-only ─┐            ┌── INQUIRY, MODE SENSE… ──► a reply of some bytes ─┐
//!  USB UAS ───────┼─► Target ──┤                                                  ├─► Task ─► data, status, sense
//!  virtio-scsi ───┘   LUN, CDB └── READ, WRITE… ──► Medium ──► dyn Backend ────────┘
//! ```
//!
//! A transport hands a command descriptor block (CDB) to [`Target::begin`] and gets a [`Task`]. The task says which way
//! data moves and how much ([`Task::data`]); the transport moves it in pieces of any size ([`Task::read`],
//! [`Task::write`]), straight between backend and guest memory where the pieces are whole sectors, and ends with
//! [`Task::finish`]: a status, and sense data if it is CHECK CONDITION. Tasks do not borrow their target, so that many
//! can be under way. A transport without autosense hands the sense back by [`Target::keep_sense`] for REQUEST SENSE.
//!
//! Standards: SAM-5, SPC-4, SBC-3 (disks) and MMC-6 (CD-ROM drives). Calls block as those of the backend do, so they
//! belong on a worker thread.
//!
//! Left out: MODE SELECT (no mode parameter changes), reservations, log pages, protection information, task management
//! (a task is done when its transport has moved the data; what a transport drops leaves no trace), 4096-byte blocks,
//! audio and writing of discs, anchored blocks.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod capacity;
mod cdb;
mod inquiry;
mod medium;
mod mode;
mod multimedia;
mod provisioning;
mod sense;
mod spec;
mod target;
mod task;
#[cfg(test)]
mod tests;
mod tray;
mod unit;

pub use cdb::moves_blocks;
pub use inquiry::{BadSerial, Serial};
pub use sense::{Sense, SenseKey};
pub use spec::{SENSE_LEN, Status};
pub use target::{Lun, Target};
pub use task::{Completion, Data, Task};
pub use tray::{Tray, TrayError};
pub use unit::{Kind, Loading, Unit, WriteCache};
