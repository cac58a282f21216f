//! CD-ROM drives. MMC-6.

use super::*;
use crate::spec::op;

/// The disc: 64 sectors of the host are 16 blocks.
#[test]
fn blocks_have_2048_bytes() {
    let mut rig = Rig::cd_rom();
    assert_eq!(rig.reads(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]), [0, 0, 0, 15, 0, 0, 8, 0]);
    rig.disk.with(|bytes| bytes[2048..4096].fill(9));
    assert_eq!(rig.reads(&rw10(op::READ_10, 1, 1)), [9; 2048]);
    assert_eq!(rig.fails(&rw10(op::READ_10, 15, 2)), Sense::OUT_OF_RANGE.about(16));
}

#[test]
fn discs_cannot_be_written() {
    let mut rig = Rig::cd_rom();
    assert_eq!(rig.fails(&rw10(op::WRITE_10, 0, 1)), Sense::INVALID_OPERATION);
    assert_eq!(rig.fails(&rw10(op::SYNCHRONIZE_CACHE_10, 0, 0)), Sense::INVALID_OPERATION);
}

#[test]
fn disk_does_not_know_the_commands_of_drives() {
    assert_eq!(Rig::disk().fails(&[0x43, 0, 0, 0, 0, 0, 0, 0, 20, 0]), Sense::INVALID_OPERATION);
    assert_eq!(Rig::disk().fails(&[0x46, 0, 0, 0, 0, 0, 0, 0, 20, 0]), Sense::INVALID_OPERATION);
}

#[test]
fn table_of_contents_is_a_data_track_and_the_lead_out() {
    let mut rig = Rig::cd_rom();
    let toc = rig.reads(&[0x43, 0, 0, 0, 0, 0, 0, 0, 255, 0]);
    assert_eq!(toc, [0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, 0, 16]);
    // The same as time: two seconds, and 16 frames later.
    let toc = rig.reads(&[0x43, 2, 0, 0, 0, 0, 0, 0, 255, 0]);
    assert_eq!((&toc[8..12], &toc[16..20]), ([0, 0, 2, 0].as_slice(), [0, 0, 2, 16].as_slice()));
    let lead_out = rig.reads(&[0x43, 0, 0, 0, 0, 0, 0xaa, 0, 255, 0]);
    assert_eq!(lead_out, [0, 10, 1, 1, 0, 0x14, 0xaa, 0, 0, 0, 0, 16]);
    assert_eq!(rig.fails(&[0x43, 0, 0, 0, 0, 0, 2, 0, 255, 0]), Sense::INVALID_FIELD);
}

#[test]
fn there_is_one_session_in_either_way_to_ask() {
    let mut rig = Rig::cd_rom();
    let session = [0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0];
    assert_eq!(rig.reads(&[0x43, 0, 1, 0, 0, 0, 0, 0, 12, 0]), session);
    assert_eq!(rig.reads(&[0x43, 0, 0, 0, 0, 0, 0, 0, 12, 0x40]), session);
    assert_eq!(rig.fails(&[0x43, 0, 5, 0, 0, 0, 0, 0, 12, 0]), Sense::INVALID_FIELD);
}

#[test]
fn configuration_has_the_profile_of_the_disc() {
    let mut rig = Rig::cd_rom();
    let all = rig.reads(&[0x46, 0, 0, 0, 0, 0, 0, 2, 0, 0]);
    assert_eq!(u32::from_be_bytes(all[..4].try_into().unwrap()) as usize, all.len() - 4);
    assert_eq!(all[6..20], [0, 0x08, 0, 0, 3, 8, 0, 0x10, 0, 0, 0, 0x08, 1, 0]);
    // One feature: CD read, current.
    let one = rig.reads(&[0x46, 2, 0, 0x1e, 0, 0, 0, 2, 0, 0]);
    assert_eq!(one[8..12], [0, 0x1e, 0x09, 4]);
    rig.change(None);
    assert_eq!(rig.reads(&[0x46, 0, 0, 0, 0, 0, 0, 0, 8, 0])[6..], [0, 0]);
}

#[test]
fn events_tell_of_the_medium_once() {
    const EVENTS: [u8; 10] = [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0];
    let mut rig = Rig::cd_rom();
    assert_eq!(rig.reads(&EVENTS), [0, 4, 4, 0x10, 0, 2, 0, 0]);
    rig.does(&[0x1b, 0, 0, 0, 2, 0]);
    assert_eq!(rig.reads(&EVENTS), [0, 4, 4, 0x10, 3, 1, 0, 0]);
    rig.change(Some(Arc::new(MemoryDisk::new(4))));
    assert_eq!(rig.reads(&EVENTS), [0, 4, 4, 0x10, 2, 2, 0, 0]);
    assert_eq!(rig.reads(&EVENTS), [0, 4, 4, 0x10, 0, 2, 0, 0]);
    assert_eq!(rig.fails(&[0; 6]), Sense::MEDIUM_CHANGED, "events do not take the attention");
}

#[test]
fn events_of_other_classes_are_not_available() {
    let mut rig = Rig::cd_rom();
    assert_eq!(rig.reads(&[0x4a, 1, 0, 0, 0x02, 0, 0, 0, 8, 0]), [0, 0, 0x80, 0x10]);
    assert_eq!(rig.fails(&[0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8, 0]), Sense::INVALID_FIELD);
}

#[test]
fn disc_information_is_of_a_finished_disc() {
    let mut rig = Rig::cd_rom();
    let information = rig.reads(&[0x51, 0, 0, 0, 0, 0, 0, 0, 64, 0]);
    assert_eq!((information.len(), &information[..8]), (34, [0, 32, 0x0e, 1, 1, 1, 1, 0x20].as_slice()));
    rig.change(None);
    assert_eq!(rig.fails(&[0x51, 0, 0, 0, 0, 0, 0, 0, 64, 0]), Sense::NO_MEDIUM);
}

#[test]
fn capabilities_page_is_there_and_no_block_descriptor() {
    let mode = Rig::cd_rom().reads(&[0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128, 0]);
    assert_eq!(mode[..10], [0, 28, 0, 0, 0, 0, 0, 0, 0x2a, 20]);
}
