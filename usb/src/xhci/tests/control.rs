use super::rig::*;
use crate::Outcome;

/// A request on endpoint 0 with a data stage of `len` bytes; the events it causes.
fn request(rig: &mut Rig, setup: [u8; 8], len: u32, direction: u32) -> Vec<Seen> {
    let at = ring(1);
    rig.trb(at, u64::from_le_bytes(setup), 8, kind(2) | IDT | 3 << 16);
    rig.trb(at + 16, BUFFER, len, kind(3) | direction | ISP);
    rig.trb(at + 32, 0, 0, kind(4) | IOC);
    rig.doorbell(1, 1);
    rig.events()
}

#[test]
fn data_stage_moves_what_the_device_has() {
    let mut rig = Rig::addressed();
    let events = request(&mut rig, [0x80, 6, 0, 1, 0, 0, 18, 0], 18, DIR_IN);
    assert_eq!((events.len(), events[0].code, events[0].pointer), (1, 1, ring(1) + 32));
    assert_eq!(rig.bytes(BUFFER, 4), [18, 1, 0, 3]);
}

#[test]
fn short_data_stage_is_reported_and_status_follows() {
    let mut rig = Rig::addressed();
    let events = request(&mut rig, [0x80, 6, 0, 1, 0, 0, 64, 0], 64, DIR_IN);
    let outcomes: Vec<_> = events.iter().map(|event| (event.code, event.left, event.pointer)).collect();
    assert_eq!(outcomes, [(13, 46, ring(1) + 16), (1, 0, ring(1) + 32)]);
}

#[test]
fn device_never_sees_more_than_the_request_says() {
    let mut rig = Rig::addressed();
    rig.answer(&[9; 64], Outcome::Done);
    request(&mut rig, [0xa1, 1, 0, 0, 0, 0, 5, 0], 64, DIR_IN);
    assert_eq!(rig.bytes(BUFFER, 7), [9, 9, 9, 9, 9, 0, 0]);
}

#[test]
fn refused_request_halts_endpoint_0() {
    let mut rig = Rig::addressed();
    let events = request(&mut rig, [0x80, 6, 0, 9, 0, 0, 18, 0], 18, DIR_IN);
    assert_eq!((events.len(), events[0].code, events[0].pointer), (1, 6, ring(1) + 16));
    assert_eq!(rig.endpoint_state(1), 2);
    assert_eq!(rig.command(0, kind(14) | 1 << 16 | 1 << 24), (1, 1));
    assert_eq!(rig.command(ring(1) | 1, kind(16) | 1 << 16 | 1 << 24), (1, 1));
    let events = request(&mut rig, [0x80, 6, 0, 1, 0, 0, 18, 0], 18, DIR_IN);
    assert_eq!(events[0].code, 1, "the next goes through");
}

#[test]
fn request_without_data_is_asked_at_the_status_stage() {
    let mut rig = Rig::addressed();
    rig.trb(ring(1), u64::from_le_bytes([0, 9, 1, 0, 0, 0, 0, 0]), 8, kind(2) | IDT);
    rig.trb(ring(1) + 16, 0, 0, kind(4) | DIR_IN | IOC);
    rig.doorbell(1, 1);
    assert_eq!(rig.events()[0].code, 1);
}

#[test]
fn device_that_needs_time_gets_the_same_request_again() {
    let mut rig = Rig::addressed();
    assert_eq!(request(&mut rig, [0xa1, 1, 0, 0, 0, 0, 5, 0], 5, DIR_IN), []);
    rig.answer(&[3; 5], Outcome::Done);
    rig.wake_device();
    assert_eq!(rig.events()[0].code, 1);
    assert_eq!(rig.bytes(BUFFER, 5), [3; 5]);
}

#[test]
fn stages_out_of_order_are_errors() {
    for first in [kind(3) | DIR_IN | IOC, kind(4) | IOC, kind(1) | IOC, kind(2) | IOC] {
        let mut rig = Rig::addressed();
        rig.trb(ring(1), 0, 8, first);
        rig.doorbell(1, 1);
        assert_eq!((rig.events()[0].code, rig.endpoint_state(1)), (5, 4), "{first:#x}");
    }
}

#[test]
fn data_against_the_request_are_an_error() {
    let mut rig = Rig::addressed();
    let events = request(&mut rig, [0x80, 6, 0, 1, 0, 0, 18, 0], 18, 0);
    assert_eq!(events[0].code, 5);
}
