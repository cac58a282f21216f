//! virtio-rng: a device with nothing but the required methods.

use rstest::rstest;
use virtio::rng::Rng;

use crate::rig::{Buffer, Rig, Ring, feature, reg};
use Buffer::{In, Out};

const DATA: u64 = 0x10_0000 - 0x1_0000; // 64 KiB before the border of two regions

fn start() -> (Rig, Ring) {
    let rig = Rig::new(Some(Box::new(Rng::new().unwrap())));
    let ring = Ring::new(16, 0x1_0000);
    rig.start(feature::ALL, &ring);
    (rig, ring)
}

#[rstest]
#[case::one_byte(&[In(DATA, 1)], 1)]
#[case::pieces(&[In(DATA, 7), In(DATA + 7, 0), In(DATA + 7, 57)], 64)]
#[case::across_regions(&[In(0x10_0000 - 32, 64)], 64)]
#[case::beyond_the_limit(&[In(DATA, 0x8000), In(DATA + 0x8000, 0x1_0000)], 0x1_0000)]
#[case::no_room(&[Out(DATA, 64)], 0)]
fn request_is_filled_up_to_the_limit(#[case] chain: &[Buffer], #[case] filled: u32) {
    let (rig, mut ring) = start();
    assert_eq!(rig.request(&mut ring, chain), filled);
}

#[test]
fn bytes_are_random_and_stop_at_the_end_of_the_room() {
    let (rig, mut ring) = start();
    rig.request(&mut ring, &[In(DATA, 512)]);
    let first = rig.load(DATA, 512);
    rig.request(&mut ring, &[In(DATA, 512)]);
    assert_ne!(rig.load(DATA, 512), first);
    assert!(first.iter().any(|&byte| byte != 0));
    assert_eq!(rig.load(DATA + 512, 512), [0; 512]);
}

#[test]
fn device_without_configuration_reads_all_ones() {
    let (rig, _ring) = start();
    assert_eq!((rig.read(reg::DEVICE_ID), rig.read(reg::CONFIG)), (4, u32::MAX));
    rig.write(reg::CONFIG, 0);
    assert_eq!(rig.read(reg::CONFIG), u32::MAX);
}
