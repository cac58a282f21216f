//! A SCSI host adapter under scripted drivers. virtio 1.2, 5.6.

use std::sync::Arc;

use ::scsi::{Kind, Loading, Target, Unit};
use block::ReadOnly;
use block::testing::MemoryDisk;
use rstest::rstest;
use virtio::scsi::Scsi;

use crate::rig::firmware::seabios_scsi;
use crate::rig::{Buffer, Rig, Ring, feature, numbered_disk, reg};
use Buffer::{In, Out};

const REQUEST: u64 = 0x2_0000;
const RESPONSE: u64 = 0x2_1000;
const DATA: u64 = 0x3_0000;
const CONTROL: u32 = 0;
const COMMANDS: u32 = 2;

const TEST_UNIT_READY: u8 = 0x00;
const INQUIRY: u8 = 0x12;
const READ_CAPACITY: u8 = 0x25;
const READ: u8 = 0x28;
const WRITE: u8 = 0x2a;
const REPORT_LUNS: u8 = 0xa0;

/// Target 0 is a disk of 16 numbered sectors, target 1 a drive with a disc of two blocks.
struct Setup {
    rig: Rig,
    rings: [Ring; 3],
    disk: Arc<MemoryDisk>,
}

/// What became of a command.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    response: u8,
    status: u8,
    /// Key and additional code of the sense data.
    sense: Option<[u8; 3]>,
    residual: u32,
    used: u32,
}

impl Outcome {
    const fn good(used: u32) -> Self {
        Self { response: 0, status: 0, sense: None, residual: 0, used: 108 + used }
    }

    const fn check(sense: [u8; 3], residual: u32) -> Self {
        Self { response: 0, status: 2, sense: Some(sense), residual, used: 108 }
    }

    const fn refused(response: u8) -> Self {
        Self { response, status: 0, sense: None, residual: 0, used: 108 }
    }
}

fn adapter(disk: &Arc<MemoryDisk>) -> Scsi {
    let unit = |kind, serial: &str| Unit::new(kind, Loading::Fixed, serial.parse().unwrap());
    let hard_disk = unit(Kind::Disk, "disk").with(Arc::clone(disk) as _);
    let disc = MemoryDisk::new(8);
    disc.with(|bytes| bytes[2048..].fill(0xcd));
    let drive = unit(Kind::CdRom, "drive").with(Arc::new(ReadOnly::new(Arc::new(disc))));
    Scsi::new(vec![Target::new(vec![hard_disk]), Target::new(vec![drive])])
}

/// As Linux starts it; both targets have told of their reset.
fn setup() -> Setup {
    let mut setup = fresh();
    for target in [0, 1] {
        let first = setup.command(target, &[TEST_UNIT_READY, 0, 0, 0, 0, 0], &[]);
        assert_eq!(first, Outcome::check([6, 0x29, 0], 0), "a unit tells of its reset");
    }
    setup
}

fn fresh() -> Setup {
    let disk = numbered_disk();
    let rig = Rig::new(Some(Box::new(adapter(&disk))));
    let rings = [0, 1, 2].map(|n| Ring::new(32, 0x8_0000 + 0x8000 * n));
    rig.start(feature::ALL, &rings[0]);
    rig.start_queue(1, &rings[1]);
    rig.start_queue(2, &rings[2]);
    Setup { rig, rings, disk }
}

/// The address of a unit as drivers write it.
fn address(target: u8, lun: u8) -> [u8; 8] {
    [1, target, 0x40, lun, 0, 0, 0, 0]
}

impl Setup {
    fn on(&mut self, queue: u32, chain: &[Buffer]) -> u32 {
        let ring = &mut self.rings[queue as usize];
        ring.add(&self.rig.memory, chain);
        self.rig.write(reg::QUEUE_NOTIFY, queue);
        self.rig.wait_used(ring).1
    }

    fn command(&mut self, target: u8, cdb: &[u8], data: &[Buffer]) -> Outcome {
        self.command_at(address(target, 0), cdb, data)
    }

    fn command_at(&mut self, lun: [u8; 8], cdb: &[u8], data: &[Buffer]) -> Outcome {
        self.store_command(lun, cdb);
        let of = |out: bool| data.iter().copied().filter(move |buffer| matches!(buffer, Out(..)) == out);
        let chain: Vec<_> = [Out(REQUEST, 51)]
            .into_iter()
            .chain(of(true))
            .chain([In(RESPONSE, 108)])
            .chain(of(false))
            .collect();
        let used = self.on(COMMANDS, &chain);
        self.outcome(used)
    }

    fn store_command(&self, lun: [u8; 8], cdb: &[u8]) {
        self.rig.store(REQUEST, &[0; 51]);
        self.rig.store(REQUEST, &lun);
        self.rig.store(REQUEST + 8, &0x1234_5678_u64.to_le_bytes());
        self.rig.store(REQUEST + 19, cdb);
        self.rig.store(RESPONSE, &[0xee; 108]);
    }

    fn outcome(&self, used: u32) -> Outcome {
        let bytes = self.rig.load(RESPONSE, 108);
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let sense = &bytes[12..];
        assert!([0, 18].contains(&number(0)), "sense of {} bytes", number(0));
        let known = (number(0) > 0).then_some([sense[2], sense[12], sense[13]]);
        assert!(
            sense[number(0) as usize..].iter().all(|&byte| byte == 0),
            "what counts as written is written"
        );
        Outcome { response: bytes[11], status: bytes[10], sense: known, residual: number(4), used }
    }

    /// A request on the control queue: its answer.
    fn manage(&mut self, request: &[u8], room: u32) -> Vec<u8> {
        self.rig.store(REQUEST, request);
        self.rig.store(RESPONSE, &[0xee; 8]);
        let used = self.on(CONTROL, &[Out(REQUEST, request.len() as u32), In(RESPONSE, room)]);
        self.rig.load(RESPONSE, used as usize)
    }
}

fn read(first: u8, count: u8) -> [u8; 10] {
    [READ, 0, 0, 0, 0, first, 0, 0, count, 0]
}

fn function(number: u8, lun: [u8; 8]) -> Vec<u8> {
    [&[0, 0, 0, 0, number, 0, 0, 0], lun.as_slice(), &[0; 8]].concat()
}

#[test]
fn configuration_says_what_the_adapter_has() {
    let setup = fresh();
    let words = [0, 4, 8, 12, 16, 20, 24, 32].map(|at| setup.rig.read(reg::CONFIG + at));
    assert_eq!(words, [1, 254, 0xffff, 128, 16, 96, 32, 15]);
    let last: [[u8; 2]; 2] = [0x1c, 0x1e].map(|at| setup.rig.read_bytes(reg::CONFIG + at));
    assert_eq!(last.map(u16::from_le_bytes), [0, 1], "max_channel and max_target");
    assert_eq!(setup.rig.read(reg::DEVICE_ID), 8);
}

#[test]
fn seabios_finds_and_reads_both_targets() {
    let disk = numbered_disk();
    let rig = Rig::new(Some(Box::new(adapter(&disk))));
    let rings = [0, 1, 2].map(|n| Ring::new(32, 0x8_0000 + 0x8000 * n));
    seabios_scsi(&rig, COMMANDS, &rings[2]);
    let mut bios = Setup { rig, rings, disk };
    for target in 0..=255_u8 {
        // A header and one entry.
        let cdb = [REPORT_LUNS, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0];
        let expected = if target < 2 { Outcome::good(16) } else { Outcome::refused(3) };
        let outcome = bios.command(target, &cdb, &[In(DATA, 16)]);
        assert_eq!(Outcome { residual: 0, ..outcome }, expected, "target {target}");
    }
    assert_eq!(bios.rig.load(DATA, 16), [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for (target, kind, block_len) in [(0, 0, 512_u32), (1, 5, 2048)] {
        assert_eq!(bios.command(target, &[INQUIRY, 0, 0, 0, 36, 0], &[In(DATA, 36)]), Outcome::good(36));
        assert_eq!(bios.rig.load(DATA, 1), [kind]);
        bios.command(target, &[TEST_UNIT_READY, 0, 0, 0, 0, 0], &[]);
        let capacity = bios.command(target, &[READ_CAPACITY, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[In(DATA, 8)]);
        assert_eq!(capacity, Outcome::good(8));
        assert_eq!(bios.rig.load(DATA + 4, 4), block_len.to_be_bytes());
    }
    assert_eq!(bios.command(1, &read(1, 1), &[In(DATA, 2048)]), Outcome::good(2048));
    assert_eq!(bios.rig.load(DATA, 2048), [0xcd; 2048]);
}

#[test]
fn data_moves_both_ways_however_it_is_cut() {
    let mut setup = setup();
    let outcome = setup.command(0, &read(3, 2), &[In(DATA, 1), In(DATA + 1, 1000), In(DATA + 1001, 23)]);
    assert_eq!(outcome, Outcome::good(1024));
    assert_eq!(setup.rig.load(DATA, 1024), [[3; 512], [4; 512]].concat());
    setup.rig.store(DATA, &[0x77; 512]);
    let write = [WRITE, 0, 0, 0, 0, 15, 0, 0, 1, 0];
    assert_eq!(setup.command(0, &write, &[Out(DATA, 100), Out(DATA + 100, 412)]), Outcome::good(0));
    assert_eq!(setup.disk.with(|bytes| bytes[512 * 15..].to_vec()), [0x77; 512]);
}

#[test]
fn buffers_larger_than_the_data_leave_a_residue_and_smaller_ones_an_overrun() {
    let mut setup = setup();
    let larger = setup.command(0, &read(1, 1), &[In(DATA, 1000)]);
    assert_eq!(larger, Outcome { residual: 488, ..Outcome::good(512) });
    setup.rig.store(DATA, &[0xee; 512]);
    assert_eq!(setup.command(0, &read(1, 2), &[In(DATA, 1023)]), Outcome::refused(1));
    assert_eq!(setup.rig.load(DATA, 512), [0xee; 512], "nothing moved");
    let wrong_way = setup.command(0, &read(1, 1), &[Out(DATA, 512)]);
    assert_eq!(wrong_way, Outcome::refused(1));
}

#[test]
fn failures_come_with_sense_data() {
    let mut setup = setup();
    let beyond = setup.command(0, &read(16, 1), &[In(DATA, 512)]);
    assert_eq!(beyond, Outcome::check([5, 0x21, 0], 512));
    let write = [WRITE, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    let protected = setup.command(1, &write, &[Out(DATA, 2048)]);
    assert_eq!(protected.status, 2);
    assert_eq!(setup.command(0, &[0xff; 32], &[]).sense, Some([5, 0x20, 0]));
    let absent = setup.command_at(address(0, 1), &[TEST_UNIT_READY, 0, 0, 0, 0, 0], &[]);
    assert_eq!(absent, Outcome::check([5, 0x25, 0], 0));
}

#[rstest]
#[case::no_such_target([1, 2, 0x40, 0, 0, 0, 0, 0])]
#[case::last_target([1, 255, 0x40, 0, 0, 0, 0, 0])]
#[case::other_channel([0, 0, 0x40, 0, 0, 0, 0, 0])]
#[case::well_known_unit([0xc1, 1, 0, 0, 0, 0, 0, 0])]
#[case::extended_address([1, 0, 0xd2, 0, 0, 0, 0, 0])]
#[case::second_level([1, 0, 0x40, 0, 0, 1, 0, 0])]
#[case::bytes_behind([1, 0, 0x40, 0, 0, 0, 0, 1])]
fn addresses_without_a_target_are_answered_at_once(#[case] lun: [u8; 8]) {
    let mut setup = setup();
    let outcome = setup.command_at(lun, &[TEST_UNIT_READY, 0, 0, 0, 0, 0], &[In(DATA, 512)]);
    assert_eq!(Outcome { residual: 0, ..outcome }, Outcome::refused(3));
}

#[test]
fn task_management_resets_units_and_finds_no_task() {
    let mut setup = setup();
    for number in [0, 1, 3, 6, 7] {
        assert_eq!(setup.manage(&function(number, address(0, 0)), 1), [0], "function {number}");
    }
    assert_eq!(setup.manage(&function(2, address(0, 0)), 1), [11], "no ACA here");
    assert_eq!(setup.manage(&function(99, address(0, 0)), 1), [11]);
    assert_eq!(setup.manage(&function(5, address(0, 3)), 1), [12]);
    assert_eq!(setup.manage(&function(5, address(7, 0)), 1), [3]);
    for number in [5, 4] {
        assert_eq!(setup.manage(&function(number, address(0, 0)), 1), [0]);
        let told = setup.command(0, &[TEST_UNIT_READY, 0, 0, 0, 0, 0], &[]);
        assert_eq!(told.sense, Some([6, 0x29, 0]), "after function {number}");
        assert_eq!(setup.command(1, &[TEST_UNIT_READY, 0, 0, 0, 0, 0], &[]), Outcome::good(0));
    }
}

#[test]
fn notifications_are_none() {
    let mut setup = setup();
    for kind in [1, 2] {
        let request = [&[kind, 0, 0, 0], address(0, 0).as_slice(), &[0xff; 4]].concat();
        assert_eq!(setup.manage(&request, 5), [0; 5]);
    }
    assert_eq!(setup.manage(&[9, 0, 0, 0], 1), [11]);
    assert_eq!(setup.manage(&[0, 0], 1), [11], "too short for any");
    assert_eq!(setup.manage(&function(5, address(0, 0)), 0), [] as [u8; 0]);
}

#[test]
fn driver_chooses_sizes_until_it_resets_the_device() {
    let mut setup = setup();
    setup.rig.write(reg::CONFIG + 0x14, 4); // sense_size
    setup.rig.write(reg::CONFIG + 0x18, 16); // cdb_size
    setup.store_command(address(0, 0), &read(16, 1));
    let used = setup.on(COMMANDS, &[Out(REQUEST, 19 + 16), In(RESPONSE, 12 + 4), In(DATA, 512)]);
    assert_eq!((used, setup.rig.load(RESPONSE, 4)), (16, vec![4, 0, 0, 0]));
    assert_eq!(setup.rig.load(RESPONSE + 12, 4), [0x70 | 0x80, 0, 5, 0]);
    for size in [257, u32::MAX] {
        setup.rig.write(reg::CONFIG + 0x14, size);
        setup.rig.write(reg::CONFIG + 0x18, size);
        assert_eq!([0x14, 0x18].map(|at| setup.rig.read(reg::CONFIG + at)), [4, 16]);
    }
    setup.rig.write(reg::CONFIG, 7);
    assert_eq!(setup.rig.read(reg::CONFIG), 1, "the rest is not the driver's");
    setup.rig.write(reg::STATUS, 0);
    assert_eq!([0x14, 0x18].map(|at| setup.rig.read(reg::CONFIG + at)), [96, 32]);
}

#[test]
fn cdb_of_no_bytes_is_no_command() {
    let mut setup = setup();
    setup.rig.write(reg::CONFIG + 0x18, 0);
    setup.store_command(address(0, 0), &[]);
    let used = setup.on(COMMANDS, &[Out(REQUEST, 19), In(RESPONSE, 108)]);
    assert_eq!(setup.outcome(used).sense, Some([5, 0x20, 0]));
}

#[rstest]
#[case::request_too_short(&[Out(REQUEST, 50), In(RESPONSE, 108)])]
#[case::response_too_short(&[Out(REQUEST, 51), In(RESPONSE, 107)])]
#[case::no_request(&[In(RESPONSE, 108)])]
#[case::no_response(&[Out(REQUEST, 51)])]
fn commands_too_short_break_the_adapter_until_a_reset(#[case] chain: &[Buffer]) {
    let mut setup = setup();
    setup.rings[2].add(&setup.rig.memory, chain);
    setup.rig.write(reg::QUEUE_NOTIFY, COMMANDS);
    setup.rig.wait_needs_reset();
    setup.rig.store(0x8_0000, &[0; 0x1_8000]);
    setup.rings = [0, 1, 2].map(|n| Ring::new(32, 0x8_0000 + 0x8000 * n));
    setup.rig.start(feature::ALL, &setup.rings[0]);
    setup.rig.start_queue(2, &setup.rings[2]);
    let told = setup.command(0, &[TEST_UNIT_READY, 0, 0, 0, 0, 0], &[]);
    assert_eq!(told.sense, Some([6, 0x29, 0]), "the targets were reset with it");
}

#[test]
fn driver_of_linux_leaves_events_waiting() {
    let mut setup = setup();
    setup.rings[1].add(&setup.rig.memory, &[In(DATA, 16)]);
    setup.rig.write(reg::QUEUE_NOTIFY, 1);
    setup.rig.settle();
    assert!(!setup.rings[1].has_used(&setup.rig.memory));
    assert!(!setup.rig.needs_reset());
}
