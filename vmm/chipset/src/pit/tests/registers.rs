//! Bytes, latches and the read-back command.

use rstest::rstest;

use super::{Access, Device as _, Refused, Rig, Width, spec};

#[test]
fn timer_at_power_on_counts_nothing() {
    let mut rig = Rig::new();
    rig.at(1000);
    for counter in 0..3 {
        assert_eq!((rig.count(counter), rig.status(counter)), (0, 0x70));
    }
    assert_eq!((rig.event(), rig.levels()), (None, vec![]));
}

#[test]
fn control_words_cannot_be_read() {
    assert_eq!(Rig::new().pit.read(Access { offset: 3, width: Width::Byte }), Err(Refused));
}

#[test]
fn wider_accesses_are_refused() {
    let mut rig = Rig::new();
    for offset in 0..spec::LEN {
        for width in [Width::Word, Width::Dword, Width::Qword] {
            let at = Access { offset, width };
            assert_eq!((rig.pit.read(at), rig.pit.write(at, 0x3434)), (Err(Refused), Err(Refused)));
        }
    }
    assert_eq!(rig.status(0), 0x70);
}

#[test]
fn count_is_loaded_with_the_next_clock_and_goes_down_with_those_after() {
    let mut rig = Rig::with(0x34, 1000);
    assert_eq!((rig.count(0), rig.status(0) & 0x40), (0, 0x40));
    rig.at(1);
    assert_eq!((rig.count(0), rig.status(0) & 0x40), (1000, 0));
    rig.at(301);
    assert_eq!(rig.count(0), 700);
    rig.at(1001);
    assert_eq!(rig.count(0), 1000);
}

#[rstest]
#[case::low(0x10, &[0x34], 0x0034)]
#[case::high(0x20, &[0x12], 0x1200)]
#[case::both(0x30, &[0x34, 0x12], 0x1234)]
fn bytes_of_a_count(#[case] access: u8, #[case] bytes: &[u8], #[case] count: u16) {
    let mut rig = Rig::new();
    rig.write(3, access);
    bytes.iter().for_each(|&byte| rig.write(0, byte));
    rig.at(1);
    assert_eq!(bytes.iter().map(|_| rig.read(0)).collect::<Vec<_>>(), bytes, "as the access says");
    rig.at(2);
    rig.write(3, 0x00);
    let low = (count - 1).to_le_bytes()[0];
    assert_eq!(rig.read(0), if access == 0x20 { (count - 1).to_le_bytes()[1] } else { low });
}

#[rstest]
#[case::digits(0x1234, 1, 0x1233)]
#[case::borrow(0x1000, 1, 0x0999)]
#[case::zero_is_ten_thousand(0x0000, 1, 0x9999)]
#[case::wraps(0x0002, 3, 0x9999)]
fn decimal_counter_counts_digits(#[case] count: u16, #[case] clocks: u64, #[case] read: u16) {
    let mut rig = Rig::with(0x31, count);
    rig.at(1 + clocks);
    assert_eq!(rig.count(0), read);
}

#[test]
fn counters_are_independent() {
    let mut rig = Rig::new();
    for (command, count) in [(0x34, 100), (0x74, 200), (0xb4, 300)] {
        rig.program(command, count);
    }
    rig.at(11);
    assert_eq!([0, 1, 2].map(|counter| rig.count(counter)), [90, 190, 290]);
}

#[test]
fn latched_count_stays_until_it_is_read() {
    let mut rig = Rig::with(0x34, 1000);
    rig.at(101);
    rig.write(3, 0x00);
    rig.at(201);
    rig.write(3, 0x00);
    assert_eq!(rig.count(0), 900, "the first latch");
    assert_eq!(rig.count(0), 800, "live");
}

#[test]
fn latched_count_survives_between_its_bytes() {
    let mut rig = Rig::with(0x34, 0x8000);
    rig.at(1 + 0x7f);
    rig.write(3, 0x00);
    let low = rig.read(0);
    rig.at(0x2000);
    assert_eq!([low, rig.read(0)], 0x7f81_u16.to_le_bytes());
}

#[test]
fn control_word_drops_what_was_latched() {
    let mut rig = Rig::with(0x34, 1000);
    rig.at(101);
    rig.write(3, 0xc2);
    rig.program(0x34, 500);
    rig.at(102);
    assert_eq!(rig.count(0), 500);
}

#[test]
fn control_word_forgets_the_first_byte() {
    let mut rig = Rig::new();
    rig.write(3, 0x34);
    rig.write(0, 0x11);
    rig.program(0x34, 0x2233);
    rig.at(1);
    assert_eq!(rig.count(0), 0x2233);
}

#[test]
fn read_back_gives_status_then_count() {
    let mut rig = Rig::with(0x34, 1000);
    rig.at(101);
    rig.write(3, 0xc2);
    rig.at(1001);
    assert_eq!(rig.read(0), 0xb4);
    assert_eq!(rig.count(0), 900);
    assert_eq!(rig.count(0), 1000);
}

#[test]
fn read_back_reaches_several_counters() {
    let mut rig = Rig::new();
    rig.program(0x34, 100);
    rig.program(0xb6, 200);
    rig.at(11);
    rig.write(3, 0xda);
    rig.at(21);
    assert_eq!([rig.count(0), rig.count(2)], [90, 180]);
}

#[test]
fn second_read_back_of_status_is_ignored_until_the_first_is_read() {
    let mut rig = Rig::with(0x30, 10);
    rig.write(3, 0xe2);
    rig.at(11);
    assert_eq!(rig.status(0), 0x70, "before the load");
    assert_eq!(rig.status(0), 0xb0, "after the end");
}

#[rstest]
#[case::mode_2_with_the_high_bit(0x3c, 0xbc)]
#[case::mode_3_with_the_high_bit_bcd(0x3f, 0xbf)]
#[case::mode_0(0x30, 0x30)]
fn status_tells_the_mode_as_written(#[case] command: u8, #[case] status: u8) {
    let mut rig = Rig::with(command, 0x0100);
    rig.at(2);
    assert_eq!(rig.status(0), status);
}

#[test]
fn reset_stops_the_counters() {
    let mut rig = Rig::with(0x34, 100);
    rig.at(50);
    rig.timer.tick();
    rig.pit.reset();
    rig.at(5000);
    assert_eq!((rig.count(0), rig.status(0), rig.event()), (0, 0x70, None));
    assert_eq!(rig.levels(), [true, false]);
}
