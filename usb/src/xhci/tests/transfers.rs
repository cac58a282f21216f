use std::sync::atomic::Ordering;
use std::time::Duration;

use super::rig::*;
use crate::xhci::PortId;
use crate::{Outcome, Speed};

const BULK_IN: (u8, u32, u32) = (3, 6, 0);
const BULK_OUT: (u8, u32, u32) = (4, 2, 0);

/// Code, bytes left and pointer of all events.
fn outcomes(rig: &mut Rig) -> Vec<(u32, u32, u64)> {
    rig.events().into_iter().map(|event| (event.code, event.left, event.pointer)).collect()
}

#[test]
fn transfer_of_several_trbs_is_reported_where_it_asks_to_be() {
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    rig.trb(ring(3), BUFFER, 16, kind(1) | CHAIN | ISP);
    rig.trb(ring(3) + 16, BUFFER + 0x1000, 8, kind(1) | IOC | ISP);
    rig.answer(&(0..24).collect::<Vec<_>>(), Outcome::Done);
    rig.doorbell(1, 3);
    assert_eq!(outcomes(&mut rig), [(1, 0, ring(3) + 16)]);
    assert_eq!(rig.bytes(BUFFER, 16), (0..16).collect::<Vec<_>>());
    assert_eq!(rig.bytes(BUFFER + 0x1000, 8), (16..24).collect::<Vec<_>>());
}

#[test]
fn transfer_goes_on_behind_a_link() {
    let mut rig = Rig::with_endpoints(&[BULK_OUT]);
    rig.words(BUFFER, &[u32::from_le_bytes(*b"abcd")]);
    rig.trb(ring(4), BUFFER, 2, kind(1) | CHAIN);
    rig.trb(ring(4) + 16, ring(9), 0, kind(6) | CHAIN | 2);
    // The other cycle, and a TRB that is not filled yet.
    rig.words(ring(9), &[BUFFER as u32 + 2, 0, 2, kind(1) | IOC, 0, 0, 0, CYCLE]);
    rig.answer(&[], Outcome::Done);
    rig.doorbell(1, 4);
    assert_eq!(outcomes(&mut rig), [(1, 0, ring(9))]);
    assert_eq!(rig.script.lock().unwrap().taken, b"abcd");
}

#[test]
fn short_packet_is_reported_once_and_ends_the_transfer() {
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    rig.trb(ring(3), BUFFER, 16, kind(1) | CHAIN | ISP);
    rig.trb(ring(3) + 16, BUFFER, 16, kind(1) | IOC);
    rig.trb(ring(3) + 32, BUFFER, 4, kind(1) | IOC);
    rig.answer(&[7; 6], Outcome::Done);
    rig.answer(&[8; 4], Outcome::Done);
    rig.doorbell(1, 3);
    assert_eq!(outcomes(&mut rig), [(13, 10, ring(3)), (1, 0, ring(3) + 32)]);
}

#[test]
fn short_packet_that_may_not_interrupt_shows_in_the_last_trb() {
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    rig.trb(ring(3), BUFFER, 16, kind(1) | CHAIN);
    rig.trb(ring(3) + 16, BUFFER, 16, kind(1) | IOC);
    rig.answer(&[7; 6], Outcome::Done);
    rig.doorbell(1, 3);
    assert_eq!(outcomes(&mut rig), [(13, 16, ring(3) + 16)]);
}

#[test]
fn event_data_counts_what_moved() {
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    rig.trb(ring(3), BUFFER, 16, kind(1) | CHAIN);
    rig.trb(ring(3) + 16, BUFFER, 16, kind(1) | CHAIN);
    rig.trb(ring(3) + 32, 0x1122_3344_5566, 0, kind(7) | IOC);
    rig.answer(&[7; 20], Outcome::Done);
    rig.doorbell(1, 3);
    assert_eq!(outcomes(&mut rig), [(13, 20, 0x1122_3344_5566)]);
}

#[test]
fn immediate_data_are_in_the_trb() {
    let mut rig = Rig::with_endpoints(&[BULK_OUT]);
    rig.trb(ring(4), u64::from_le_bytes(*b"tinderbo"), 5, kind(1) | IDT | IOC);
    rig.answer(&[], Outcome::Done);
    rig.doorbell(1, 4);
    assert_eq!(rig.script.lock().unwrap().taken, b"tinde");
}

#[test]
fn stalled_endpoint_stays_halted_until_the_driver_moves_it() {
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    rig.trb(ring(3), BUFFER, 16, kind(1) | IOC);
    rig.trb(ring(3) + 16, BUFFER, 4, kind(1) | IOC);
    rig.answer(&[], Outcome::Stall);
    rig.doorbell(1, 3);
    assert_eq!(outcomes(&mut rig), [(6, 16, ring(3))]);
    assert_eq!(rig.endpoint_state(3), 2);
    rig.answer(&[1; 4], Outcome::Done);
    rig.doorbell(1, 3);
    assert_eq!(outcomes(&mut rig), [], "halted");
    let on_3 = 3 << 16 | 1 << 24;
    assert_eq!(rig.command(0, kind(14) | on_3), (1, 1));
    assert_eq!(rig.command((ring(3) + 16) | 1, kind(16) | on_3), (1, 1));
    rig.doorbell(1, 3);
    assert_eq!(outcomes(&mut rig), [(1, 0, ring(3) + 16)]);
}

#[test]
fn babble_halts() {
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    rig.trb(ring(3), BUFFER, 4, kind(1) | IOC);
    rig.answer(&[1; 4], Outcome::Babble);
    rig.doorbell(1, 3);
    assert_eq!(outcomes(&mut rig), [(3, 0, ring(3))]);
    assert_eq!(rig.endpoint_state(3), 2);
}

#[test]
fn device_without_data_is_asked_again_when_it_wakes() {
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    rig.trb(ring(3), BUFFER, 8, kind(1) | IOC);
    rig.doorbell(1, 3);
    assert_eq!(outcomes(&mut rig), []);
    rig.answer(&[1; 3], Outcome::Nak);
    rig.wake_device();
    rig.answer(&[2; 5], Outcome::Done);
    rig.wake_device();
    assert_eq!(outcomes(&mut rig), [(1, 0, ring(3))]);
    assert_eq!(rig.bytes(BUFFER, 8), [1, 1, 1, 2, 2, 2, 2, 2]);
}

#[test]
fn zero_length_transfer_reaches_the_device() {
    let mut rig = Rig::with_endpoints(&[BULK_OUT]);
    rig.trb(ring(4), 0, 0, kind(1) | IOC);
    rig.doorbell(1, 4);
    assert_eq!(outcomes(&mut rig), [], "NAK");
    rig.answer(&[], Outcome::Done);
    rig.wake_device();
    assert_eq!(outcomes(&mut rig), [(1, 0, ring(4))]);
}

#[test]
fn transfer_longer_than_a_window_is_one_transfer() {
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    for index in 0..250 {
        rig.trb(ring(3) + 16 * index, BUFFER + 4 * index, 4, kind(1) | CHAIN);
    }
    rig.trb(ring(3) + 16 * 250, ring(9), 0, kind(6) | CHAIN);
    for index in 0..50 {
        let last = if index == 49 { IOC } else { CHAIN };
        rig.trb(ring(9) + 16 * index, BUFFER + 1000 + 4 * index, 4, kind(1) | last);
    }
    let bytes: Vec<u8> = (0..1200).map(|index| index as u8).collect();
    rig.answer(&bytes, Outcome::Done);
    rig.doorbell(1, 3);
    assert_eq!(outcomes(&mut rig), [(1, 0, ring(9) + 16 * 49)]);
    assert_eq!(rig.bytes(BUFFER, 1200), bytes);
}

#[test]
fn detached_device_fails_what_it_kept_waiting() {
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    rig.trb(ring(3), BUFFER, 8, kind(1) | IOC);
    rig.doorbell(1, 3);
    rig.write(0x440, 1 << 17); // CSC, of the attachment
    assert!(rig.controller.detach(PortId(1)).is_some());
    rig.run();
    let events = rig.events();
    assert_eq!((events[0].kind, events[0].pointer), (34, 1 << 24), "port status change");
    assert_eq!((events[1].kind, events[1].code, events[1].pointer), (32, 4, ring(3)));
    assert_eq!(rig.endpoint_state(3), 2);
}

#[test]
fn interrupt_endpoint_keeps_its_interval() {
    let mut rig = Rig::with_endpoints(&[(3, 7, 3)]); // 8 microframes, 1 ms
    for index in 0..2 {
        rig.trb(ring(3) + 16 * index, BUFFER, 1, kind(1) | IOC);
        rig.answer(&[1], Outcome::Done);
    }
    rig.doorbell(1, 3);
    assert_eq!(outcomes(&mut rig).len(), 1);
    rig.advance(Duration::from_micros(999));
    assert_eq!(outcomes(&mut rig).len(), 0);
    rig.advance(Duration::from_micros(1));
    assert_eq!(outcomes(&mut rig).len(), 1);
}

#[test]
fn isochronous_transfers_go_at_their_interval_and_tell_when_there_are_none() {
    let mut rig = Rig::with_endpoints(&[(3, 5, 3)]);
    rig.trb(ring(3), BUFFER, 8, kind(5) | 1 << 31 | IOC | ISP);
    rig.answer(&[1; 8], Outcome::Done);
    rig.doorbell(1, 3);
    assert_eq!(outcomes(&mut rig), [(1, 0, ring(3)), (15, 0, 0)]);
}

#[test]
fn isochronous_transfer_that_is_late_is_missed() {
    let mut rig = Rig::with_endpoints(&[(3, 5, 3)]);
    rig.advance(Duration::from_millis(10));
    rig.trb(ring(3), BUFFER, 8, kind(5) | 9 << 20 | IOC);
    rig.doorbell(1, 3);
    assert_eq!(outcomes(&mut rig)[0], (23, 8, ring(3)));
}

#[test]
fn event_interrupts_until_acknowledged() {
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    rig.write(IMAN, 3);
    assert!(!rig.line.load(Ordering::Relaxed));
    rig.trb(ring(3), BUFFER, 1, kind(1) | IOC);
    rig.answer(&[1], Outcome::Done);
    rig.doorbell(1, 3);
    assert!(rig.line.load(Ordering::Relaxed));
    assert_eq!(rig.read(USBSTS) & 8, 8, "EINT");
    rig.write(IMAN, 3);
    assert!(!rig.line.load(Ordering::Relaxed));
}

#[test]
fn mfindex_wraps_are_told_to_who_asks() {
    let mut rig = Rig::started();
    rig.write(USBCMD, 5 | 1 << 10);
    rig.advance(Duration::from_micros(2_047_999));
    assert_eq!(rig.read(0x1000), 0x3fff);
    assert_eq!(rig.events(), []);
    rig.advance(Duration::from_micros(1));
    assert_eq!((rig.read(0x1000), rig.events()[0].kind), (0, 39));
}

#[test]
fn suspended_port_holds_transfers_until_it_resumes() {
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    rig.write(0x440, 1 << 16 | 3 << 5);
    rig.trb(ring(3), BUFFER, 1, kind(1) | IOC);
    rig.answer(&[1], Outcome::Done);
    rig.doorbell(1, 3);
    assert_eq!(outcomes(&mut rig), []);
    rig.write(0x440, 1 << 16);
    rig.run();
    let kinds: Vec<_> = rig.events().iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [34, 32]);
}

#[test]
fn vcpu_does_what_is_done_at_once() {
    let mut rig = Rig::with_endpoints(&[BULK_IN, BULK_OUT]);
    rig.trb(ring(3), BUFFER, 4, kind(1) | IOC);
    rig.answer(&[5; 4], Outcome::Done);
    rig.script.lock().unwrap().at_once = true;
    rig.write(0x2004, 3);
    assert!(rig.controller.run_at_once(), "nothing is left");
    assert_eq!(outcomes(&mut rig), [(1, 0, ring(3))]);
    assert_eq!(rig.bytes(BUFFER, 4), [5; 4]);
}

#[test]
fn vcpu_leaves_to_the_worker_what_may_take_its_time() {
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    rig.trb(ring(3), BUFFER, 4, kind(1) | IOC);
    rig.trb(ring(1), 0, 8, kind(2) | IDT);
    rig.answer(&[5; 4], Outcome::Done);
    rig.write(0x2004, 3);
    assert!(!rig.controller.run_at_once());
    assert_eq!(rig.word(BUFFER), 0);
    rig.run();
    assert_eq!(outcomes(&mut rig), [(1, 0, ring(3))]);
    rig.script.lock().unwrap().at_once = true;
    rig.write(0x2004, 1);
    assert!(!rig.controller.run_at_once(), "requests are the worker's");
    rig.write(USBCMD, 0);
    assert!(!rig.controller.run_at_once(), "and so is a halt");
}

#[test]
fn device_wakes_its_port() {
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    rig.write(0x440, 1 << 16 | 3 << 5);
    rig.wake_device();
    assert_eq!((rig.events(), rig.read(0x440) >> 5 & 0xf), (vec![], 3), "it has no wish to");
    rig.script.lock().unwrap().signals_wakeup = true;
    rig.wake_device();
    assert_eq!((rig.events()[0].kind, rig.read(0x440) >> 5 & 0xf), (34, 15));
}

#[test]
fn what_a_device_said_before_its_port_slept_wakes_it() {
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    rig.script.lock().unwrap().signals_wakeup = true;
    rig.wake_device();
    assert_eq!((rig.events(), rig.read(0x440) >> 5 & 0xf), (vec![], 0));
    rig.write(0x440, 1 << 16 | 3 << 5);
    rig.run();
    assert_eq!((rig.events()[0].kind, rig.read(0x440) >> 5 & 0xf), (34, 15));
}

#[test]
fn slow_speeds_have_the_other_ports() {
    let mut rig = Rig::started();
    let ports = [Speed::Super, Speed::High, Speed::Full, Speed::Low].map(|speed| rig.plug(speed));
    assert_eq!(ports, [PortId(1), PortId(9), PortId(10), PortId(11)]);
}
