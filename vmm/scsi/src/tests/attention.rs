//! What happened between two commands: resets, media, sense data. SAM-5, 5.14; SPC-4, 6.39.

use std::sync::Mutex;

use super::*;
use crate::TrayError;
use crate::spec::op;

const TEST_UNIT_READY: [u8; 6] = [0; 6];
const REQUEST_SENSE: [u8; 6] = [0x03, 0, 0, 0, 18, 0];
const EJECT: [u8; 6] = [0x1b, 0, 0, 0, 0x02, 0];
const LOAD: [u8; 6] = [0x1b, 0, 0, 0, 0x03, 0];

/// Key, code and qualifier of fixed sense data.
fn told(sense: &[u8]) -> (u8, u8, u8) {
    (sense[2], sense[12], sense[13])
}

#[test]
fn reset_is_told_once() {
    let mut rig = Rig::disk();
    rig.target.reset();
    assert_eq!(rig.fails(&rw10(op::READ_10, 0, 1)), Sense::RESET);
    rig.does(&TEST_UNIT_READY);
}

#[test]
fn inquiry_and_report_luns_leave_the_attention_pending() {
    let mut rig = Rig::disk();
    rig.target.reset();
    rig.reads(&[0x12, 0, 0, 0, 36, 0]);
    rig.reads(&[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0]);
    assert_eq!(rig.fails(&TEST_UNIT_READY), Sense::RESET);
}

#[test]
fn request_sense_takes_the_attention() {
    let mut rig = Rig::disk();
    rig.target.reset();
    assert_eq!(told(&rig.reads(&REQUEST_SENSE)), (6, 0x29, 0));
    rig.does(&TEST_UNIT_READY);
    assert_eq!(told(&rig.reads(&REQUEST_SENSE)), (0, 0, 0));
}

#[test]
fn kept_sense_is_told_once_and_forgotten_by_another_command() {
    let mut rig = Rig::disk();
    rig.target.keep_sense(Lun(0), Sense::INVALID_FIELD);
    assert_eq!(told(&rig.reads(&REQUEST_SENSE)), (5, 0x24, 0));
    assert_eq!(told(&rig.reads(&REQUEST_SENSE)), (0, 0, 0));
    rig.target.keep_sense(Lun(0), Sense::INVALID_FIELD);
    rig.does(&TEST_UNIT_READY);
    assert_eq!(told(&rig.reads(&REQUEST_SENSE)), (0, 0, 0));
}

#[test]
fn request_sense_speaks_both_formats_and_keeps_to_its_length() {
    let mut rig = Rig::disk();
    rig.target.keep_sense(Lun(0), Sense::INVALID_FIELD);
    assert_eq!(rig.reads(&[0x03, 1, 0, 0, 252, 0]), [0x72, 5, 0x24, 0, 0, 0, 0, 0]);
    assert_eq!(rig.reads(&[0x03, 0, 0, 0, 3, 0]).len(), 3);
}

#[test]
fn medium_of_a_removable_disk_goes_and_comes() {
    let mut rig = Rig::new(Kind::Disk, Loading::Removable);
    rig.does(&EJECT);
    assert_eq!(rig.fails(&TEST_UNIT_READY), Sense::TRAY_OPEN);
    rig.does(&LOAD);
    assert_eq!(rig.fails(&TEST_UNIT_READY), Sense::MEDIUM_CHANGED);
    rig.change(None);
    assert_eq!(rig.fails(&rw10(op::READ_10, 0, 1)), Sense::NO_MEDIUM);
    rig.change(Some(Arc::new(MemoryDisk::new(2))));
    assert_eq!(rig.fails(&TEST_UNIT_READY), Sense::MEDIUM_CHANGED);
    assert_eq!(rig.reads(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0])[3], 1);
}

#[test]
fn locked_medium_stays_until_a_reset() {
    let mut rig = Rig::new(Kind::Disk, Loading::Removable);
    rig.does(&[0x1e, 0, 0, 0, 1, 0]);
    assert_eq!(rig.fails(&EJECT), Sense::REMOVAL_PREVENTED);
    rig.target.reset();
    rig.settle();
    rig.does(&EJECT);
}

#[test]
fn host_asks_for_a_locked_disc_and_the_initiator_gives_it() {
    const EVENTS: [u8; 10] = [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0];
    let mut rig = Rig::cd_rom();
    let tray = rig.unit().tray().unwrap();
    let moves = Arc::new(Mutex::new(Vec::new()));
    let heard = moves.clone();
    tray.watch(move |open| heard.lock().unwrap().push(open));
    rig.does(&[0x1e, 0, 0, 0, 1, 0]);
    assert_eq!((tray.open(false), tray.is_open(), tray.is_locked()), (Err(TrayError::Locked), false, true));
    assert_eq!(rig.reads(&EVENTS)[4..6], [1, 2]);
    rig.does(&[0x1e, 0, 0, 0, 0, 0]);
    rig.does(&EJECT);
    assert_eq!((tray.open(false), tray.remove()), (Ok(()), Ok(())));
    rig.does(&LOAD);
    assert_eq!(rig.fails(&TEST_UNIT_READY), Sense::NO_MEDIUM);
    assert_eq!(*moves.lock().unwrap(), [true, false]);
}

#[test]
fn medium_is_reached_in_an_open_tray_alone() {
    let mut rig = Rig::cd_rom();
    let tray = rig.unit().tray().unwrap();
    let disc = || Arc::new(MemoryDisk::new(4));
    assert_eq!((tray.remove(), tray.insert(disc())), (Err(TrayError::Closed), Err(TrayError::Closed)));
    rig.does(&[0x1e, 0, 0, 0, 1, 0]);
    assert_eq!((tray.open(true), tray.insert(disc())), (Ok(()), Err(TrayError::Full)));
    assert_eq!((tray.remove(), tray.insert(disc())), (Ok(()), Ok(())));
    assert_eq!(rig.fails(&TEST_UNIT_READY), Sense::TRAY_OPEN);
    tray.close();
    assert_eq!(rig.fails(&TEST_UNIT_READY), Sense::MEDIUM_CHANGED);
    assert_eq!(rig.reads(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0])[3], 0);
}

#[test]
fn fixed_disk_cannot_be_locked_or_ejected() {
    let mut rig = Rig::disk();
    assert!(rig.unit().tray().is_none());
    assert_eq!(rig.fails(&[0x1e, 0, 0, 0, 1, 0]), Sense::INVALID_OPERATION);
    assert_eq!(rig.fails(&EJECT), Sense::INVALID_FIELD);
    rig.does(&[0x1b, 0, 0, 0, 0x01, 0]);
}
