//! The way to GDB.

use std::io;

use gdbstub::conn::Connection;
use rustix::event::{PollFd, PollFlags, poll};

use crate::socket::{Stream, is_temporary};

/// Bytes written at a time.
const FULL: usize = 4096;

/// A stream that gathers what gdbstub writes byte by byte.
pub(super) struct Buffered {
    stream: Stream,
    output: Vec<u8>,
}

impl Buffered {
    /// Nothing written yet.
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, output: Vec::new() }
    }

    /// What to wait on, and to read from.
    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    fn wait_for_room(&self) {
        let mut fds = [PollFd::from_borrowed_fd(self.stream.fds().1, PollFlags::OUT)];
        // An interrupted wait is a wait that ended early.
        let _ = poll(&mut fds, None);
    }
}

impl Connection for Buffered {
    type Error = io::Error;

    fn write(&mut self, byte: u8) -> io::Result<()> {
        self.output.push(byte);
        if self.output.len() < FULL { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if is_temporary(&error) => self.wait_for_room(),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
