//! A wire with nobody at the other end.

use std::io;
use std::os::fd::BorrowedFd;

use crate::{Backend, Sent};

/// Takes every packet and never has one.
#[derive(Debug, Default)]
pub struct Null;

impl Backend for Null {
    fn events(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn receive(&mut self, _packet: &mut [u8]) -> io::Result<Option<usize>> {
        Ok(None)
    }

    fn send(&mut self, _packet: &[u8]) -> io::Result<Sent> {
        Ok(Sent::Done)
    }
}
