use super::rig::*;
use crate::{Outcome, Speed};

#[test]
fn enable_slot_gives_ids_in_turn_until_none_is_free() {
    let mut rig = Rig::started();
    rig.write(0x78, 3);
    assert_eq!(rig.command(0, kind(9)), (1, 1));
    assert_eq!(rig.command(0, kind(9)), (1, 2));
    assert_eq!(rig.command(0, kind(10) | 2 << 24), (1, 2));
    assert_eq!(rig.command(0, kind(9)), (1, 3), "not the one that has just been disabled");
    assert_eq!(rig.command(0, kind(9)), (1, 2));
    assert_eq!(rig.command(0, kind(9)), (9, 0), "no slots available");
    assert_eq!(rig.command(0, kind(10) | 1 << 24), (1, 1));
    assert_eq!(rig.command(0, kind(9)), (1, 1));
}

#[test]
fn address_device_shows_address_and_states() {
    let mut rig = Rig::addressed();
    assert_eq!((rig.slot_state(), rig.word(OUTPUT + 12) & 0xff), (2, 1));
    assert_eq!((rig.endpoint_state(1), rig.word(OUTPUT + 0x28)), (1, ring(1) as u32 | 1));
    assert_eq!(rig.command(INPUT, kind(11) | 1 << 24), (19, 1), "addressed already");
}

#[test]
fn address_device_in_two_steps_goes_through_the_default_state() {
    let mut rig = Rig::started();
    rig.plug(Speed::Super);
    rig.command(0, kind(9));
    rig.describe_device(1);
    assert_eq!(rig.command(INPUT, kind(11) | 1 << 9 | 1 << 24), (1, 1));
    assert_eq!((rig.slot_state(), rig.word(OUTPUT + 12) & 0xff), (1, 0));
    assert_eq!(rig.command(INPUT, kind(11) | 1 << 24), (1, 1));
    assert_eq!(rig.slot_state(), 2);
}

#[test]
fn address_device_fails_without_an_enabled_device() {
    let mut rig = Rig::started();
    rig.plug(Speed::High);
    rig.command(0, kind(9));
    for (port, code) in [(2, 4), (9, 4), (17, 5), (0, 5)] {
        rig.describe_device(port);
        assert_eq!(rig.command(INPUT, kind(11) | 1 << 24), (code, 1), "port {port}");
    }
}

#[test]
fn configure_endpoint_runs_what_is_added_and_stops_what_is_dropped() {
    let mut rig = Rig::with_endpoints(&[(3, 6, 0), (4, 2, 0)]);
    assert_eq!((rig.slot_state(), rig.endpoint_state(3), rig.endpoint_state(4)), (3, 1, 1));
    rig.words(INPUT, &[1 << 3, 1]);
    assert_eq!(rig.command(INPUT, kind(12) | 1 << 24), (1, 1));
    assert_eq!((rig.slot_state(), rig.endpoint_state(3), rig.endpoint_state(4)), (3, 0, 1));
    assert_eq!(rig.command(0, kind(12) | 1 << 9 | 1 << 24), (1, 1), "deconfigure");
    assert_eq!((rig.slot_state(), rig.endpoint_state(4)), (2, 0));
}

#[test]
fn configure_endpoint_refuses_contexts_that_make_no_sense() {
    let mut rig = Rig::addressed();
    assert_eq!(rig.configure(&[(3, 0, 0)]), (17, 1), "no type");
    assert_eq!(rig.configure(&[(3, 2, 0)]), (17, 1), "OUT at an IN index");
    assert_eq!(rig.configure(&[(3, 4, 0)]), (17, 1), "control");
    rig.words(INPUT, &[2, 1]);
    assert_eq!(rig.command(INPUT, kind(12) | 1 << 24), (5, 1), "drops endpoint 0");
    assert_eq!(rig.slot_state(), 2);
}

#[test]
fn evaluate_context_takes_the_packet_size() {
    let mut rig = Rig::addressed();
    rig.words(INPUT, &[0, 2]);
    rig.words(INPUT + 0x44, &[64 << 16]);
    assert_eq!(rig.command(INPUT, kind(13) | 1 << 24), (1, 1));
    assert_eq!(rig.word(OUTPUT + 0x24) >> 16, 64);
}

#[test]
fn endpoint_commands_follow_the_states_of_the_standard() {
    let mut rig = Rig::with_endpoints(&[(3, 6, 0)]);
    let on_3 = 3 << 16 | 1 << 24;
    assert_eq!(rig.command(ring(3) | 1, kind(16) | on_3), (19, 1), "set dequeue, running");
    assert_eq!(rig.command(0, kind(14) | on_3), (19, 1), "reset, running");
    assert_eq!(rig.command(0, kind(15) | on_3), (1, 1), "stop, running");
    assert_eq!(rig.endpoint_state(3), 3);
    assert_eq!(rig.command(0, kind(15) | on_3), (19, 1), "stop, stopped");
    assert_eq!(rig.command(0x1_2340 | 1, kind(16) | on_3), (1, 1), "set dequeue, stopped");
    assert_eq!((rig.word(OUTPUT + 0x68), rig.endpoint_state(3)), (0x1_2341, 3));
    assert_eq!(rig.command(0, kind(15) | 5 << 16 | 1 << 24), (12, 1), "not there");
}

#[test]
fn reset_device_leaves_endpoint_0_in_the_default_state() {
    let mut rig = Rig::with_endpoints(&[(3, 6, 0)]);
    assert_eq!(rig.command(0, kind(17) | 1 << 24), (1, 1));
    assert_eq!((rig.slot_state(), rig.endpoint_state(1), rig.endpoint_state(3)), (1, 1, 0));
    assert_eq!(rig.command(0, kind(17) | 1 << 24), (19, 1), "already");
}

#[test]
fn disable_slot_has_the_device_forget_what_it_kept_waiting() {
    let mut rig = Rig::with_endpoints(&[(3, 6, 0)]);
    rig.trb(ring(3), BUFFER, 512, kind(1) | IOC);
    rig.doorbell(1, 3);
    assert_eq!(rig.command(0, kind(10) | 1 << 24), (1, 1));
    assert_eq!(rig.slot_state(), 0);
    assert_eq!(rig.script.lock().unwrap().cancelled.len(), 1);
}

#[test]
fn small_commands_answer() {
    let mut rig = Rig::started();
    assert_eq!(rig.command(0, kind(23)), (1, 0), "no-op");
    assert_eq!(rig.command(BUFFER, kind(21)), (1, 0), "port bandwidth");
    assert_eq!(rig.bytes(BUFFER, 17), [&[0], [80; 16].as_slice()].concat());
    assert_eq!(rig.command(0, kind(22) | 1 << 24), (1, 0), "force header");
    assert_eq!(rig.command(0, kind(22) | 9 << 24).0, 5, "force header, USB 2");
    assert_eq!(rig.command(0, kind(18)).0, 5, "force event");
    assert_eq!(rig.command(0, kind(20)), (1, 0), "latency tolerance");
    assert_eq!(rig.command(0, kind(19) | 1 << 24), (11, 1), "negotiate bandwidth, no slot");
    assert_eq!(rig.command(0, kind(63)).0, 5, "unknown");
    assert_eq!(rig.command(0, kind(15) | 1 << 16 | 7 << 24), (11, 7), "slot not enabled");
}

#[test]
fn bandwidth_is_negotiated_for_a_configured_device() {
    let mut rig = Rig::addressed();
    assert_eq!(rig.command(0, kind(19) | 1 << 24), (19, 1), "nothing to negotiate");
    rig.configure(&[(3, 7, 3)]);
    assert_eq!(rig.command(0, kind(19) | 1 << 24), (1, 1));
}

#[test]
fn command_ring_stops_and_goes_on() {
    let mut rig = Rig::started();
    rig.command(0, kind(23));
    assert_eq!(rig.read(CRCR), 8, "CRR");
    rig.write(CRCR, 2);
    rig.run();
    let stopped = rig.events().pop().unwrap();
    assert_eq!((stopped.kind, stopped.code, stopped.pointer), (33, 24, COMMANDS + 16));
    assert_eq!(rig.read(CRCR), 0);
    assert_eq!(rig.command(0, kind(23)), (1, 0));
}

#[test]
fn stop_endpoint_tells_where_a_transfer_stopped() {
    let mut rig = Rig::with_endpoints(&[(3, 6, 0)]);
    rig.trb(ring(3), BUFFER, 512, kind(1) | IOC);
    rig.answer(&[1; 100], Outcome::Nak);
    rig.doorbell(1, 3);
    rig.trb(COMMANDS + 3 * 16, 0, 0, kind(15) | 3 << 16 | 1 << 24);
    rig.doorbell(0, 0);
    let events = rig.events();
    assert_eq!((events[0].kind, events[0].code, events[0].left), (32, 26, 412));
    assert_eq!((events[0].pointer, events[1].kind, events[1].code), (ring(3), 33, 1));
    assert_eq!(rig.word(OUTPUT + 0x68), ring(3) as u32 | 1);
    rig.answer(&[2; 412], Outcome::Done);
    rig.doorbell(1, 3);
    let event = rig.events().pop().unwrap();
    assert_eq!((event.code, event.left), (1, 0), "it goes on where it stopped");
}
