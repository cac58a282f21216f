//! Raw images: a file or block device of the host, byte for byte.

pub(crate) mod iov;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use vm_memory::VolatileSlice;

use crate::backend::total;
use crate::host_file::{Cached, HostFile, Kind};
use crate::{Backend, Error, Geometry, OpenError, OpenMode, Operation, ResizeError, Room, SECTOR};

/// A raw disk image, locked for as long as it is open.
///
/// A writer locks the image against everybody, a reader against writers, so that two VMMs never share a disk that one of
/// them changes. The lock belongs to the open file and vanishes with it, however the process ends.
#[derive(Debug)]
pub struct RawImage {
    file: File,
    kind: Kind,
    /// What it was when the image was opened.
    shape: Geometry,
    /// The size now.
    sectors: AtomicU64,
}

impl RawImage {
    /// Opens and locks the image at `path`. The host's files stay as they are.
    ///
    /// # Errors
    /// [`OpenError`], whose message names the path and what to do about it.
    pub fn open(path: impl AsRef<Path>, mode: OpenMode) -> Result<Self, OpenError> {
        Self::new(HostFile::open(path.as_ref(), mode, Cached::Yes)?)
    }

    /// The disk whose sectors are the bytes of `file`.
    pub(crate) fn new(file: HostFile) -> Result<Self, OpenError> {
        let (kind, shape) = (file.kind, file.geometry()?);
        let sectors = AtomicU64::new(shape.sectors);
        Ok(Self { file: file.into_file(), kind, shape, sectors })
    }

    /// Has the host change how a range is stored. False if it cannot.
    fn allocate(&self, flags: FallocateFlags, offset: u64, len: u64) -> io::Result<bool> {
        match rustix::fs::fallocate(&self.file, flags | FallocateFlags::KEEP_SIZE, offset, len) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NODEV) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Backend for RawImage {
    fn geometry(&self) -> Geometry {
        Geometry { sectors: self.sectors.load(Ordering::Acquire), ..self.shape }
    }

    fn read(&self, offset: u64, to: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.geometry().check(offset, total(to))?;
        Ok(transfer(offset, to, |offset, slices| iov::read(&self.file, offset, slices))?)
    }

    fn write(&self, offset: u64, from: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.geometry().check_write(offset, total(from))?;
        Ok(transfer(offset, from, |offset, slices| iov::write(&self.file, offset, slices))?)
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(self.file.sync_data()?)
    }

    /// A write to the page cache is a copy: there is nothing to wait for, and several to one file take turns anyway.
    fn file_for(&self, operation: &Operation<'_>) -> Option<BorrowedFd<'_>> {
        match operation {
            Operation::Write { durable: false, .. } => None,
            _ => self.geometry().allows(operation).then(|| self.file.as_fd()),
        }
    }

    fn resize(&self, bytes: u64) -> Result<(), ResizeError> {
        let before = self.geometry().sectors * SECTOR;
        if !bytes.is_multiple_of(SECTOR) {
            return Err(ResizeError::Unaligned);
        }
        if bytes < before {
            return Err(ResizeError::Shrinks(before));
        }
        // The file may be longer than it was, by somebody else's doing.
        let len = (&self.file).seek(SeekFrom::End(0))?;
        match self.kind {
            _ if bytes <= len => {}
            Kind::File => self.file.set_len(bytes)?,
            Kind::BlockDevice => return Err(ResizeError::Device(len)),
        }
        self.sectors.fetch_max(bytes / SECTOR, Ordering::AcqRel);
        Ok(())
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
        self.geometry().check_write(offset, len)?;
        if len > 0 {
            self.allocate(FallocateFlags::PUNCH_HOLE, offset, len)?;
        }
        Ok(())
    }

    fn write_zeroes(&self, offset: u64, len: u64, room: Room) -> Result<(), Error> {
        self.geometry().check_write(offset, len)?;
        let flags = match room {
            Room::Keep => FallocateFlags::ZERO_RANGE,
            Room::Free => FallocateFlags::PUNCH_HOLE,
        };
        if len > 0 && !self.allocate(flags, offset, len)? {
            transfer_zeroes(&self.file, offset, len)?;
        }
        Ok(())
    }
}

/// Zeroes for file systems that have no better way.
fn transfer_zeroes(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let zeroes = [0; 64 << 10];
    let mut done = 0;
    while done < len {
        let part = zeroes.get(..(len - done).min(zeroes.len() as u64) as usize).unwrap_or_default();
        file.write_all_at(part, offset + done)?;
        done += part.len() as u64;
    }
    Ok(())
}

/// Repeats `step`, which moves some bytes and says how many, until all slices are done.
fn transfer(
    mut offset: u64,
    slices: &[VolatileSlice<'_>],
    step: impl Fn(u64, &[VolatileSlice<'_>]) -> io::Result<usize>,
) -> io::Result<()> {
    let mut rest = Cow::Borrowed(slices);
    while total(&rest) > 0 {
        match step(offset, &rest) {
            // The image is shorter than it was: somebody cut it.
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(moved) => {
                offset = offset.saturating_add(moved as u64);
                rest = Cow::Owned(after(&rest, moved));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What is left of `slices` behind the first `skip` bytes.
pub(crate) fn after<'m>(slices: &[VolatileSlice<'m>], mut skip: usize) -> Vec<VolatileSlice<'m>> {
    let remainder = |slice: &VolatileSlice<'m>| {
        let from_this = skip.min(slice.len());
        skip -= from_this;
        slice.offset(from_this).ok()
    };
    slices.iter().filter_map(remainder).filter(|slice| !slice.is_empty()).collect()
}

#[cfg(test)]
mod tests;
