//! Time passes, and is set.

use rstest::rstest;

use super::{MILLISECOND, Rig, SECOND, START};

const UPDATE_IN_PROGRESS: u8 = 0x80;

#[test]
fn time_passes_by_the_second() {
    let mut rig = Rig::new();
    rig.pass(SECOND - 1);
    assert_eq!(rig.time(), [0x11, 0x59, 0x59]);
    rig.pass(1);
    assert_eq!(rig.time(), [0x12, 0x00, 0x00]);
}

#[test]
fn clock_made_between_two_seconds_keeps_the_host_s() {
    let mut rig = Rig::at(START * SECOND + 900 * MILLISECOND);
    assert_eq!(rig.time(), [0x11, 0x59, 0x59]);
    rig.pass(100 * MILLISECOND);
    assert_eq!(rig.time(), [0x12, 0x00, 0x00]);
}

#[test]
fn century_changes() {
    let mut rig = Rig::new();
    rig.set_all(&[
        (0x0b, 0x82),
        (9, 0x99),
        (8, 0x12),
        (7, 0x31),
        (6, 5),
        (4, 0x23),
        (2, 0x59),
        (0, 0x59),
        (0x0b, 0x02),
    ]);
    rig.pass(SECOND);
    assert_eq!((rig.date(), rig.time()), ([0x21, 0x00, 0x01, 0x01, 6], [0, 0, 0]));
}

#[rstest]
#[case::bcd_24(0x02, [0x23, 0x59, 0x58], [0x23, 0x59, 0x59])]
#[case::binary_24(0x06, [23, 59, 58], [23, 59, 59])]
#[case::bcd_12_noon(0x00, [0x11, 0x59, 0x59], [0x92, 0x00, 0x00])]
#[case::bcd_12_afternoon(0x00, [0x92, 0x59, 0x59], [0x81, 0x00, 0x00])]
#[case::binary_12_midnight(0x04, [0x8b, 59, 59], [12, 0, 0])]
#[case::binary_12_after_midnight(0x04, [12, 59, 59], [1, 0, 0])]
fn second_in_each_format(#[case] b: u8, #[case] set: [u8; 3], #[case] next: [u8; 3]) {
    let mut rig = Rig::new();
    rig.set_all(&[(0x0b, b | 0x80), (4, set[0]), (2, set[1]), (0, set[2]), (0x0b, b)]);
    assert_eq!(rig.time(), set);
    rig.pass(SECOND);
    assert_eq!(rig.time(), next);
}

#[rstest]
#[case::to_binary(0x06, [11, 59, 59])]
#[case::to_12_hours(0x00, [0x11, 0x59, 0x59])]
#[case::to_both(0x04, [11, 59, 59])]
fn format_changes_under_a_running_clock(#[case] b: u8, #[case] time: [u8; 3]) {
    let mut rig = Rig::new();
    rig.set(0x0b, b);
    assert_eq!(rig.time(), time);
}

#[test]
fn time_that_was_set_counts_in_the_format_that_comes_with_it() {
    let mut rig = Rig::new();
    rig.set_all(&[(0x0b, 0x82), (4, 23), (2, 59), (0, 58), (0x0b, 0x06)]);
    assert_eq!(rig.time(), [23, 59, 58]);
    rig.pass(SECOND);
    assert_eq!(rig.time(), [23, 59, 59]);
}

#[test]
fn set_bit_stops_the_time_and_keeps_the_bytes_raw() {
    let mut rig = Rig::new();
    rig.set(0x0b, 0x82);
    rig.set_all(&[(8, 0xff), (0, 0x5f)]);
    rig.pass(100 * SECOND);
    assert_eq!((rig.get(8), rig.get(0)), (0xff, 0x5f));
}

#[test]
fn time_goes_on_where_it_was_set_and_at_the_old_pace() {
    let mut rig = Rig::new();
    rig.pass(250 * MILLISECOND);
    rig.set(0x0b, 0x82);
    rig.pass(1500 * MILLISECOND);
    rig.set_all(&[(0, 0x30), (0x0b, 0x02)]);
    rig.pass(250 * MILLISECOND - 1);
    assert_eq!(rig.get(0), 0x30);
    rig.pass(1);
    assert_eq!(rig.get(0), 0x31);
}

#[test]
fn date_set_byte_by_byte_may_pass_through_february_31() {
    let mut rig = Rig::new();
    rig.set_all(&[(7, 0x31), (8, 0x02), (7, 0x15)]);
    assert_eq!(rig.date()[2..4], [0x02, 0x15]);
    rig.pass(SECOND);
    assert_eq!(rig.date()[2..4], [0x02, 0x15]);
}

#[test]
fn nonsense_becomes_a_date_with_the_next_second() {
    let mut rig = Rig::new();
    rig.set_all(&[(7, 0x31), (8, 0x02)]);
    rig.pass(SECOND);
    assert_eq!(rig.date()[2..4], [0x03, 0x03]);
}

#[test]
fn set_time_follows_the_host_s_clock_when_that_is_set() {
    let mut rig = Rig::new();
    rig.set_all(&[(4, 0x06), (2, 0x30), (0, 0x00)]);
    rig.pass(3600 * SECOND);
    assert_eq!(rig.time(), [0x07, 0x30, 0x00]);
    rig.clock.set((START - 60) * SECOND);
    assert_eq!(rig.time(), [0x06, 0x29, 0x00]);
}

#[test]
fn host_s_clock_set_back_is_no_event() {
    let mut rig = Rig::new();
    rig.clock.set((START - 60) * SECOND);
    assert_eq!(rig.get(0x0c), 0);
}

#[test]
fn update_is_announced_244_microseconds_before() {
    let mut rig = Rig::new();
    for (position, announced) in
        [(0, 0), (999_755_999, 0), (999_756_000, 0x80), (999_999_999, 0x80), (SECOND, 0)]
    {
        rig.clock.set(START * SECOND + position);
        assert_eq!(rig.get(0x0a) & UPDATE_IN_PROGRESS, announced, "{position}");
    }
}

#[rstest]
#[case::set(0x0b, 0x82)]
#[case::divider_in_reset(0x0a, 0x66)]
fn no_update_is_announced_while_time_stands(#[case] index: u8, #[case] value: u8) {
    let mut rig = Rig::new();
    rig.set(index, value);
    rig.pass(SECOND - 1);
    assert_eq!(rig.get(0x0a) & UPDATE_IN_PROGRESS, 0);
    rig.pass(10 * SECOND);
    assert_eq!(rig.time(), [0x11, 0x59, 0x59]);
}

#[test]
fn released_divider_updates_after_half_a_second() {
    let mut rig = Rig::new();
    rig.set(0x0a, 0x76);
    rig.pass(12_345_678_901);
    rig.set(0x0a, 0x26);
    rig.pass(SECOND / 2 - 1);
    assert_eq!((rig.get(0), rig.get(0x0a)), (0x59, 0xa6));
    rig.pass(1);
    assert_eq!(rig.time(), [0x12, 0x00, 0x00]);
    rig.pass(SECOND);
    assert_eq!(rig.get(0), 0x01);
}

#[test]
fn divider_that_runs_already_is_not_released() {
    let mut rig = Rig::new();
    rig.pass(900 * MILLISECOND);
    rig.set(0x0a, 0x26);
    rig.pass(100 * MILLISECOND);
    assert_eq!(rig.time(), [0x12, 0x00, 0x00]);
}

#[test]
fn years_pass_in_no_time() {
    let mut rig = Rig::new();
    rig.pass(400 * 365 * 86_400 * SECOND);
    assert_eq!(rig.date()[..4], [0x24, 0x26, 0x04, 0x29]);
}
