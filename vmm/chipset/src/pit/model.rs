//! Three counters, a clock and an interrupt line.

use std::time::Duration;

use bus::IrqLine;

use super::channel::Channel;
use super::spec::{COUNTERS, Command, HERTZ, ReadBack};
use crate::time::{Moment, SECOND, Timekeeper};

/// The counter whose output is the interrupt line.
const INTERRUPT: usize = 0;
/// The counter whose gate can be driven; those of the others are high for ever.
const GATED: usize = 2;

/// Periodic interrupts come no faster, so that a guest that asks for one each microsecond keeps itself busy and not us.
/// KVM's own timer has the same limit.
pub(super) const SHORTEST_PERIOD: Duration = Duration::from_micros(200);

pub(super) struct Model {
    line: IrqLine,
    /// The level of the line.
    raised: bool,
    channels: [Channel; COUNTERS],
    now: u64,
    /// No periodic interrupt is due before.
    rested: Moment,
}

impl Model {
    pub(super) fn new(line: IrqLine, now: Moment) -> Self {
        let now = clocks(now);
        let channels = std::array::from_fn(|_| Channel::new(true, now));
        Self { line, raised: false, channels, now, rested: Moment::default() }
    }

    /// Reads a counter.
    pub(super) fn read(&mut self, counter: usize) -> u8 {
        self.channels[counter].read()
    }

    /// Writes a counter.
    pub(super) fn write(&mut self, counter: usize, value: u8) {
        self.channels[counter].write(value);
        self.settle();
    }

    /// Writes a control word.
    pub(super) fn control(&mut self, value: u8) {
        let command = Command::from_bits(value);
        match self.channels.get_mut(usize::from(command.counter())) {
            Some(channel) => channel.command(command),
            None => self.read_back(ReadBack::from_bits(value)),
        }
        self.settle();
    }

    fn read_back(&mut self, command: ReadBack) {
        for (counter, channel) in self.channels.iter_mut().enumerate() {
            if command.counters() & 1 << counter != 0 {
                channel.read_back(command);
            }
        }
    }

    pub(super) fn set_gate(&mut self, level: bool) {
        self.channels[GATED].counter.set_gate(level);
    }

    /// Gates are wires, not ours to change.
    pub(super) fn reset(&mut self) {
        for channel in &mut self.channels {
            *channel = Channel::new(channel.counter.gate(), self.now);
        }
        self.settle();
    }

    /// Drives the line as the output is.
    fn settle(&mut self) {
        let output = self.channels[INTERRUPT].counter.output();
        self.drive(output);
    }

    fn drive(&mut self, level: bool) {
        if level != self.raised {
            self.raised = level;
            self.line.set(level);
        }
    }
}

impl Timekeeper for Model {
    /// However often the output rose since the last look, the line rises once.
    fn advance(&mut self, now: Moment) {
        self.now = self.now.max(clocks(now));
        let rose = self.channels.each_mut().map(|channel| channel.counter.advance(self.now));
        if rose[INTERRUPT] {
            self.rested = now + SHORTEST_PERIOD;
            self.drive(false);
            self.drive(true);
        }
        self.settle();
    }

    /// Only a rising output matters to an edge-triggered input. That it fell shows with the next look, or the next rise.
    fn next_event(&self) -> Option<Moment> {
        let counter = &self.channels[INTERRUPT].counter;
        let rise = moment(counter.next_rise()?);
        Some(if counter.is_periodic() { rise.max(self.rested) } else { rise })
    }
}

/// How many clocks there were until `now`.
fn clocks(now: Moment) -> u64 {
    (u128::from(now.0) * u128::from(HERTZ) / u128::from(SECOND)) as u64
}

/// When there were `clocks` clocks.
fn moment(clocks: u64) -> Moment {
    let nanos = (u128::from(clocks) * u128::from(SECOND)).div_ceil(u128::from(HERTZ));
    Moment(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn moment_of_a_clock_is_its_first(count in 1..clocks(Moment(u64::MAX))) {
            let at = moment(count);
            prop_assert_eq!(clocks(at), count);
            prop_assert_eq!(clocks(Moment(at.0 - 1)), count - 1);
        }
    }
}
