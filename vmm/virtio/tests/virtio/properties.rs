//! Whatever a guest does: no panic, no hang, nothing outside its memory and its disk.

use std::sync::Arc;

use proptest::prelude::*;

use crate::rig::ring::{Descriptor, INDIRECT, NEXT, WRITE};
use crate::rig::{BASE, Buffer, MEMORY_END, Rig, Ring, feature, numbered_disk, reg};

/// One access of a vCPU.
#[derive(Clone, Debug)]
enum Access {
    Read { offset: u64, len: usize },
    Write { offset: u64, data: Vec<u8> },
    Machine,
}

/// Values that mean something to some register, and others.
fn value() -> impl Strategy<Value = u32> {
    prop_oneof![
        Just(0),
        Just(1),
        0..16_u32,
        Just(1024),
        Just(0x1_0000),
        Just(0x1_4000),
        Just(0x1_5000),
        any::<u32>(),
    ]
}

fn access() -> impl Strategy<Value = Access> {
    let register = (0..0x40_u64).prop_map(|index| 4 * index);
    prop_oneof![
        8 => (register, value()).prop_map(|(offset, value)| {
            Access::Write { offset, data: value.to_le_bytes().to_vec() }
        }),
        2 => (0..0x200_u64, proptest::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(offset, data)| Access::Write { offset, data }),
        2 => (0..0x200_u64, 1..9_usize).prop_map(|(offset, len)| Access::Read { offset, len }),
        1 => Just(Access::Machine),
    ]
}

fn perform(rig: &Rig, access: &Access) {
    match access {
        Access::Read { offset, len } => rig.bus.read(BASE + offset, &mut vec![0; *len]),
        Access::Write { offset, data } => rig.bus.write(BASE + offset, data),
        Access::Machine => rig.bus.reset(),
    }
}

/// Addresses near something: rings, data, borders of memory.
fn address() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0x3_0000..0x3_4000_u64,
        1 => 0x1_0000..0x1_8000_u64,
        1 => MEMORY_END - 0x400..MEMORY_END + 0x400,
        1 => any::<u64>(),
    ]
}

pub(crate) fn descriptor() -> impl Strategy<Value = Descriptor> {
    let len = prop_oneof![Just(0), Just(1), Just(16), Just(64), Just(512), 0..2048_u32, any::<u32>()];
    let flags = prop_oneof![
        8 => (0..4_u16).prop_map(|bits| bits & (NEXT | WRITE)),
        1 => Just(INDIRECT),
        1 => any::<u16>(),
    ];
    let next = prop_oneof![8 => 0..16_u16, 1 => any::<u16>()];
    (address(), len, flags, next).prop_map(|(address, len, flags, next)| Descriptor {
        address,
        len,
        flags,
        next,
    })
}

/// How a driver cuts `len` bytes: sizes that add up to it.
fn cuts(len: u32) -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(0..=len, 0..12).prop_map(move |mut at| {
        at.sort_unstable();
        at.push(len);
        let starts = [0].into_iter().chain(at.clone());
        at.iter().zip(starts).map(|(end, start)| end - start).collect()
    })
}

fn pieces(sizes: &[u32], from: u64, buffer: fn(u64, u32) -> Buffer) -> Vec<Buffer> {
    let starts = sizes.iter().scan(from, |end, &size| {
        let start = *end;
        *end += u64::from(size);
        Some(start)
    });
    starts.zip(sizes).map(|(start, &size)| buffer(start, size)).collect()
}

proptest! {
    #[test]
    fn any_sequence_of_accesses_ends(
        accesses in proptest::collection::vec(access(), 1..80),
        memory in proptest::collection::vec(any::<u8>(), 0x100),
    ) {
        let (rig, _disk) = Rig::with_disk();
        for page in (0..0x8000).step_by(0x100) {
            rig.store(0x1_0000 + page, &memory);
        }
        accesses.iter().for_each(|access| perform(&rig, access));
        rig.write(reg::STATUS, 0);
        prop_assert_eq!(rig.read(reg::STATUS), 0);
        prop_assert!(!rig.line.is_high());
    }

    #[test]
    fn any_rings_are_served_or_refused(
        table in proptest::collection::vec(descriptor(), 16),
        indirect in proptest::collection::vec(descriptor(), 16),
        heads in proptest::collection::vec(prop_oneof![9 => 0..16_u16, 1 => any::<u16>()], 0..16),
        header in (0..16_u32, 0..20_u64),
        features in prop_oneof![Just(feature::ALL), Just(feature::VERSION_1)],
    ) {
        let disk = numbered_disk();
        let rig = Rig::with_backend(Arc::clone(&disk) as _);
        let mut ring = Ring::new(16, 0x1_0000);
        rig.start(features, &ring);
        let elsewhere = Ring { descriptors: 0x3_0200, ..ring };
        elsewhere.store_table(&rig.memory, 0, &indirect);
        rig.store(0x3_0000, &[header.0.to_le_bytes(), [0; 4]].concat());
        rig.store(0x3_0008, &header.1.to_le_bytes());
        ring.store_table(&rig.memory, 0, &table);
        heads.iter().for_each(|&head| ring.add_head(&rig.memory, head));
        rig.kick();
        let served = |ring: &mut Ring| {
            (0..heads.len()).all(|_| ring.has_used(&rig.memory) && (ring.take_used(&rig.memory), true).1)
        };
        rig.wait_until("service or refusal", || rig.needs_reset() || served(&mut ring.clone()));
        rig.bus.reset();
        prop_assert_eq!(disk.with(|bytes| bytes.len()), 16 * 512);
    }

    #[test]
    fn data_comes_back_however_it_is_cut(
        sector in 0..12_u64,
        written in cuts(2048 + 16),
        read in cuts(2048 + 1),
        seed in any::<u8>(),
    ) {
        let (rig, _disk) = Rig::with_disk();
        let mut ring = Ring::new(64, 0x1_0000);
        rig.start(feature::ALL, &ring);
        let data: Vec<u8> = (0..2048_u32).map(|byte| (byte / 3) as u8 ^ seed).collect();
        let header = [1_u64.to_le_bytes(), sector.to_le_bytes()].concat();
        rig.store(0x3_0000, &[header, data.clone()].concat());
        let write = [pieces(&written, 0x3_0000, Buffer::Out), vec![Buffer::In(0x2_0000, 1)]].concat();
        prop_assert_eq!(rig.request(&mut ring, &write), 1);
        rig.store(0x3_0000, &[0; 8]);
        let room = pieces(&read, 0x4_0000, Buffer::In);
        let read = [vec![Buffer::Out(0x3_0000, 16)], room].concat();
        prop_assert_eq!(rig.request(&mut ring, &read), 2049);
        prop_assert_eq!(rig.load(0x4_0000, 2049), [data, vec![0]].concat());
    }
}
