//! Persistent memory: where it is, and flushes. virtio 1.2, 5.19.

use std::fs::File;
use std::sync::Arc;

use virtio::pmem::Pmem;

use crate::rig::{Buffer, Rig, Ring, feature, reg};
use Buffer::{In, Out};

const REQUEST: u64 = 0x2_0000;
const ANSWER: u64 = 0x2_1000;

fn setup(file: File) -> (Rig, Ring) {
    let rig = Rig::new(Some(Box::new(Pmem::new(0x1_4000_0000, 0x20_0000, Arc::new(file)))));
    let ring = Ring::new(16, 0x1_0000);
    rig.start(feature::ALL, &ring);
    (rig, ring)
}

fn request(rig: &Rig, ring: &mut Ring, kind: u32) -> (u32, Vec<u8>) {
    rig.store(REQUEST, &kind.to_le_bytes());
    rig.store(ANSWER, &[0xee; 4]);
    let used = rig.request(ring, &[Out(REQUEST, 4), In(ANSWER, 4)]);
    (used, rig.load(ANSWER, 4))
}

#[test]
fn driver_is_told_where_the_memory_is() {
    let (rig, _) = setup(tempfile::tempfile().unwrap());
    assert_eq!(rig.read(reg::DEVICE_ID), 27);
    let words = [0, 4, 8, 12].map(|at| rig.read(reg::CONFIG + at));
    assert_eq!(words, [0x4000_0000, 1, 0x20_0000, 0]);
}

#[test]
fn flush_is_answered_when_it_is_done_and_nothing_else_is_known() {
    let (rig, mut ring) = setup(tempfile::tempfile().unwrap());
    assert_eq!(request(&rig, &mut ring, 0), (4, vec![0; 4]));
    assert_eq!(request(&rig, &mut ring, 1), (4, vec![0xff; 4]));
}

#[test]
fn failed_flush_is_said() {
    // There is no way to make it durable.
    let (rig, mut ring) = setup(File::options().write(true).open("/dev/null").unwrap());
    assert_eq!(request(&rig, &mut ring, 0), (4, vec![0xff; 4]));
}

#[test]
fn request_without_a_type_breaks_the_device() {
    let (rig, mut ring) = setup(tempfile::tempfile().unwrap());
    ring.add(&rig.memory, &[Out(REQUEST, 3), In(ANSWER, 4)]);
    rig.kick();
    rig.wait_needs_reset();
}
