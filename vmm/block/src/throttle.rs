//! Limits on what a disk moves.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use vm_memory::VolatileSlice;

use crate::backend::total;
use crate::{Backend, Error, Geometry, Room};

/// The longest that a request waits. A limit so low that this is not enough is not kept: nobody may wait for ever for a
/// worker that sleeps.
const PATIENCE: Duration = Duration::from_secs(1);

/// So much a second, and so much at once after a pause. Bytes or operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Units a second, at least 1.
    pub rate: u64,
    /// Units that need not wait if nothing was done before.
    pub burst: u64,
}

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

    fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
        self.wait(0);
        self.inner.discard(offset, len)
    }

    fn write_zeroes(&self, offset: u64, len: u64, room: Room) -> Result<(), Error> {
        self.wait(0);
        self.inner.write_zeroes(offset, len, room)
    }
}

/// A leaky bucket, as the time at which all that was taken out of it will have been paid for.
struct Bucket {
    limit: Limit,
    paid_at: Duration,
}

impl Bucket {
    const fn new(limit: Limit) -> Self {
        Self { limit, paid_at: Duration::ZERO }
    }

    /// Takes `units` at time `now`; says how long to wait first. A request is never too large: the next ones wait for it.
    fn take(&mut self, now: Duration, units: u64) -> Duration {
        let debt = self.paid_at.saturating_sub(now);
        let delay = debt.saturating_sub(self.time(self.limit.burst));
        // Whoever does not wait long enough shall not make the others wait for ever.
        let debt = debt.min(self.time(self.limit.burst) + PATIENCE);
        self.paid_at = now + debt + self.time(units);
        delay
    }

    /// How long `units` take at the limit's rate.
    fn time(&self, units: u64) -> Duration {
        let nanos = u128::from(units) * 1_000_000_000 / u128::from(self.limit.rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX).min(u64::MAX >> 8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryDisk;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn burst_is_free_and_then_the_rate_holds() {
        let mut bucket = Bucket::new(Limit { rate: 10, burst: 20 });
        assert_eq!(bucket.take(secs(0), 20), secs(0));
        assert_eq!(bucket.take(secs(0), 10), secs(0), "the burst is used up by this one");
        assert_eq!(bucket.take(secs(0), 10), secs(1));
    }

    #[test]
    fn pause_brings_the_burst_back_but_no_more() {
        let mut bucket = Bucket::new(Limit { rate: 10, burst: 10 });
        bucket.take(secs(0), 10);
        assert_eq!(bucket.take(secs(100), 10), secs(0));
        assert_eq!(bucket.take(secs(100), 10), secs(0));
        assert_eq!(bucket.take(secs(100), 10), secs(1));
    }

    #[test]
    fn any_numbers_are_possible() {
        let mut bucket = Bucket::new(Limit { rate: 1, burst: u64::MAX });
        assert_eq!([1, 2].map(|now| bucket.take(secs(now), u64::MAX)), [secs(0); 2]);
        assert!(bucket.take(secs(3), u64::MAX) > PATIENCE, "no overflow");
        let mut slow = Bucket::new(Limit { rate: 1, burst: 0 });
        slow.take(secs(0), 1 << 20);
        assert_eq!(slow.take(secs(1), 1), Duration::from_secs((1 << 20) - 1), "the caller cuts this");
        assert!(slow.take(secs(2), 1) <= secs(2));
    }

    #[test]
    fn throttled_disk_takes_its_time() {
        let operations = Some(Limit { rate: 100, burst: 1 });
        let disk = Throttled::new(MemoryDisk::new(1), Limits { operations, bytes: None });
        let start = Instant::now();
        (0..12).for_each(|_| disk.flush().unwrap());
        assert!(start.elapsed() >= Duration::from_millis(90), "{:?}", start.elapsed());
    }
}
