//! A driver and a host at the two ends, and the registers as such. The modules below have the rest.

mod drivers;
mod hostile;
mod interrupts;
mod loopback;
mod receiver;
mod transmitter;

use std::sync::atomic::{AtomicUsize, Ordering};

use bus::Width;
use rstest::rstest;

use super::*;

/// Both ends, and what came out of them.
struct Rig {
    uart: Uart,
    host: Option<UartHost>,
    /// Each level the line was driven to.
    levels: Arc<Mutex<Vec<bool>>>,
    calls: Arc<AtomicUsize>,
}

impl Rig {
    fn new() -> Self {
        let levels = Arc::new(Mutex::new(Vec::new()));
        let calls = Arc::new(AtomicUsize::new(0));
        let (wire, counter) = (levels.clone(), calls.clone());
        let line = IrqLine::new(move |level| wire.lock().unwrap().push(level));
        let (uart, host) = pair(line, move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        Self { uart, host: Some(host), levels, calls }
    }

    /// With FIFOs on, and the receive trigger coded in `trigger`.
    fn with_fifos(trigger: u8) -> Self {
        let mut rig = Self::new();
        rig.write(2, trigger << 6 | 1);
        rig
    }

    fn read(&mut self, offset: u64) -> u8 {
        self.uart.read(Access { offset, width: Width::Byte }).unwrap() as u8
    }

    fn write(&mut self, offset: u64, value: u8) {
        self.uart.write(Access { offset, width: Width::Byte }, value.into()).unwrap();
    }

    fn send(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write(0, byte));
    }

    /// Sends until THRE goes off; how much that was.
    fn fill(&mut self) -> usize {
        let mut sent = 0;
        while self.read(5) & 0x20 != 0 {
            self.send(&[b'x'; 16]);
            sent += 16;
        }
        sent
    }

    fn host(&self) -> &UartHost {
        self.host.as_ref().unwrap()
    }

    fn output(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.host().take_output(&mut bytes);
        bytes
    }

    /// The levels of the line since the last call.
    fn levels(&self) -> Vec<bool> {
        std::mem::take(&mut self.levels.lock().unwrap())
    }

    /// How often the host was called since the last call.
    fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::Relaxed)
    }
}

#[rstest]
#[case::receiver(0, 0x00)]
#[case::interrupt_enable(1, 0x00)]
#[case::interrupt_identification(2, 0x01)]
#[case::line_control(3, 0x00)]
#[case::modem_control(4, 0x08)]
#[case::line_status(5, 0x60)]
#[case::modem_status(6, 0xb0)]
#[case::scratch(7, 0x00)]
fn register_at_power_on(#[case] offset: u64, #[case] value: u8) {
    assert_eq!(Rig::new().read(offset), value);
}

#[rstest]
#[case::interrupt_enable(1, 0x0f)]
#[case::line_control_without_dlab(3, 0x7f)]
#[case::modem_control(4, 0x1f)]
#[case::scratch(7, 0xff)]
fn register_keeps_the_bits_it_has(#[case] offset: u64, #[case] bits: u8) {
    let mut rig = Rig::new();
    rig.write(offset, bits);
    assert_eq!(rig.read(offset), bits);
    rig.write(offset, if offset == 3 { 0x2a } else { 0xaa });
    assert_eq!(rig.read(offset), 0xaa & bits);
}

#[rstest]
#[case::line_status(5)]
#[case::modem_status(6)]
fn status_registers_ignore_writes(#[case] offset: u64, #[values(0x00, 0xff)] value: u8) {
    let mut rig = Rig::new();
    let before = rig.read(offset);
    rig.write(offset, value);
    assert_eq!(rig.read(offset), before);
}

#[test]
fn divisor_hides_behind_dlab() {
    let mut rig = Rig::new();
    rig.write(3, 0x83);
    assert_eq!((rig.read(0), rig.read(1)), (12, 0));
    rig.write(0, 0x01);
    rig.write(1, 0x02);
    assert_eq!((rig.read(0), rig.read(1)), (0x01, 0x02));
    rig.write(3, 0x03);
    assert_eq!((rig.read(0), rig.read(1)), (0, 0));
    assert_eq!(rig.output(), b"");
}

#[test]
fn wider_accesses_are_refused() {
    let mut rig = Rig::new();
    for offset in 0..spec::LEN {
        for width in [Width::Word, Width::Dword, Width::Qword] {
            let at = Access { offset, width };
            assert_eq!((rig.uart.read(at), rig.uart.write(at, 0x41)), (Err(Refused), Err(Refused)));
        }
    }
    assert_eq!(rig.output(), b"");
}

#[test]
fn reset_restores_registers_and_lowers_the_line() {
    let mut rig = Rig::with_fifos(3);
    assert_eq!(rig.host().push_input(b"typed"), 5);
    for (offset, value) in [(1, 0x0f), (7, 0x55), (4, 0x03), (3, 0x83), (0, 1)] {
        rig.write(offset, value);
    }
    rig.uart.reset();
    let registers: Vec<_> = (0..8).map(|offset| rig.read(offset)).collect();
    assert_eq!(registers, [0, 0, 0x01, 0, 0x08, 0x60, 0xb0, 0]);
    assert_eq!(rig.levels(), [true, false]);
}

#[test]
fn what_was_sent_before_a_reset_still_arrives() {
    let mut rig = Rig::new();
    rig.send(b"Rebooting.");
    rig.uart.reset();
    assert_eq!(rig.output(), b"Rebooting.");
}

#[test]
fn reset_makes_room_for_input() {
    let mut rig = Rig::new();
    assert_eq!(rig.host().push_input(b"xy"), 1);
    rig.uart.reset();
    assert_eq!(rig.calls(), 1);
}
