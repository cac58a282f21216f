//! The thread that tells devices with a sense of time when it is time.
//!
//! It sleeps until the first event of any of them, or until one of them has an earlier one; without events, for ever.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use chipset::time::{Clock, Timed};

/// A device and the clock that its events are told by.
pub(super) struct Timer {
    pub(super) device: Arc<dyn Timed>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Timer {
    /// How long until its next event.
    fn left(&self) -> Option<Duration> {
        Some(self.device.next_event()?.since(self.clock.now()))
    }

    /// Does what is due, and says when to come back.
    fn serve(&self) -> Option<Duration> {
        if self.left()?.is_zero() {
            self.device.tick();
        }
        self.left()
    }
}

/// Wakes the thread because an event became earlier. Clones wake the same.
#[derive(Clone, Default)]
pub(super) struct Alarm(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    /// Something happened since the thread last looked.
    rung: bool,
    ending: bool,
}

impl Alarm {
    /// Callable from a vCPU's thread.
    pub(super) fn ring(&self) {
        self.change(|state| state.rung = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.0.1.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps for `time`, or until somebody rings; whether to go on then.
    fn sleep(&self, time: Option<Duration>) -> bool {
        let idle = |state: &mut State| !state.rung && !state.ending;
        let state = self.lock();
        let mut state = match time {
            Some(time) => {
                let woken = self.0.1.wait_timeout_while(state, time, idle);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.0.1.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner),
        };
        state.rung = false;
        !state.ending
    }
}

/// The running thread, if anything needs it; dropped, it ends.
pub(super) struct Timers {
    alarm: Alarm,
    thread: Option<JoinHandle<()>>,
}

impl Timers {
    /// Serves `timers`, whose devices ring `alarm`.
    pub(super) fn start(timers: Vec<Timer>, alarm: Alarm) -> io::Result<Self> {
        let bell = alarm.clone();
        let serve = move || {
            while bell.sleep(timers.iter().filter_map(Timer::serve).min()) {}
        };
        let thread = Builder::new().name("timers".into()).spawn(serve)?;
        Ok(Self { alarm, thread: Some(thread) })
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        self.alarm.change(|state| state.ending = true);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended the process already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use chipset::time::{Moment, SteadyClock};

    use super::*;

    /// Tells when it was ticked, and has no further event.
    struct Once(Mutex<Option<Moment>>, Sender<()>);

    impl Timed for Once {
        fn next_event(&self) -> Option<Moment> {
            *self.0.lock().unwrap()
        }
        fn tick(&self) {
            *self.0.lock().unwrap() = None;
            self.1.send(()).unwrap();
        }
    }

    #[test]
    fn due_devices_are_ticked_and_the_thread_ends() {
        let (clock, alarm) = (Arc::new(SteadyClock::start()), Alarm::default());
        let (sender, ticks) = channel();
        let device = Arc::new(Once(Mutex::default(), sender));
        let timer = Timer { device: device.clone(), clock: clock.clone() };
        let timers = Timers::start(vec![timer], alarm.clone()).unwrap();
        for later in [Duration::ZERO, Duration::from_millis(5)] {
            *device.0.lock().unwrap() = Some(clock.now() + later);
            alarm.ring();
            ticks.recv_timeout(Duration::from_secs(10)).unwrap();
        }
        drop(timers);
        assert!(ticks.try_recv().is_err());
    }
}
