//! Flags, enables, and when the host's timer is needed.

use rstest::rstest;

use super::{MILLISECOND, Rig, SECOND};

const INTERRUPT: u8 = 0x80;
const PERIODIC: u8 = 0x40;
const ALARM: u8 = 0x20;
const UPDATE: u8 = 0x10;

/// 24 hours, BCD.
const MODE: u8 = 0x02;

#[test]
fn clock_without_interrupts_needs_no_timer() {
    let mut rig = Rig::new();
    rig.pass(10 * SECOND);
    rig.time();
    assert_eq!((rig.event_in(), rig.calls()), (None, 0));
    assert!(rig.levels().is_empty());
}

#[test]
fn flags_are_set_without_being_enabled_and_without_a_timer() {
    let mut rig = Rig::new();
    rig.pass(SECOND);
    assert_eq!(rig.get(0x0c), PERIODIC | UPDATE);
    assert!(rig.levels().is_empty());
}

#[test]
fn reading_register_c_clears_it() {
    let mut rig = Rig::new();
    rig.pass(SECOND);
    rig.get(0x0c);
    assert_eq!(rig.get(0x0c), 0);
}

#[rstest]
#[case::periodic(PERIODIC, SECOND.div_ceil(1024))]
#[case::update(UPDATE, SECOND)]
#[case::alarm(ALARM, 61 * SECOND)]
fn enabled_interrupt_comes_on_time(#[case] enable: u8, #[case] due: u64) {
    let mut rig = Rig::new();
    rig.set_all(&[(5, 0x12), (3, 0x01), (1, 0x00), (0x0b, MODE | enable)]);
    assert_eq!((rig.event_in(), rig.calls()), (Some(due), 1));
    rig.pass(due - 1);
    rig.timer.tick();
    assert!(rig.levels().is_empty());
    rig.pass(1);
    rig.timer.tick();
    assert_eq!(rig.levels(), [true]);
    assert_eq!(rig.get(0x0c) & (INTERRUPT | enable), INTERRUPT | enable);
    assert_eq!(rig.levels(), [false]);
}

#[test]
fn nothing_is_due_until_the_guest_reads_register_c() {
    let mut rig = Rig::new();
    rig.set(0x0b, MODE | PERIODIC);
    rig.sleep();
    assert_eq!((rig.event_in(), rig.calls()), (None, 1));
    rig.pass(MILLISECOND * 10);
    rig.timer.tick();
    assert_eq!(rig.levels(), [true]);
    rig.get(0x0c);
    assert_eq!(rig.calls(), 1);
    assert!(rig.event_in().unwrap() < MILLISECOND);
}

#[rstest]
#[case::fastest(3, 8192)]
#[case::default(6, 1024)]
#[case::slow(15, 2)]
#[case::odd_code_1(1, 256)]
#[case::odd_code_2(2, 128)]
fn periodic_interrupts_keep_their_rate(#[case] rate: u8, #[case] hertz: usize) {
    let mut rig = Rig::new();
    rig.set_all(&[(0x0a, 0x20 | rate), (0x0b, MODE | PERIODIC)]);
    let mut slept = 0;
    for _ in 0..hertz {
        slept += rig.sleep();
        rig.get(0x0c);
    }
    assert_eq!(slept, SECOND);
    assert_eq!(rig.levels().len(), 2 * hertz);
}

#[test]
fn rate_zero_is_no_rate() {
    let mut rig = Rig::new();
    rig.set_all(&[(0x0a, 0x20), (0x0b, MODE | PERIODIC)]);
    assert_eq!(rig.event_in(), None);
    rig.pass(SECOND);
    assert_eq!(rig.get(0x0c), UPDATE);
}

#[test]
fn periodic_interrupt_goes_on_while_the_time_is_set() {
    let mut rig = Rig::new();
    rig.set(0x0b, MODE | 0x80 | PERIODIC);
    rig.sleep();
    assert_eq!(rig.get(0x0c), INTERRUPT | PERIODIC);
    rig.pass(SECOND);
    assert_eq!(rig.get(0x0c) & (UPDATE | ALARM), 0);
}

#[test]
fn divider_in_reset_stops_all_interrupts() {
    let mut rig = Rig::new();
    rig.set_all(&[(0x0a, 0x66), (0x0b, MODE | PERIODIC | ALARM | UPDATE)]);
    assert_eq!(rig.event_in(), None);
    rig.pass(SECOND);
    assert_eq!(rig.get(0x0c), 0);
}

#[test]
fn setting_the_time_disables_the_update_interrupt() {
    let mut rig = Rig::new();
    rig.set_all(&[(0x0b, MODE | UPDATE), (0x0b, MODE | 0x80 | UPDATE), (0x0b, MODE | 0x80)]);
    assert_eq!(rig.get(0x0b), MODE | 0x80);
    assert_eq!(rig.event_in(), None);
}

#[test]
fn enabling_an_interrupt_whose_flag_is_set_raises_it_at_once() {
    let mut rig = Rig::new();
    rig.pass(SECOND);
    rig.set(0x0b, MODE | UPDATE);
    assert_eq!(rig.levels(), [true]);
    rig.set(0x0b, MODE);
    assert_eq!(rig.levels(), [false]);
    assert_eq!(rig.get(0x0c), PERIODIC | UPDATE);
}

#[test]
fn alarm_rings_even_if_nobody_looked_at_its_second() {
    let mut rig = Rig::new();
    rig.set_all(&[(5, 0x12), (3, 0x01), (1, 0x00)]);
    rig.pass(60 * SECOND);
    assert_eq!(rig.get(0x0c) & ALARM, 0);
    rig.pass(600 * SECOND);
    assert_eq!(rig.get(0x0c) & ALARM, ALARM);
}

#[test]
fn alarm_of_every_minute_rings_each_minute() {
    let mut rig = Rig::new();
    rig.set_all(&[(5, 0xff), (3, 0xff), (1, 0x30), (0x0b, MODE | ALARM)]);
    let naps: Vec<_> = (0..3).map(|_| (rig.sleep(), rig.get(0x0c)).0 / SECOND).collect();
    assert_eq!(naps, [31, 60, 60]);
}

#[test]
fn alarm_that_was_moved_forward_wakes_the_timer() {
    let mut rig = Rig::new();
    rig.set_all(&[(5, 0x23), (3, 0x00), (1, 0x00), (0x0b, MODE | ALARM)]);
    rig.calls();
    rig.set(5, 0x12);
    assert_eq!((rig.calls(), rig.event_in()), (1, Some(SECOND)));
}

#[test]
fn impossible_alarm_needs_no_timer() {
    let mut rig = Rig::new();
    rig.set_all(&[(5, 0x77), (0x0b, MODE | ALARM)]);
    assert_eq!(rig.event_in(), None);
}

#[test]
fn earliest_of_several_interrupts_comes_first() {
    let mut rig = Rig::new();
    rig.set_all(&[(0x0a, 0x2f), (5, 0x12), (3, 0x00), (1, 0x00), (0x0b, MODE | ALARM | UPDATE | PERIODIC)]);
    assert_eq!(rig.sleep(), SECOND / 2);
    assert_eq!(rig.get(0x0c), INTERRUPT | PERIODIC);
    assert_eq!(rig.sleep(), SECOND / 2);
    assert_eq!(rig.get(0x0c), INTERRUPT | PERIODIC | UPDATE | ALARM);
}
