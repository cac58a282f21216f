//! Protection of another backend.

use std::os::fd::BorrowedFd;

use vm_memory::VolatileSlice;

use crate::{Access, Backend, Error, Geometry, Operation, Room};

/// Another backend without its writes.
pub struct ReadOnly<B>(B);

impl<B: Backend> ReadOnly<B> {
    /// Protects `inner`.
    pub const fn new(inner: B) -> Self {
        Self(inner)
    }
}

impl<B: Backend> Backend for ReadOnly<B> {
    fn geometry(&self) -> Geometry {
        Geometry { access: Access::ReadOnly, ..self.0.geometry() }
    }

    fn read(&self, offset: u64, to: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.0.read(offset, to)
    }

    fn write(&self, _offset: u64, _from: &[VolatileSlice<'_>]) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(()) // nothing can be pending
    }

    fn file_for(&self, operation: &Operation<'_>) -> Option<BorrowedFd<'_>> {
        match operation {
            Operation::Read { .. } => self.0.file_for(operation),
            Operation::Write { .. } | Operation::Flush => None,
        }
    }

    fn write_zeroes(&self, _offset: u64, _len: u64, _room: Room) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SECTOR;
    use crate::testing::MemoryDisk;

    #[test]
    fn read_only_says_so_and_refuses_writes() {
        let disk = ReadOnly::new(MemoryDisk::new(4));
        let mut data = [1; SECTOR as usize];
        assert_eq!(disk.geometry().access, Access::ReadOnly);
        let result = disk.write(0, &[VolatileSlice::from(&mut data[..])]);
        assert!(matches!(result, Err(Error::ReadOnly)));
        disk.read(0, &[VolatileSlice::from(&mut data[..])]).unwrap();
        assert_eq!(data, [0; SECTOR as usize], "the disk is as it was");
    }
}
