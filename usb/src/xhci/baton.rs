//! Who may run the engine: the worker's thread, or a vCPU that rang a doorbell; one at a time, and nobody waits.
//!
//! ```text
//!            take                    ring
//!   Free ───────────► Held ─────────────────► HeldAndRung
//!    │  ◄─────────── │  ▲ ◄─────────────────── │
//!    │    lay_down   │  │    lay_down (refused) │
//!    │ ring          └──│── call ───┐ ◄─────────┘
//!    └──────► Called ◄──────────────┘
//!               └── take_as_worker ──► Held
//! ```
//!
//! Each ring is seen by whoever has the baton then, or next: all changes are read-modify-writes of the one atomic.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU8, Ordering};

use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// Nobody has it.
const FREE: u8 = 0;
/// Somebody has it.
const HELD: u8 = 1;
/// Somebody has it, and there came more to do meanwhile.
const HELD_AND_RUNG: u8 = 2;
/// It is for the worker, who was called.
const CALLED: u8 = 3;

/// The right to run the engine. Only the worker sleeps, and only to call it costs a system call.
pub(super) struct Baton {
    state: AtomicU8,
    bell: EventFd,
}

impl Baton {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { state: AtomicU8::new(FREE), bell: EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK)? })
    }

    /// There is something to do.
    pub(super) fn ring(&self) {
        let before = self.update(|state| match state {
            FREE => CALLED,
            HELD => HELD_AND_RUNG,
            other => other,
        });
        if before == FREE {
            self.wake();
        }
    }

    /// Takes it if it is free.
    pub(super) fn take(&self) -> bool {
        self.state.compare_exchange(FREE, HELD, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The worker woke up: takes it unless somebody else has it, who will look again.
    pub(super) fn take_as_worker(&self) -> bool {
        let before = self.update(|state| match state {
            FREE | CALLED => HELD,
            _ => HELD_AND_RUNG,
        });
        matches!(before, FREE | CALLED)
    }

    /// Lays it down; but keeps it, and says so by false, if there came more to do.
    pub(super) fn lay_down(&self) -> bool {
        let before = self.update(|state| if state == HELD { FREE } else { HELD });
        before == HELD
    }

    /// Hands it to the worker.
    pub(super) fn call(&self) {
        self.update(|_| CALLED);
        self.wake();
    }

    fn update(&self, next: impl Fn(u8) -> u8) -> u8 {
        let step = |state| Some(next(state));
        match self.state.fetch_update(Ordering::AcqRel, Ordering::Relaxed, step) {
            Ok(before) | Err(before) => before,
        }
    }

    fn wake(&self) {
        // It fails only when it counted to 2^64.
        let _ = self.bell.write(1);
    }
}

/// Readable since the worker was called.
impl AsRawFd for Baton {
    fn as_raw_fd(&self) -> RawFd {
        self.bell.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(baton: &Baton) -> u64 {
        baton.bell.read().unwrap_or(0)
    }

    #[test]
    fn worker_is_called_once_when_nobody_has_the_baton() {
        let baton = Baton::new().unwrap();
        baton.ring();
        baton.ring();
        assert_eq!(calls(&baton), 1);
        assert!(!baton.take(), "it is the worker's");
        assert!(baton.take_as_worker());
        assert!(baton.lay_down());
    }

    #[test]
    fn holder_is_told_of_more_and_the_worker_is_left_asleep() {
        let baton = Baton::new().unwrap();
        assert!(baton.take());
        assert!(!baton.take());
        baton.ring();
        assert!(!baton.lay_down(), "there is more to do");
        assert!(baton.lay_down());
        assert_eq!(calls(&baton), 0);
    }

    #[test]
    fn worker_that_woke_by_its_timer_has_the_holder_look_again() {
        let baton = Baton::new().unwrap();
        assert!(baton.take());
        assert!(!baton.take_as_worker());
        assert!(!baton.lay_down());
        assert!(baton.lay_down());
        assert!(baton.take_as_worker());
    }

    #[test]
    fn holder_hands_over_what_it_was_rung_for() {
        let baton = Baton::new().unwrap();
        assert!(baton.take());
        baton.ring();
        baton.call();
        assert_eq!(calls(&baton), 1);
        assert!(!baton.take());
        assert!(baton.take_as_worker());
        assert!(baton.lay_down());
    }

    /// Two rings and two run; each ring is counted by somebody who had the baton alone.
    #[test]
    fn no_ring_is_lost() {
        use std::sync::atomic::AtomicU64;
        const RINGS: u64 = 20_000;
        let (baton, work) = (Baton::new().unwrap(), AtomicU64::new(0));
        let (running, done) = (AtomicU8::new(0), AtomicU64::new(0));
        let run = || {
            assert_eq!(running.swap(1, Ordering::Relaxed), 0, "two have the baton");
            done.fetch_add(work.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            running.store(0, Ordering::Relaxed);
        };
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..RINGS {
                        work.fetch_add(1, Ordering::Relaxed);
                        if baton.take() {
                            run();
                            if !baton.lay_down() {
                                baton.call();
                            }
                        } else {
                            baton.ring();
                        }
                    }
                });
            }
            while done.load(Ordering::Relaxed) < 2 * RINGS {
                if calls(&baton) > 0 && baton.take_as_worker() {
                    run();
                    while !baton.lay_down() {
                        run();
                    }
                }
            }
        });
        assert_eq!(done.into_inner(), 2 * RINGS);
    }
}
