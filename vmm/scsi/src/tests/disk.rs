//! Blocks of a disk: reads, writes, ranges, durability. SBC-3, 5.

use block::testing::Faulty;
use rstest::rstest;

use super::*;
use crate::spec::op;

/// Sector `n` is full of the byte `n`.
fn numbered(rig: &Rig) {
    rig.disk.with(|bytes| bytes.chunks_mut(512).zip(0..).for_each(|(sector, n)| sector.fill(n)));
}

#[rstest]
#[case::six(&[0x08, 0, 0, 3, 2, 0])]
#[case::ten(&[0x28, 0, 0, 0, 0, 3, 0, 0, 2, 0])]
#[case::twelve(&[0xa8, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0])]
#[case::sixteen(&[0x88, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0])]
fn read_of_every_length_brings_the_blocks(#[case] cdb: &[u8]) {
    let mut rig = Rig::disk();
    numbered(&rig);
    assert_eq!(rig.reads(cdb), [[3; 512], [4; 512]].concat());
}

#[rstest]
#[case::six(&[0x0a, 0, 0, 3, 2, 0])]
#[case::ten(&[0x2a, 0, 0, 0, 0, 3, 0, 0, 2, 0])]
#[case::twelve(&[0xaa, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0])]
#[case::sixteen(&[0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0])]
fn write_of_every_length_stores_the_blocks_and_no_others(#[case] cdb: &[u8]) {
    let mut rig = Rig::disk();
    rig.writes(cdb, &[7; 1024]);
    rig.disk.with(|bytes| {
        let written = bytes.iter().enumerate().all(|(at, byte)| (*byte == 7) == (1536..2560).contains(&at));
        assert!(written);
    });
}

#[test]
fn transfer_of_no_blocks_moves_nothing_and_succeeds() {
    let mut rig = Rig::disk();
    rig.does(&rw10(op::READ_10, 0, 0));
    rig.does(&rw10(op::WRITE_10, 64, 0));
}

#[rstest]
#[case::crosses_the_end(&rw10(0x28, 63, 2), 64)]
#[case::begins_behind_it(&rw10(0x2a, 65, 1), 65)]
#[case::verify(&rw10(0x2f, 64, 1), 64)]
#[case::synchronize_cache(&rw10(0x35, 60, 5), 64)]
#[case::wraps(&[0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0], u64::MAX)]
fn blocks_beyond_the_end_are_refused_with_the_first_such(#[case] cdb: &[u8], #[case] block: u64) {
    assert_eq!(Rig::disk().fails(cdb), Sense::OUT_OF_RANGE.about(block));
}

#[test]
fn pieces_of_any_size_carry_the_same_bytes() {
    let mut rig = Rig::disk();
    let sent: Vec<u8> = (0..2048_u32).map(|n| (n * 7 % 251) as u8).collect();
    let mut task = rig.target.begin(Lun(0), &rw10(op::WRITE_10, 5, 4));
    let mut at = 0;
    for len in [1, 511, 512, 700, 324] {
        let mut piece = sent[at..at + len].to_vec();
        assert_eq!(task.write(&[VolatileSlice::from(&mut piece[..])]), len as u64);
        at += len;
    }
    assert_eq!(task.finish().status, Status::Good);
    let mut task = rig.target.begin(Lun(0), &rw10(op::READ_10, 5, 4));
    let mut received = Vec::new();
    for len in [3, 1000, 1045] {
        let mut piece = vec![0; len];
        let moved = task.read(&[VolatileSlice::from(&mut piece[..])]);
        received.extend_from_slice(&piece[..moved as usize]);
    }
    assert_eq!(received, sent);
}

#[test]
fn more_room_than_data_is_left_alone() {
    let mut rig = Rig::disk();
    numbered(&rig);
    let mut room = [0xee; 600];
    let mut task = rig.target.begin(Lun(0), &rw10(op::READ_10, 1, 1));
    assert_eq!(task.read(&[VolatileSlice::from(&mut room[..])]), 512);
    assert_eq!((room[511], room[512]), (1, 0xee));
}

#[test]
fn write_with_force_unit_access_is_durable_when_it_ends() {
    let mut rig = Rig::disk();
    rig.writes(&rw10(op::WRITE_10, 0, 1), &[1; 512]);
    assert_eq!(rig.disk.flushes(), 0);
    rig.writes(&[0x2a, 0x08, 0, 0, 0, 0, 0, 0, 1, 0], &[1; 512]);
    assert_eq!(rig.disk.flushes(), 1);
    rig.does(&rw10(op::SYNCHRONIZE_CACHE_10, 0, 0));
    assert_eq!(rig.disk.flushes(), 2);
}

#[test]
fn read_only_disk_refuses_writes_and_says_so_in_its_mode() {
    let mut rig = Rig::read_only();
    assert_eq!(rig.fails(&rw10(op::WRITE_10, 0, 1)), Sense::WRITE_PROTECTED);
    // MODE SENSE (6), all pages, header alone: WP and DPOFUA.
    assert_eq!(rig.reads(&[0x1a, 8, 0x3f, 0, 4, 0])[2], 0x90);
    assert_eq!(Rig::disk().reads(&[0x1a, 8, 0x3f, 0, 4, 0])[2], 0x10);
}

#[test]
fn protection_information_and_comparison_are_refused() {
    let mut rig = Rig::disk();
    for cdb in [[0x28, 0x20, 0, 0, 0, 0, 0, 0, 1, 0], [0x2f, 0x02, 0, 0, 0, 0, 0, 0, 1, 0]] {
        assert_eq!(rig.fails(&cdb), Sense::INVALID_FIELD);
    }
}

#[test]
fn broken_host_is_a_medium_error_at_the_block() {
    let mut rig = Rig::new(Kind::Disk, Loading::Removable);
    rig.change(Some(Arc::new(Faulty::new(MemoryDisk::new(8)))));
    assert_eq!(rig.fails(&[0; 6]), Sense::MEDIUM_CHANGED);
    let mut room = [0; 512];
    let mut task = rig.target.begin(Lun(0), &rw10(op::READ_10, 2, 1));
    assert_eq!(task.read(&[VolatileSlice::from(&mut room[..])]), 0);
    assert_eq!(task.finish().sense, Some(Sense::READ_ERROR.about(2)));
    assert_eq!(rig.fails(&rw10(op::SYNCHRONIZE_CACHE_10, 0, 0)), Sense::WRITE_ERROR);
}

#[test]
fn capacity_is_told_in_three_ways() {
    let mut rig = Rig::disk();
    assert_eq!(rig.reads(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]), [0, 0, 0, 63, 0, 0, 2, 0]);
    let long = rig.reads(&[0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0]);
    assert_eq!((long.len(), long[14]), (32, 0x80));
    assert_eq!(long[..12], [0, 0, 0, 0, 0, 0, 0, 63, 0, 0, 2, 0]);
    let formats = rig.reads(&[0x23, 0, 0, 0, 0, 0, 0, 0, 252, 0]);
    assert_eq!(formats, [0, 0, 0, 8, 0, 0, 0, 64, 2, 0, 2, 0]);
}

#[test]
fn other_service_actions_are_refused() {
    let cdb = [0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
    assert_eq!(Rig::disk().fails(&cdb), Sense::INVALID_FIELD);
}

#[test]
fn disk_that_writes_through_is_durable_after_each_write_and_says_so() {
    let mut rig = Rig::disk();
    let unit = Unit::new(Kind::Disk, Loading::Fixed, crate::Serial::default());
    rig.target = Target::new(vec![unit.with(rig.disk.clone()).with_cache(crate::WriteCache::Through)]);
    rig.settle();
    rig.writes(&rw10(op::WRITE_10, 0, 1), &[1; 512]);
    assert_eq!(rig.disk.flushes(), 1);
    rig.writes(&[0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0], &[0; 512]);
    assert_eq!(rig.disk.flushes(), 2);
    assert_eq!(rig.reads(&[0x1a, 8, 0x08, 0, 255, 0])[4..7], [0x08, 18, 0]);
}
