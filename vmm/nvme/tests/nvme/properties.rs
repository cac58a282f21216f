//! Whatever a guest does: no panic, no hang, nothing outside its memory and its disk.

use proptest::prelude::*;

use crate::rig::{ADMIN_CQ, ADMIN_SQ, BLOCKS, Command, DATA, ENABLE, MEMORY_END, Rig, numbered_disk, reg};

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
        Just(ENABLE),
        Just(ENABLE | 1 << 14),
        Just(0x000f_000f),
        Just(ADMIN_SQ as u32),
        Just(ADMIN_CQ as u32),
        0..16_u32,
        any::<u32>(),
    ]
}

fn access() -> impl Strategy<Value = Access> {
    let register = prop_oneof![3 => (0..0x10_u64).prop_map(|index| 4 * index), 1 => 0x1000..0x1210_u64];
    prop_oneof![
        8 => (register, value()).prop_map(|(offset, value)| {
            Access::Write { offset: offset & !3, data: value.to_le_bytes().to_vec() }
        }),
        2 => (0..0x2000_u64, proptest::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(offset, data)| Access::Write { offset, data }),
        2 => (0..0x2000_u64, 1..9_usize).prop_map(|(offset, len)| Access::Read { offset, len }),
        1 => Just(Access::Machine),
    ]
}

fn perform(rig: &Rig, access: &Access) {
    match access {
        Access::Read { offset, len } => rig.read_bytes(*offset, &mut vec![0; *len]),
        Access::Write { offset, data } => rig.write_bytes(*offset, data),
        Access::Machine => rig.reset(),
    }
}

/// Addresses near something: data, lists, borders of memory.
fn address() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => (0..64_u64).prop_map(|page| DATA + page * 0x1000),
        2 => DATA..DATA + 0x4_0000,
        1 => ADMIN_SQ..ADMIN_SQ + 0x4000,
        1 => MEMORY_END - 0x2000..MEMORY_END + 0x2000,
        1 => any::<u64>(),
    ]
}

/// Numbers near something: counts, sizes, blocks, queues.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => 0..16_u32,
        2 => (0..16_u32, 0..16_u32).prop_map(|(high, low)| high << 16 | low),
        1 => u32::from(BLOCKS) - 8..u32::from(BLOCKS) + 8,
        1 => any::<u32>(),
    ]
}

fn command(opcode: impl Strategy<Value = u8>) -> impl Strategy<Value = Command> {
    let flags =
        prop_oneof![8 => Just(0_u32), 2 => Just(1 << 14), 1 => (0..256_u32).prop_map(|bits| bits << 8)];
    let namespace = prop_oneof![6 => Just(1), 2 => Just(0), 1 => Just(u32::MAX), 1 => any::<u32>()];
    let words = proptest::array::uniform6(word());
    (opcode, flags, namespace, address(), address(), words).prop_map(
        |(opcode, flags, namespace, first, second, words)| {
            let mut command = Command::new(opcode).namespace(namespace).prp(first).prp2(second);
            command.0[0] |= flags;
            command.0[10..].copy_from_slice(&words);
            command
        },
    )
}

fn admin_opcode() -> impl Strategy<Value = u8> {
    prop_oneof![
        9 => proptest::sample::select(&[0_u8, 1, 2, 4, 5, 6, 8, 9, 0x0a, 0x0c, 0x7c][..]),
        1 => any::<u8>(),
    ]
}

fn io_opcode() -> impl Strategy<Value = u8> {
    prop_oneof![9 => proptest::sample::select(&[0_u8, 1, 2, 5, 8, 9, 0x0c][..]), 1 => any::<u8>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_sequence_of_accesses_ends(accesses in proptest::collection::vec(access(), 1..80)) {
        let rig = Rig::new(numbered_disk());
        accesses.iter().for_each(|access| perform(&rig, access));
        rig.write(reg::CC, 0);
        prop_assert_eq!(rig.read(reg::CSTS) & 1, 0);
        let mut admin = rig.enable();
        prop_assert_eq!(rig.status(&mut admin, Command::new(0x0a).cdw10(7)), 0);
    }

    #[test]
    fn any_admin_commands_complete(commands in proptest::collection::vec(command(admin_opcode()), 1..15)) {
        let (rig, mut admin, _io, disk) = Rig::with_io();
        let events = commands.iter().filter(|command| command.0[0] & 0xff == 0x0c).count();
        for command in &commands {
            admin.submit(&rig.memory, *command);
        }
        rig.ring(&admin);
        let mut done = 0;
        while done < commands.len() - events {
            rig.wait(&mut admin);
            done += 1;
        }
        rig.write(reg::CC, 0);
        prop_assert_eq!(rig.read(reg::CSTS), 0);
        prop_assert_eq!(disk.with(|bytes| bytes.len()), usize::from(BLOCKS) * 512);
    }

    #[test]
    fn any_io_commands_complete(
        commands in proptest::collection::vec(command(io_opcode()), 1..15),
        lists in proptest::collection::vec(address(), 64),
    ) {
        let (rig, _admin, mut io, _disk) = Rig::with_io();
        let lists: Vec<u8> = lists.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        (0..64).for_each(|page| rig.store(DATA + page * 0x1000, &lists));
        for command in &commands {
            io.submit(&rig.memory, *command);
        }
        rig.ring(&io);
        for _ in &commands {
            rig.wait(&mut io);
        }
        prop_assert_eq!(rig.read(reg::CSTS), 1);
    }

    #[test]
    fn data_comes_back_however_it_is_described(
        block in 0..4000_u64,
        blocks in 1..64_u32,
        offset in 0..0x400_u64,
        seed in any::<u8>(),
    ) {
        let (rig, _admin, mut io, _disk) = Rig::with_io();
        let len = blocks as usize * 512;
        let data: Vec<u8> = (0..len).map(|byte| (byte / 3) as u8 ^ seed).collect();
        let from = DATA + 4 * offset;
        rig.store(from, &data);
        let pages = (from & !0xfff) + 0x1000;
        let list: Vec<u8> = (0..16).flat_map(|page| (pages + page * 0x1000).to_le_bytes()).collect();
        rig.store(0x5_0000, &list);
        let second = if (from & 0xfff) + len as u64 > 0x2000 { 0x5_0000 } else { pages };
        prop_assert_eq!(rig.status(&mut io, Command::io(1, block, blocks).prp(from).prp2(second)), 0);
        let to = DATA + 0x8_0001;
        prop_assert_eq!(rig.status(&mut io, Command::io(2, block, blocks).sgl(0, to, len as u32)), 0);
        prop_assert_eq!(rig.load(to, len), data);
    }
}
