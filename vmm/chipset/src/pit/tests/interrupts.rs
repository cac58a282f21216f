//! The line of counter 0, and when the host's timer is needed.

use rstest::rstest;

use super::{Device as _, Rig, SECOND, spec};

#[test]
fn mode_0_rises_once() {
    let rig = Rig::with(0x30, 1000);
    assert_eq!((rig.event(), rig.calls()), (Some(1001), 1));
    rig.at(1000);
    rig.timer.tick();
    assert!(rig.levels().is_empty());
    rig.sleep();
    assert_eq!((rig.levels(), rig.event()), (vec![true], None));
}

#[test]
fn mode_0_falls_with_the_next_count() {
    let mut rig = Rig::with(0x30, 1000);
    rig.sleep();
    rig.write(0, 0xff);
    assert_eq!(rig.levels(), [true, false], "the first byte stops it");
    assert_eq!(rig.event(), None);
    rig.write(0, 0x00);
    assert_eq!(rig.event(), Some(1001 + 1 + 0xff));
}

#[rstest]
#[case::rate_generator(0x34)]
#[case::square_wave(0x36)]
fn periodic_mode_rises_each_period(#[case] command: u8) {
    let rig = Rig::with(command, 1000);
    assert_eq!(rig.levels(), [true]);
    for period in 1..=5 {
        assert_eq!(rig.event(), Some(1 + period * 1000));
        rig.sleep();
        assert_eq!(rig.levels(), [false, true]);
    }
    assert_eq!(rig.calls(), 1, "the timer knows by itself");
}

#[test]
fn strobe_rises_a_clock_after_the_end() {
    let rig = Rig::with(0x38, 1000);
    rig.levels();
    assert_eq!(rig.event(), Some(1002));
    rig.sleep();
    assert_eq!((rig.levels(), rig.event()), (vec![false, true], None));
}

#[test]
fn late_host_makes_one_interrupt_of_many() {
    let rig = Rig::with(0x34, 1000);
    rig.levels();
    rig.at(10_500);
    rig.timer.tick();
    assert_eq!((rig.levels(), rig.event()), (vec![false, true], Some(11_001)));
}

#[test]
fn late_host_does_not_miss_a_rise_that_is_over() {
    let rig = Rig::with(0x36, 1000);
    rig.levels();
    rig.at(1601); // in the low half of the second period
    rig.timer.tick();
    assert_eq!(rig.levels(), [false, true, false]);
}

#[test]
fn guest_that_looks_brings_the_interrupt_itself() {
    let mut rig = Rig::with(0x34, 1000);
    rig.levels();
    rig.at(1001);
    rig.count(0);
    assert_eq!(rig.levels(), [false, true]);
}

#[test]
fn other_counters_do_not_interrupt() {
    let mut rig = Rig::new();
    rig.program(0x74, 100);
    rig.program(0xb0, 100);
    rig.at(1000);
    rig.timer.tick();
    assert_eq!((rig.levels(), rig.event(), rig.calls()), (vec![], None, 0));
}

#[rstest]
#[case::illegal(1)]
#[case::shortest(2)]
#[case::short(100)]
fn impatient_guest_gets_five_thousand_interrupts_a_second(#[case] count: u16) {
    let rig = Rig::with(0x34, count);
    let mut ticks = 0;
    while rig.timer.next_event().unwrap().0 < SECOND {
        rig.sleep();
        ticks += 1;
    }
    assert!((4900..=5000).contains(&ticks), "{ticks}");
}

#[test]
fn single_interrupts_do_not_wait() {
    let mut rig = Rig::with(0x30, 10);
    rig.sleep();
    rig.program(0x30, 10);
    assert_eq!(rig.event(), Some(22));
}

#[test]
fn thousand_hertz_are_a_thousand_interrupts() {
    let rig = Rig::with(0x34, (spec::HERTZ / 1000) as u16);
    let mut ticks = 0;
    while rig.timer.next_event().unwrap().0 < 10 * SECOND {
        rig.sleep();
        ticks += 1;
    }
    assert_eq!(ticks, 10_001, "1193 clocks are a little less than a millisecond");
}

#[test]
fn shorter_count_wakes_the_host_s_timer() {
    let mut rig = Rig::with(0x30, 10_000);
    rig.calls();
    rig.program(0x30, 100);
    assert_eq!((rig.event(), rig.calls()), (Some(101), 1));
}

#[test]
fn reset_lowers_the_line() {
    let mut rig = Rig::with(0x34, 1000);
    rig.pit.reset();
    assert_eq!((rig.levels(), rig.event()), (vec![true, false], None));
}
