//! Limits on what moves in a second, of disks and networks alike. This crate knows neither, nor a clock: its callers bring the
//! time.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

use std::time::Duration;

/// The longest that anybody waits. A limit so low that this is not enough is not kept: nobody may wait for ever for a worker
/// that sleeps.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// So much a second, and so much at once after a pause. Bytes, operations or packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Units a second, at least 1.
    pub rate: u64,
    /// Units that need not wait if nothing was done before.
    pub burst: u64,
}

/// A leaky bucket, as the time at which all that was taken out of it will have been paid for.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    limit: Limit,
    paid_at: Duration,
}

impl Bucket {
    /// A bucket out of which nothing was taken.
    #[must_use]
    pub const fn new(limit: Limit) -> Self {
        Self { limit, paid_at: Duration::ZERO }
    }

    /// How long to wait, at time `now`, before the next units may be taken.
    #[must_use]
    pub fn delay(&self, now: Duration) -> Duration {
        self.paid_at.saturating_sub(now).saturating_sub(self.time(self.limit.burst))
    }

    /// Takes `units` at time `now`; says how long to wait first. Never are there too many: the next ones wait for them.
    pub fn take(&mut self, now: Duration, units: u64) -> Duration {
        let delay = self.delay(now);
        // Whoever does not wait long enough shall not make the others wait for ever.
        let debt = self.paid_at.saturating_sub(now).min(self.time(self.limit.burst) + PATIENCE);
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
}
