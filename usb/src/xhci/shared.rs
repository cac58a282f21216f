//! What the vCPUs' end and the worker's end have in common.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::memory::Memory;
use super::state::State;
use super::{Clock, Config, Interrupts};

/// Both ends hold this.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) memory: Memory,
    interrupts: Box<dyn Interrupts>,
    clock: Clock,
    state: Mutex<State>,
    /// By slot: a bit for each endpoint whose doorbell rang. Slot 0 is the command ring.
    doorbells: Vec<AtomicU32>,
    /// Some doorbell of an endpoint rang.
    rang: AtomicBool,
    /// A bit for each port whose device, or whose link, has news.
    news: AtomicU32,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        memory: Memory,
        interrupts: Box<dyn Interrupts>,
        clock: Clock,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Self {
        let state = Mutex::new(State::new(&config));
        let doorbells = (0..=config.slots).map(|_| AtomicU32::new(0)).collect();
        Self {
            config,
            memory,
            interrupts,
            clock,
            state,
            doorbells,
            rang: AtomicBool::new(false),
            news: AtomicU32::new(0),
            wake,
        }
    }

    /// The present.
    pub(crate) fn now(&self) -> Duration {
        (self.clock)()
    }

    /// A holder that panicked is a bug of ours; the guest goes on with what state it left.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings interrupts up to date; returns when to do it next.
    pub(crate) fn settle(&self, state: &mut State) -> Option<Duration> {
        state.settle(&*self.interrupts, self.now())
    }

    /// Has the worker look at everything.
    pub(crate) fn wake(&self) {
        (self.wake)();
    }

    /// A driver rings. Says whether there is such a doorbell.
    pub(crate) fn ring(&self, slot: usize, target: u8) -> bool {
        let Some(doorbell) = self.doorbells.get(slot).filter(|_| target < 32) else { return false };
        doorbell.fetch_or(1 << target, Ordering::Release);
        if slot != 0 {
            self.rang.store(true, Ordering::Release);
        }
        true
    }

    /// Takes the doorbells of a slot that rang since the last call.
    pub(crate) fn take_doorbells(&self, slot: usize) -> u32 {
        let Some(doorbell) = self.doorbells.get(slot) else { return 0 };
        // A plain read first: most doorbells are silent.
        match doorbell.load(Ordering::Relaxed) {
            0 => 0,
            _ => doorbell.swap(0, Ordering::Acquire),
        }
    }

    /// Whether a doorbell of an endpoint rang since the last call.
    pub(crate) fn take_rang(&self) -> bool {
        self.rang.load(Ordering::Relaxed) && self.rang.swap(false, Ordering::Acquire)
    }

    /// Forgets all doorbells that rang.
    pub(crate) fn silence_doorbells(&self) {
        self.doorbells.iter().for_each(|doorbell| doorbell.store(0, Ordering::Relaxed));
    }

    /// The port with this index has news.
    pub(crate) fn tell(&self, port: usize) {
        self.news.fetch_or(1 << (port & 31), Ordering::Release);
        self.wake();
    }

    pub(crate) fn take_news(&self) -> u32 {
        self.news.swap(0, Ordering::Acquire)
    }
}
