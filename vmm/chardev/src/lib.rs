//! Streams of bytes to and from the host, for the consoles and ports of a guest. This crate knows no guest protocol.
//!
//! | stream | output | input |
//! |---|---|---|
//! | [`Files::file`] | a file | none |
//! | [`Files::pipe`] | `PATH.out` or PATH, FIFOs | `PATH.in` or PATH |
//! | [`Files::stdio`] | standard output | standard input, as the terminal passes it on |
//! | [`Pty`] | a pseudo-terminal; what nobody reads is lost | what is typed there |
//! | [`Socket`] | the client of a Unix socket; the last [`KEPT`] bytes wait for one that comes late | what it sends |
//!
//! Calls never block. Who gets nothing, or gets rid of less than all, waits for [`Chardev::events`], which are edges.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod files;
mod pty;
mod socket;

use std::os::fd::BorrowedFd;

pub use files::{Files, OpenError, OutputFile};
pub use pty::Pty;
pub use socket::{KEPT, Keep, Socket, bind};

/// A stream in both directions. One whose other end fails swallows what it gets, and has nothing.
pub trait Chardev: Send {
    /// Becomes readable when the host's side may have something, or room, where there was none.
    fn events(&self) -> Option<BorrowedFd<'_>>;

    /// Looks who is there: to be called after each event.
    fn look(&mut self) {}

    /// Whether there is somebody at the other end.
    fn is_connected(&self) -> bool {
        true
    }

    /// Takes what has come in, as much as fits `to`; returns how much, 0 if there is nothing now.
    fn read(&mut self, to: &mut [u8]) -> usize;

    /// Passes `from` on, as much as there is room for; returns how much.
    fn write(&mut self, from: &[u8]) -> usize;
}
