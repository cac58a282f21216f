//! Limits on what a disk moves.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rate::{Bucket, Limit, PATIENCE};
use vm_memory::VolatileSlice;

use crate::backend::total;
use crate::{Backend, Error, Geometry, ResizeError, Room};

/// What a disk may move; nothing limits what is not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes, read and written together.
    pub bytes: Option<Limit>,
    /// Operations, of every kind.
    pub operations: Option<Limit>,
}

impl Limits {
    /// Whether there are none.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.bytes.is_none() && self.operations.is_none()
    }
}

/// Another backend, slowed down to its limits.
pub struct Throttled<B> {
    inner: B,
    start: Instant,
    buckets: Mutex<[Option<Bucket>; 2]>,
}

impl<B: Backend> Throttled<B> {
    /// Slows `inner` down.
    pub fn new(inner: B, limits: Limits) -> Self {
        let buckets = [limits.bytes, limits.operations].map(|limit| limit.map(Bucket::new));
        Self { inner, start: Instant::now(), buckets: Mutex::new(buckets) }
    }

    /// Waits until an operation on `bytes` may begin.
    fn wait(&self, bytes: u64) {
        let now = self.start.elapsed();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let each = buckets.iter_mut().zip([bytes, 1]);
        let delays = each.filter_map(|(bucket, units)| Some(bucket.as_mut()?.take(now, units)));
        let delay = delays.max().unwrap_or_default();
        drop(buckets);
        if !delay.is_zero() {
            std::thread::sleep(delay.min(PATIENCE));
        }
    }
}

impl<B: Backend> Backend for Throttled<B> {
    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }

    fn read(&self, offset: u64, to: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.wait(total(to));
        self.inner.read(offset, to)
    }

    fn write(&self, offset: u64, from: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.wait(total(from));
        self.inner.write(offset, from)
    }

    fn flush(&self) -> Result<(), Error> {
        self.wait(0);
        self.inner.flush()
    }

    fn resize(&self, bytes: u64) -> Result<(), ResizeError> {
        self.inner.resize(bytes)
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
        self.wait(0);
        self.inner.discard(offset, len)
    }

    fn write_zeroes(&self, offset: u64, len: u64, room: Room) -> Result<(), Error> {
        self.wait(0);
        self.inner.write_zeroes(offset, len, room)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::MemoryDisk;

    #[test]
    fn throttled_disk_takes_its_time() {
        let operations = Some(Limit { rate: 100, burst: 1 });
        let disk = Throttled::new(MemoryDisk::new(1), Limits { operations, bytes: None });
        let start = Instant::now();
        (0..12).for_each(|_| disk.flush().unwrap());
        assert!(start.elapsed() >= Duration::from_millis(90), "{:?}", start.elapsed());
    }
}
