//! Protection of a raw disk whose format was guessed.

use std::os::fd::BorrowedFd;

use vm_memory::VolatileSlice;

use crate::raw::after;
use crate::{Backend, Error, Format, Geometry, Operation, ResizeError, Room, SECTOR};

/// A raw disk without format=, and without writes that would have it taken for another format the next time: the guest
/// could name any file of the host as its backing file.
pub(crate) struct Undisguised<B>(B);

impl<B: Backend> Undisguised<B> {
    /// Protects `inner`.
    pub(crate) const fn new(inner: B) -> Self {
        Self(inner)
    }

    /// Writes the first sector from a copy that the guest cannot change any more, if it is harmless, and then the rest.
    fn write_first(&self, from: &[VolatileSlice<'_>]) -> Result<(), Error> {
        let mut first = [0; SECTOR as usize];
        let mut rest = first.as_mut_slice();
        for slice in from {
            let copied = slice.copy_to(rest);
            rest = rest.get_mut(copied..).unwrap_or_default();
        }
        match Format::probe(&first) {
            Format::Raw => {}
            disguise => return Err(Error::Disguise(disguise)),
        }
        self.0.write(0, &[VolatileSlice::from(first.as_mut_slice())])?;
        self.0.write(SECTOR, &after(from, SECTOR as usize))
    }
}

impl<B: Backend> Backend for Undisguised<B> {
    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }

    fn read(&self, offset: u64, to: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.0.read(offset, to)
    }

    fn write(&self, offset: u64, from: &[VolatileSlice<'_>]) -> Result<(), Error> {
        let len = crate::backend::total(from);
        if offset > 0 || len == 0 {
            return self.0.write(offset, from);
        }
        self.geometry().check_write(offset, len)?;
        self.write_first(from)
    }

    fn flush(&self) -> Result<(), Error> {
        self.0.flush()
    }

    fn file_for(&self, operation: &Operation<'_>) -> Option<BorrowedFd<'_>> {
        match operation {
            Operation::Write { offset: 0, .. } => None, // to be looked at
            _ => self.0.file_for(operation),
        }
    }

    fn resize(&self, bytes: u64) -> Result<(), ResizeError> {
        self.0.resize(bytes)
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
        self.0.discard(offset, len)
    }

    fn write_zeroes(&self, offset: u64, len: u64, room: Room) -> Result<(), Error> {
        self.0.write_zeroes(offset, len, room)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testing::MemoryDisk;

    fn write(disk: &impl Backend, offset: u64, bytes: &[u8], cut: usize) -> Result<(), Error> {
        let mut data = bytes.to_vec();
        data.resize(1024, 0xee);
        let whole = VolatileSlice::from(data.as_mut_slice());
        let (head, tail) = whole.split_at(cut).unwrap();
        disk.write(offset, &[head, tail])
    }

    #[test]
    fn header_of_another_format_is_refused_however_it_is_cut() {
        let inner = Arc::new(MemoryDisk::new(4));
        let disk = Undisguised::new(Arc::clone(&inner));
        for cut in [0, 1, 4, 7, 512, 1024] {
            let result = write(&disk, 0, b"QFI\xfb\0\0\0\x03", cut);
            assert!(matches!(result, Err(Error::Disguise(Format::Qcow2))), "{cut}");
        }
        assert!(inner.with(|bytes| bytes.iter().all(|&byte| byte == 0)), "nothing was written");
    }

    #[test]
    fn everything_else_is_written_whole() {
        let inner = Arc::new(MemoryDisk::new(4));
        let disk = Undisguised::new(Arc::clone(&inner));
        write(&disk, 0, b"\xeb\x63\x90", 700).unwrap();
        write(&disk, 1024, b"QFI\xfb\0\0\0\x03", 3).unwrap();
        inner.with(|bytes| {
            assert_eq!(bytes[..4], [0xeb, 0x63, 0x90, 0xee]);
            assert_eq!(bytes[1020..1032], *b"\xee\xee\xee\xeeQFI\xfb\0\0\0\x03");
        });
    }
}
