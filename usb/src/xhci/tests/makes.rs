//! Controllers of other makes than the usual one: contexts of 64 bytes, other ports; and what only several interrupters show.

use super::rig::*;
use crate::xhci::Config;
use crate::{Outcome, Speed};

const BULK_IN: (u8, u32, u32) = (3, 6, 0);

#[test]
fn contexts_of_64_bytes_are_where_the_driver_has_them() {
    let mut rig = Rig::addressed_of(Config { large_contexts: true, ..Config::default() });
    assert_eq!(rig.read(0x10) & 1 << 2, 1 << 2, "CSZ");
    assert_eq!((rig.slot_state(), rig.word(OUTPUT + 12) & 0xff), (2, 1));
    assert_eq!((rig.endpoint_state(1), rig.word(OUTPUT + 0x48)), (1, ring(1) as u32 | 1));
    assert_eq!(rig.configure(&[BULK_IN]), (1, 1));
    assert_eq!((rig.slot_state(), rig.endpoint_state(3)), (3, 1));
    rig.trb(ring(3), BUFFER, 4, kind(1) | IOC);
    rig.answer(b"data", Outcome::Done);
    rig.doorbell(1, 3);
    assert_eq!((rig.events()[0].code, rig.bytes(BUFFER, 4)), (1, b"data".to_vec()));
    assert_eq!(rig.command(0, kind(15) | 3 << 16 | 1 << 24), (1, 1));
    assert_eq!(rig.word(OUTPUT + 0xc8), (ring(3) as u32 + 16) | 1, "dequeue pointer");
}

#[test]
fn ports_and_slots_are_as_many_as_configured() {
    let config = Config { usb3_ports: 1, usb2_ports: 2, slots: 3, interrupters: 2, ..Config::default() };
    let mut rig = Rig::of(config);
    assert_eq!(rig.read(4), 3 << 24 | 2 << 8 | 3);
    rig.start();
    let ports = [Speed::Super, Speed::High, Speed::Full].map(|speed| rig.plug(speed).0);
    assert_eq!(ports, [1, 2, 3]);
    let slots = [(); 4].map(|()| rig.command(0, kind(9)));
    assert_eq!(slots, [(1, 1), (1, 2), (1, 3), (9, 0)]);
    assert_eq!(rig.read(0x470), 0, "no fourth port");
}

/// Describes a ring of 16 events at `events` to interrupter `index`, with moderation of 1 ms.
fn listen(rig: &mut Rig, index: u64, events: u64) {
    let (at, table) = (0x1020 + 0x20 * index, events + 0x800);
    rig.words(table, &[events as u32, 0, 16, 0]);
    for (offset, value) in [(8, 1), (0x18, events), (0x1c, 0), (0x10, table), (0x14, 0), (4, 4000), (0, 2)] {
        rig.write(at + offset, value);
    }
}

#[test]
fn each_interrupter_has_its_own_events_and_its_own_moderation() {
    const EVENTS_2: u64 = 0x6_0000;
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    rig.events();
    listen(&mut rig, 2, EVENTS_2);
    for n in 0..3 {
        rig.words(ring(3) + 16 * n, &[BUFFER as u32, 0, 2 << 22 | 1, kind(1) | IOC | CYCLE]);
        rig.answer(&[7], Outcome::Done);
        rig.doorbell(1, 3);
    }
    assert_eq!(rig.events(), [], "nothing for the first");
    let pointers = [0, 1, 2].map(|n| rig.word(EVENTS_2 + 16 * n));
    assert_eq!(pointers, [0, 1, 2].map(|n| ring(3) as u32 + 16 * n));
    let iman = 0x1060;
    assert_eq!(rig.read(iman), 3, "IE, IP");
    // The driver has seen one of three events: the next interrupt waits for moderation.
    rig.write(iman, 3);
    rig.write(0x1078, (EVENTS_2 + 16) | 8);
    assert_eq!(rig.read(iman), 2);
    rig.advance(std::time::Duration::from_micros(999));
    assert_eq!(rig.read(iman), 2);
    rig.advance(std::time::Duration::from_micros(1));
    assert_eq!(rig.read(iman), 3);
}

#[test]
fn event_ring_of_two_segments_is_filled_one_after_the_other() {
    let mut rig = Rig::stopped();
    rig.start();
    let (first, second, table) = (0x6_0000, 0x6_1000, 0x6_2000);
    rig.words(table, &[first as u32, 0, 16, 0, second as u32, 0, 16, 0]);
    for (offset, value) in [(0x1028, 2), (ERDP, first), (ERDP + 4, 0), (0x1030, table), (0x1034, 0)] {
        rig.write(offset, value);
    }
    for n in 0..40 {
        rig.trb(COMMANDS + 16 * n, 0, 0, kind(23));
        rig.doorbell(0, 0);
        let seen = (n + 1) % 32;
        rig.write(ERDP, (if seen < 16 { first } else { second } + seen % 16 * 16) | 8);
    }
    let cycle = |at: u64| rig.word(at + 12) & 1;
    assert_eq!(rig.word(first + 15 * 16), COMMANDS as u32 + 15 * 16);
    assert_eq!(rig.word(second), COMMANDS as u32 + 16 * 16);
    assert_eq!(rig.word(second + 15 * 16), COMMANDS as u32 + 31 * 16);
    assert_eq!(rig.word(first), COMMANDS as u32 + 32 * 16, "the second lap");
    assert_eq!((cycle(first), cycle(first + 8 * 16), cycle(second)), (0, 1, 1));
}

#[test]
fn ring_is_expanded_by_links_while_it_runs() {
    let mut rig = Rig::with_endpoints(&[BULK_IN]);
    let more = 0x6_0000;
    let link = kind(6);
    rig.trb(ring(3), BUFFER, 1, kind(1) | IOC);
    rig.answer(&[1], Outcome::Done);
    rig.doorbell(1, 3);
    // Another segment goes in between; the last link of the ring toggles the cycle.
    rig.trb(more, BUFFER + 1, 1, kind(1) | IOC);
    rig.trb(more + 16, ring(3), 0, link | 2);
    rig.trb(ring(3) + 16, more, 0, link);
    rig.words(ring(3), &[BUFFER as u32 + 2, 0, 1, kind(1) | IOC]);
    rig.answer(&[2], Outcome::Done);
    rig.answer(&[3], Outcome::Done);
    rig.doorbell(1, 3);
    let pointers: Vec<_> = rig.events().iter().map(|event| event.pointer).collect();
    assert_eq!(pointers, [ring(3), more, ring(3)]);
    assert_eq!(rig.bytes(BUFFER, 3), [1, 2, 3]);
}
