//! Disk backends: where a disk's sectors are kept. This crate knows no guest protocol.
//!
//! ```text
//!  virtio-blk ──► Engine ──► dyn Backend ──► ReadOnly ──► RawImage ──► preadv / pwritev / fdatasync
//!   (a worker       │         byte offset     wrapper      lock, size     straight between the file
//!    thread)        │         and slices                        ▲         and guest memory
//!                   └──────────── file_for ── io_uring ─────────┘
//! ```
//!
//! The contract of a [`Backend`]:
//! * **I/O model.** Calls block, and may come from several threads at once. The caller is a device's worker, never a vCPU.
//! * **Range.** Offsets and lengths come from the guest. The backend itself checks them with [`Geometry::check`]: whole
//!   sectors, inside the disk. Nothing is transferred otherwise.
//! * **Memory.** Slices are guest memory, which the guest may change meanwhile; data moves in place, without a copy. They may
//!   overlap and may be empty.
//! * **Errors** are for the device to report to the guest ([`Error`]); after one, any part of the data may have moved.
//! * **Size.** It may grow at any time, by [`resize`](Backend::resize), and is what [`geometry`](Backend::geometry) says now.
//! * **Durability.** What was written before a [`flush`](Backend::flush) began is on stable storage when it returns.
//!
//! | backend | keeps the sectors in |
//! |---|---|
//! | [`RawImage`] | a regular file or a block device of the host, byte for byte |
//! | `Image` | an image of any [`Format`] with what it stands on; for [`open()`] alone |
//! | [`Contents`] | memory, from where they are read alone |
//! | [`ReadOnly`] | another backend, whose contents it protects |
//! | `Undisguised` | a raw disk whose format was guessed, and shall be guessed right the next time |
//! | [`Throttled`] | another backend, slowed down to [`Limits`] |
//!
//! [`open()`] puts them together as the user says.
//!
//! An [`Engine`] carries out several [operations](Operation) at a time, for a device whose queue has several requests:
//! * One operation alone is a call, made at once by the thread that asks: nothing is faster when there is nothing to wait for.
//! * On a raw image, several are the kernel's, by io_uring. Each backend on the way says [for which](Backend::file_for), so what it
//!   protects stays protected. Writes to the page cache stay calls.
//! * Elsewhere they are calls of a few threads. qcow2 gains by that: imago locks what says where data is, not the transfers.
//! * Nothing is under way when [`Engine::run`] returns, or unwinds. So a reset finds nothing, and guest memory can be borrowed.
//!
//! Left out so far: discards and zeroes beside other operations; requests that come while all of those under way are slow are seen
//! when the first of them is done; writing vmdk.
#![deny(clippy::indexing_slicing)]

mod backend;
mod contents;
mod engine;
mod format;
mod host_file;
mod image;
mod open;
mod open_error;
mod operation;
mod raw;
mod read_only;
mod resize;
mod slices;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod throttle;
mod undisguised;

pub use backend::{Access, Backend, Error, Geometry, Room, SECTOR};
pub use contents::Contents;
pub use engine::{Aio, AioError, DEPTH, Engine, EngineKind, UnknownAio, Work, probe_io_uring};
pub use format::{Format, UnknownFormat};
pub use host_file::{Cached, OpenMode};
pub use open::{OpenOptions, open};
pub use open_error::OpenError;
pub use operation::Operation;
pub use rate::Limit;
pub use raw::RawImage;
pub use read_only::ReadOnly;
pub use resize::ResizeError;
pub use slices::Slices;
pub use throttle::{Limits, Throttled};
