use proptest::prelude::*;
use vm_memory::VolatileSlice;

use super::*;
use crate::Keyboard;

fn request(hub: &mut Hub, setup: [u8; 8]) -> Result<Vec<u8>, Outcome> {
    let setup = Setup::from_bytes(setup);
    let mut bytes = vec![0; setup.length.into()];
    let pieces = [VolatileSlice::from(&mut bytes[..])];
    let mut data = Data::new(setup.direction(), &pieces);
    let outcome = hub.control(setup, &mut data);
    let moved = data.moved();
    bytes.truncate(moved);
    if outcome == Outcome::Done { Ok(bytes) } else { Err(outcome) }
}

fn set(hub: &mut Hub, port: u8, feature: u8) {
    assert_eq!(request(hub, [0x23, 3, feature, 0, port, 0, 0, 0]), Ok(vec![]));
}

fn clear(hub: &mut Hub, port: u8, feature: u8) {
    assert_eq!(request(hub, [0x23, 1, feature, 0, port, 0, 0, 0]), Ok(vec![]));
}

/// wPortStatus and wPortChange.
fn status(hub: &mut Hub, port: u8) -> (u16, u16) {
    let bytes = request(hub, [0xa3, 0, 0, 0, port, 0, 4, 0]).unwrap();
    (u16::from_le_bytes([bytes[0], bytes[1]]), u16::from_le_bytes([bytes[2], bytes[3]]))
}

fn changes(hub: &mut Hub) -> Option<u8> {
    let mut byte = [0];
    let pieces = [VolatileSlice::from(&mut byte[..])];
    let outcome = hub.transfer(CHANGES, &mut Data::new(Direction::In, &pieces));
    (outcome == Outcome::Done).then_some(byte[0])
}

/// A configured hub with a keyboard in port 1.
fn hub() -> Hub {
    let mut hub = Hub::new();
    assert_eq!(hub.plug(Box::new(Keyboard::new().1)), Ok(1));
    hub.attach(Waker::unconnected());
    request(&mut hub, [0, 9, 1, 0, 0, 0, 0, 0]).unwrap();
    hub
}

#[test]
fn device_shows_when_its_port_gets_power() {
    let mut hub = hub();
    assert_eq!((status(&mut hub, 1), changes(&mut hub)), ((0, 0), None));
    set(&mut hub, 1, 8);
    set(&mut hub, 2, 8);
    assert_eq!(status(&mut hub, 1), (0x0101, 0x0001));
    assert_eq!(status(&mut hub, 2), (0x0100, 0));
    assert_eq!(changes(&mut hub), Some(0b10));
    clear(&mut hub, 1, 16);
    assert_eq!(changes(&mut hub), None);
}

#[test]
fn reset_enables_the_port_and_its_device() {
    let mut hub = hub();
    set(&mut hub, 1, 8);
    assert!(hub.downstream(1).is_none());
    set(&mut hub, 1, 4);
    assert_eq!(status(&mut hub, 1), (0x0503, 0x0011)); // high speed, power, enabled, connected
    assert!(hub.downstream(1).is_some());
    clear(&mut hub, 1, 1);
    assert!(hub.downstream(1).is_none());
}

#[test]
fn port_suspends_and_resumes() {
    let mut hub = hub();
    [8, 4, 2].iter().for_each(|feature| set(&mut hub, 1, *feature));
    clear(&mut hub, 1, 16);
    clear(&mut hub, 1, 20);
    assert_eq!(status(&mut hub, 1), (0x0507, 0));
    clear(&mut hub, 1, 2);
    assert_eq!(status(&mut hub, 1), (0x0503, 0x0004));
}

#[test]
fn device_that_may_wakes_its_port() {
    let mut hub = Hub::new();
    let (mut keyboard, device) = Keyboard::new();
    hub.plug(Box::new(device)).unwrap();
    hub.attach(Waker::unconnected());
    request(&mut hub, [0, 9, 1, 0, 0, 0, 0, 0]).unwrap();
    [8, 4].iter().for_each(|feature| set(&mut hub, 1, *feature));
    let enabled = [0x00, 3, 1, 0, 0, 0, 0, 0]; // DEVICE_REMOTE_WAKEUP
    let mut sleep = |hub: &mut Hub| {
        set(hub, 1, 2);
        [16, 18, 20].iter().for_each(|feature| clear(hub, 1, *feature));
        assert_eq!(status(hub, 1), (0x0507, 0), "it sleeps");
        keyboard.press(4);
        keyboard.release(4);
    };
    sleep(&mut hub);
    assert_eq!((changes(&mut hub), status(&mut hub, 1)), (None, (0x0507, 0)), "it may not");
    clear(&mut hub, 1, 2);
    let device = hub.downstream(1).unwrap();
    for setup in [[0, 9, 1, 0, 0, 0, 0, 0], enabled] {
        let outcome = device.control(Setup::from_bytes(setup), &mut Data::none(Direction::Out));
        assert_eq!(outcome, Outcome::Done);
    }
    sleep(&mut hub);
    assert_eq!((changes(&mut hub), status(&mut hub, 1)), (Some(0b10), (0x0503, 0x0004)));
    clear(&mut hub, 1, 18);
    set(&mut hub, 1, 2);
    assert_eq!(status(&mut hub, 1), (0x0503, 0x0004), "nobody has read yet what it has to tell");
}

#[test]
fn device_that_is_pulled_out_is_a_change() {
    let mut hub = hub();
    [8, 4].iter().for_each(|feature| set(&mut hub, 1, *feature));
    [16, 20].iter().for_each(|feature| clear(&mut hub, 1, *feature));
    assert!(hub.unplug(1).is_some());
    assert_eq!(status(&mut hub, 1), (0x0100, 0x0001));
    assert!(hub.downstream(1).is_none());
}

#[test]
fn ports_that_are_not_there_are_refused() {
    let mut hub = hub();
    for port in [0, 5, 255] {
        assert_eq!(request(&mut hub, [0xa3, 0, 0, 0, port, 0, 4, 0]), Err(Outcome::Stall));
        assert!(hub.downstream(port).is_none());
    }
    assert_eq!(request(&mut hub, [0x23, 3, 30, 0, 1, 0, 0, 0]), Err(Outcome::Stall));
}

#[test]
fn hub_takes_four_devices_of_high_speed() {
    let mut hub = Hub::new();
    for port in 1..=4 {
        assert_eq!(hub.plug(Box::new(Keyboard::new().1)), Ok(port));
    }
    assert_eq!(hub.plug(Box::new(Keyboard::new().1)), Err(PlugError::Full));
    let storage = crate::Storage::new(Speed::Super, scsi::Target::new(Vec::new()), "1");
    assert_eq!(hub.plug(Box::new(storage)), Err(PlugError::Speed(Speed::Super)));
}

#[test]
fn hub_descriptor_has_four_ports() {
    assert_eq!(
        request(&mut hub(), [0xa0, 6, 0, 0x29, 0, 0, 9, 0]),
        Ok(vec![9, 0x29, 4, 0x11, 0, 1, 0, 0, 0xff])
    );
}

proptest! {
    #[test]
    fn any_requests_leave_a_hub_that_can_be_reset(setups in prop::collection::vec(any::<[u8; 8]>(), 0..60)) {
        let mut hub = hub();
        for mut setup in setups {
            setup[7] &= 1;
            setup[0] = [0x23, 0xa3, 0x20, 0xa0, setup[0]][usize::from(setup[0] % 5)];
            let _ = request(&mut hub, setup);
            let _ = changes(&mut hub);
        }
        hub.reset();
        request(&mut hub, [0, 9, 1, 0, 0, 0, 0, 0]).unwrap();
        [8, 4].iter().for_each(|feature| set(&mut hub, 1, *feature));
        prop_assert!(hub.downstream(1).is_some());
    }
}
