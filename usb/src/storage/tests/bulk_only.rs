//! The bulk-only transport; its bytes are those of BOT 1.0, 5, its thirteen cases those of 6.7.

use rstest::rstest;

use super::*;

const READ_10: [u8; 10] = [0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0];
const WRITE_10: [u8; 10] = [0x2a, 0, 0, 0, 0, 1, 0, 0, 1, 0];
const TEST_UNIT_READY: [u8; 6] = [0; 6];

fn cbw(direction: Direction, len: u32, cdb: &[u8]) -> Vec<u8> {
    let flags = if direction == Direction::In { 0x80 } else { 0 };
    let mut bytes = [b"USBC\x01\x02\x03\x04".as_slice(), &len.to_le_bytes(), &[flags, 0]].concat();
    bytes.push(cdb.len() as u8);
    bytes.extend(cdb);
    bytes.resize(31, 0);
    bytes
}

fn csw(residue: u32, status: u8) -> Vec<u8> {
    [b"USBS\x01\x02\x03\x04".as_slice(), &residue.to_le_bytes(), &[status]].concat()
}

/// A rig whose disk was told of its reset.
fn settled() -> Rig {
    let mut rig = Rig::new(Speed::Super);
    assert_eq!(rig.out(OUT, &cbw(Direction::Out, 0, &TEST_UNIT_READY)), Outcome::Done);
    assert_eq!(rig.input(IN, 13), Ok(csw(0, 1)), "unit attention");
    rig
}

/// Case numbers: what the host expects, and what the device intends (a command of its own choice).
#[rstest]
#[case::c01_hn_dn(Direction::Out, 0, &TEST_UNIT_READY, 0, 0)]
#[case::c02_hn_di(Direction::In, 0, &READ_10, 0, 2)]
#[case::c03_hn_do(Direction::Out, 0, &WRITE_10, 0, 2)]
#[case::c04_hi_dn(Direction::In, 512, &TEST_UNIT_READY, 512, 0)]
#[case::c05_hi_more_than_di(Direction::In, 1024, &READ_10, 512, 0)]
#[case::c06_hi_di(Direction::In, 512, &READ_10, 0, 0)]
#[case::c07_hi_less_than_di(Direction::In, 100, &READ_10, 0, 2)]
#[case::c08_hi_do(Direction::In, 512, &WRITE_10, 512, 2)]
#[case::c09_ho_dn(Direction::Out, 512, &TEST_UNIT_READY, 512, 0)]
#[case::c10_ho_di(Direction::Out, 512, &READ_10, 512, 2)]
#[case::c11_ho_more_than_do(Direction::Out, 1024, &WRITE_10, 512, 0)]
#[case::c12_ho_do(Direction::Out, 512, &WRITE_10, 0, 0)]
#[case::c13_ho_less_than_do(Direction::Out, 100, &WRITE_10, 100, 2)]
fn case_ends_in_its_status(
    #[case] direction: Direction,
    #[case] len: usize,
    #[case] cdb: &[u8],
    #[case] residue: u32,
    #[case] status: u8,
) {
    let mut rig = settled();
    rig.disk.with(|bytes| bytes.fill(5));
    assert_eq!(rig.out(OUT, &cbw(direction, len as u32, cdb)), Outcome::Done);
    match direction {
        _ if len == 0 => {}
        Direction::In => assert_eq!(rig.input(IN, len).unwrap().len(), len),
        Direction::Out => assert_eq!(rig.out(OUT, &vec![6; len]), Outcome::Done),
    }
    assert_eq!(rig.input(IN, 13), Ok(csw(residue, status)));
    // Case 13 and case 8 write nothing; 11 and 12 write one sector.
    let written = rig.disk.with(|bytes| bytes.iter().filter(|byte| **byte == 6).count());
    assert_eq!(written, if cdb == WRITE_10 && status == 0 { 512 } else { 0 });
}

#[test]
fn data_are_those_of_the_disk_and_zeroes_behind_them() {
    let mut rig = settled();
    rig.disk.with(|bytes| bytes.fill(5));
    rig.out(OUT, &cbw(Direction::In, 700, &READ_10));
    assert_eq!(rig.input(IN, 300), Ok(vec![5; 300]));
    assert_eq!(rig.input(IN, 1000), Ok([vec![5; 212], vec![0; 188]].concat()), "a short packet ends it");
    assert_eq!(rig.input(IN, 13), Ok(csw(188, 0)));
}

#[test]
fn failure_is_told_by_request_sense() {
    let mut rig = settled();
    rig.out(OUT, &cbw(Direction::In, 512, &[0x28, 0, 0, 0, 0, 64, 0, 0, 1, 0]));
    assert_eq!(rig.input(IN, 512), Ok(vec![0; 512]));
    assert_eq!(rig.input(IN, 13), Ok(csw(512, 1)));
    rig.out(OUT, &cbw(Direction::In, 18, &[3, 0, 0, 0, 18, 0]));
    let sense = rig.input(IN, 18).unwrap();
    assert_eq!((sense[2], sense[12]), (5, 0x21));
    assert_eq!(rig.input(IN, 13), Ok(csw(0, 0)));
}

#[test]
fn pipes_wait_for_their_turn_and_are_woken() {
    let mut rig = settled();
    assert_eq!(rig.input(IN, 13), Err(Outcome::Nak), "no command");
    let before = rig.wakes.load(Ordering::Relaxed);
    rig.out(OUT, &cbw(Direction::In, 0, &TEST_UNIT_READY));
    assert!(rig.wakes.load(Ordering::Relaxed) > before, "there is a status");
    assert_eq!(rig.out(OUT, &cbw(Direction::In, 0, &TEST_UNIT_READY)), Outcome::Nak, "status comes first");
    assert_eq!(rig.input(IN, 13), Ok(csw(0, 0)));
}

#[rstest]
#[case::short(&cbw(Direction::In, 0, &TEST_UNIT_READY)[..30])]
#[case::long(&[cbw(Direction::In, 0, &TEST_UNIT_READY), vec![0]].concat())]
#[case::empty(&[])]
#[case::signature(&[0; 31])]
#[case::no_command(&cbw(Direction::In, 0, &[]))]
#[case::command_too_long(&cbw(Direction::In, 0, &[0; 17])[..31])]
fn broken_wrapper_stalls_both_pipes_until_a_reset(#[case] bytes: &[u8]) {
    let mut rig = settled();
    assert_eq!(rig.out(OUT, bytes), Outcome::Stall);
    assert_eq!(rig.input(IN, 13), Err(Outcome::Stall));
    // CLEAR_FEATURE(ENDPOINT_HALT) alone does not help.
    let clear = |rig: &mut Rig| {
        rig.request([0x02, 1, 0, 0, 0x81, 0, 0, 0]).unwrap();
        rig.request([0x02, 1, 0, 0, 0x02, 0, 0, 0]).unwrap();
    };
    clear(&mut rig);
    assert_eq!(rig.input(IN, 13), Err(Outcome::Stall));
    // Reset recovery. 5.3.4.
    rig.request([0x21, 0xff, 0, 0, 0, 0, 0, 0]).unwrap();
    clear(&mut rig);
    assert_eq!(rig.out(OUT, &cbw(Direction::In, 0, &TEST_UNIT_READY)), Outcome::Done);
    assert_eq!(rig.input(IN, 13), Ok(csw(0, 0)));
}

#[test]
fn reset_in_the_middle_of_data_forgets_the_command() {
    let mut rig = settled();
    rig.out(OUT, &cbw(Direction::Out, 1024, &WRITE_10));
    rig.out(OUT, &[6; 100]);
    rig.request([0x21, 0xff, 0, 0, 0, 0, 0, 0]).unwrap();
    rig.out(OUT, &cbw(Direction::In, 0, &TEST_UNIT_READY));
    assert_eq!(rig.input(IN, 13), Ok(csw(0, 0)));
    rig.disk.with(|bytes| assert!(bytes.iter().all(|byte| *byte == 0)));
}

#[test]
fn bus_reset_unconfigures_and_is_told_to_the_driver() {
    let mut rig = settled();
    rig.device.reset();
    assert_eq!(rig.out(OUT, &cbw(Direction::Out, 0, &TEST_UNIT_READY)), Outcome::Stall);
    rig.request([0x00, 9, 1, 0, 0, 0, 0, 0]).unwrap();
    rig.out(OUT, &cbw(Direction::Out, 0, &TEST_UNIT_READY));
    assert_eq!(rig.input(IN, 13), Ok(csw(0, 1)));
}

#[test]
fn max_lun_is_zero_for_one_disk() {
    assert_eq!(settled().request([0xa1, 0xfe, 0, 0, 0, 0, 1, 0]), Ok(vec![0]));
}

#[test]
fn other_class_requests_are_refused() {
    assert_eq!(settled().request([0xa1, 0x01, 0, 0, 0, 0, 1, 0]), Err(Outcome::Stall));
}

#[test]
fn all_but_the_disks_work_is_done_at_once() {
    let mut rig = settled();
    rig.disk.with(|bytes| bytes.fill(5));
    assert_eq!(rig.input_at_once(IN, 512), Some(Err(Outcome::Nak)), "nothing yet");
    assert_eq!(rig.out_at_once(OUT, &cbw(Direction::In, 512, &READ_10)), Some(Outcome::Done));
    assert_eq!(rig.out_at_once(OUT, &[0; 31]), Some(Outcome::Nak), "data come first");
    assert_eq!(rig.input_at_once(IN, 512), None);
    assert_eq!(rig.input(IN, 512), Ok(vec![5; 512]));
    assert_eq!(rig.input_at_once(IN, 13), Some(Ok(csw(0, 0))));

    assert_eq!(rig.out_at_once(OUT, &cbw(Direction::Out, 512, &WRITE_10)), Some(Outcome::Done));
    assert_eq!(rig.out_at_once(OUT, &[6; 512]), None);
    assert_eq!(rig.out(OUT, &[6; 512]), Outcome::Done);
    assert_eq!(rig.input_at_once(IN, 13), Some(Ok(csw(0, 0))));
}

#[test]
fn commands_that_may_take_their_time_are_not_begun_at_once() {
    let mut rig = settled();
    let synchronize = [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let through = [0x2a, 8, 0, 0, 0, 1, 0, 0, 1, 0];
    for wrapper in [cbw(Direction::Out, 0, &synchronize), cbw(Direction::Out, 0, &through), vec![0; 31]] {
        assert_eq!(rig.out_at_once(OUT, &wrapper), None);
    }
    assert_eq!(rig.out(OUT, &cbw(Direction::Out, 0, &synchronize)), Outcome::Done, "nothing has changed");
    assert_eq!(rig.input(IN, 13), Ok(csw(0, 0)));
}
