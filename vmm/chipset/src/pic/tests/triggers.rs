//! Edge and level, and requests that go away.

use rstest::rstest;

use super::Half::{First, Second};
use super::{EOI, Rig};

#[test]
fn edge_is_one_interrupt_however_long_the_wire_stays_high() {
    let mut rig = Rig::ready();
    rig.set(4, true);
    rig.set(4, true);
    assert_eq!(rig.vectors(), [0x24]);
    rig.command(First, EOI);
    assert_eq!(rig.vectors(), []);
    rig.set(4, false);
    rig.set(4, true);
    assert_eq!(rig.vectors(), [0x24]);
}

#[test]
fn edge_outlives_the_pulse() {
    let rig = Rig::ready();
    rig.pulse(4);
    assert_eq!(rig.vectors(), [0x24]);
}

#[test]
fn edges_before_the_acknowledgement_are_one() {
    let mut rig = Rig::ready();
    rig.pulse(4);
    rig.pulse(4);
    rig.pic.acknowledge();
    rig.command(First, EOI);
    assert_eq!(rig.vectors(), []);
}

#[rstest]
#[case::first(5, 0, 0x20, 0x25)]
#[case::second(10, 1, 0x04, 0x2a)]
fn level_is_an_interrupt_as_long_as_the_wire_is_high(
    #[case] irq: u32,
    #[case] elcr: u64,
    #[case] input: u8,
    #[case] vector: u8,
) {
    let mut rig = Rig::ready();
    rig.set_elcr(elcr, input);
    rig.set(irq, true);
    for _ in 0..3 {
        assert_eq!(rig.vectors(), [vector]);
        rig.command(Second, EOI);
        rig.command(First, EOI);
    }
    rig.pic.acknowledge();
    rig.set(irq, false);
    rig.command(Second, EOI);
    rig.command(First, EOI);
    assert_eq!(rig.vectors(), []);
}

#[test]
fn level_request_is_gone_when_the_wire_falls() {
    let mut rig = Rig::ready();
    rig.set_elcr(0, 0x20);
    rig.set(5, true);
    rig.set(5, false);
    assert_eq!((rig.levels(), rig.requests(First)), (vec![true, false], 0));
}

#[test]
fn icw1_can_make_all_inputs_level_triggered() {
    let mut rig = Rig::new();
    rig.initialize(First, [0x19, 0x20, 0x04, 0x01]);
    rig.set(1, true);
    assert_eq!(rig.vectors(), [0x21]);
    rig.command(First, EOI);
    assert_eq!(rig.vectors(), [0x21]);
}

#[test]
fn input_that_becomes_level_triggered_forgets_its_edge() {
    let mut rig = Rig::ready();
    rig.pulse(5);
    rig.set_elcr(0, 0x20);
    assert_eq!(rig.requests(First), 0);
    rig.set_elcr(0, 0x00);
    assert_eq!((rig.requests(First), rig.levels()), (0, vec![true, false]));
}

#[test]
fn input_that_becomes_edge_triggered_has_no_edge_from_before() {
    let mut rig = Rig::ready();
    rig.set_elcr(0, 0x20);
    rig.set(5, true);
    rig.set_elcr(0, 0x00);
    assert_eq!((rig.requests(First), rig.levels()), (0, vec![true, false]));
}

#[test]
fn input_that_becomes_level_triggered_while_high_requests() {
    let mut rig = Rig::ready();
    rig.set(5, true);
    assert_eq!(rig.vectors(), [0x25]);
    rig.command(First, EOI);
    rig.set_elcr(0, 0x20);
    assert_eq!(rig.vectors(), [0x25]);
}

#[test]
fn acknowledgement_of_nothing_is_spurious_and_not_in_service() {
    let mut rig = Rig::ready();
    rig.set_elcr(0, 0x20);
    rig.set(5, true);
    rig.set(5, false); // after INTR, before the acknowledgement
    assert_eq!(rig.pic.acknowledge(), 0x27);
    assert_eq!(rig.in_service(First), 0);
}

#[test]
fn request_that_is_masked_before_the_acknowledgement_is_spurious() {
    let mut rig = Rig::ready();
    rig.pulse(4);
    rig.mask(First, 0xff);
    assert_eq!(rig.pic.acknowledge(), 0x27);
    rig.mask(First, 0x00);
    assert_eq!(rig.vectors(), [0x24]);
}

#[test]
fn real_irq_7_is_in_service() {
    let mut rig = Rig::ready();
    rig.pulse(7);
    assert_eq!((rig.vectors(), rig.in_service(First)), (vec![0x27], 0x80));
}
