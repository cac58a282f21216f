//! When the driver is interrupted, and when it is asked to kick. virtio 1.2, 2.7.7 and 2.7.10.

use crate::rig::{Buffer, Rig, Ring, feature, reg};
use crate::worker::{Gate, gated};

const ROOM: &[Buffer] = &[Buffer::In(0x2_0000, 16)];

fn start(features: u64) -> (Rig, Gate, Ring) {
    let (rig, gate) = gated();
    let ring = Ring::new(16, 0x1_0000);
    rig.start(feature::VERSION_1 | features, &ring);
    (rig, gate, ring)
}

/// One request, served to its end.
fn serve_one(rig: &Rig, gate: &Gate, ring: &mut Ring) {
    gate.open(1);
    rig.request(ring, ROOM);
    rig.settle();
}

#[test]
fn batch_has_one_interrupt_at_its_end() {
    let (rig, gate, mut ring) = start(0);
    (0..5).for_each(|_| _ = ring.add(&rig.memory, ROOM));
    rig.kick();
    gate.open(4);
    (0..5).for_each(|_| _ = gate.next());
    assert!(!rig.line.is_high(), "the fifth request is in flight");
    gate.open(1);
    rig.wait_until("an interrupt", || rig.line.is_high());
    (0..5).for_each(|_| _ = rig.wait_used(&mut ring));
    assert_eq!(rig.line.raised(), 1);
}

#[test]
fn kick_of_an_empty_queue_does_not_interrupt() {
    let (rig, _gate, _ring) = start(0);
    rig.kick();
    rig.settle();
    assert_eq!((rig.line.raised(), rig.read(reg::INTERRUPT_STATUS)), (0, 0));
}

#[test]
fn line_goes_up_again_after_each_acknowledgement() {
    let (rig, gate, mut ring) = start(0);
    for times in 1..4 {
        serve_one(&rig, &gate, &mut ring);
        assert_eq!((rig.line.is_high(), rig.line.raised()), (true, times));
        rig.write(reg::INTERRUPT_ACK, 1);
        assert!(!rig.line.is_high());
    }
}

#[test]
fn driver_that_wants_no_interrupts_gets_none() {
    let (rig, gate, mut ring) = start(0);
    ring.set_avail_flags(&rig.memory, 1);
    serve_one(&rig, &gate, &mut ring);
    assert_eq!(rig.line.raised(), 0);
    ring.set_avail_flags(&rig.memory, 0);
    serve_one(&rig, &gate, &mut ring);
    assert_eq!(rig.line.raised(), 1);
}

#[test]
fn event_index_delays_the_interrupt() {
    let (rig, gate, mut ring) = start(feature::EVENT_IDX);
    ring.set_used_event(&rig.memory, 2);
    serve_one(&rig, &gate, &mut ring);
    serve_one(&rig, &gate, &mut ring);
    assert_eq!(rig.line.raised(), 0);
    serve_one(&rig, &gate, &mut ring);
    assert_eq!(rig.line.raised(), 1);
    rig.write(reg::INTERRUPT_ACK, 1);
    serve_one(&rig, &gate, &mut ring);
    assert_eq!(rig.line.raised(), 1, "not before the driver moves the index");
}

#[test]
fn event_index_inside_a_batch_interrupts_at_its_end() {
    let (rig, gate, mut ring) = start(feature::EVENT_IDX);
    ring.set_used_event(&rig.memory, 1);
    (0..4).for_each(|_| _ = ring.add(&rig.memory, ROOM));
    gate.open(4);
    rig.kick();
    (0..4).for_each(|_| _ = rig.wait_used(&mut ring));
    rig.wait_until("an interrupt", || rig.line.is_high());
}

#[test]
fn event_index_makes_the_interrupt_flag_meaningless() {
    let (rig, gate, mut ring) = start(feature::EVENT_IDX);
    ring.set_avail_flags(&rig.memory, 1);
    serve_one(&rig, &gate, &mut ring);
    assert_eq!(rig.line.raised(), 1);
}

#[test]
fn kicks_are_unwanted_while_the_queue_is_served() {
    let (rig, gate, mut ring) = start(0);
    ring.add(&rig.memory, ROOM);
    rig.kick();
    gate.next();
    assert_eq!(ring.used_flags(&rig.memory), 1);
    gate.open(1);
    rig.wait_used(&mut ring);
    rig.settle();
    assert_eq!(ring.used_flags(&rig.memory), 0);
}

#[test]
fn chains_that_come_without_a_kick_while_the_queue_is_served_are_found() {
    let (rig, gate, mut ring) = start(0);
    ring.add(&rig.memory, ROOM);
    rig.kick();
    gate.next();
    ring.add(&rig.memory, ROOM);
    gate.open(2);
    gate.next();
    rig.wait_used(&mut ring);
    rig.wait_used(&mut ring);
}

#[test]
fn event_index_asks_for_a_kick_with_the_next_chain() {
    let (rig, gate, mut ring) = start(feature::EVENT_IDX);
    for served in 1..4 {
        serve_one(&rig, &gate, &mut ring);
        assert_eq!(ring.avail_event(&rig.memory), served);
    }
}

#[test]
fn indices_wrap_around() {
    let (rig, gate) = gated();
    let mut ring = Ring::new(2, 0x1_0000);
    rig.start(feature::VERSION_1 | feature::EVENT_IDX, &ring);
    gate.open(0x1_0002);
    for _ in 0..0x8001 {
        ring.add(&rig.memory, ROOM);
        ring.add(&rig.memory, ROOM);
        rig.kick();
        rig.wait_used(&mut ring);
        rig.wait_used(&mut ring);
    }
    assert!(!rig.needs_reset());
}
