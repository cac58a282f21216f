//! What firmware and systems do to the timer, in the order in which they do it.

use super::{Rig, SECOND, spec};

/// SeaBIOS: counter 0 at 18.2 Hz, which it counts as the BIOS time.
#[test]
fn seabios_tick_comes_every_55_milliseconds() {
    let mut rig = Rig::new();
    rig.write(3, 0x34);
    rig.write(0, 0);
    rig.write(0, 0);
    let mut ticks = 0;
    while rig.timer.next_event().unwrap().0 < 60 * SECOND {
        rig.sleep();
        ticks += 1;
    }
    assert_eq!(ticks, 1092);
}

/// Linux, pit_set_periodic: HZ = 1000.
#[test]
fn linux_periodic_tick() {
    let rig = Rig::with(0x34, 1193);
    rig.levels();
    (0..3).for_each(|_| rig.sleep());
    assert_eq!(rig.levels(), [false, true].repeat(3));
}

/// Linux, pit_set_oneshot and pit_next_event: mode 4, and then a count whenever there is a next event.
#[test]
fn linux_one_shot_events() {
    let mut rig = Rig::new();
    rig.write(3, 0x38);
    rig.levels();
    for delta in [0x000f_u16, 0x7fff, 0x0400] {
        let start = rig.event_base();
        delta.to_le_bytes().into_iter().for_each(|byte| rig.write(0, byte));
        assert_eq!(rig.event(), Some(start + 2 + u64::from(delta)));
        rig.sleep();
        assert_eq!((rig.levels(), rig.event()), (vec![false, true], None));
    }
}

/// Linux, pit_shutdown: mode 0 with a count of 0 makes an interrupt after 55 ms, and none after it.
#[test]
fn linux_shutdown_ends_the_ticks() {
    let mut rig = Rig::with(0x34, 1193);
    rig.sleep();
    rig.program(0x30, 0);
    rig.sleep();
    assert_eq!(rig.event(), None);
}

/// Linux, timer_irq_works and the i8253 clock source: latch, then both bytes.
#[test]
fn linux_clock_source_counts_down() {
    let mut rig = Rig::with(0x34, 0xffff);
    rig.at(1);
    let counts = [10, 100, 1000].map(|clocks| {
        rig.at(1 + clocks);
        rig.write(3, 0x00);
        rig.count(0)
    });
    assert_eq!(counts, [0xfff5, 0xff9b, 0xfc17]);
}

/// Linux, quick_pit_calibrate: the high byte of counter 2 in mode 0, read until it changes.
#[test]
fn linux_calibrates_by_the_high_byte_of_counter_two() {
    let mut rig = Rig::with(0xb0, 0xffff);
    let highs = [0, 255, 256, 512].map(|clocks| {
        rig.at(1 + clocks);
        rig.count(2) >> 8
    });
    assert_eq!(highs, [0xff, 0xff, 0xfe, 0xfd]);
}

/// FreeBSD and kvm-unit-tests: status of counter 2 shows the end of a one-shot count.
#[test]
fn end_of_count_shows_in_the_status() {
    let mut rig = Rig::with(0xb0, 100);
    rig.at(100);
    assert_eq!(rig.status(2) & 0x80, 0);
    rig.at(101);
    assert_eq!(rig.status(2) & 0x80, 0x80);
}

/// A gate on counter 2, as port 0x61 is on other machines: it starts the one-shot.
#[test]
fn gate_starts_a_one_shot() {
    let mut rig = Rig::with(0xb2, 100);
    let gate = rig.pit.gate();
    gate.set(false);
    rig.at(50);
    assert_eq!(rig.status(2), 0xf2);
    gate.set(true);
    rig.at(51);
    assert_eq!((rig.status(2), rig.count(2)), (0x32, 100));
    rig.at(151);
    assert_eq!(rig.status(2), 0xb2);
}

impl Rig {
    /// The clocks until now.
    fn event_base(&self) -> u64 {
        use crate::time::Clock as _;
        (u128::from(self.clock.now().0) * u128::from(spec::HERTZ) / u128::from(SECOND)) as u64
    }
}
