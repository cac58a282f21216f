use super::rig::*;
use crate::Outcome;

#[test]
fn links_in_a_circle_are_a_trb_error() {
    let mut rig = Rig::with_endpoints(&[(3, 6, 0)]);
    rig.trb(ring(3), ring(3), 0, kind(6));
    rig.doorbell(1, 3);
    let event = rig.events()[0];
    assert_eq!((event.code, event.pointer, rig.endpoint_state(3)), (5, ring(3), 4));
}

#[test]
fn ring_outside_memory_is_a_trb_error() {
    let mut rig = Rig::with_endpoints(&[(3, 6, 0)]);
    rig.trb(ring(3), 1 << 40, 0, kind(6));
    rig.doorbell(1, 3);
    assert_eq!((rig.events()[0].code, rig.endpoint_state(3)), (5, 4));
}

#[test]
fn buffer_outside_memory_is_a_trb_error_after_what_is_inside() {
    let mut rig = Rig::with_endpoints(&[(3, 6, 0)]);
    rig.trb(ring(3), BUFFER, 4, kind(1) | CHAIN);
    rig.trb(ring(3) + 16, u64::MAX - 2, 4, kind(1) | IOC);
    rig.answer(&[5; 4], Outcome::Done);
    rig.doorbell(1, 3);
    assert_eq!((rig.events()[0].code, rig.bytes(BUFFER, 4)), (5, vec![5; 4]));
}

#[test]
fn command_ring_outside_memory_completes_with_an_error_once() {
    let mut rig = Rig::stopped();
    rig.start();
    rig.write(USBCMD, 4);
    rig.run();
    rig.write(CRCR, 1);
    rig.write(CRCR + 4, 0x100);
    rig.write(USBCMD, 5);
    rig.doorbell(0, 0);
    let events = rig.events();
    assert_eq!((events.len(), events[0].code), (1, 5));
}

#[test]
fn endless_ring_stops_by_itself() {
    let mut rig = Rig::with_endpoints(&[(3, 6, 0)]);
    rig.trb(ring(3), 0, 0, kind(8));
    rig.trb(ring(3) + 16, ring(3), 0, kind(6));
    rig.write(0x2004, 3);
    assert!(rig.controller.run(5000));
}

#[test]
fn doorbell_of_an_absent_endpoint_is_answered() {
    let mut rig = Rig::addressed();
    rig.doorbell(1, 5);
    let event = rig.events()[0];
    assert_eq!((event.kind, event.code, event.slot, event.endpoint), (32, 12, 1, 5));
    rig.doorbell(1, 0xff);
    assert_eq!(rig.events(), []);
}

#[test]
fn event_ring_outside_memory_is_a_host_system_error() {
    let mut rig = Rig::stopped();
    rig.words(0x3000, &[0, 0x100, 64, 0]);
    for (offset, value) in
        [(0x1028, 1), (0x1038, 0), (0x103c, 0x100), (0x1030, 0x3000), (0x1034, 0), (USBCMD, 1)]
    {
        rig.write(offset, value);
    }
    rig.plug(crate::Speed::Super);
    assert_eq!(rig.read(USBSTS) & 0x1005, 5, "HSE, halted");
}

#[test]
fn segment_table_that_cannot_be_is_a_controller_error() {
    let mut rig = Rig::stopped();
    for (offset, value) in [(0x1028, 99), (0x1030, 0x3000), (0x1034, 0), (USBCMD, 1)] {
        rig.write(offset, value);
    }
    rig.plug(crate::Speed::Super);
    assert_eq!(rig.read(USBSTS) & 0x1005, 0x1001, "HCE, halted");
    rig.write(USBCMD, 1);
    rig.run();
    assert_eq!(rig.read(USBSTS) & 1, 1, "until a reset");
}

#[test]
fn full_event_ring_holds_transfers_and_loses_none() {
    let mut rig = Rig::with_endpoints(&[(3, 6, 0)]);
    for index in 0..200 {
        rig.trb(ring(3) + 16 * index, BUFFER, 1, kind(1) | IOC);
        rig.answer(&[1], Outcome::Done);
    }
    rig.write(0x2004, 3);
    rig.run();
    let mut seen = Vec::new();
    for _ in 0..20 {
        seen.extend(rig.events().into_iter().filter(|event| event.kind == 32).map(|event| event.pointer));
    }
    let expected: Vec<_> = (0..200).map(|index| ring(3) + 16 * index).collect();
    assert_eq!(seen, expected);
}
