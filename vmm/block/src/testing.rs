//! Backends for tests of devices: a disk in memory, and one that fails on request.
//!
//! Compiled for tests alone (feature `testing`).

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use vm_memory::VolatileSlice;

use crate::backend::total;
use crate::{Access, Backend, Error, Geometry, ResizeError, SECTOR};

/// A disk in memory that counts its flushes.
#[derive(Debug)]
pub struct MemoryDisk {
    contents: Mutex<Vec<u8>>,
    flushes: AtomicU64,
}

impl MemoryDisk {
    /// A disk of zeroes.
    #[must_use]
    pub fn new(sectors: u16) -> Self {
        let contents = vec![0; usize::from(sectors) * SECTOR as usize];
        Self { contents: Mutex::new(contents), flushes: AtomicU64::new(0) }
    }

    /// Calls `f` with all bytes of the disk.
    pub fn with<R>(&self, f: impl FnOnce(&mut [u8]) -> R) -> R {
        f(&mut self.contents.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often the disk was flushed.
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::SeqCst)
    }

    /// Calls `copy` with each slice and its place on the disk.
    fn each(&self, offset: u64, slices: &[VolatileSlice<'_>], copy: fn(&VolatileSlice<'_>, &mut [u8])) {
        self.with(|contents| {
            let mut rest = contents.get_mut(offset as usize..).unwrap_or_default();
            for slice in slices {
                let Some((place, after)) = rest.split_at_mut_checked(slice.len()) else { return };
                copy(slice, place);
                rest = after;
            }
        });
    }
}

impl Backend for MemoryDisk {
    fn geometry(&self) -> Geometry {
        let sectors = self.with(|contents| contents.len()) as u64 / SECTOR;
        Geometry { sectors, block_size: SECTOR as u32, access: Access::ReadWrite }
    }

    fn read(&self, offset: u64, to: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.geometry().check(offset, total(to))?;
        self.each(offset, to, |slice, place| slice.copy_from(place));
        Ok(())
    }

    fn write(&self, offset: u64, from: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.geometry().check_write(offset, total(from))?;
        self.each(offset, from, |slice, place| {
            slice.copy_to(place);
        });
        Ok(())
    }

    fn resize(&self, bytes: u64) -> Result<(), ResizeError> {
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        contents.resize(bytes as usize, 0);
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A backend whose host is broken: each call fails with an I/O error.
#[derive(Debug)]
pub struct Faulty<B>(B);

impl<B: Backend> Faulty<B> {
    /// Breaks `inner`.
    pub const fn new(inner: B) -> Self {
        Self(inner)
    }
}

fn broken() -> Result<(), Error> {
    Err(io::Error::other("injected fault").into())
}

impl<B: Backend> Backend for Faulty<B> {
    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }

    fn read(&self, _offset: u64, _to: &[VolatileSlice<'_>]) -> Result<(), Error> {
        broken()
    }

    fn write(&self, _offset: u64, _from: &[VolatileSlice<'_>]) -> Result<(), Error> {
        broken()
    }

    fn flush(&self) -> Result<(), Error> {
        broken()
    }
}
