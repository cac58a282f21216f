use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use rstest::rstest;
use vm_memory::VolatileSlice;

use super::*;

fn request(device: &mut Hid, setup: [u8; 8], out: &[u8]) -> Result<Vec<u8>, Outcome> {
    let setup = Setup::from_bytes(setup);
    let mut bytes = out.to_vec();
    bytes.resize(setup.length.into(), 0);
    let pieces = [VolatileSlice::from(&mut bytes[..])];
    let mut data = Data::new(setup.direction(), &pieces);
    let outcome = device.control(setup, &mut data);
    let moved = data.moved();
    bytes.truncate(moved);
    if outcome == Outcome::Done { Ok(bytes) } else { Err(outcome) }
}

fn configured(mut device: Hid) -> Hid {
    device.attach(Waker::unconnected());
    request(&mut device, [0x00, 9, 1, 0, 0, 0, 0, 0], &[]).unwrap();
    device
}

/// The reports that wait.
fn reports(device: &mut Hid) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| report(device, 8).ok()).collect()
}

fn report(device: &mut Hid, room: usize) -> Result<Vec<u8>, Outcome> {
    let mut bytes = vec![0; room];
    let pieces = [VolatileSlice::from(&mut bytes[..])];
    let mut data = Data::new(Direction::In, &pieces);
    let outcome = device.transfer(IN, &mut data);
    let moved = data.moved();
    bytes.truncate(moved);
    if outcome == Outcome::Done { Ok(bytes) } else { Err(outcome) }
}

#[test]
fn keys_are_reported_as_they_go_down_and_up() {
    let (mut keyboard, device) = Keyboard::new();
    let mut device = configured(device);
    keyboard.press(0xe1); // left shift
    keyboard.press(0x04); // A
    keyboard.release(0xe1);
    keyboard.release(0x04);
    let expected = [[2, 0, 0, 0], [2, 0, 4, 0], [0, 0, 4, 0], [0, 0, 0, 0]];
    let found: Vec<_> = reports(&mut device).into_iter().map(|report| report[..4].to_vec()).collect();
    assert_eq!(found, expected);
    assert_eq!(report(&mut device, 8), Err(Outcome::Nak));
}

#[test]
fn key_that_is_down_does_not_go_down_again() {
    let (mut keyboard, device) = Keyboard::new();
    let mut device = configured(device);
    keyboard.press(4);
    keyboard.press(4);
    keyboard.release(5);
    assert_eq!(reports(&mut device).len(), 1);
}

#[test]
fn seven_keys_are_too_many_to_tell_apart() {
    let (mut keyboard, device) = Keyboard::new();
    let mut device = configured(device);
    (4..11).for_each(|usage| keyboard.press(usage));
    let found = reports(&mut device);
    assert_eq!(
        (found[5].as_slice(), found[6].as_slice()),
        ([0, 0, 4, 5, 6, 7, 8, 9].as_slice(), [0, 0, 1, 1, 1, 1, 1, 1].as_slice())
    );
}

#[test]
fn keyboard_that_nobody_reads_ends_with_the_truth() {
    let (mut keyboard, device) = Keyboard::new();
    let mut device = configured(device);
    for _ in 0..1000 {
        keyboard.press(4);
        keyboard.release(4);
    }
    keyboard.press(5);
    let found = reports(&mut device);
    assert_eq!((found.len(), found.last().unwrap()[2]), (64, 5));
}

#[test]
fn key_wakes_the_controller() {
    let (mut keyboard, mut device) = Keyboard::new();
    let wakes = std::sync::Arc::new(AtomicU32::new(0));
    let counter = wakes.clone();
    device.attach(Waker::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    }));
    keyboard.press(4);
    assert_eq!(wakes.load(Ordering::Relaxed), 1);
}

#[test]
fn protocol_idle_and_lamps_are_kept_until_a_reset() {
    let (keyboard, device) = Keyboard::new();
    let mut device = configured(device);
    let protocol = [0xa1, 3, 0, 0, 0, 0, 1, 0];
    assert_eq!(request(&mut device, protocol, &[]), Ok(vec![1]));
    request(&mut device, [0x21, 11, 0, 0, 0, 0, 0, 0], &[]).unwrap();
    request(&mut device, [0x21, 10, 0, 8, 0, 0, 0, 0], &[]).unwrap();
    request(&mut device, [0x21, 9, 0, 2, 0, 0, 1, 0], &[0x03]).unwrap();
    assert_eq!(request(&mut device, protocol, &[]), Ok(vec![0]));
    assert_eq!(request(&mut device, [0xa1, 2, 0, 0, 0, 0, 1, 0], &[]), Ok(vec![8]));
    assert_eq!(keyboard.leds(), Leds(3));
    device.reset();
    request(&mut device, [0x00, 9, 1, 0, 0, 0, 0, 0], &[]).unwrap();
    assert_eq!(request(&mut device, protocol, &[]), Ok(vec![1]));
}

#[test]
fn get_report_tells_what_is_down_now() {
    let (mut keyboard, device) = Keyboard::new();
    let mut device = configured(device);
    keyboard.press(9);
    assert_eq!(request(&mut device, [0xa1, 1, 0, 1, 0, 0, 8, 0], &[]), Ok(vec![0, 0, 9, 0, 0, 0, 0, 0]));
}

#[rstest]
#[case(Keyboard::new().1, &[1, 1], 8)]
#[case(Mouse::new().1, &[1, 2], 4)]
#[case(Tablet::new().1, &[0, 0], 6)]
fn interface_endpoint_and_report_descriptor_agree(
    #[case] device: Hid,
    #[case] boot: &[u8],
    #[case] packet: u8,
) {
    let mut device = configured(device);
    let configuration = request(&mut device, [0x80, 6, 0, 2, 0, 0, 255, 0], &[]).unwrap();
    assert_eq!(configuration.len(), 34);
    assert_eq!((configuration[14], &configuration[15..17]), (3, boot));
    assert_eq!(configuration[27..], [7, 5, 0x81, 3, packet, 0, 7]);
    let descriptor = request(&mut device, [0x81, 6, 0, 0x22, 0, 0, 255, 0], &[]).unwrap();
    assert_eq!(configuration[25..27], (descriptor.len() as u16).to_le_bytes());
    assert_eq!(input_bits(&descriptor), u32::from(packet) * 8);
}

/// The bits of all input reports: size times count at each Input item, as HID 1.11, 6.2.2.4 and 6.2.2.7 have it.
fn input_bits(descriptor: &[u8]) -> u32 {
    let (mut size, mut count, mut bits) = (0, 0, 0);
    let mut rest = descriptor;
    while let [prefix, after @ ..] = rest {
        let len = [0, 1, 2, 4][usize::from(prefix & 3)];
        let value = after[..len].iter().rev().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        match prefix & 0xfc {
            0x74 => size = value,
            0x94 => count = value,
            0x80 => bits += size * count,
            _ => {}
        }
        rest = &after[len..];
    }
    bits
}

#[test]
fn mouse_adds_movements_until_they_do_not_fit() {
    let (mut mouse, device) = Mouse::new();
    let mut device = configured(device);
    mouse.shift(100, -1, 0);
    mouse.shift(20, -1, 1);
    mouse.shift(20, 0, 0);
    mouse.hold(1);
    assert_eq!(reports(&mut device), [vec![0, 120, 254, 1], vec![0, 20, 0, 0], vec![1, 0, 0, 0]]);
}

#[test]
fn mouse_in_boot_protocol_has_no_wheel() {
    let (mouse, device) = Mouse::new();
    let mut device = configured(device);
    request(&mut device, [0x21, 11, 0, 0, 0, 0, 0, 0], &[]).unwrap();
    mouse.shift(1, 2, 3);
    assert_eq!(reports(&mut device), [vec![0, 1, 2]]);
}

#[test]
fn tablet_forgets_places_but_no_buttons() {
    let (mut tablet, device) = Tablet::new();
    let mut device = configured(device);
    tablet.point(1, 2);
    tablet.point(0x1234, u16::MAX);
    tablet.hold(1);
    tablet.hold(0);
    tablet.turn(-1);
    let expected =
        [[0, 0x34, 0x12, 0xff, 0x7f, 0], [1, 0x34, 0x12, 0xff, 0x7f, 0], [0, 0x34, 0x12, 0xff, 0x7f, 0]];
    let found = reports(&mut device);
    assert_eq!(found[..3], expected);
    assert_eq!(found[3], [0, 0x34, 0x12, 0xff, 0x7f, 0xff]);
}

#[test]
fn report_that_does_not_fit_is_babble() {
    let (mut keyboard, device) = Keyboard::new();
    let mut device = configured(device);
    keyboard.press(4);
    assert_eq!(report(&mut device, 7), Err(Outcome::Babble));
}

proptest! {
    #[test]
    fn any_request_leaves_a_device_that_reports(setups in prop::collection::vec(any::<[u8; 8]>(), 0..50)) {
        let (mut keyboard, device) = Keyboard::new();
        let mut device = configured(device);
        for mut setup in setups {
            setup[7] &= 1;
            let _ = request(&mut device, setup, &[]);
        }
        device.reset();
        request(&mut device, [0x00, 9, 1, 0, 0, 0, 0, 0], &[]).unwrap();
        keyboard.press(4);
        prop_assert_eq!(report(&mut device, 8), Ok(vec![0, 0, 4, 0, 0, 0, 0, 0]));
    }
}
