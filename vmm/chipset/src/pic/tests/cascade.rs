//! Both controllers together.

use super::Half::{First, Second};
use super::{COMMAND, EOI, Rig};

#[test]
fn second_controller_s_interrupt_is_in_service_in_both() {
    let mut rig = Rig::ready();
    rig.pulse(12);
    assert_eq!((rig.requests(First), rig.requests(Second)), (0x04, 0x10));
    assert_eq!(rig.vectors(), [0x2c]);
    assert_eq!((rig.in_service(First), rig.in_service(Second)), (0x04, 0x10));
    assert_eq!((rig.requests(First), rig.requests(Second)), (0x00, 0x00));
}

#[test]
fn second_controller_comes_between_one_and_three() {
    let mut rig = Rig::ready();
    [3, 8, 15, 1].into_iter().for_each(|irq| rig.pulse(irq));
    let mut order = Vec::new();
    while rig.pic.is_pending() {
        order.push(rig.pic.acknowledge());
        rig.command(Second, EOI);
        rig.command(First, EOI);
    }
    assert_eq!(order, [0x21, 0x28, 0x2f, 0x23]);
}

#[test]
fn masked_cascade_keeps_the_second_controller_out() {
    let mut rig = Rig::ready();
    rig.mask(First, 0x04);
    rig.pulse(8);
    assert_eq!(rig.vectors(), []);
    rig.mask(First, 0x00);
    assert_eq!(rig.vectors(), [0x28]);
}

#[test]
fn higher_request_of_the_second_controller_waits_for_the_first_s_end() {
    let mut rig = Rig::ready();
    rig.pulse(12);
    assert_eq!(rig.vectors(), [0x2c]);
    rig.pulse(8);
    assert_eq!(rig.vectors(), []);
    rig.command(First, EOI);
    assert_eq!(rig.vectors(), [0x28]);
}

#[test]
fn special_fully_nested_mode_lets_it_through() {
    let mut rig = Rig::ready();
    rig.initialize(First, [0x11, 0x20, 0x04, 0x11]);
    rig.pulse(12);
    assert_eq!(rig.vectors(), [0x2c]);
    rig.pulse(13);
    assert_eq!(rig.vectors(), [], "the second controller holds it back");
    rig.pulse(3);
    assert_eq!(rig.vectors(), [], "the cascade is in service");
    rig.pulse(8);
    assert_eq!(rig.vectors(), [0x28]);
}

#[test]
fn fully_nested_mode_is_for_the_cascade_only() {
    let rig = Rig::with_icw4(0x11);
    rig.pulse(4);
    assert_eq!(rig.vectors(), [0x24]);
    rig.pulse(4);
    assert_eq!(rig.vectors(), []);
}

#[test]
fn request_that_vanished_from_the_second_controller_is_spurious_in_the_first() {
    let mut rig = Rig::ready();
    rig.set_elcr(1, 0x04);
    rig.set(10, true);
    assert!(rig.pic.is_pending());
    rig.set(10, false);
    assert_eq!((rig.requests(First), rig.pic.acknowledge()), (0, 0x27));
}

#[test]
fn uninitialized_second_controller_does_not_disturb_the_first() {
    let mut rig = Rig::new();
    rig.initialize(First, [0x11, 0x20, 0x04, 0x01]);
    rig.pulse(10);
    rig.pulse(4);
    assert_eq!(rig.vectors(), [0x24]);
}

#[test]
fn automatic_end_in_both_serves_one_after_the_other() {
    let rig = Rig::with_icw4(0x03);
    [8, 10, 12, 4].into_iter().for_each(|irq| rig.pulse(irq));
    assert_eq!(rig.vectors(), [0x28, 0x2a, 0x2c, 0x24]);
}

#[test]
fn polled_cascade_leads_to_the_second_controller() {
    let mut rig = Rig::ready();
    rig.pulse(11);
    rig.command(First, 0x0c);
    assert_eq!(rig.read(First, COMMAND), 0x82);
    rig.command(Second, 0x0c);
    assert_eq!(rig.read(Second, COMMAND), 0x83);
    assert_eq!((rig.in_service(First), rig.in_service(Second)), (0x04, 0x08));
}

#[test]
fn request_that_is_polled_from_the_second_controller_leaves_the_first() {
    let mut rig = Rig::ready();
    rig.pulse(11);
    rig.command(Second, 0x0c);
    assert_eq!(rig.read(Second, COMMAND), 0x83);
    assert_eq!((rig.requests(First), rig.levels()), (0, vec![true, false]));
}
