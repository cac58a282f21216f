//! USB Attached SCSI at high speed; its units are those of UAS, 6.2.

use super::*;

/// A device that a driver put into setting 1, told of its reset.
fn rig() -> Rig {
    let mut rig = Rig::new(Speed::High);
    rig.request([0x01, 11, 1, 0, 0, 0, 0, 0]).unwrap();
    rig.command(1, &[0; 6]);
    assert_eq!(rig.status()[6], 2, "unit attention");
    rig
}

impl Rig {
    fn command(&mut self, tag: u8, cdb: &[u8]) {
        let mut unit = vec![1, 0, 0, tag, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        unit.extend(cdb);
        unit.resize(32, 0);
        assert_eq!(self.out(COMMAND, &unit), Outcome::Done);
    }

    fn manage(&mut self, tag: u8, function: u8, task: u8) -> Vec<u8> {
        let unit = [5, 0, 0, tag, function, 0, 0, task, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(self.out(COMMAND, &unit), Outcome::Done);
        self.status()
    }

    fn status(&mut self) -> Vec<u8> {
        self.input(STATUS, 64).unwrap()
    }
}

const READ: [u8; 10] = [0x28, 0, 0, 0, 0, 1, 0, 0, 2, 0];
const WRITE: [u8; 10] = [0x2a, 0, 0, 0, 0, 1, 0, 0, 1, 0];
/// SENSE IU of a command that ended well, without its tag.
const GOOD: [u8; 12] = [0; 12];

#[test]
fn command_without_data_ends_in_a_sense_unit() {
    let mut rig = rig();
    rig.command(7, &[0; 6]);
    assert_eq!(rig.status(), [[3, 0, 0, 7].as_slice(), &GOOD].concat());
    assert_eq!(rig.input(STATUS, 64), Err(Outcome::Nak));
}

#[test]
fn read_is_announced_then_moved_then_ended() {
    let mut rig = rig();
    rig.disk.with(|bytes| bytes.fill(5));
    rig.command(7, &READ);
    assert_eq!(rig.status(), [6, 0, 0, 7]);
    assert_eq!(rig.input(STATUS, 64), Err(Outcome::Nak));
    assert_eq!(rig.input(DATA_IN, 1000), Ok(vec![5; 1000]));
    assert_eq!(rig.input(DATA_IN, 512), Ok(vec![5; 24]), "a short packet ends it");
    assert_eq!(rig.status(), [[3, 0, 0, 7].as_slice(), &GOOD].concat());
}

#[test]
fn write_is_announced_then_moved_then_ended() {
    let mut rig = rig();
    rig.command(7, &WRITE);
    assert_eq!(rig.status(), [7, 0, 0, 7]);
    assert_eq!(rig.input(DATA_IN, 10), Err(Outcome::Nak));
    assert_eq!(rig.out(DATA_OUT, &[6; 512]), Outcome::Done);
    assert_eq!(rig.status(), [[3, 0, 0, 7].as_slice(), &GOOD].concat());
    rig.disk.with(|bytes| assert_eq!(bytes[512..1024], [6; 512]));
}

#[test]
fn data_of_several_commands_move_in_turn() {
    let mut rig = rig();
    rig.command(1, &READ);
    rig.command(2, &WRITE);
    rig.command(3, &[0; 6]);
    assert_eq!(rig.status(), [6, 0, 0, 1]);
    assert_eq!(rig.status()[..4], [3, 0, 0, 3], "what needs no data overtakes");
    assert_eq!(rig.out(DATA_OUT, &[6; 512]), Outcome::Nak, "not its turn");
    rig.input(DATA_IN, 1024).unwrap();
    assert_eq!((rig.status()[..4].to_vec(), rig.status()), (vec![3, 0, 0, 1], vec![7, 0, 0, 2]));
    rig.out(DATA_OUT, &[6; 512]);
    assert_eq!(rig.status()[..4], [3, 0, 0, 2]);
}

#[test]
fn failure_brings_its_sense_along() {
    let mut rig = rig();
    rig.command(7, &[0x28, 0, 0, 0, 0, 64, 0, 0, 1, 0]);
    let unit = rig.status();
    assert_eq!((unit[6], unit[15], unit.len()), (2, 18, 34));
    assert_eq!((unit[16 + 2], unit[16 + 12]), (5, 0x21));
}

#[test]
fn tag_in_use_is_refused() {
    let mut rig = rig();
    rig.command(7, &READ);
    rig.status();
    rig.command(7, &READ);
    assert_eq!(rig.status(), [4, 0, 0, 7, 0, 0, 0, 0x0a]);
}

#[test]
fn queue_has_an_end() {
    let mut rig = rig();
    for tag in 0..64 {
        rig.command(tag, &READ);
    }
    rig.status();
    rig.command(64, &READ);
    assert_eq!(rig.status()[..7], [3, 0, 0, 64, 0, 0, 0x28]);
}

#[test]
fn driver_that_takes_no_status_has_to_wait() {
    let mut rig = rig();
    for tag in 0..64 {
        rig.command(tag, &[0; 6]);
    }
    assert_eq!(rig.out(COMMAND, &[1; 32]), Outcome::Nak);
    rig.status();
    assert_eq!(rig.out(COMMAND, &[1; 32]), Outcome::Done);
}

#[test]
fn abort_takes_a_command_back_and_the_next_one_begins() {
    let mut rig = rig();
    rig.command(1, &READ);
    rig.command(2, &WRITE);
    rig.status();
    assert_eq!(rig.manage(9, 0x80, 1), [4, 0, 0, 9, 0, 0, 0, 8], "query finds it");
    assert_eq!(rig.manage(9, 0x01, 1), [4, 0, 0, 9, 0, 0, 0, 0]);
    assert_eq!(rig.status(), [7, 0, 0, 2]);
    assert_eq!(rig.manage(9, 0x80, 1), [4, 0, 0, 9, 0, 0, 0, 0], "and finds it no more");
}

#[test]
fn unit_reset_aborts_all_and_is_told() {
    let mut rig = rig();
    rig.command(1, &READ);
    rig.status();
    assert_eq!(rig.manage(9, 0x08, 0), [4, 0, 0, 9, 0, 0, 0, 0]);
    assert_eq!(rig.input(DATA_IN, 512), Err(Outcome::Nak));
    rig.command(2, &[0; 6]);
    assert_eq!(rig.status()[6], 2);
}

#[test]
fn unknown_units_and_functions_are_named() {
    let mut rig = rig();
    assert_eq!(rig.out(COMMAND, &[9, 0, 1, 2, 0]), Outcome::Done);
    assert_eq!(rig.status(), [4, 0, 1, 2, 0, 0, 0, 2]);
    assert_eq!(rig.manage(9, 0x55, 0), [4, 0, 0, 9, 0, 0, 0, 4]);
}

#[test]
fn setting_1_is_for_high_speed_alone() {
    assert_eq!(Rig::new(Speed::Super).request([0x01, 11, 1, 0, 0, 0, 0, 0]), Err(Outcome::Stall));
    let configuration = rig().request([0x80, 6, 0, 2, 0, 0, 255, 0]).unwrap();
    // Pipe usage descriptors in order: command, status, data in, data out. UAS, 5.3.3.5.
    let pipes: Vec<_> =
        configuration.windows(4).filter(|part| part[..2] == [4, 0x24]).map(|part| part[2]).collect();
    assert_eq!(pipes, [1, 2, 3, 4]);
}

#[test]
fn pipes_of_the_other_setting_stall() {
    let mut rig = rig();
    assert_eq!(rig.out(OUT, &[0; 31]), Outcome::Nak, "the endpoint carries data in this setting, if any");
    rig.request([0x01, 11, 0, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!(rig.out(COMMAND, &[0; 32]), Outcome::Stall);
}

#[test]
fn all_but_the_disks_work_is_done_at_once() {
    let mut rig = rig();
    rig.disk.with(|bytes| bytes.fill(5));
    let unit = |tag, cdb: &[u8]| {
        let mut unit = [[1, 0, 0, tag].as_slice(), &[0; 12], cdb].concat();
        unit.resize(32, 0);
        unit
    };
    assert_eq!(rig.out_at_once(COMMAND, &unit(1, &READ)), Some(Outcome::Done));
    assert_eq!(rig.out_at_once(COMMAND, &unit(2, &[0; 6])), None, "another command");
    assert_eq!(rig.out_at_once(COMMAND, &[5, 0, 0, 3, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), None, "an abort");
    assert_eq!(rig.input_at_once(STATUS, 64), Some(Ok(vec![6, 0, 0, 1])));
    assert_eq!(rig.input_at_once(STATUS, 64), Some(Err(Outcome::Nak)));
    assert_eq!(rig.out_at_once(DATA_OUT, &[0; 512]), Some(Outcome::Nak), "the other direction");
    assert_eq!(rig.input_at_once(DATA_IN, 1024), None);
    assert_eq!(rig.input(DATA_IN, 1024), Ok(vec![5; 1024]));
    assert_eq!(rig.input_at_once(STATUS, 64), Some(Ok([[3, 0, 0, 1].as_slice(), &GOOD].concat())));
}
