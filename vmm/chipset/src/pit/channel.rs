//! What the guest sees of a counter: a byte at a time, live or latched.

use super::counter::Counter;
use super::spec::{Bytes, Command, Mode, ReadBack, Status};

/// A counter and its side of the bus.
pub(super) struct Channel {
    command: Command,
    pub(super) counter: Counter,
    /// The first of two bytes that was written.
    written: Option<u8>,
    /// The first of two bytes was read.
    half_read: bool,
    count: Option<u16>,
    status: Option<Status>,
}

impl Channel {
    pub(super) fn new(gate: bool, now: u64) -> Self {
        Self {
            command: Command::POWER_ON,
            counter: Counter::new(gate, now),
            written: None,
            half_read: false,
            count: None,
            status: None,
        }
    }

    /// A control word for this counter: a mode, or the latch command.
    pub(super) fn command(&mut self, command: Command) {
        if command.bytes().is_none() {
            self.latch_count();
            return;
        }
        self.command = command;
        (self.written, self.half_read, self.count, self.status) = (None, false, None, None);
        self.counter.program(Mode::decode(command.mode()), command.bcd());
    }

    /// The read-back command, if it means this counter. What is latched already stays until it is read.
    pub(super) fn read_back(&mut self, command: ReadBack) {
        if !command.no_count() {
            self.latch_count();
        }
        if !command.no_status() {
            self.status.get_or_insert(self.live_status());
        }
    }

    pub(super) fn write(&mut self, byte: u8) {
        match (self.bytes(), self.written.take()) {
            (Bytes::Low, _) => self.write_count([byte, 0]),
            (Bytes::High, _) => self.write_count([0, byte]),
            (Bytes::Both, Some(low)) => self.write_count([low, byte]),
            (Bytes::Both, None) => {
                self.written = Some(byte);
                self.counter.begin_write();
            }
        }
    }

    /// Status before count, latched before live.
    pub(super) fn read(&mut self) -> u8 {
        if let Some(status) = self.status.take() {
            return status.into_bits();
        }
        let [low, high] = self.count.unwrap_or(self.live_count()).to_le_bytes();
        let is_first = self.bytes() == Bytes::Both && !self.half_read;
        self.half_read = is_first;
        if !is_first {
            self.count = None;
        }
        if is_first || self.bytes() == Bytes::Low { low } else { high }
    }

    fn bytes(&self) -> Bytes {
        self.command.bytes().unwrap_or(Bytes::Both)
    }

    fn write_count(&mut self, bytes: [u8; 2]) {
        let count = u16::from_le_bytes(bytes);
        self.counter.write(if self.command.bcd() { from_bcd(count) } else { count.into() });
    }

    fn latch_count(&mut self) {
        self.count.get_or_insert(self.live_count());
    }

    fn live_count(&self) -> u16 {
        let count = self.counter.count();
        if self.command.bcd() { to_bcd(count) } else { count as u16 }
    }

    fn live_status(&self) -> Status {
        Status::new()
            .with_command(self.command.into_bits() & 0x3f)
            .with_null_count(self.counter.is_null())
            .with_output(self.counter.output())
    }
}

/// The number in four digits. What is no digit counts all the same.
fn from_bcd(count: u16) -> u64 {
    [12, 8, 4, 0].into_iter().fold(0, |number, shift| number * 10 + u64::from(count >> shift & 0xf))
}

/// The last four digits of `number`.
fn to_bcd(number: u64) -> u16 {
    [1000, 100, 10, 1].into_iter().fold(0, |bcd, weight| bcd << 4 | (number / weight % 10) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_there_and_back() {
        assert_eq!((from_bcd(0x1234), to_bcd(1234)), (1234, 0x1234));
        assert!((0..10_000).all(|number| from_bcd(to_bcd(number)) == number));
        assert_eq!((from_bcd(0xffff), to_bcd(16_665)), (16_665, 0x6665));
    }
}
