use rstest::rstest;
use vm_memory::VolatileSlice;

use super::*;

/// A device with one interface of two settings, and endpoint 0x81 in both.
fn descriptors() -> Descriptors {
    let configuration = [
        &[9_u8, 2, 41, 0, 1, 1, 0, 0xc0, 0][..],
        &[9, 4, 0, 0, 1, 8, 6, 0x50, 0],
        &[7, 5, 0x81, 2, 0, 2, 0],
        &[9, 4, 0, 1, 1, 8, 6, 0x62, 0],
        &[7, 5, 0x81, 2, 0, 2, 0],
    ]
    .concat();
    let device = [18, 1, 0, 2, 0, 0, 0, 64, 0xf4, 0x46, 1, 0, 0, 1, 1, 2, 3, 1];
    Descriptors { device, configuration, strings: vec!["né".into()], ..Descriptors::default() }
}

/// What `standard` answers to the eight bytes of `setup`, and the bytes it returns.
fn ask(standard: &mut Standard, setup: [u8; 8]) -> (Answer, Vec<u8>) {
    let mut memory = [0xee; 64];
    let setup = Setup::from_bytes(setup);
    let pieces = [VolatileSlice::from(&mut memory[..usize::from(setup.length).min(64)])];
    let mut data = Data::new(setup.direction(), &pieces);
    let answer = standard.control(&descriptors(), Speed::High, setup, &mut data);
    let moved = data.moved();
    (answer, memory[..moved].to_vec())
}

fn configured() -> Standard {
    let mut standard = Standard::default();
    assert_eq!(ask(&mut standard, [0, 9, 1, 0, 0, 0, 0, 0]).0, Answer::Changed(Change::Configuration(1)));
    standard
}

#[rstest]
#[case::device([0x80, 6, 0, 1, 0, 0, 8, 0], &[18, 1, 0, 2, 0, 0, 0, 64])]
#[case::languages([0x80, 6, 0, 3, 0, 0, 255, 0], &[4, 3, 9, 4])]
#[case::string([0x80, 6, 1, 3, 9, 4, 255, 0], &[6, 3, b'n', 0, 0xe9, 0])]
#[case::status([0x80, 0, 0, 0, 0, 0, 2, 0], &[1, 0])]
#[case::configuration([0x80, 8, 0, 0, 0, 0, 1, 0], &[1])]
#[case::setting([0x81, 10, 0, 0, 0, 0, 1, 0], &[0])]
#[case::endpoint([0x82, 0, 0, 0, 0x81, 0, 2, 0], &[0, 0])]
fn reads_return_as_much_as_was_asked_for(#[case] setup: [u8; 8], #[case] expected: &[u8]) {
    assert_eq!(ask(&mut configured(), setup), (DONE, expected.to_vec()));
}

#[rstest]
#[case::qualifier([0x80, 6, 0, 6, 0, 0, 10, 0])]
#[case::other_string([0x80, 6, 2, 3, 9, 4, 255, 0])]
#[case::other_configuration([0, 9, 2, 0, 0, 0, 0, 0])]
#[case::other_setting([1, 11, 2, 0, 0, 0, 0, 0])]
#[case::other_interface([1, 11, 0, 0, 1, 0, 0, 0])]
#[case::other_endpoint([2, 1, 0, 0, 0x82, 0, 0, 0])]
#[case::unknown_request([0, 0xff, 0, 0, 0, 0, 0, 0])]
#[case::wrong_direction([0, 6, 0, 1, 0, 0, 8, 0])]
fn what_a_device_has_not_stalls(#[case] setup: [u8; 8]) {
    assert_eq!(ask(&mut configured(), setup), (STALL, vec![]));
}

#[test]
fn halt_lasts_until_cleared() {
    let endpoint = EndpointAddress::from_byte(0x81);
    let mut standard = configured();
    assert_eq!(ask(&mut standard, [2, 3, 0, 0, 0x81, 0, 0, 0]).0, DONE);
    assert!(standard.halted(endpoint) && !standard.halted(EndpointAddress::from_byte(0x01)));
    assert_eq!(ask(&mut standard, [0x82, 0, 0, 0, 0x81, 0, 2, 0]).1, [1, 0]);
    let cleared = Answer::Changed(Change::HaltCleared(endpoint));
    assert_eq!(ask(&mut standard, [2, 1, 0, 0, 0x81, 0, 0, 0]).0, cleared);
    assert!(!standard.halted(endpoint));
}

#[test]
fn new_configuration_forgets_settings() {
    let mut standard = configured();
    let changed = Answer::Changed(Change::Interface { interface: 0, setting: 1 });
    assert_eq!(ask(&mut standard, [1, 11, 1, 0, 0, 0, 0, 0]).0, changed);
    assert_eq!(standard.setting(0), 1);
    ask(&mut standard, [0, 9, 1, 0, 0, 0, 0, 0]);
    assert_eq!(standard.setting(0), 0);
}

#[test]
fn interface_requests_of_a_class_are_the_devices_own() {
    let report_descriptor = [0x81, 6, 0, 0x22, 0, 0, 64, 0];
    let get_max_lun = [0xa1, 0xfe, 0, 0, 0, 0, 1, 0];
    for setup in [report_descriptor, get_max_lun] {
        assert_eq!(ask(&mut configured(), setup).0, Answer::NotStandard);
    }
}

#[test]
fn unconfigured_device_has_endpoint_0_alone() {
    let mut standard = Standard::default();
    assert_eq!(ask(&mut standard, [0x82, 0, 0, 0, 0x81, 0, 2, 0]).0, STALL);
    assert_eq!(ask(&mut standard, [0x82, 0, 0, 0, 0, 0, 2, 0]).0, DONE);
    assert_eq!(ask(&mut standard, [0x81, 10, 0, 0, 0, 0, 1, 0]).0, STALL);
}

proptest::proptest! {
    #[test]
    fn any_request_is_answered(setups in proptest::collection::vec(proptest::array::uniform8(0_u8..), 0..32)) {
        let mut standard = Standard::default();
        for setup in setups {
            let (_, moved) = ask(&mut standard, setup);
            proptest::prop_assert!(moved.len() <= usize::from(Setup::from_bytes(setup).length));
        }
    }
}
