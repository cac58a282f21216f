//! Disk backends: where a disk's sectors are kept. This crate knows no guest protocol.
//!
//! ```text
//!  virtio-blk ──► dyn Backend ──► ReadOnly ──► RawImage ──► preadv / pwritev / fdatasync
//!   (a worker      byte offset     wrapper      lock, size     straight between the file
//!    thread)       and slices                                  and guest memory
//! ```
//!
//! The contract of a [`Backend`]:
//! * **I/O model.** Calls block, and may come from several threads at once. The caller is a device's worker, never a vCPU.
//! * **Range.** Offsets and lengths come from the guest. The backend itself checks them with [`Geometry::check`]: whole
//!   sectors, inside the disk. Nothing is transferred otherwise.
//! * **Memory.** Slices are guest memory, which the guest may change meanwhile; data moves in place, without a copy. They may
//!   overlap and may be empty.
//! * **Errors** are for the device to report to the guest ([`Error`]); after one, any part of the data may have moved.
//! * **Durability.** What was written before a [`flush`](Backend::flush) began is on stable storage when it returns.
//!
//! | backend | keeps the sectors in |
//! |---|---|
//! | [`RawImage`] | a regular file or a block device of the host, byte for byte |
//! | [`ReadOnly`] | another backend, whose contents it protects |
//!
//! Left out so far: formats other than raw, discard and write-zeroes, asynchronous engines, `O_DIRECT`.
#![deny(clippy::indexing_slicing)]

mod backend;
mod raw;
mod read_only;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use backend::{Access, Backend, Error, Geometry, SECTOR};
pub use raw::{OpenError, OpenMode, RawImage};
pub use read_only::ReadOnly;
