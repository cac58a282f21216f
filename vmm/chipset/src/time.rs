//! Time, for the devices that count it.
//!
//! ```text
//!  vCPU ── ports ──► device ──┐                              ┌── Timed::tick ◄── timer thread ── sleeps until
//!                             ▼                              ▼                        ▲          Timed::next_event
//!                   Timekeeper: registers, as of the last look at the Clock           │
//!                             │                                                       │
//!  interrupt controller ◄── IrqLine         rearm: the next event is earlier now ─────┘
//! ```
//!
//! A device has no thread and counts nothing while nobody looks: whoever looks brings it up to the present first. Only an
//! interrupt that the guest asked for must not wait for a look, and that is what [`Timed`] is for.

use std::fmt;
use std::ops::Add;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// A moment: nanoseconds since the epoch of the clock that told it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// How long it is from `earlier` until this moment; nothing, if that is the later one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// A moment that no clock can tell is the last one that a clock can.
    fn add(self, later: Duration) -> Self {
        let nanos = u64::try_from(later.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// Where a device reads the time.
pub trait Clock: Send + Sync {
    /// The present.
    fn now(&self) -> Moment;
}

/// The host's idea of UTC, since 1970-01-01. It jumps when somebody sets it.
#[derive(Clone, Copy, Debug)]
pub struct UtcClock;

impl Clock for UtcClock {
    fn now(&self) -> Moment {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment::default() + since_epoch
    }
}

/// Time that passes evenly, since this clock was made.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock(Instant);

impl SteadyClock {
    /// A clock that shows zero.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Moment {
        Moment::default() + self.0.elapsed()
    }
}

/// A clock that goes by another and shows a time of its own.
#[derive(Clone, Copy, Debug)]
pub struct ShiftedClock<C> {
    clock: C,
    /// Nanoseconds.
    ahead: i128,
}

impl<C: Clock> ShiftedClock<C> {
    /// A clock that shows `now` at this moment, and goes by `clock`.
    #[must_use]
    pub fn showing(now: Moment, clock: C) -> Self {
        let ahead = i128::from(now.0) - i128::from(clock.now().0);
        Self { clock, ahead }
    }
}

impl<C: Clock> Clock for ShiftedClock<C> {
    /// Before its epoch and after the last moment that can be told it stands still.
    fn now(&self) -> Moment {
        let nanos = i128::from(self.clock.now().0) + self.ahead;
        Moment(nanos.clamp(0, u64::MAX.into()) as u64)
    }
}

/// A device that must be called at a certain time. Its side of a timer of the host.
///
/// The host sleeps until the next event, or until it is told that the next event is earlier, and then calls
/// [`tick`](Self::tick). Too early or too often does no harm; too late makes the interrupt late.
pub trait Timed: Send + Sync {
    /// When the device has something to do on its own, by its [`Clock`]. None while no interrupt can become due.
    fn next_event(&self) -> Option<Moment>;

    /// Does what is due.
    fn tick(&self);
}

/// What a device with a sense of time does in [`Shared`].
pub(crate) trait Timekeeper: Send {
    /// Brings the device up to the present.
    fn advance(&mut self, now: Moment);

    /// See [`Timed::next_event`].
    fn next_event(&self) -> Option<Moment>;
}

/// A device that the guest's accesses and the host's timer share, with its clock.
pub(crate) struct Shared<M> {
    model: Mutex<M>,
    clock: Arc<dyn Clock>,
    rearm: Box<dyn Fn() + Send + Sync>,
}

impl<M: Timekeeper> Shared<M> {
    pub(crate) fn new(
        model: M,
        clock: Arc<dyn Clock>,
        rearm: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { model: Mutex::new(model), clock, rearm: Box::new(rearm) })
    }

    /// Lets somebody act on a device that is up to date. The host is called afterwards, without the lock.
    pub(crate) fn act<T>(&self, act: impl FnOnce(&mut M) -> T) -> T {
        let mut model = self.lock();
        let planned = model.next_event();
        model.advance(self.clock.now());
        let result = act(&mut model);
        let next = model.next_event();
        drop(model);
        if is_earlier(next, planned) {
            (self.rearm)();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, M> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a thread that sleeps until `planned` would miss `next`.
fn is_earlier(next: Option<Moment>, planned: Option<Moment>) -> bool {
    next.is_some_and(|next| planned.is_none_or(|planned| next < planned))
}

impl<M: Timekeeper> Timed for Shared<M> {
    fn next_event(&self) -> Option<Moment> {
        self.lock().next_event()
    }

    fn tick(&self) {
        self.lock().advance(self.clock.now());
    }
}

impl<M> fmt::Debug for Shared<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// A clock that the test sets.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct ManualClock(std::sync::atomic::AtomicU64);

#[cfg(test)]
impl ManualClock {
    pub(crate) fn at(now: u64) -> Arc<Self> {
        let clock = Arc::new(Self::default());
        clock.set(now);
        clock
    }

    pub(crate) fn set(&self, now: u64) {
        self.0.store(now, std::sync::atomic::Ordering::Relaxed);
    }

    pub(crate) fn pass(&self, nanos: u64) {
        self.set(self.now().0 + nanos);
    }
}

#[cfg(test)]
impl Clock for Arc<ManualClock> {
    fn now(&self) -> Moment {
        (**self).now()
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment(self.0.load(std::sync::atomic::Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A kitchen timer.
    #[derive(Default)]
    struct Egg {
        due: Option<Moment>,
        rang: usize,
    }

    impl Timekeeper for Egg {
        fn advance(&mut self, now: Moment) {
            if self.due.is_some_and(|due| due <= now) {
                self.due = None;
                self.rang += 1;
            }
        }
        fn next_event(&self) -> Option<Moment> {
            self.due
        }
    }

    fn egg() -> (Arc<Shared<Egg>>, Arc<ManualClock>, Arc<AtomicUsize>) {
        let (clock, calls) = (ManualClock::at(0), Arc::new(AtomicUsize::new(0)));
        let counter = calls.clone();
        let shared = Shared::new(Egg::default(), clock.clone(), move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        (shared, clock, calls)
    }

    #[test]
    fn host_is_called_only_when_it_would_sleep_too_long() {
        let (egg, _, calls) = egg();
        let set = |due| {
            egg.act(|egg| egg.due = due);
            calls.swap(0, Ordering::Relaxed)
        };
        assert_eq!(set(Some(Moment(100))), 1, "the first event");
        assert_eq!(set(Some(Moment(100))), 0, "the same");
        assert_eq!(set(Some(Moment(200))), 0, "a later one");
        assert_eq!(set(Some(Moment(50))), 1, "an earlier one");
        assert_eq!(set(None), 0, "none");
    }

    #[test]
    fn tick_does_what_is_due_and_not_before() {
        let (egg, clock, _) = egg();
        egg.act(|egg| egg.due = Some(Moment(100)));
        for (now, rang) in [(99, 0), (100, 1), (101, 1)] {
            clock.set(now);
            egg.tick();
            assert_eq!(egg.lock().rang, rang);
        }
        assert_eq!(egg.next_event(), None);
    }

    #[test]
    fn accesses_find_the_device_up_to_date() {
        let (egg, clock, _) = egg();
        egg.act(|egg| egg.due = Some(Moment(100)));
        clock.set(100);
        assert_eq!(egg.act(|egg| egg.rang), 1);
    }

    #[test]
    fn moments_neither_wrap_nor_run_backwards() {
        assert_eq!(Moment(3).since(Moment(5)), Duration::ZERO);
        assert_eq!(Moment(5).since(Moment(3)), Duration::from_nanos(2));
        assert_eq!(Moment(u64::MAX - 1) + Duration::from_secs(1), Moment(u64::MAX));
        assert_eq!(Moment(0) + Duration::MAX, Moment(u64::MAX));
    }

    #[test]
    fn shifted_clock_keeps_its_distance_and_neither_wraps_nor_panics() {
        let host = ManualClock::at(1000);
        let (past, future) = (
            ShiftedClock::showing(Moment(10), host.clone()),
            ShiftedClock::showing(Moment(u64::MAX - 10), host.clone()),
        );
        assert_eq!((past.now(), future.now()), (Moment(10), Moment(u64::MAX - 10)));
        host.set(1005);
        assert_eq!((past.now(), future.now()), (Moment(15), Moment(u64::MAX - 5)));
        host.set(0);
        assert_eq!((past.now(), future.now()), (Moment(0), Moment(u64::MAX - 1010)));
        host.set(u64::MAX);
        assert_eq!(future.now(), Moment(u64::MAX));
    }

    #[test]
    fn host_clocks_run_forward() {
        let year_2020 = Moment(1_577_836_800 * SECOND);
        assert!(UtcClock.now() > year_2020);
        let steady = SteadyClock::start();
        let before = steady.now();
        assert!(before < year_2020 && steady.now() >= before);
    }
}
