//! Any requests and transfers in any order: no panic, and the device works again after reset recovery.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Action {
    Request([u8; 8]),
    Out(u8, Vec<u8>),
    In(u8, usize),
    Reset,
}

/// Bytes that are a wrapper or a command more often than not.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let wrapper =
        (0_u32..3000, any::<bool>(), 0_u8..20, vec(any::<u8>(), 16)).prop_map(|(len, input, n, mut cdb)| {
            cdb[0] = [0x00, 0x03, 0x12, 0x28, 0x2a, 0x1b, 0x25, 0x35][usize::from(cdb[0] % 8)];
            cdb[2..7].fill(0);
            let flags = if input { 0x80 } else { 0 };
            [b"USBC\0\0\0\0".as_slice(), &len.to_le_bytes(), &[flags, 0, n], &cdb].concat()
        });
    let unit = (1_u8..8, vec(0_u8..4, 31)).prop_map(|(id, mut bytes)| {
        bytes.insert(0, id);
        bytes
    });
    prop_oneof![4 => wrapper, 2 => unit, 1 => vec(any::<u8>(), 0..600)]
}

fn action() -> impl Strategy<Value = Action> {
    let known = prop::sample::select(vec![
        [0x00, 9, 1, 0, 0, 0, 0, 0],
        [0x01, 11, 1, 0, 0, 0, 0, 0],
        [0x01, 11, 0, 0, 0, 0, 0, 0],
        [0x21, 0xff, 0, 0, 0, 0, 0, 0],
        [0x02, 1, 0, 0, 0x81, 0, 0, 0],
        [0x02, 1, 0, 0, 0x02, 0, 0, 0],
    ]);
    prop_oneof![
        2 => known.prop_map(Action::Request),
        1 => any::<[u8; 8]>().prop_map(|mut setup| { setup[7] &= 3; Action::Request(setup) }),
        6 => (0_u8..6, bytes()).prop_map(|(endpoint, bytes)| Action::Out(endpoint, bytes)),
        6 => (0_u8..6, 0_usize..2000).prop_map(|(endpoint, len)| Action::In(endpoint, len)),
        1 => Just(Action::Reset),
    ]
}

proptest! {
    #[test]
    fn any_driver_leaves_a_device_that_can_be_reset(
        is_super in any::<bool>(),
        actions in vec(action(), 0..60),
    ) {
        let mut rig = Rig::new(if is_super { Speed::Super } else { Speed::High });
        for action in actions {
            match action {
                Action::Request(setup) => { let _ = rig.request(setup); }
                Action::Out(endpoint, bytes) => { rig.out(EndpointAddress::new(endpoint, Direction::Out), &bytes); }
                Action::In(endpoint, len) => { let _ = rig.input(EndpointAddress::new(endpoint, Direction::In), len); }
                Action::Reset => rig.device.reset(),
            }
        }
        rig.device.reset();
        prop_assert_eq!(rig.request([0x00, 9, 1, 0, 0, 0, 0, 0]), Ok(vec![]));
        let inquiry = [b"USBC\0\0\0\0\x24\0\0\0\x80\0\x06\x12\0\0\0\x24\0".as_slice(), &[0; 10]].concat();
        prop_assert_eq!(rig.out(OUT, &inquiry), Outcome::Done);
        prop_assert_eq!(&rig.input(IN, 36).unwrap()[8..16], b"TINDERBX");
        prop_assert_eq!(rig.input(IN, 13).unwrap().len(), 13);
    }
}
