//! The counters against a second model, which does what the data sheet says with every clock.

use proptest::collection::vec;
use proptest::prelude::*;
use rstest::rstest;

use crate::pit::counter::Counter;
use crate::pit::spec::Mode;

/// A counter that really counts.
struct Reference {
    mode: u8,
    modulus: u64,
    register: Option<u64>,
    count: u64,
    output: bool,
    gate: bool,
    null: bool,
    /// The next clock loads: a count was written, or there was a trigger.
    load: bool,
    loaded: bool,
    /// The end of the count was not reached yet.
    armed: bool,
    odd: bool,
}

impl Reference {
    fn new() -> Self {
        Self {
            mode: 0,
            modulus: 0x1_0000,
            register: None,
            count: 0,
            output: false,
            gate: true,
            null: true,
            load: false,
            loaded: false,
            armed: false,
            odd: false,
        }
    }

    fn periodic(&self) -> bool {
        matches!(self.mode, 2 | 3)
    }

    fn program(&mut self, mode: u8, bcd: bool) {
        self.mode = mode;
        self.count %= self.modulus;
        self.modulus = if bcd { 10_000 } else { 0x1_0000 };
        self.count %= self.modulus;
        self.output = mode != 0;
        (self.register, self.null, self.load, self.loaded) = (None, true, false, false);
    }

    fn write(&mut self, count: u64) {
        let count = if count.is_multiple_of(self.modulus) { self.modulus } else { count % self.modulus };
        self.register = Some(if self.periodic() { count.max(2) } else { count });
        self.null = true;
        if self.mode == 0 {
            (self.output, self.loaded) = (false, false);
        }
        self.load |= match self.mode {
            0 | 4 => true,
            2 | 3 => !self.loaded,
            _ => false,
        };
    }

    fn set_gate(&mut self, gate: bool) {
        let rises = gate && !self.gate;
        self.gate = gate;
        if !gate && self.periodic() && self.loaded {
            (self.output, self.load) = (true, false);
        }
        self.load |= rises && matches!(self.mode, 1 | 2 | 3 | 5) && self.register.is_some();
    }

    /// One clock. True if the output rises.
    fn clock(&mut self) -> bool {
        let before = self.output;
        if std::mem::take(&mut self.load) {
            self.reload();
            (self.loaded, self.armed) = (true, true);
            self.output = !matches!(self.mode, 0 | 1);
        } else if self.loaded && (self.gate || matches!(self.mode, 1 | 5)) {
            self.decrement();
        }
        self.output && !before
    }

    fn reload(&mut self) {
        let register = self.register.unwrap();
        self.null = false;
        self.odd = register % 2 == 1;
        self.count = if self.mode == 3 { register - register % 2 } else { register };
    }

    fn decrement(&mut self) {
        match self.mode {
            2 if self.count == 1 => {
                self.reload();
                self.output = true;
            }
            2 => {
                self.count -= 1;
                self.output = self.count != 1;
            }
            3 => self.decrement_square_wave(),
            _ => self.decrement_to_the_end(),
        }
    }

    fn decrement_square_wave(&mut self) {
        let extra_clock = self.odd && self.output;
        let ends = if extra_clock { self.count == 0 } else { self.count == 2 };
        if ends {
            self.reload();
            self.output = !self.output;
        } else {
            self.count -= 2;
        }
    }

    fn decrement_to_the_end(&mut self) {
        self.count = if self.count == 0 { self.modulus - 1 } else { self.count - 1 };
        let ends = self.count == 0 && self.armed;
        self.armed &= !ends;
        match self.mode {
            0 | 1 => self.output |= ends,
            _ => self.output = !ends,
        }
    }
}

/// One thing that happens to a counter.
#[derive(Clone, Debug)]
enum Act {
    Program(u8, bool),
    Write(u64),
    Gate(bool),
    Clocks(u64),
}
use Act::{Clocks, Gate, Program, Write};

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (0..6_u8, any::<bool>()).prop_map(|(mode, bcd)| Program(mode, bcd)),
        4 => (0..12_u64).prop_map(Write),
        1 => (0..0x1_0000_u64).prop_map(Write),
        3 => any::<bool>().prop_map(Gate),
        16 => (0..30_u64).prop_map(Clocks),
        1 => (0..140_000_u64).prop_map(Clocks),
    ]
}

/// Both models.
struct Pair {
    counter: Counter,
    reference: Reference,
    now: u64,
}

impl Pair {
    fn new() -> Self {
        Self { counter: Counter::new(true, 0), reference: Reference::new(), now: 0 }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Program(mode, bcd) => {
                self.counter.program(Mode::decode(mode), bcd);
                self.reference.program(mode, bcd);
            }
            Write(count) => {
                self.counter.write(count);
                self.reference.write(count);
            }
            Gate(gate) => {
                self.counter.set_gate(gate);
                self.reference.set_gate(gate);
            }
            Clocks(clocks) => {
                self.now += clocks;
                let rose = self.counter.advance(self.now);
                let rises = (0..clocks).filter(|_| self.reference.clock()).count();
                assert_eq!(rose, rises > 0, "rose");
            }
        }
    }

    fn compare(&self) {
        let Self { counter, reference, .. } = self;
        assert_eq!(counter.output(), reference.output, "output");
        assert_eq!(counter.count() % reference.modulus, reference.count % reference.modulus, "count");
        assert_eq!(counter.is_null(), reference.null, "null count");
    }
}

/// Where two things happen with the same clock.
#[rstest]
#[case::new_count_after_a_trigger(&[Program(2, false), Gate(false), Write(4), Clocks(1), Gate(true), Write(3)])]
#[case::gate_falls_before_a_new_count_is_loaded(&[Program(2, false), Write(9), Clocks(5), Write(3), Gate(false), Clocks(9)])]
#[case::gate_rises_in_a_low_half(&[Program(3, false), Write(8), Clocks(6), Gate(false), Gate(true)])]
#[case::new_count_in_a_high_half(&[Program(3, false), Write(8), Clocks(2), Write(5)])]
#[case::new_count_in_a_low_half(&[Program(3, false), Write(8), Clocks(6), Write(5)])]
#[case::new_count_in_a_held_strobe(&[Program(4, false), Write(3), Clocks(4), Gate(false), Write(5)])]
#[case::trigger_with_the_last_clock(&[Program(1, false), Write(5), Gate(false), Gate(true), Clocks(5), Gate(false), Gate(true)])]
#[case::trigger_of_a_strobe_with_its_end(&[Program(5, true), Write(2), Gate(false), Gate(true), Clocks(3), Gate(false), Gate(true)])]
fn coincidence(#[case] acts: &[Act]) {
    let mut pair = Pair::new();
    acts.iter().for_each(|act| pair.act(act));
    for _ in 0..30 {
        pair.compare();
        let rises = pair.counter.next_rise() == Some(pair.now + 1);
        let low = !pair.reference.output;
        pair.act(&Clocks(1));
        assert_eq!(rises, low && pair.reference.output, "next rise at {}", pair.now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn formulas_tell_what_counting_gives(acts in vec(act(), 1..60)) {
        let mut pair = Pair::new();
        for act in acts {
            pair.act(&act);
            pair.compare();
        }
    }

    #[test]
    fn next_rise_is_the_next_rise(acts in vec(act(), 1..30)) {
        let mut pair = Pair::new();
        acts.iter().for_each(|act| pair.act(act));
        let horizon = 70_000; // longer than any period
        let expected = (1..horizon).find(|_| pair.reference.clock()).map(|clocks| pair.now + clocks);
        prop_assert_eq!(pair.counter.next_rise(), expected);
    }
}
