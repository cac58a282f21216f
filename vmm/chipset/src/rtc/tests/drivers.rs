//! What firmware and systems do to the clock, in the order in which they do it.

use super::{Rig, SECOND, START};

impl Rig {
    /// Waits as long as UIP is set, with time passing; how long that was, in microseconds.
    fn wait_for_update(&mut self) -> u64 {
        (0..1000).find(|_| self.get(0x0a) & 0x80 == 0 || (self.pass(1000), false).1).unwrap()
    }
}

/// SeaBIOS: bits of register A are set and register B chooses 24 hours; then C and D are read, to clear what was.
#[test]
fn seabios_set_up_keeps_the_time() {
    let mut rig = Rig::new();
    rig.set(0x8a, 0x26);
    let preserved = rig.get(0x8b) & 0x01;
    rig.set(0x8b, 0x02 | preserved);
    rig.get(0x8c);
    assert_eq!(rig.get(0x8d), 0x80);
    assert_eq!(rig.time(), [0x11, 0x59, 0x59]);
}

/// SeaBIOS, INT 1Ah function 3: the time is written under a running clock.
#[test]
fn seabios_sets_the_time_without_stopping_it() {
    let mut rig = Rig::new();
    rig.set_all(&[(0, 0x05), (2, 0x04), (4, 0x03)]);
    let b = rig.get(0x0b) & 0x60 | 0x02;
    rig.set(0x0b, b);
    assert_eq!(rig.time(), [0x03, 0x04, 0x05]);
    rig.pass(SECOND);
    assert_eq!(rig.time(), [0x03, 0x04, 0x06]);
}

/// SeaBIOS, INT 15h function 83h: the periodic interrupt wakes it, until it is disabled.
#[test]
fn seabios_waits_by_the_periodic_interrupt() {
    let mut rig = Rig::new();
    let b = rig.get(0x0b);
    rig.set(0x0b, b | 0x40);
    for _ in 0..5 {
        assert!((976_000..977_000).contains(&rig.sleep()));
        assert_eq!(rig.get(0x0c) & 0xc0, 0xc0);
    }
    rig.set(0x0b, b);
    assert_eq!(rig.event_in(), None);
}

/// edk2's driver: register A, then B with what it keeps; D must say that the time is valid; UIP must go off within 10 ms.
#[test]
fn edk2_finds_a_clock_that_works() {
    let mut rig = Rig::at(START * SECOND + 999_900_000);
    rig.set(0x0a, 0x26);
    let b = rig.get(0x0b);
    rig.set(0x0b, 0x02 | b & 0x01);
    rig.get(0x0c);
    assert_eq!(rig.get(0x0d) & 0x80, 0x80);
    assert_eq!(rig.wait_for_update(), 100);
    assert_eq!(rig.time(), [0x12, 0x00, 0x00]);
}

/// edk2, SetTime: wait for UIP, SET on, the fields, century, SET off.
#[test]
fn edk2_sets_the_time() {
    let mut rig = Rig::new();
    rig.wait_for_update();
    let b = rig.get(0x0b);
    rig.set(0x0b, b | 0x80);
    rig.set_all(&[(0, 0x01), (2, 0x02), (4, 0x03), (7, 0x29), (8, 0x02), (9, 0x28), (0x32, 0x20)]);
    rig.set(0x0b, b & !0x80);
    rig.pass(86_400 * SECOND);
    assert_eq!((rig.date()[..4].to_vec(), rig.time()), (vec![0x20, 0x28, 0x03, 0x01], [3, 2, 1]));
}

/// Linux, mc146818_set_time: SET on, the divider in reset, the fields, SET off, the divider released. The next second
/// begins half a second later.
#[test]
fn linux_sets_the_time_to_the_half_second() {
    let mut rig = Rig::new();
    let (a, b) = (rig.get(0x0a), rig.get(0x0b));
    rig.set(0x0b, b | 0x80);
    rig.set(0x0a, a | 0x70);
    rig.set_all(&[(9, 0x30), (8, 0x06), (7, 0x15), (4, 0x10), (2, 0x20), (0, 0x30), (0x32, 0x20)]);
    rig.set(0x0b, b);
    rig.set(0x0a, a);
    rig.pass(SECOND / 2 - 1);
    assert_eq!(rig.get(0), 0x30);
    rig.pass(1);
    assert_eq!(rig.time(), [0x10, 0x20, 0x31]);
}

/// Linux, mc146818_get_time: seconds before and after, UIP clear all along.
#[test]
fn linux_reads_the_time_between_two_updates() {
    let mut rig = Rig::at(START * SECOND + 999_800_000);
    let time = loop {
        let before = rig.get(0);
        rig.pass(10_000);
        if rig.get(0x0a) & 0x80 != 0 {
            rig.pass(1_000_000);
            continue;
        }
        rig.pass(50_000);
        let time = rig.time();
        if rig.get(0x0a) & 0x80 == 0 && rig.get(0) == before {
            break time;
        }
    };
    assert_eq!(time, [0x12, 0x00, 0x00]);
}

/// Linux, rtc_cmos: the alarm's interrupt is disabled and C read, the alarm is written, the interrupt is enabled and C
/// read again; the handler reads C and disables the alarm.
#[test]
fn linux_alarm_rings_once() {
    let mut rig = Rig::new();
    let b = rig.get(0x0b);
    rig.set(0x0b, b & !0x20);
    rig.get(0x0c);
    rig.set_all(&[(5, 0x12), (3, 0x00), (1, 0x10)]);
    rig.set(0x0b, b | 0x20);
    rig.get(0x0c);
    assert_eq!(rig.sleep(), 11 * SECOND);
    assert_eq!(rig.get(0x0c) & 0xa0, 0xa0);
    rig.set(0x0b, b & !0x20);
    assert_eq!((rig.levels(), rig.event_in()), (vec![true, false], None));
}
