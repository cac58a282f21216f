//! A guest and a host's timer at the two ends, and the registers as such. The modules below have the rest.

mod drivers;
mod hostile;
mod interrupts;
mod reference;
mod registers;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bus::Width;

use super::*;
use crate::time::{ManualClock, SECOND};

/// The timer, its surroundings, and what came out of it.
struct Rig {
    pit: Pit,
    timer: Arc<dyn Timed>,
    clock: Arc<ManualClock>,
    /// Each level the line was driven to.
    levels: Arc<Mutex<Vec<bool>>>,
    calls: Arc<AtomicUsize>,
}

impl Rig {
    fn new() -> Self {
        let (clock, levels) = (ManualClock::at(0), Arc::new(Mutex::new(Vec::new())));
        let calls = Arc::new(AtomicUsize::new(0));
        let (wire, counter) = (levels.clone(), calls.clone());
        let line = IrqLine::new(move |level| wire.lock().unwrap().push(level));
        let pit = Pit::new(line, clock.clone(), move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        Self { timer: pit.timer(), pit, clock, levels, calls }
    }

    /// With `command` and the two bytes of `count` written.
    fn with(command: u8, count: u16) -> Self {
        let mut rig = Self::new();
        rig.program(command, count);
        rig
    }

    fn read(&mut self, offset: u64) -> u8 {
        self.pit.read(Access { offset, width: Width::Byte }).unwrap() as u8
    }

    fn write(&mut self, offset: u64, value: u8) {
        self.pit.write(Access { offset, width: Width::Byte }, value.into()).unwrap();
    }

    fn program(&mut self, command: u8, count: u16) {
        let counter = u64::from(command >> 6);
        self.write(3, command);
        count.to_le_bytes().into_iter().for_each(|byte| self.write(counter, byte));
    }

    /// Reads low and high byte.
    fn count(&mut self, counter: u64) -> u16 {
        u16::from_le_bytes([self.read(counter), self.read(counter)])
    }

    fn status(&mut self, counter: u64) -> u8 {
        self.write(3, 0xe0 | 2 << counter);
        self.read(counter)
    }

    /// Sets the time to `clocks` clocks after the start.
    fn at(&self, clocks: u64) {
        self.clock.set((u128::from(clocks) * u128::from(SECOND)).div_ceil(spec::HERTZ.into()) as u64);
    }

    /// The clock of the next event.
    fn event(&self) -> Option<u64> {
        let event = self.timer.next_event()?;
        Some((u128::from(event.0) * u128::from(spec::HERTZ) / u128::from(SECOND)) as u64)
    }

    /// Sleeps until the next event, as the host's timer does.
    fn sleep(&self) {
        self.clock.set(self.timer.next_event().unwrap().0);
        self.timer.tick();
    }

    /// The levels of the line since the last call.
    fn levels(&self) -> Vec<bool> {
        std::mem::take(&mut self.levels.lock().unwrap())
    }

    /// How often the host's timer was woken since the last call.
    fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::Relaxed)
    }
}
