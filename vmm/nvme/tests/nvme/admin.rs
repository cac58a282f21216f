//! Admin commands: what a driver learns and sets. NVMe 1.4, 5.

use block::Backend as _;
use rstest::rstest;

use crate::rig::{Command, DATA, Rig, reg};

const IDENTIFY: u8 = 0x06;
const GET_LOG_PAGE: u8 = 0x02;
const ASYNC_EVENT_REQUEST: u8 = 0x0c;
const ABORT: u8 = 0x08;
const SET_FEATURES: u8 = 0x09;

fn identify(structure: u32, namespace: u32) -> Command {
    Command::new(IDENTIFY).cdw10(structure).namespace(namespace).prp(DATA)
}

fn log(id: u32, dwords: u32) -> Command {
    Command::new(GET_LOG_PAGE).cdw10((dwords - 1) << 16 | id).namespace(u32::MAX).prp(DATA)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn controller_tells_who_it_is() {
    let (rig, mut admin, _disk) = Rig::enabled();
    assert_eq!(rig.status(&mut admin, identify(1, 0)), 0);
    let data = rig.load(DATA, 4096);
    assert_eq!(data[..4], [0xf4, 0x1a, 0xf4, 0x1a], "VID, SSVID");
    assert_eq!(text(&data[4..24]), "test disk           ");
    assert!(text(&data[24..64]).starts_with("Tinderbox NVMe disk  "));
    assert_eq!(data[77], 9, "MDTS");
    assert_eq!(data[80..84], [0, 4, 1, 0], "VER");
    assert_eq!(data[111], 1, "an I/O controller");
    assert_eq!(data[512..514], [0x66, 0x44], "SQES, CQES");
    assert_eq!(data[516..520], [1, 0, 0, 0], "NN");
    assert!(text(&data[768..1024]).starts_with("nqn.2014-08.org.nvmexpress:uuid:"));
}

#[test]
fn namespace_tells_size_and_format() {
    let (rig, mut admin, _disk) = Rig::enabled();
    assert_eq!(rig.status(&mut admin, identify(0, 1)), 0);
    let data = rig.load(DATA, 4096);
    assert_eq!([&data[..8], &data[8..16], &data[16..24]], [&8192_u64.to_le_bytes(); 3]);
    assert_eq!(data[26], 0, "FLBAS: format 0");
    assert_eq!(data[128..132], [0, 0, 9, 0], "512 bytes, no metadata");
    assert_eq!(rig.status(&mut admin, identify(2, 0)), 0);
    assert_eq!(rig.load(DATA, 8), [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(rig.status(&mut admin, identify(2, 1)), 0);
    assert_eq!(rig.load(DATA, 4), [0; 4]);
    assert_eq!(rig.status(&mut admin, identify(3, 1)), 0);
    let list = rig.load(DATA, 24);
    assert_eq!((list[..4].to_vec(), list[20..].to_vec()), (vec![3, 16, 0, 0], vec![0; 4]));
}

#[rstest]
#[case::namespace_0(identify(0, 0), 0x00b)]
#[case::namespace_2(identify(0, 2), 0x00b)]
#[case::all_namespaces(identify(0, u32::MAX), 0x00b)]
#[case::list_behind_the_last(identify(2, 0xffff_fffe), 0x00b)]
#[case::descriptors_of_none(identify(3, 9), 0x00b)]
#[case::unknown_structure(identify(0x10, 1), 0x002)]
#[case::data_outside_memory(identify(1, 0).prp(1 << 40), 0x004)]
#[case::data_nowhere(identify(1, 0).prp(DATA + 2), 0x013)]
#[case::second_page_unaligned(identify(1, 0).prp(DATA + 8).prp2(8), 0x013)]
#[case::sgl(identify(1, 0).sgl(0, DATA, 4096), 0x002)]
#[case::fused(identify(1, 0).word(0, 0x106), 0x002)]
#[case::unknown_opcode(Command::new(0x7f), 0x001)]
#[case::format(Command::new(0x80).namespace(1), 0x001)]
#[case::unknown_log(log(0x7f, 4), 0x109)]
#[case::log_of_a_namespace(log(2, 4).namespace(1), 0x002)]
#[case::log_beyond_its_end(log(2, 4).word(12, 516), 0x002)]
#[case::log_far_beyond_its_end(log(2, 4).word(13, u32::MAX), 0x002)]
#[case::abort_in_no_queue(Command::new(ABORT).cdw10(5), 0x002)]
fn mistakes_have_their_status(#[case] command: Command, #[case] status: u16) {
    let (rig, mut admin, _disk) = Rig::enabled();
    let completion = rig.command(&mut admin, command);
    assert_eq!((completion.status, completion.do_not_retry), (status, true));
    assert_eq!(rig.status(&mut admin, log(1, 16)), 0);
    let entry = rig.load(DATA, 64);
    assert_eq!(entry[..8], 1_u64.to_le_bytes(), "the error log counts it");
    assert_eq!(entry[10..12], completion.id.to_le_bytes());
    assert_eq!(entry[12..14], (1 << 15 | status << 1).to_le_bytes());
}

#[test]
fn data_may_straddle_pages() {
    let (rig, mut admin, _disk) = Rig::enabled();
    assert_eq!(rig.status(&mut admin, identify(1, 0).prp(DATA + 0xffc).prp2(DATA + 0x8000)), 0);
    assert_eq!(rig.load(DATA + 0xffc, 4), [0xf4, 0x1a, 0xf4, 0x1a]);
    assert_eq!(text(&rig.load(DATA + 0x8000, 9)), "test disk");
}

#[test]
fn health_log_counts_what_was_moved() {
    let (rig, mut admin, mut io, _disk) = Rig::with_io();
    for _ in 0..3 {
        assert_eq!(rig.status(&mut io, Command::io(2, 0, 8).prp(DATA)), 0);
    }
    assert_eq!(rig.status(&mut io, Command::io(1, 0, 1).prp(DATA)), 0);
    assert_eq!(rig.status(&mut admin, log(2, 128)), 0);
    let health = rig.load(DATA, 512);
    assert_eq!(health[0], 0, "no warning");
    assert_eq!(u16::from_le_bytes([health[1], health[2]]), 303, "30 degrees Celsius");
    assert_eq!((health[3], health[5]), (100, 0), "all spare blocks left, unused");
    let counter = |at: usize| u64::from_le_bytes(health[at..at + 8].try_into().unwrap());
    assert_eq!((counter(32), counter(48)), (1, 1), "data units");
    assert_eq!((counter(64), counter(80)), (3, 1), "commands");
    assert_eq!(counter(112), 1, "power cycles");
}

#[test]
fn log_is_read_in_parts_and_never_beyond_its_end() {
    let (rig, mut admin, _disk) = Rig::enabled();
    rig.store(DATA, &[0xee; 1024]);
    assert_eq!(rig.status(&mut admin, log(3, 256)), 0);
    let whole = rig.load(DATA, 1024);
    assert_eq!((whole[0], &whole[8..13], whole[511], whole[512]), (1, b"0.1.0".as_slice(), 0, 0xee));
    assert_eq!(rig.status(&mut admin, log(3, 2).word(12, 8)), 0);
    assert_eq!(rig.load(DATA, 8), *b"0.1.0   ");
    assert_eq!(rig.status(&mut admin, log(4, 1024)), 0);
    assert_eq!(rig.load(DATA, 4096), [0; 4096]);
}

#[test]
fn refused_doorbell_is_an_event_until_the_log_is_read() {
    let (rig, mut admin, _disk) = Rig::enabled();
    let request = |admin: &mut _, id: &mut u16| {
        *id = crate::rig::Queue::submit(admin, &rig.memory, Command::new(ASYNC_EVENT_REQUEST));
        rig.ring(admin);
    };
    let (mut first, mut second) = (0, 0);
    request(&mut admin, &mut first);
    request(&mut admin, &mut second);
    rig.write(reg::DOORBELLS + 8 * 5, 1);
    let event = rig.wait(&mut admin);
    assert_eq!((event.id, event.status, event.result), (first, 0, 0x01_0000), "invalid register, log 1");
    rig.write(reg::DOORBELLS, 16);
    assert_eq!(
        rig.status(&mut admin, log(1, 16).word(10, 15 << 16 | 1 << 15 | 1)),
        0,
        "the event stays masked"
    );
    assert_eq!(rig.status(&mut admin, log(1, 16)), 0);
    let event = rig.wait(&mut admin);
    assert_eq!((event.id, event.result), (second, 0x01_0100), "invalid value");
}

#[test]
fn event_requests_are_limited_and_can_be_aborted() {
    let (rig, mut admin, _disk) = Rig::enabled();
    let ids: Vec<u16> =
        (0..5).map(|_| admin.submit(&rig.memory, Command::new(ASYNC_EVENT_REQUEST))).collect();
    rig.ring(&admin);
    let limit = rig.wait(&mut admin);
    assert_eq!((limit.id, limit.status), (ids[4], 0x105));
    let abort = |id: u16| Command::new(ABORT).cdw10(u32::from(id) << 16);
    assert_eq!(rig.command(&mut admin, abort(ids[2])).result, 0);
    let aborted = rig.wait(&mut admin);
    assert_eq!((aborted.id, aborted.status), (ids[2], 0x007));
    assert_eq!(rig.command(&mut admin, abort(ids[2])).result, 1, "not aborted");
}

#[test]
fn temperature_threshold_is_an_event_if_asked_for() {
    let (rig, mut admin, _disk) = Rig::enabled();
    let set = |feature, value| Command::new(SET_FEATURES).cdw10(feature).cdw11(value);
    admin.submit(&rig.memory, Command::new(ASYNC_EVENT_REQUEST));
    rig.ring(&admin);
    assert_eq!(rig.status(&mut admin, set(4, 290)), 0, "no event: none was asked for");
    assert_eq!(rig.status(&mut admin, set(4, 400)), 0);
    assert_eq!(rig.status(&mut admin, set(0x0b, 2)), 0);
    assert_eq!(rig.status(&mut admin, set(4, 290)), 0);
    assert_eq!(rig.wait(&mut admin).result, 0x02_0101, "SMART, temperature, log 2");
    assert_eq!(rig.status(&mut admin, log(2, 1)), 0);
    assert_eq!(rig.load(DATA, 1), [2]);
}

#[test]
fn driver_is_told_of_a_larger_disk_if_it_wants_to_know() {
    let (rig, mut admin, disk) = Rig::enabled();
    assert_eq!(rig.status(&mut admin, identify(1, 0)), 0);
    assert_eq!(rig.load(DATA + 92, 4), [0, 1, 0, 0], "OAES: namespace attribute notices");
    assert_eq!(rig.status(&mut admin, Command::new(SET_FEATURES).cdw10(0x0b).cdw11(1 << 8)), 0);
    let id = admin.submit(&rig.memory, Command::new(ASYNC_EVENT_REQUEST));
    rig.ring(&admin);
    disk.resize(16384 * 512).unwrap();
    (rig.resized)();
    let event = rig.wait(&mut admin);
    assert_eq!((event.id, event.status, event.result), (id, 0, 0x04_0002), "log 4, notice 0");
    let changed = |admin: &mut _, retain: u32| {
        let log = log(4, 1024);
        let cdw10 = log.0[10];
        assert_eq!(rig.status(admin, log.cdw10(cdw10 | retain << 15)), 0);
        rig.load(DATA, 8)
    };
    assert_eq!(changed(&mut admin, 1), [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(changed(&mut admin, 0), [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(changed(&mut admin, 0), [0; 8], "reading clears the list");
    assert_eq!(rig.status(&mut admin, identify(0, 1)), 0);
    assert_eq!(rig.load(DATA, 8), 16384_u64.to_le_bytes());
    let mut io = rig.create_pair(&mut admin, 1, 16);
    assert_eq!(rig.status(&mut io, Command::io(2, 16383, 1).prp(DATA)), 0);
    assert_eq!(rig.status(&mut io, Command::io(2, 16384, 1).prp(DATA)), 0x080, "LBA out of range");
}
