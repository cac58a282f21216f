//! Priorities, masks, ends of interrupts, and the modes that change them. One controller.

use rstest::rstest;

use super::Half::First;
use super::{COMMAND, DATA, EOI, Rig};

/// The inputs of the first controller that have wires.
const WIRED: [u32; 7] = [0, 1, 3, 4, 5, 6, 7];

#[test]
fn interrupt_rises_and_falls_with_its_acknowledgement() {
    let mut rig = Rig::ready();
    rig.pulse(4);
    assert_eq!((rig.levels(), rig.requests(First)), (vec![true], 0x10));
    assert_eq!(rig.pic.acknowledge(), 0x24);
    assert_eq!((rig.levels(), rig.requests(First), rig.in_service(First)), (vec![false], 0, 0x10));
}

#[test]
fn lower_number_comes_first() {
    let mut rig = Rig::ready();
    WIRED.into_iter().rev().for_each(|irq| rig.pulse(irq));
    let mut order = Vec::new();
    while rig.pic.is_pending() {
        order.push(rig.pic.acknowledge());
        rig.command(First, EOI);
    }
    assert_eq!(order, [0x20, 0x21, 0x23, 0x24, 0x25, 0x26, 0x27]);
}

#[test]
fn interrupt_in_service_keeps_out_itself_and_what_comes_after() {
    let rig = Rig::ready();
    rig.pulse(4);
    assert_eq!(rig.vectors(), [0x24]);
    rig.pulse(4);
    rig.pulse(5);
    assert_eq!(rig.vectors(), []);
    rig.pulse(3);
    assert_eq!(rig.vectors(), [0x23]);
}

#[test]
fn mask_keeps_a_request_waiting() {
    let mut rig = Rig::ready();
    rig.mask(First, 0x10);
    rig.pulse(4);
    assert_eq!((rig.vectors(), rig.requests(First)), (vec![], 0x10));
    rig.mask(First, 0x00);
    assert_eq!(rig.vectors(), [0x24]);
}

#[test]
fn masked_interrupt_in_service_blocks_on() {
    let mut rig = Rig::ready();
    rig.pulse(3);
    assert_eq!(rig.vectors(), [0x23]);
    rig.mask(First, 0x08);
    rig.pulse(4);
    assert_eq!(rig.vectors(), []);
}

#[test]
fn end_of_interrupt_ends_the_first_in_service() {
    let mut rig = Rig::ready();
    rig.pulse(5);
    rig.pic.acknowledge();
    rig.pulse(3);
    rig.pic.acknowledge();
    assert_eq!(rig.in_service(First), 0x28);
    rig.command(First, EOI);
    assert_eq!(rig.in_service(First), 0x20);
    rig.command(First, EOI);
    rig.command(First, EOI);
    assert_eq!(rig.in_service(First), 0);
}

#[test]
fn specific_end_of_interrupt_ends_the_one_it_names() {
    let mut rig = Rig::ready();
    for irq in [5, 3] {
        rig.pulse(irq);
        rig.pic.acknowledge();
    }
    rig.command(First, 0x65);
    assert_eq!(rig.in_service(First), 0x08);
    rig.command(First, 0x66);
    assert_eq!(rig.in_service(First), 0x08);
}

#[rstest]
fn set_priority_makes_a_level_the_last(#[values(0, 1, 3, 4, 5, 6, 7)] last: u8) {
    let mut rig = Rig::ready();
    rig.command(First, 0xc0 | last);
    WIRED.into_iter().for_each(|irq| rig.pulse(irq));
    let mut order = Vec::new();
    while rig.pic.is_pending() {
        order.push(rig.pic.acknowledge() & 7);
        rig.command(First, EOI);
    }
    let expected: Vec<_> = (last + 1..=last + 8).map(|level| level % 8).filter(|&level| level != 2).collect();
    assert_eq!(order, expected);
}

#[rstest]
#[case::not_specific(0xa0)]
#[case::specific(0xe4)]
fn rotating_end_makes_the_ended_level_the_last(#[case] command: u8) {
    let mut rig = Rig::ready();
    rig.pulse(4);
    rig.pic.acknowledge();
    rig.command(First, command);
    assert_eq!(rig.in_service(First), 0);
    [4, 3, 5].into_iter().for_each(|irq| rig.pulse(irq));
    assert_eq!(rig.pic.acknowledge(), 0x25);
    rig.command(First, EOI);
    assert_eq!(rig.pic.acknowledge(), 0x23);
}

#[test]
fn rotating_end_of_nothing_rotates_nothing() {
    let mut rig = Rig::ready();
    rig.command(First, 0xa0);
    [3, 0].into_iter().for_each(|irq| rig.pulse(irq));
    assert_eq!(rig.pic.acknowledge(), 0x20);
}

#[test]
fn no_operation_does_nothing() {
    let mut rig = Rig::ready();
    rig.pulse(4);
    rig.pic.acknowledge();
    rig.command(First, 0x44);
    assert_eq!(rig.in_service(First), 0x10);
    rig.command(First, EOI);
    [5, 0].into_iter().for_each(|irq| rig.pulse(irq));
    assert_eq!(rig.pic.acknowledge(), 0x20, "priorities are as they were");
}

#[test]
fn automatic_end_leaves_nothing_in_service() {
    let mut rig = Rig::with_icw4(0x03);
    rig.pulse(4);
    rig.pulse(5);
    assert_eq!(rig.vectors(), [0x24, 0x25]);
    assert_eq!(rig.in_service(First), 0);
}

#[test]
fn automatic_end_rotates_if_told() {
    let mut rig = Rig::with_icw4(0x03);
    rig.command(First, 0x80);
    rig.pulse(4);
    assert_eq!(rig.vectors(), [0x24]);
    [4, 3, 5].into_iter().for_each(|irq| rig.pulse(irq));
    assert_eq!(rig.vectors(), [0x25, 0x23, 0x24]);
    rig.command(First, 0x00);
    rig.pulse(5);
    [5, 6, 0].into_iter().for_each(|irq| rig.pulse(irq));
    assert_eq!(rig.vectors(), [0x25, 0x26, 0x20], "4 stays the last");
    [4, 5].into_iter().for_each(|irq| rig.pulse(irq));
    assert_eq!(rig.vectors(), [0x25, 0x24]);
}

#[test]
fn special_mask_mode_lets_through_what_is_not_masked() {
    let mut rig = Rig::ready();
    rig.pulse(4);
    rig.pic.acknowledge();
    rig.mask(First, 0x10);
    rig.command(First, 0x68);
    [4, 6].into_iter().for_each(|irq| rig.pulse(irq));
    assert_eq!(rig.vectors(), [0x26]);
    rig.command(First, EOI);
    assert_eq!(rig.in_service(First), 0x10, "the end is not for what is masked");
    rig.command(First, 0x48);
    rig.pulse(6);
    assert_eq!(rig.vectors(), []);
}

#[test]
fn other_operation_words_leave_special_mask_mode_alone() {
    let mut rig = Rig::ready();
    rig.pulse(4);
    rig.pic.acknowledge();
    rig.mask(First, 0x10);
    [0x68, 0x2a, 0x0b, 0x28].into_iter().for_each(|command| rig.command(First, command));
    rig.pulse(6);
    assert_eq!(rig.vectors(), [0x26]);
}

#[test]
fn poll_acknowledges() {
    let mut rig = Rig::ready();
    rig.pulse(4);
    rig.command(First, 0x0c);
    assert_eq!(rig.read(First, COMMAND), 0x84);
    assert_eq!((rig.in_service(First), rig.levels()), (0x10, vec![true, false]));
}

#[test]
fn poll_without_a_request_acknowledges_nothing() {
    let mut rig = Rig::ready();
    rig.command(First, 0x0c);
    assert_eq!(rig.read(First, COMMAND) & 0x80, 0);
    assert_eq!(rig.in_service(First), 0);
}

#[test]
fn poll_is_for_one_read() {
    let mut rig = Rig::ready();
    rig.mask(First, 0x7f);
    rig.pulse(7);
    rig.command(First, 0x0c);
    assert_eq!(rig.read(First, DATA), 0x87, "at either port");
    assert_eq!(rig.read(First, DATA), 0x7f);
}

#[test]
fn poll_is_called_off_by_another_operation_word() {
    let mut rig = Rig::ready();
    rig.pulse(4);
    [0x0c, 0x0a].into_iter().for_each(|command| rig.command(First, command));
    assert_eq!((rig.read(First, COMMAND), rig.in_service(First)), (0x10, 0));
}

#[test]
fn register_to_read_stays_chosen() {
    let mut rig = Rig::ready();
    rig.pulse(4);
    rig.pic.acknowledge();
    rig.pulse(5);
    assert_eq!(rig.read(First, COMMAND), 0x20, "requests, at first");
    assert_eq!(rig.in_service(First), 0x10);
    rig.command(First, 0x08);
    assert_eq!(rig.read(First, COMMAND), 0x10);
}
