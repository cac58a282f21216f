//! The device of kernel test suites (kvm-unit-tests): registers that remember, and interrupt lines at will.
//!
//! ```text
//!  ports  +0  latch, 1 to 4 bytes     +4  page flush, ignored     +8  the latch again
//!  lines  +n  a byte: drives IRQ n, high unless 0; reads 0
//!  memory     64 KiB that remember, of any width
//! ```
//!
//! Standard: QEMU's `pc-testdev`. Left out: the page flush, which makes QEMU take a guest page from KVM and give it back. A
//! guest cannot see that it did.

use bus::{Access, Device, IrqLine, Refused};

use crate::isa::byte_wide;

/// Memory behind a device's registers, so that each access leaves the guest.
#[derive(Debug)]
pub struct Memory(Vec<u8>);

impl Memory {
    /// `len` bytes of zero.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self(vec![0; len])
    }

    fn bytes(&mut self, at: Access) -> Result<&mut [u8], Refused> {
        let start = at.offset as usize;
        self.0.get_mut(start..start + at.width.len() as usize).ok_or(Refused)
    }
}

impl Device for Memory {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        Ok(self.bytes(at)?.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        self.bytes(at)?.iter_mut().zip(value.to_le_bytes()).for_each(|(to, from)| *to = from);
        Ok(())
    }

    fn reset(&mut self) {
        self.0.fill(0);
    }
}

/// Four bytes at two places, the page flush between them.
#[derive(Debug)]
pub struct Latch(Memory);

impl Default for Latch {
    fn default() -> Self {
        Self(Memory::new(4))
    }
}

/// Where in the four bytes an access goes; nowhere, if it is a page flush.
fn in_latch(at: Access) -> Option<Access> {
    (at.offset / 4 != 1).then_some(Access { offset: at.offset % 4, ..at })
}

impl Device for Latch {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        in_latch(at).map_or(Ok(0), |at| self.0.read(at))
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        in_latch(at).map_or(Ok(()), |at| self.0.write(at, value))
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

/// A port for each IRQ.
#[derive(Debug)]
pub struct Lines(Vec<IrqLine>);

impl Lines {
    /// The `lines` of IRQ 0 and up.
    #[must_use]
    pub const fn new(lines: Vec<IrqLine>) -> Self {
        Self(lines)
    }
}

impl Device for Lines {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        byte_wide(at).map(|_| 0)
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        let line = self.0.get(byte_wide(at)? as usize).ok_or(Refused)?;
        line.set(value != 0);
        Ok(())
    }

    fn reset(&mut self) {
        self.0.iter().for_each(|line| line.set(false));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bus::Width;
    use proptest::prelude::*;

    use super::*;

    fn at(offset: u64, width: Width) -> Access {
        Access { offset, width }
    }

    #[test]
    fn latch_is_the_same_at_both_places() {
        let mut latch = Latch::default();
        latch.write(at(0, Width::Dword), 0x4433_2211).unwrap();
        assert_eq!(latch.read(at(8, Width::Dword)), Ok(0x4433_2211));
        latch.write(at(9, Width::Word), 0xbbaa).unwrap();
        assert_eq!(latch.read(at(0, Width::Dword)), Ok(0x44bb_aa11));
        latch.reset();
        assert_eq!(latch.read(at(0, Width::Dword)), Ok(0));
    }

    #[test]
    fn page_flush_changes_nothing() {
        let mut latch = Latch::default();
        latch.write(at(4, Width::Dword), u64::from(u32::MAX)).unwrap();
        assert_eq!((latch.read(at(4, Width::Dword)), latch.read(at(0, Width::Dword))), (Ok(0), Ok(0)));
    }

    #[test]
    fn lines_follow_the_byte_and_fall_at_reset() {
        let log = Arc::new(Mutex::new(Vec::new()));
        let line = |n| {
            let log = Arc::clone(&log);
            IrqLine::new(move |level| log.lock().unwrap().push((n, level)))
        };
        let mut lines = Lines::new((0..2).map(line).collect());
        lines.write(at(1, Width::Byte), 1).unwrap();
        lines.write(at(1, Width::Byte), 0).unwrap();
        assert_eq!(lines.write(at(2, Width::Byte), 1), Err(Refused));
        lines.reset();
        assert_eq!(*log.lock().unwrap(), [(1, true), (1, false), (0, false), (1, false)]);
    }

    proptest! {
        #[test]
        fn any_access_reads_back_or_is_refused(offset in 0..12_u64, n in 0..4_usize, value: u64) {
            let width = Width::ALL[n];
            let mut latch = Latch::default();
            let value = value & width.ones();
            let written = latch.write(at(offset, width), value);
            let read = latch.read(at(offset, width));
            prop_assert_eq!(written.is_ok(), read.is_ok());
            if offset / 4 != 1 {
                prop_assert!(read.is_err() || read == Ok(value));
            }
        }
    }
}
