//! Any bytes as a command, any sizes of pieces: nothing panics, nothing moves that was not announced.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A command of any bytes, more often than not with an operation code that means something.
fn command() -> impl Strategy<Value = Vec<u8>> {
    let opcodes = prop::sample::select(vec![
        0x00, 0x03, 0x08, 0x0a, 0x12, 0x1a, 0x1b, 0x1e, 0x23, 0x25, 0x28, 0x2a, 0x2e, 0x2f, 0x35, 0x41, 0x42,
        0x43, 0x46, 0x4a, 0x51, 0x5a, 0x88, 0x8a, 0x8e, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa8, 0xaa, 0xae, 0xaf,
        0xbd,
    ]);
    let small = prop_oneof![3 => 0_u8..8, 1 => any::<u8>()];
    (prop_oneof![4 => opcodes, 1 => any::<u8>()], vec(small, 0..20))
        .prop_map(|(opcode, rest)| [vec![opcode], rest].concat())
}

/// Moves the data of a task in pieces of these sizes; returns how much.
fn carry_out(mut task: crate::Task, sizes: &[usize]) -> (Data, u64) {
    let announced = task.data();
    let mut moved = 0;
    for &size in sizes {
        let mut piece = vec![0; size];
        let (first, second) = piece.split_at_mut(size / 3);
        let slices = [VolatileSlice::from(first), VolatileSlice::from(second)];
        moved += match announced {
            Data::Out(_) => task.write(&slices),
            _ => task.read(&slices),
        };
    }
    let _ = task.finish();
    (announced, moved)
}

proptest! {
    #[test]
    fn no_command_moves_more_than_it_announced(
        is_disk in any::<bool>(),
        commands in vec((0_u16..3, command(), vec(0_usize..3000, 0..6)), 1..40),
    ) {
        let mut rig = if is_disk { Rig::new(Kind::Disk, Loading::Removable) } else { Rig::cd_rom() };
        for (lun, cdb, sizes) in commands {
            let room: usize = sizes.iter().sum();
            let (announced, moved) = carry_out(rig.target.begin(Lun(lun), &cdb), &sizes);
            let most = match announced { Data::None => 0, Data::In(len) | Data::Out(len) => len };
            prop_assert!(moved <= most.min(room as u64), "{cdb:x?} {announced:?} {moved}");
            // No more than all of the disk, or the longest list of parameters.
            let bound = (u64::from(DISK_SECTORS) * 512).max(u16::MAX.into());
            prop_assert!(most <= bound, "{cdb:x?} announces {announced:?}");
        }
    }

    #[test]
    fn sense_of_a_failure_survives_its_encoding(block in any::<Option<u64>>()) {
        let sense = Sense { block, ..Sense::READ_ERROR };
        let fixed = sense.fixed();
        prop_assert_eq!((fixed[2], fixed[12], fixed[13]), (3, 0x11, 0));
        prop_assert_eq!(usize::from(sense.descriptors()[7]) + 8, sense.descriptors().len());
    }
}
