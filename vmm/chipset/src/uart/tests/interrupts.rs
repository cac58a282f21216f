//! Which interrupt when, and what ends it.

use rstest::rstest;

use super::Rig;

#[test]
fn identification_shows_the_fifos() {
    let mut rig = Rig::with_fifos(0);
    assert_eq!(rig.read(2), 0xc1);
    rig.write(2, 0x00);
    assert_eq!(rig.read(2), 0x01);
}

#[test]
fn thr_empty_interrupt_ends_by_identification() {
    let mut rig = Rig::new();
    rig.write(1, 0x02);
    assert_eq!(rig.read(2), 0x02);
    assert_eq!(rig.read(2), 0x01);
    assert_eq!(rig.levels(), [true, false]);
}

#[test]
fn every_byte_sent_is_an_edge() {
    let mut rig = Rig::new();
    rig.write(1, 0x02);
    rig.levels();
    rig.send(b"ab");
    assert_eq!(rig.levels(), [false, true, false, true]);
}

#[test]
fn disabled_interrupt_leaves_the_line_low() {
    let mut rig = Rig::new();
    rig.send(b"x");
    assert_eq!(rig.host().push_input(b"y"), 1);
    assert_eq!((rig.levels(), rig.read(2)), (vec![], 0x01));
}

#[test]
fn input_from_another_thread_raises_the_line() {
    let mut rig = Rig::new();
    rig.write(1, 0x01);
    let host = rig.host().clone();
    assert_eq!(std::thread::spawn(move || host.push_input(b"x")).join().unwrap(), 1);
    assert_eq!((rig.levels(), rig.read(2)), (vec![true], 0x04));
    rig.read(0);
    assert_eq!((rig.levels(), rig.read(2)), (vec![false], 0x01));
}

#[rstest]
#[case::below_the_trigger(3, 0xcc)]
#[case::at_the_trigger(4, 0xc4)]
#[case::above_the_trigger(9, 0xc4)]
fn received_bytes_interrupt_by_level_or_time_out(#[case] count: usize, #[case] identification: u8) {
    let mut rig = Rig::with_fifos(1);
    rig.write(1, 0x01);
    assert_eq!(rig.host().push_input(&vec![b'x'; count]), count);
    assert_eq!(rig.read(2), identification);
}

#[test]
fn interrupt_stays_until_the_last_byte_is_read() {
    let mut rig = Rig::with_fifos(2);
    rig.write(1, 0x01);
    assert_eq!(rig.host().push_input(&[b'x'; 8]), 8);
    rig.read(0);
    assert_eq!(rig.read(2), 0xcc);
    (0..7).for_each(|_| assert_eq!(rig.read(0), b'x'));
    assert_eq!((rig.read(2), rig.levels()), (0xc1, vec![true, false]));
}

#[test]
fn interrupts_are_identified_in_order_of_priority() {
    let mut rig = Rig::with_fifos(0);
    rig.write(4, 0x10); // loopback, and all outputs off: the inputs change
    rig.send(&[b'x'; 17]); // one too many
    rig.write(1, 0x0f);
    assert_eq!(rig.read(2), 0xc6);
    assert_eq!(rig.read(5), 0x63, "reading tells of the overrun and ends it");
    assert_eq!(rig.read(2), 0xc4);
    (0..16).for_each(|_| assert_eq!(rig.read(0), b'x'));
    assert_eq!(rig.read(2), 0xc2);
    assert_eq!(rig.read(2), 0xc0);
    assert_eq!(rig.read(6), 0x0b);
    assert_eq!((rig.read(2), rig.read(5)), (0xc1, 0x60));
    assert_eq!(rig.levels(), [true, false]);
}
