use super::*;
use crate::Direction;

/// A device with a bulk and an interrupt endpoint.
fn descriptors(speed: Speed) -> Descriptors {
    let bulk =
        Endpoint { address: EndpointAddress::new(1, Direction::In), transfers: Transfers::Bulk, extra: &[] };
    let interrupt = Endpoint {
        address: EndpointAddress::new(2, Direction::In),
        transfers: Transfers::Interrupt { packet: 8, interval: 6 },
        extra: &[],
    };
    let interface =
        Interface { number: 0, setting: 0, class: [8, 6, 0x50], extra: &[], endpoints: &[bulk, interrupt] };
    let model = Model {
        product: 0x1234,
        class: BY_INTERFACE,
        name: "thing",
        serial: "",
        wakes: Wakes::Yes,
        preface: &[],
        interfaces: &[interface],
    };
    lay_out(&model, speed)
}

#[test]
fn high_speed_device_has_a_qualifier_and_512_byte_packets() {
    let found = descriptors(Speed::High);
    assert_eq!(found.device, [18, 1, 0, 2, 0, 0, 0, 64, 0xf4, 0x46, 0x34, 0x12, 1, 0, 1, 2, 0, 1]);
    assert_eq!(found.qualifier, Some([10, 6, 0, 2, 0, 0, 0, 64, 1, 0]));
    assert_eq!(found.bos, None);
    let expected = [
        &[9, 2, 32, 0, 1, 1, 0, 0xe0, 0][..],
        &[9, 4, 0, 0, 2, 8, 6, 0x50, 0],
        &[7, 5, 0x81, 2, 0, 2, 0],
        &[7, 5, 0x82, 3, 8, 0, 7], // 2^(7-1) microframes are 8 ms
    ];
    assert_eq!(found.configuration, expected.concat());
}

#[test]
fn full_speed_device_counts_its_interval_in_milliseconds() {
    let found = descriptors(Speed::Full);
    let parts: Vec<_> = found.parts().skip(2).collect();
    assert_eq!(parts, [[7, 5, 0x81, 2, 64, 0, 0], [7, 5, 0x82, 3, 8, 0, 8]]);
    assert_eq!((found.qualifier, found.device[7]), (None, 64));
}

#[test]
fn superspeed_device_has_companions_and_capabilities() {
    let found = descriptors(Speed::Super);
    assert_eq!((found.device[2..4].to_vec(), found.device[7]), (vec![0, 3], 9));
    let parts: Vec<_> = found.parts().skip(2).collect();
    let expected: [&[u8]; 4] =
        [&[7, 5, 0x81, 2, 0, 4, 0], &[6, 48, 15, 0, 0, 0], &[7, 5, 0x82, 3, 8, 0, 7], &[6, 48, 0, 0, 8, 0]];
    assert_eq!(parts, expected);
    let bos = found.bos.unwrap();
    assert_eq!((bos.len(), usize::from(bos[2])), (22, 22));
    assert_eq!(bos[5..], [7, 16, 2, 2, 0, 0, 0, 10, 16, 3, 0, 0x0e, 0, 1, 0x0a, 0xff, 0x07][..]);
}
