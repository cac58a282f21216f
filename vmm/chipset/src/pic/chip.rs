//! The rules of one 8259A.

use super::spec::{COMMAND, INPUTS, Icw1, Icw4, Ocw2, Ocw3, Polled, VECTOR_BASE};

/// One controller. Sets of inputs are bytes, with a bit for each.
#[derive(Clone)]
pub(super) struct Chip {
    /// The inputs that are high: theirs to change, so neither reset nor initialization touches them.
    high: u8,
    /// The input that is another controller. It is level-triggered, because what the other requests is no event but a
    /// state; the edges it makes in a PC are the other's way to tell of the next request.
    cascade: u8,
    /// The inputs that are level-triggered, by ELCR.
    elcr: u8,
    state: State,
}

/// What the command words change.
#[derive(Clone, Default)]
struct State {
    stage: Stage,
    icw1: Icw1,
    icw4: Icw4,
    /// Bits 7:3 of the vectors.
    vector: u8,
    /// Edges that were not acknowledged.
    edges: u8,
    in_service: u8,
    masked: u8,
    /// The level of the highest priority; those after it follow.
    first: u8,
    special_mask: bool,
    rotate_on_auto_eoi: bool,
    read_service: bool,
    poll: bool,
}

/// What a write to the data port is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// The mask; but the controller does nothing, because it has no vectors.
    #[default]
    PowerOn,
    Icw2,
    Icw3,
    Icw4,
    /// The mask.
    Ready,
}

impl Chip {
    /// A controller that must be initialized, with another one at the inputs in `cascade`.
    pub(super) fn new(cascade: u8) -> Self {
        Self { high: 0, cascade, elcr: 0, state: State::default() }
    }

    pub(super) fn reset(&mut self) {
        self.state = State::default();
    }

    pub(super) fn elcr(&self) -> u8 {
        self.elcr
    }

    /// Chooses the level-triggered inputs. Their edges are forgotten.
    pub(super) fn set_elcr(&mut self, elcr: u8) {
        self.elcr = elcr;
        self.state.edges &= !elcr;
    }

    /// Drives an input. An edge stays a request even if the input falls before it is acknowledged, unlike in the data
    /// sheet: devices of this machine pulse their lines.
    pub(super) fn set_input(&mut self, level: u8, high: bool) {
        let input = bit(level);
        let rises = high && self.high & input == 0;
        self.high = if high { self.high | input } else { self.high & !input };
        if rises {
            self.state.edges |= input & !self.level_triggered();
        }
    }

    pub(super) fn read(&mut self, offset: u64) -> u8 {
        if std::mem::take(&mut self.state.poll) {
            return self.poll().into_bits();
        }
        match (offset, self.state.read_service) {
            (COMMAND, false) => self.requests(),
            (COMMAND, true) => self.state.in_service,
            _ => self.state.masked,
        }
    }

    pub(super) fn write(&mut self, offset: u64, value: u8) {
        if offset != COMMAND {
            self.write_data(value);
        } else if Icw1::from_bits(value).is_icw1() {
            self.initialize(Icw1::from_bits(value));
        } else if Ocw3::from_bits(value).is_ocw3() {
            self.operate(Ocw3::from_bits(value));
        } else {
            self.end_or_rotate(Ocw2::from_bits(value));
        }
    }

    /// ICW1: all but the wires and their triggers starts anew.
    fn initialize(&mut self, icw1: Icw1) {
        self.state = State { stage: Stage::Icw2, icw1, ..State::default() };
    }

    /// The other initialization words, as far as they come. Where the cascade is need not be told: it is wired.
    fn write_data(&mut self, value: u8) {
        let icw1 = self.state.icw1;
        let last = if icw1.icw4() { Stage::Icw4 } else { Stage::Ready };
        self.state.stage = match self.state.stage {
            stage @ (Stage::PowerOn | Stage::Ready) => {
                self.state.masked = value;
                stage
            }
            Stage::Icw2 => {
                self.state.vector = value & VECTOR_BASE;
                if icw1.single() { last } else { Stage::Icw3 }
            }
            Stage::Icw3 => last,
            Stage::Icw4 => {
                self.state.icw4 = Icw4::from_bits(value);
                Stage::Ready
            }
        };
    }

    /// OCW2. An end that names no level is for the first in service.
    fn end_or_rotate(&mut self, command: Ocw2) {
        match (command.eoi(), command.specific()) {
            (true, true) => self.end(command.level(), command.rotate()),
            (true, false) => {
                if let Some(level) = self.first_of(self.blocking()) {
                    self.end(level, command.rotate());
                }
            }
            (false, true) if command.rotate() => self.make_last(command.level()),
            (false, true) => {} // no operation
            (false, false) => self.state.rotate_on_auto_eoi = command.rotate(),
        }
    }

    fn end(&mut self, level: u8, rotate: bool) {
        self.state.in_service &= !bit(level);
        if rotate {
            self.make_last(level);
        }
    }

    fn make_last(&mut self, level: u8) {
        self.state.first = (level + 1) % INPUTS;
    }

    /// OCW3.
    fn operate(&mut self, command: Ocw3) {
        self.state.poll = command.poll();
        if command.select() {
            self.state.read_service = command.service();
        }
        if command.choose_special_mask() {
            self.state.special_mask = command.special_mask();
        }
    }

    fn poll(&mut self) -> Polled {
        let level = self.acknowledge();
        Polled::new().with_request(level.is_some()).with_level(level.unwrap_or(0))
    }

    /// Acknowledges the request that [`request`](Self::request) tells, if there is one.
    pub(super) fn acknowledge(&mut self) -> Option<u8> {
        let level = self.request()?;
        self.state.edges &= !bit(level);
        if !self.state.icw4.auto_eoi() {
            self.state.in_service |= bit(level);
        } else if self.state.rotate_on_auto_eoi {
            self.make_last(level);
        }
        Some(level)
    }

    /// The vector of `level`.
    pub(super) fn vector(&self, level: u8) -> u8 {
        self.state.vector | level
    }

    /// The level for which an interrupt is requested: the first that asks for one and is not masked, unless one that
    /// comes before it, or itself, is in service.
    pub(super) fn request(&self) -> Option<u8> {
        if self.state.stage != Stage::Ready {
            return None;
        }
        let level = self.first_of(self.requests() & !self.state.masked)?;
        match self.first_of(self.blocking()) {
            Some(served) if self.rank(served) < self.rank(level) => None,
            Some(served) if served == level && !self.is_nested(level) => None,
            _ => Some(level),
        }
    }

    /// The request register.
    fn requests(&self) -> u8 {
        let level = self.level_triggered();
        self.state.edges & !level | self.high & level
    }

    /// The interrupts in service that keep others out. In special mask mode, masked ones do not.
    fn blocking(&self) -> u8 {
        let ignored = if self.state.special_mask { self.state.masked } else { 0 };
        self.state.in_service & !ignored
    }

    /// Whether an interrupt of `level` can interrupt itself: in special fully nested mode, one from the other controller.
    fn is_nested(&self, level: u8) -> bool {
        self.state.icw4.fully_nested() && self.cascade & bit(level) != 0
    }

    fn level_triggered(&self) -> u8 {
        let all = if self.state.icw1.level() { u8::MAX } else { 0 };
        self.elcr | self.cascade | all
    }

    /// The member of `levels` with the highest priority.
    fn first_of(&self, levels: u8) -> Option<u8> {
        let rank = levels.rotate_right(self.state.first.into()).trailing_zeros() as u8;
        (rank < INPUTS).then(|| (self.state.first + rank) % INPUTS)
    }

    /// How many levels have a higher priority.
    fn rank(&self, level: u8) -> u8 {
        (INPUTS + level - self.state.first) % INPUTS
    }
}

fn bit(level: u8) -> u8 {
    1 << level
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A controller with vectors from 0x20 on.
    fn ready() -> Chip {
        let mut chip = Chip::new(0);
        [(0, 0x13), (1, 0x20), (1, 0x01)].into_iter().for_each(|(offset, value)| chip.write(offset, value));
        chip
    }

    /// By the book: one level after the other, until one requests or one is in service.
    fn search(first: u8, requests: u8, in_service: u8) -> Option<u8> {
        for level in (first..first + 8).map(|level| level % 8) {
            if in_service & 1 << level != 0 {
                return None;
            }
            if requests & 1 << level != 0 {
                return Some(level);
            }
        }
        None
    }

    #[test]
    fn every_request_meets_every_service_under_every_priority() {
        let mut chip = ready();
        for first in 0..8 {
            for requests in 0..=255 {
                for in_service in 0..=255 {
                    let state = &mut chip.state;
                    (state.first, state.edges, state.in_service) = (first, requests, in_service);
                    let expected = search(first, requests, in_service);
                    assert_eq!(chip.request(), expected, "{first} {requests:#010b} {in_service:#010b}");
                }
            }
        }
    }

    #[test]
    fn special_mask_takes_masked_levels_out_of_both_registers() {
        let mut chip = ready();
        chip.state.special_mask = true;
        for (requests, in_service) in (0..=255_u8).flat_map(|r| (0..=255_u8).map(move |s| (r, s))) {
            let masked = in_service.rotate_left(3) ^ requests;
            let state = &mut chip.state;
            (state.edges, state.in_service, state.masked) = (requests, in_service, masked);
            assert_eq!(chip.request(), search(0, requests & !masked, in_service & !masked));
        }
    }
}
