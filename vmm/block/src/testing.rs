//! Backends for tests of devices: a disk in memory, one that fails, and one that is slow on request.
//!
//! Compiled for tests alone (feature `testing`).

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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

/// A backend whose reads of its first sectors wait until they may go on.
#[derive(Debug)]
pub struct Held<B> {
    inner: B,
    entered: Sender<u64>,
    gates: Vec<Mutex<Receiver<()>>>,
}

/// The hand on a [`Held`] backend.
#[derive(Debug)]
pub struct Gates {
    entered: Receiver<u64>,
    leave: Vec<Sender<()>>,
}

impl<B: Backend> Held<B> {
    /// Holds reads that begin in one of the first `sectors` sectors of `inner`.
    pub fn new(inner: B, sectors: usize) -> (Self, Gates) {
        let (sender, entered) = channel();
        let (leave, gates) = (0..sectors).map(|_| channel()).map(|(to, from)| (to, Mutex::new(from))).unzip();
        (Self { inner, entered: sender, gates }, Gates { entered, leave })
    }
}

impl Gates {
    /// Waits until a read is held, for 20 seconds at most; returns its sector.
    ///
    /// # Errors
    /// There was none.
    pub fn entered(&self) -> Result<u64, RecvTimeoutError> {
        self.entered.recv_timeout(Duration::from_secs(20))
    }

    /// Lets one read of `sector` go on, now or when it comes.
    pub fn open(&self, sector: usize) {
        // Nobody is there any more if the test has failed.
        let _ = self.leave.get(sector).map(|leave| leave.send(()));
    }
}

impl<B: Backend> Backend for Held<B> {
    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }

    fn read(&self, offset: u64, to: &[VolatileSlice<'_>]) -> Result<(), Error> {
        if let Some(gate) = self.gates.get((offset / SECTOR) as usize) {
            let _ = self.entered.send(offset / SECTOR);
            let gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = gate.recv();
        }
        self.inner.read(offset, to)
    }

    fn write(&self, offset: u64, from: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.inner.write(offset, from)
    }

    fn flush(&self) -> Result<(), Error> {
        self.inner.flush()
    }
}
