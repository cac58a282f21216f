//! What every backend can do, and the checks all of them share.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use vm_memory::VolatileSlice;

use crate::{Format, Operation, ResizeError};

/// Bytes in a sector, the unit in which disks are addressed; every offset and length is a multiple of it.
pub const SECTOR: u64 = 512;

/// What a driver may do with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads and writes.
    ReadWrite,
    /// Reads alone.
    ReadOnly,
}

/// The shape of a disk. While it is open it may grow, and nothing else of it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Size of the disk in [`SECTOR`]s.
    pub sectors: u64,
    /// Bytes the storage below likes to move at once: a power of two, at least [`SECTOR`]. A hint.
    pub block_size: u32,
    /// What is allowed.
    pub access: Access,
}

impl Geometry {
    /// Checks that a transfer of `len` bytes at byte `offset` is made of whole sectors of this disk.
    ///
    /// # Errors
    /// [`Error::Unaligned`] or [`Error::OutOfRange`].
    pub fn check(&self, offset: u64, len: u64) -> Result<(), Error> {
        if !offset.is_multiple_of(SECTOR) || !len.is_multiple_of(SECTOR) {
            return Err(Error::Unaligned { offset, len });
        }
        let end = (offset / SECTOR).checked_add(len / SECTOR);
        match end {
            Some(end) if end <= self.sectors => Ok(()),
            _ => Err(Error::OutOfRange { offset, len, sectors: self.sectors }),
        }
    }

    /// Checks a transfer that writes: like [`check`](Self::check), and the disk must be writable.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] besides those of `check`.
    pub fn check_write(&self, offset: u64, len: u64) -> Result<(), Error> {
        match self.access {
            Access::ReadWrite => self.check(offset, len),
            Access::ReadOnly => Err(Error::ReadOnly),
        }
    }

    /// Whether nothing speaks against `operation`.
    pub(crate) fn allows(&self, operation: &Operation<'_>) -> bool {
        match operation {
            Operation::Read { offset, to } => self.check(*offset, total(to)).is_ok(),
            Operation::Write { offset, from, .. } => self.check_write(*offset, total(from)).is_ok(),
            Operation::Flush => true,
        }
    }
}

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not whole sectors.
    #[error("{len} bytes at offset {offset} are not whole sectors")]
    Unaligned {
        /// First byte.
        offset: u64,
        /// Bytes.
        len: u64,
    },
    /// Not all of it on the disk.
    #[error("{len} bytes at offset {offset} go beyond the disk's {sectors} sectors")]
    OutOfRange {
        /// First byte.
        offset: u64,
        /// Bytes.
        len: u64,
        /// Size of the disk.
        sectors: u64,
    },
    /// A write to a read-only disk.
    #[error("the disk is read-only")]
    ReadOnly,
    /// A guest disguises its raw disk as an image of another format, to have the host open it as that.
    #[error(
        "a raw disk that was given without format= must not begin like an image of format {0}; use format=raw"
    )]
    Disguise(Format),
    /// The host could not do it.
    #[error("transfer failed on the host")]
    Host(#[from] io::Error),
}

/// A disk. The contract is on the [crate's page](crate).
pub trait Backend: Send + Sync {
    /// Size, preferred block and access.
    fn geometry(&self) -> Geometry;

    /// Fills the slices, in order, from byte `offset` on.
    ///
    /// # Errors
    /// Outside the disk, or the host failed.
    fn read(&self, offset: u64, to: &[VolatileSlice<'_>]) -> Result<(), Error>;

    /// Writes the slices, in order, from byte `offset` on.
    ///
    /// # Errors
    /// Outside the disk, the disk is read-only, or the host failed.
    fn write(&self, offset: u64, from: &[VolatileSlice<'_>]) -> Result<(), Error>;

    /// Makes everything written so far survive a power cut of the host.
    ///
    /// # Errors
    /// The host failed; what was written may be lost.
    fn flush(&self) -> Result<(), Error>;

    /// The file on which the kernel can carry out `operation` just as this backend would, offset for offset: all that is checked
    /// before a transfer was checked. None if it is for the calls above, whose errors say what is wrong.
    fn file_for(&self, _operation: &Operation<'_>) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Makes the disk `bytes` long; what is new are zeroes. Whoever uses the disk hears nothing of it here.
    ///
    /// # Errors
    /// It would shrink, there is no room, or the backend cannot do it.
    fn resize(&self, _bytes: u64) -> Result<(), ResizeError> {
        Err(ResizeError::Unsupported)
    }

    /// The guest does not need `len` bytes at byte `offset` any more: what is read there, until they are written again, may be
    /// anything that was ever on the disk. A backend that cannot make use of that does nothing.
    ///
    /// # Errors
    /// Outside the disk, the disk is read-only, or the host failed.
    fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
        self.geometry().check_write(offset, len)
    }

    /// Makes `len` bytes at byte `offset` zeroes.
    ///
    /// # Errors
    /// Outside the disk, the disk is read-only, or the host failed.
    fn write_zeroes(&self, offset: u64, len: u64, _room: Room) -> Result<(), Error> {
        self.geometry().check_write(offset, len)?;
        let mut zeroes = vec![0; len.min(ZEROES) as usize];
        let mut done = 0;
        while done < len {
            let part = (len - done).min(ZEROES) as usize;
            self.write(offset + done, &[VolatileSlice::from(zeroes.get_mut(..part).unwrap_or_default())])?;
            done += part as u64;
        }
        Ok(())
    }
}

/// Several users of one disk.
impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn geometry(&self) -> Geometry {
        (**self).geometry()
    }

    fn read(&self, offset: u64, to: &[VolatileSlice<'_>]) -> Result<(), Error> {
        (**self).read(offset, to)
    }

    fn write(&self, offset: u64, from: &[VolatileSlice<'_>]) -> Result<(), Error> {
        (**self).write(offset, from)
    }

    fn flush(&self) -> Result<(), Error> {
        (**self).flush()
    }

    fn file_for(&self, operation: &Operation<'_>) -> Option<BorrowedFd<'_>> {
        (**self).file_for(operation)
    }

    fn resize(&self, bytes: u64) -> Result<(), ResizeError> {
        (**self).resize(bytes)
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
        (**self).discard(offset, len)
    }

    fn write_zeroes(&self, offset: u64, len: u64, room: Room) -> Result<(), Error> {
        (**self).write_zeroes(offset, len, room)
    }
}

/// What becomes of the storage under zeroes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It stays, so that later writes find it.
    Keep,
    /// It may be given back.
    Free,
}

/// Bytes of zeroes to write at a time.
const ZEROES: u64 = 64 << 10;

/// Bytes in all slices together.
pub(crate) fn total(slices: &[VolatileSlice<'_>]) -> u64 {
    slices.iter().map(|slice| slice.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: Geometry = Geometry { sectors: 8, block_size: 512, access: Access::ReadWrite };

    #[test]
    fn check_accepts_all_sectors_and_nothing_at_the_end() {
        assert!(DISK.check(0, 8 * SECTOR).is_ok());
        assert!(DISK.check(7 * SECTOR, SECTOR).is_ok());
        assert!(DISK.check(8 * SECTOR, 0).is_ok());
    }

    #[test]
    fn check_refuses_what_passes_the_end_or_wraps() {
        let aligned_max = u64::MAX - (SECTOR - 1);
        for (offset, len) in [(0, 9), (8, 1), (9, 0)] {
            let result = DISK.check(offset * SECTOR, len * SECTOR);
            assert!(matches!(result, Err(Error::OutOfRange { .. })), "{offset} {len}");
        }
        assert!(matches!(DISK.check(aligned_max, aligned_max), Err(Error::OutOfRange { .. })));
    }

    #[test]
    fn check_refuses_parts_of_sectors() {
        for (offset, len) in [(1, SECTOR), (0, 511), (SECTOR / 2, SECTOR / 2)] {
            assert!(matches!(DISK.check(offset, len), Err(Error::Unaligned { .. })), "{offset} {len}");
        }
    }

    #[test]
    fn check_write_refuses_a_read_only_disk() {
        let disk = Geometry { access: Access::ReadOnly, ..DISK };
        assert!(matches!(disk.check_write(0, SECTOR), Err(Error::ReadOnly)));
        assert!(disk.check(0, SECTOR).is_ok());
    }
}
