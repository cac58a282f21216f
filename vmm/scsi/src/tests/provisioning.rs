//! UNMAP and WRITE SAME. SBC-3, 5.38 and 5.55.

use rstest::rstest;

use super::*;

/// UNMAP with a list of `len` bytes.
fn unmap(len: u8) -> [u8; 10] {
    [0x42, 0, 0, 0, 0, 0, 0, 0, len, 0]
}

/// A list with a descriptor for each block and count.
fn list(pieces: &[(u64, u32)]) -> Vec<u8> {
    let described = pieces.len() as u16 * 16;
    let mut bytes = [(described + 6).to_be_bytes(), described.to_be_bytes(), [0; 2], [0; 2]].concat();
    for (first, count) in pieces {
        bytes.extend(first.to_be_bytes());
        bytes.extend(count.to_be_bytes());
        bytes.extend([0; 4]);
    }
    bytes
}

/// How an UNMAP with this list ends.
fn ends(rig: &mut Rig, list: &[u8]) -> Option<Sense> {
    let mut task = rig.target.begin(Lun(0), &unmap(list.len() as u8));
    task.write(&[VolatileSlice::from(&mut list.to_vec()[..])]);
    task.finish().sense
}

#[test]
fn unmap_takes_pieces_on_the_disk() {
    let mut rig = Rig::disk();
    assert_eq!(ends(&mut rig, &list(&[(0, 4), (60, 4), (3, 0)])), None);
    rig.does(&unmap(0));
}

#[test]
fn unmap_with_one_wrong_piece_is_refused() {
    let mut rig = Rig::disk();
    assert_eq!(ends(&mut rig, &list(&[(0, 4), (60, 5)])), Some(Sense::OUT_OF_RANGE.about(64)));
    assert_eq!(ends(&mut rig, &list(&[(u64::MAX, 1)])), Some(Sense::OUT_OF_RANGE.about(u64::MAX)));
    assert_eq!(ends(&mut rig, &list(&[(0, 0x8_0001)])), Some(Sense::INVALID_PARAMETER));
}

#[test]
fn unmap_reads_no_further_than_its_list_says() {
    let mut bytes = list(&[(0, 4), (99, 9)]);
    bytes[3] = 16; // one descriptor
    assert_eq!(ends(&mut Rig::disk(), &bytes), None);
}

#[test]
fn unmap_that_is_cut_off_does_nothing() {
    let mut rig = Rig::disk();
    assert_eq!(rig.fails(&unmap(7)), Sense::PARAMETER_LIST_LENGTH);
    let mut task = rig.target.begin(Lun(0), &unmap(24));
    task.write(&[VolatileSlice::from(&mut list(&[(0, 1)])[..20])]);
    assert_eq!(task.finish().sense, Some(Sense::PARAMETER_LIST_LENGTH));
}

#[rstest]
#[case::ten(&[0x41, 0, 0, 0, 0, 2, 0, 0, 3, 0])]
#[case::sixteen(&[0x93, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0])]
fn write_same_fills_blocks_with_one(#[case] cdb: &[u8]) {
    let mut rig = Rig::disk();
    rig.writes(cdb, &[7; 512]);
    rig.disk.with(|bytes| {
        assert!(bytes.iter().enumerate().all(|(at, byte)| (*byte == 7) == (1024..2560).contains(&at)));
    });
    rig.writes(cdb, &[0; 512]);
    rig.disk.with(|bytes| assert!(bytes.iter().all(|byte| *byte == 0)));
}

#[test]
fn write_same_without_data_writes_zeroes() {
    let mut rig = Rig::disk();
    rig.disk.with(|bytes| bytes.fill(5));
    rig.does(&[0x93, 0x09, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0]);
    rig.disk.with(|bytes| assert_eq!(bytes.iter().filter(|byte| **byte == 0).count(), 1536));
}

#[test]
fn write_same_of_no_blocks_or_too_many_is_refused() {
    let mut rig = Rig::disk();
    assert_eq!(rig.fails(&[0x41, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Sense::INVALID_FIELD);
    assert_eq!(rig.fails(&[0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 1, 0, 0]), Sense::INVALID_FIELD);
    assert_eq!(rig.fails(&[0x41, 0, 0, 0, 0, 63, 0, 0, 2, 0]), Sense::OUT_OF_RANGE.about(64));
}

#[test]
fn read_only_disk_refuses_both() {
    let mut rig = Rig::read_only();
    assert_eq!(rig.fails(&unmap(24)), Sense::WRITE_PROTECTED);
    assert_eq!(rig.fails(&[0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0]), Sense::WRITE_PROTECTED);
}
