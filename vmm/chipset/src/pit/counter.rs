//! One counter: what is loaded when, and the gate.

use super::spec::Mode;
use super::wave::Wave;

/// The part of a counter that the clock drives. Time is in clocks.
///
/// Nothing happens with a clock that is not looked at: between two loads, count and output are a [`Wave`], and when the
/// next load comes is known.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    mode: Mode,
    /// How many values the count has: 65536, or 10,000.
    modulus: u64,
    gate: bool,
    /// The count register: what the next load takes. None until it was written.
    register: Option<u64>,
    /// The count register was written, and not loaded since.
    null: bool,
    element: Element,
    load: Option<Load>,
    now: u64,
}

/// The counting element.
#[derive(Clone, Debug)]
enum Element {
    /// Waits for a count, or for the second byte of one.
    Still { count: u64, output: bool },
    /// Was loaded. At `since` it was at clock `clock` of the wave, and it still is while there is no `since`.
    Loaded { wave: Wave, clock: u64, since: Option<u64> },
}

/// The count register goes into the counting element.
#[derive(Clone, Copy, Debug)]
struct Load {
    at: u64,
    /// It is a square wave in the middle, which goes on with its low half.
    low_half: bool,
}

impl Counter {
    /// A counter that waits for a mode.
    pub(super) fn new(gate: bool, now: u64) -> Self {
        let element = Element::Still { count: 0, output: false };
        let mode = Mode::TerminalCount;
        Self { mode, modulus: 0x1_0000, gate, register: None, null: true, element, load: None, now }
    }

    /// Chooses a mode, and stops until a count is written.
    pub(super) fn program(&mut self, mode: Mode, bcd: bool) {
        self.modulus = if bcd { 10_000 } else { 0x1_0000 };
        let output = mode != Mode::TerminalCount;
        self.element = Element::Still { count: self.count() % self.modulus, output };
        self.mode = mode;
        (self.register, self.null, self.load) = (None, true, None);
    }

    /// The first of two bytes was written. Mode 0 stops.
    pub(super) fn begin_write(&mut self) {
        if self.mode == Mode::TerminalCount {
            self.element = Element::Still { count: self.count(), output: false };
            self.load = None;
        }
    }

    /// Writes the count register; 0 stands for the largest count.
    pub(super) fn write(&mut self, count: u64) {
        self.begin_write();
        let count = count % self.modulus;
        self.register = Some(if count == 0 { self.modulus } else { count });
        self.null = true;
        if !self.mode.is_triggered() {
            self.load = self.load.or_else(|| self.load_of_write());
        }
    }

    /// When a count that was just written is loaded: with the next clock, but in the periodic modes, once they run, with
    /// the end of the period. While the gate is low there is no end, and the gate will load.
    fn load_of_write(&self) -> Option<Load> {
        match self.element {
            Element::Loaded { wave, clock, since } if self.mode.is_periodic() => {
                let since = since?;
                let at = wave.next_load(clock + self.now - since);
                let low_half = self.mode == Mode::SquareWave && !wave.output(at);
                Some(Load { at: at - clock + since, low_half })
            }
            _ => Some(self.load_next_clock()),
        }
    }

    fn load_next_clock(&self) -> Load {
        Load { at: self.now + 1, low_half: false }
    }

    /// Drives the gate. A rising one is a trigger in modes 1, 2, 3 and 5; a low one stops modes 0, 2, 3 and 4.
    pub(super) fn set_gate(&mut self, gate: bool) {
        if gate == self.gate {
            return;
        }
        self.gate = gate;
        if self.mode.is_periodic() && !gate && matches!(self.element, Element::Loaded { .. }) {
            self.load = None;
        }
        if !self.mode.is_triggered() {
            self.hold_or_resume();
        }
        if gate && self.register.is_some() && (self.mode.is_triggered() || self.mode.is_periodic()) {
            self.load = Some(self.load_next_clock());
        }
    }

    /// Stops the element while the gate is low. A periodic mode does not resume: the gate loads it again.
    fn hold_or_resume(&mut self) {
        if let Element::Loaded { clock, since, .. } = &mut self.element {
            *clock += since.map_or(0, |since| self.now - since);
            *since = (self.gate && !self.mode.is_periodic()).then_some(self.now);
        }
    }

    /// Brings the counter up to `now`. True if the output rose on the way, however often.
    pub(super) fn advance(&mut self, now: u64) -> bool {
        let now = now.max(self.now);
        let Some(load) = self.load.filter(|load| load.at <= now) else {
            return self.pass(now);
        };
        let rises = [self.pass(load.at - 1), self.perform(load), self.pass(now)];
        rises.contains(&true)
    }

    /// Moves to `now`, with no load on the way. True if the output rose.
    fn pass(&mut self, now: u64) -> bool {
        let rose = self.next_rise_of_element().is_some_and(|rise| rise <= now);
        self.now = now;
        rose
    }

    /// Does with the next clock what `load` says. True if the output rises by it.
    fn perform(&mut self, load: Load) -> bool {
        let was_low = !self.output();
        (self.load, self.now) = (None, load.at);
        if let Some(initial) = self.register {
            self.load_element(initial, load.low_half);
        }
        was_low && self.output()
    }

    fn load_element(&mut self, initial: u64, low_half: bool) {
        let wave = Wave::new(self.mode, initial, self.modulus);
        let clock = if low_half { wave.high_half() } else { 0 };
        let counts = self.gate || self.mode.is_triggered();
        self.element = Element::Loaded { wave, clock, since: counts.then_some(self.now) };
        self.null = false;
    }

    /// The clock with which the output rises next, if nobody does anything.
    pub(super) fn next_rise(&self) -> Option<u64> {
        let rise = self.next_rise_of_element();
        match self.load {
            Some(load) if rise.is_none_or(|rise| rise >= load.at) => {
                let mut loaded = self.clone();
                loaded.pass(load.at - 1);
                if loaded.perform(load) { Some(load.at) } else { loaded.next_rise_of_element() }
            }
            _ => rise,
        }
    }

    fn next_rise_of_element(&self) -> Option<u64> {
        match self.element {
            Element::Loaded { wave, clock, since: Some(since) } => {
                let rise = wave.next_rise(clock + self.now - since)?;
                Some(rise - clock + since)
            }
            _ => None,
        }
    }

    /// The count that can be read.
    pub(super) fn count(&self) -> u64 {
        match self.element {
            Element::Still { count, .. } => count,
            Element::Loaded { wave, clock, since } => wave.count(clock + self.passed(since)),
        }
    }

    /// The output. The gate that stops a periodic mode makes it high.
    pub(super) fn output(&self) -> bool {
        match self.element {
            Element::Still { output, .. } => output,
            Element::Loaded { since: None, .. } if self.mode.is_periodic() => true,
            Element::Loaded { wave, clock, since } => wave.output(clock + self.passed(since)),
        }
    }

    /// The clocks since `since`.
    fn passed(&self, since: Option<u64>) -> u64 {
        since.map_or(0, |since| self.now - since)
    }

    /// A count was written, or is expected, that is not in the counting element.
    pub(super) fn is_null(&self) -> bool {
        self.null
    }

    /// The level of the gate.
    pub(super) fn gate(&self) -> bool {
        self.gate
    }

    /// Whether the output rises again and again.
    pub(super) fn is_periodic(&self) -> bool {
        self.mode.is_periodic()
    }
}
