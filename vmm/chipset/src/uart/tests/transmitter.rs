//! The transmitter, and a host that is slow or gone.

use super::{OUTPUT_CAPACITY, Rig};

#[test]
fn what_the_guest_sends_is_taken_once_and_in_order() {
    let mut rig = Rig::new();
    rig.send(b"login: ");
    assert_eq!(rig.output(), b"login: ");
    assert_eq!(rig.output(), b"");
}

#[test]
fn transmitter_is_empty_again_at_once() {
    let mut rig = Rig::new();
    rig.send(b"x");
    assert_eq!(rig.read(5), 0x60);
}

#[test]
fn host_is_called_for_the_first_byte_after_it_took_all() {
    let mut rig = Rig::new();
    rig.send(b"abc");
    assert_eq!(rig.calls(), 1);
    rig.output();
    rig.send(b"d");
    assert_eq!(rig.calls(), 1);
}

#[test]
fn thre_goes_off_while_the_host_does_not_keep_up() {
    let mut rig = Rig::new();
    assert_eq!(rig.fill(), OUTPUT_CAPACITY);
    assert_eq!(rig.read(5), 0x00);
    assert_eq!(rig.output().len(), OUTPUT_CAPACITY);
    assert_eq!(rig.read(5), 0x60);
}

#[test]
fn sixteen_bytes_can_be_written_whenever_thre_is_on() {
    let mut rig = Rig::new();
    rig.fill();
    rig.output();
    rig.send(&vec![b'.'; OUTPUT_CAPACITY - 16]);
    assert_eq!(rig.read(5), 0x60);
    rig.send(b"0123456789abcdef");
    assert_eq!(rig.read(5), 0x00);
    assert!(rig.output().ends_with(b".0123456789abcdef"));
}

#[test]
fn bytes_sent_against_thre_are_lost_and_take_no_memory() {
    let mut rig = Rig::new();
    rig.fill();
    rig.send(&[b'y'; 1000]);
    let output = rig.output();
    assert_eq!(output.len(), OUTPUT_CAPACITY);
    assert!(!output.contains(&b'y'));
}

#[test]
fn guest_that_waits_for_thre_is_interrupted_when_the_host_takes_the_output() {
    let mut rig = Rig::new();
    rig.fill();
    rig.write(1, 0x02);
    assert_eq!(rig.read(2), 0x01, "not empty, no interrupt");
    rig.output();
    assert_eq!(rig.levels(), [true]);
    assert_eq!(rig.read(2), 0x02);
}

#[test]
fn taking_output_from_an_idle_transmitter_is_no_interrupt() {
    let mut rig = Rig::new();
    rig.write(1, 0x02);
    rig.send(b"x");
    rig.read(2);
    rig.levels();
    rig.output();
    assert_eq!((rig.levels(), rig.read(2)), (vec![], 0x01));
}

#[test]
fn clearing_the_transmit_fifo_drops_what_thre_did_not_promise() {
    let mut rig = Rig::with_fifos(0);
    rig.fill();
    rig.write(2, 0x05);
    assert_eq!(rig.read(5), 0x60);
    assert_eq!(rig.output().len(), OUTPUT_CAPACITY - 16);
}

#[test]
fn guest_goes_on_when_the_host_is_gone() {
    let mut rig = Rig::new();
    let clone = rig.host().clone();
    rig.fill();
    rig.write(1, 0x02);
    rig.host = None;
    assert_eq!(rig.read(5), 0x00, "the other handle is still there");
    drop(clone);
    assert_eq!(rig.levels(), [true]);
    assert_eq!(rig.read(5), 0x60);
    rig.send(&[b'x'; 4096]);
    assert_eq!(rig.read(5), 0x60);
}
