//! The receiver, and a host that has more than it can take.

use rstest::rstest;

use super::Rig;

#[test]
fn input_arrives_in_order_and_data_ready_tells_of_it() {
    let mut rig = Rig::with_fifos(0);
    assert_eq!(rig.host().push_input(b"hi"), 2);
    assert_eq!(rig.read(5), 0x61);
    assert_eq!((rig.read(0), rig.read(0)), (b'h', b'i'));
    assert_eq!((rig.read(5), rig.read(0)), (0x60, 0));
}

#[rstest]
#[case::without_fifos(0x00, 1)]
#[case::with_fifos(0x01, 16)]
fn receiver_takes_what_it_has_room_for(#[case] fcr: u8, #[case] room: usize) {
    let mut rig = Rig::new();
    rig.write(2, fcr);
    assert_eq!(rig.host().input_space(), room);
    assert_eq!(rig.host().push_input(&[b'x'; 20]), room);
    assert_eq!(rig.host().input_space(), 0);
    assert_eq!(rig.read(5), 0x61, "no overrun: the host holds the rest");
}

#[test]
fn host_is_called_once_when_there_is_room_for_the_rest() {
    let mut rig = Rig::with_fifos(0);
    assert_eq!(rig.host().push_input(&[b'x'; 17]), 16);
    assert_eq!(rig.calls(), 0);
    rig.read(0);
    assert_eq!(rig.calls(), 1);
    rig.read(0);
    assert_eq!(rig.calls(), 0);
}

#[test]
fn host_that_asked_for_space_is_called() {
    let mut rig = Rig::new();
    assert_eq!(rig.host().push_input(b"x"), 1);
    rig.read(0);
    assert_eq!(rig.calls(), 0, "it did not wait for any");
    assert_eq!(rig.host().push_input(b"x"), 1);
    assert_eq!(rig.host().input_space(), 0);
    rig.read(0);
    assert_eq!(rig.calls(), 1);
}

#[rstest]
#[case::cleared(0x03)]
#[case::switched_off(0x00)]
fn clearing_the_receive_fifo_makes_room(#[case] fcr: u8) {
    let mut rig = Rig::with_fifos(0);
    assert_eq!(rig.host().push_input(&[b'x'; 17]), 16);
    rig.write(2, fcr);
    assert_eq!(rig.read(5), 0x60);
    assert_eq!(rig.calls(), 1);
}

#[test]
fn writing_the_fifo_control_register_alone_clears_nothing() {
    let mut rig = Rig::with_fifos(0);
    assert_eq!(rig.host().push_input(b"x"), 1);
    rig.write(2, 0xc1);
    assert_eq!(rig.read(0), b'x');
}

#[test]
fn fifo_bits_do_not_count_without_the_enable_bit() {
    let mut rig = Rig::new();
    assert_eq!(rig.host().push_input(b"x"), 1);
    rig.write(2, 0xce);
    assert_eq!((rig.read(2), rig.read(0)), (0x01, b'x'));
}
