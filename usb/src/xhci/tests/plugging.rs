//! Devices that come and go while the driver works, in root ports and behind hubs.

use super::rig::*;
use crate::xhci::{AttachError, PortId};
use crate::{Hub, Keyboard, PlugError, UsbDevice};

/// The first port of USB 2.
const HUB: PortId = PortId(9);

fn keyboard() -> Box<dyn UsbDevice> {
    Box::new(Keyboard::new().1)
}

fn with_hub() -> Rig {
    let mut rig = Rig::started();
    assert_eq!(rig.controller.attach(None, Box::new(Hub::new())), Ok(HUB));
    rig
}

#[test]
fn hubs_take_devices_at_the_end_of_a_path() {
    let mut rig = with_hub();
    let controller = &mut rig.controller;
    assert_eq!(controller.attach_behind(HUB, &[3], Box::new(Hub::new())), Ok(()));
    assert_eq!(controller.attach_behind(HUB, &[3, 4], keyboard()), Ok(()));
    assert!(controller.detach_behind(HUB, &[3, 4]).is_some());
    assert!(controller.detach_behind(HUB, &[3, 4]).is_none());
    assert_eq!(controller.attach_behind(HUB, &[3, 4], keyboard()), Ok(()));
    assert!(controller.detach_behind(HUB, &[3]).is_some(), "the hub with what is behind it");
    assert_eq!(controller.attach_behind(HUB, &[3], keyboard()), Ok(()));
}

#[test]
fn devices_without_a_place_are_refused() {
    let mut rig = with_hub();
    let controller = &mut rig.controller;
    assert_eq!(controller.attach_behind(HUB, &[1], keyboard()), Ok(()));
    for (port, path, error) in [
        (HUB, [1].as_slice(), PlugError::Taken(1).into()),
        (HUB, &[5], PlugError::NoPort(5).into()),
        (HUB, &[0], PlugError::NoPort(0).into()),
        (HUB, &[], AttachError::NoHub(HUB)),
        (HUB, &[1, 1], AttachError::NoHub(HUB)),
        (PortId(1), &[1], AttachError::NoHub(PortId(1))),
        (PortId(0), &[1], AttachError::NoHub(PortId(0))),
    ] {
        assert_eq!(controller.attach_behind(port, path, keyboard()), Err(error), "{port:?} {path:?}");
        assert!(
            path == [1] && port == HUB || controller.detach_behind(port, path).is_none() || path.is_empty()
        );
    }
}

/// Requests without data, one after the other.
fn requests(rig: &mut Rig, setups: &[[u8; 8]]) {
    for (setup, n) in setups.iter().zip(0..) {
        let at = ring(1) + 32 * n;
        rig.trb(at, u64::from_le_bytes(*setup), 8, kind(2) | IDT);
        rig.trb(at + 16, 0, 0, kind(4) | IOC | DIR_IN);
        rig.doorbell(1, 1);
        assert_eq!(rig.events().pop().unwrap().code, 1, "{setup:x?}");
    }
}

/// A hub in slot 1 whose port 2, with a keyboard in it, is enabled; the keyboard in slot 2, waiting for a key.
fn waiting_keyboard() -> Rig {
    let mut rig = with_hub();
    rig.controller.attach_behind(HUB, &[2], keyboard()).unwrap();
    rig.write(0x4c0, 1 << 4 | 1 << 9);
    rig.run();
    rig.events();
    rig.command(0, kind(9));
    rig.describe_device(9);
    assert_eq!(rig.command(INPUT, kind(11) | 1 << 24), (1, 1));
    requests(&mut rig, &[[0, 9, 1, 0, 0, 0, 0, 0], [0x23, 3, 8, 0, 2, 0, 0, 0], [0x23, 3, 4, 0, 2, 0, 0, 0]]);
    rig.command(0, kind(9));
    rig.words(CONTEXTS + 16, &[OUTPUT as u32 + 0x800, 0]);
    rig.words(INPUT, &[0, 3]);
    rig.words(INPUT + 0x20, &[3 << 27 | 3 << 20 | 2, 9 << 16, 0, 0]);
    rig.words(INPUT + 0x40, &[0, 64 << 16 | 4 << 3, ring(2) as u32 | 1, 0, 8]);
    assert_eq!(rig.command(INPUT, kind(11) | 2 << 24), (1, 2));
    rig.trb(ring(2), u64::from_le_bytes([0, 9, 1, 0, 0, 0, 0, 0]), 8, kind(2) | IDT);
    rig.trb(ring(2) + 16, 0, 0, kind(4) | IOC | DIR_IN);
    rig.doorbell(2, 1);
    rig.words(INPUT, &[0, 1 | 1 << 3]);
    rig.words(INPUT + 0x80, &[3 << 16, 8 << 16 | 7 << 3, ring(3) as u32 | 1, 0, 0]);
    assert_eq!(rig.command(INPUT, kind(12) | 2 << 24), (1, 2));
    rig.trb(ring(3), BUFFER, 8, kind(1) | IOC);
    rig.doorbell(2, 3);
    rig.events();
    rig
}

#[test]
fn device_pulled_out_of_a_hub_fails_what_it_kept_waiting() {
    let mut rig = waiting_keyboard();
    assert!(rig.controller.detach_behind(HUB, &[2]).is_some());
    rig.run();
    let event = rig.events().pop().unwrap();
    assert_eq!((event.kind, event.code, event.slot, event.pointer), (32, 4, 2, ring(3)));
}

#[test]
fn hub_that_is_pulled_out_takes_what_is_behind_it() {
    let mut rig = waiting_keyboard();
    assert!(rig.controller.detach(HUB).is_some());
    rig.run();
    let event = rig.events().pop().unwrap();
    assert_eq!((event.kind, event.code, event.slot), (32, 4, 2));
}
