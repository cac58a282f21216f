//! I/O commands. NVMe 1.4, 6.

use std::sync::Arc;

use block::ReadOnly;
use block::testing::{Faulty, MemoryDisk};
use rstest::rstest;

use crate::rig::{BLOCKS, Command, DATA, ENABLE, MEMORY_END, Rig, reg};

const FLUSH: u8 = 0x00;
const WRITE: u8 = 0x01;
const READ: u8 = 0x02;
const COMPARE: u8 = 0x05;
const WRITE_ZEROES: u8 = 0x08;
const DATASET_MANAGEMENT: u8 = 0x09;
const VERIFY: u8 = 0x0c;

fn block(disk: &MemoryDisk, number: usize) -> Vec<u8> {
    disk.with(|bytes| bytes[number * 512..][..512].to_vec())
}

#[test]
fn read_fills_memory_from_the_disk() {
    let (rig, _admin, mut io, _disk) = Rig::with_io();
    let completion = rig.command(&mut io, Command::io(READ, 5, 2).prp(DATA + 0x200));
    assert_eq!((completion.status, completion.queue, completion.submission_head), (0, 1, 1));
    assert_eq!(rig.load(DATA + 0x200, 1024), [[5; 512], [6; 512]].concat());
    assert!(rig.load(DATA, 0x200).iter().all(|byte| *byte == 0), "not before");
    assert!(rig.load(DATA + 0x600, 0x200).iter().all(|byte| *byte == 0), "not behind");
    rig.wait_until("an interrupt", || rig.raised(1) == 1);
}

#[test]
fn write_fills_the_disk_from_memory() {
    let (rig, _admin, mut io, disk) = Rig::with_io();
    rig.store(DATA, &[0xab; 512]);
    assert_eq!(rig.status(&mut io, Command::io(WRITE, 9, 1).prp(DATA)), 0);
    assert_eq!(block(&disk, 9), [0xab; 512]);
    assert_eq!((block(&disk, 8), block(&disk, 10)), (vec![8; 512], vec![10; 512]));
    assert_eq!(disk.flushes(), 0);
}

#[test]
fn longest_transfer_uses_a_list() {
    let (rig, _admin, mut io, _disk) = Rig::with_io();
    let list: Vec<u8> = (1..512_u64).flat_map(|page| (DATA + page * 0x1000).to_le_bytes()).collect();
    rig.store(0x5_0000, &list);
    assert_eq!(rig.status(&mut io, Command::io(READ, 0, 4096).prp(DATA).prp2(0x5_0000)), 0);
    let read = rig.load(DATA, 2 << 20);
    assert!(read.chunks(512).zip(0_usize..).all(|(block, number)| block == [number as u8; 512]));
    assert_eq!(rig.status(&mut io, Command::io(READ, 0, 4097).prp(DATA).prp2(0x5_0000)), 0x002, "MDTS");
}

#[test]
fn scatter_gather_list_may_cut_anywhere() {
    let (rig, _admin, mut io, _disk) = Rig::with_io();
    let descriptor = |address: u64, len: u32| [address.to_le_bytes(), u64::from(len).to_le_bytes()].concat();
    rig.store(0x5_0000, &[descriptor(DATA + 1, 100), descriptor(DATA + 0x1000, 412)].concat());
    assert_eq!(rig.status(&mut io, Command::io(READ, 7, 1).sgl(0x30, 0x5_0000, 32)), 0);
    assert_eq!(rig.load(DATA, 102), [vec![0], vec![7; 100], vec![0]].concat());
    assert_eq!(rig.load(DATA + 0x1000, 413), [vec![7; 412], vec![0]].concat());
}

#[test]
fn flush_reaches_the_disk_by_either_name() {
    let (rig, _admin, mut io, disk) = Rig::with_io();
    assert_eq!(rig.status(&mut io, Command::new(FLUSH).namespace(1)), 0);
    assert_eq!(rig.status(&mut io, Command::new(FLUSH).namespace(u32::MAX)), 0);
    assert_eq!(disk.flushes(), 2);
    assert_eq!(rig.status(&mut io, Command::new(FLUSH).namespace(0)), 0x00b);
}

#[test]
fn forced_write_is_flushed_and_so_is_each_without_a_cache() {
    let (rig, mut admin, mut io, disk) = Rig::with_io();
    assert_eq!(rig.status(&mut io, Command::io(WRITE, 0, 1).prp(DATA).word(12, 1 << 30)), 0);
    assert_eq!(disk.flushes(), 1);
    assert_eq!(rig.status(&mut admin, Command::new(9).cdw10(6).cdw11(0)), 0, "write cache off");
    assert_eq!(rig.status(&mut io, Command::io(WRITE, 0, 1).prp(DATA)), 0);
    assert_eq!(rig.status(&mut io, Command::io(WRITE_ZEROES, 0, 1)), 0);
    assert_eq!(disk.flushes(), 3);
}

#[test]
fn write_zeroes_needs_no_data() {
    let (rig, _admin, mut io, disk) = Rig::with_io();
    assert_eq!(rig.status(&mut io, Command::io(WRITE_ZEROES, 1, 300)), 0);
    assert!(disk.with(|bytes| bytes[512..301 * 512].iter().all(|byte| *byte == 0)));
    assert_eq!(block(&disk, 301), [45; 512]);
}

/// Dataset Management of `ranges`: first block and blocks.
fn deallocate(rig: &Rig, ranges: &[(u64, u32)]) -> Command {
    let list = ranges.iter().flat_map(|(first, blocks)| {
        [[0; 4], blocks.to_le_bytes()].concat().into_iter().chain(first.to_le_bytes())
    });
    rig.store(DATA, &list.collect::<Vec<u8>>());
    let command = Command::new(DATASET_MANAGEMENT).namespace(1).prp(DATA);
    command.cdw10(ranges.len() as u32 - 1).cdw11(1 << 2)
}

#[test]
fn deallocation_is_all_or_nothing() {
    let (rig, _admin, mut io, _disk) = Rig::with_io();
    let good = deallocate(&rig, &[(0, 8), (100, 1), (8191, 1), (5, 0)]);
    assert_eq!(rig.status(&mut io, good), 0);
    let bad = deallocate(&rig, &[(0, 8), (8190, 3)]);
    assert_eq!(rig.status(&mut io, bad), 0x080);
    assert_eq!(rig.status(&mut io, bad.cdw11(3)), 0x080, "hints are checked too");
    assert_eq!(rig.status(&mut io, bad.prp(MEMORY_END)), 0x004);
    assert_eq!(rig.status(&mut io, bad.namespace(2)), 0x00b);
    let most: Vec<_> = (0..256).map(|block| (block * 2, 1)).collect();
    let most = deallocate(&rig, &most);
    assert_eq!(rig.status(&mut io, most), 0);
}

#[test]
fn compare_finds_a_difference_at_either_end() {
    let (rig, _admin, mut io, _disk) = Rig::with_io();
    rig.store(DATA, &[[3; 512], [4; 512]].concat());
    let compare = Command::io(COMPARE, 3, 2).prp(DATA);
    assert_eq!(rig.status(&mut io, compare), 0);
    rig.store(DATA + 1023, &[5]);
    assert_eq!(rig.status(&mut io, compare), 0x285);
    rig.store(DATA, &[9]);
    rig.store(DATA + 1023, &[4]);
    assert_eq!(rig.status(&mut io, compare), 0x285);
}

#[test]
fn verify_reads_and_returns_nothing() {
    let (rig, _admin, mut io, _disk) = Rig::with_io();
    assert_eq!(rig.status(&mut io, Command::io(VERIFY, 0, BLOCKS.into())), 0);
}

#[rstest]
#[case::behind_the_end(Command::io(READ, 8192, 1).prp(DATA), 0x080)]
#[case::over_the_end(Command::io(READ, 8191, 2).prp(DATA), 0x080)]
#[case::far_behind_the_end(Command::io(WRITE, u64::MAX, 1).prp(DATA), 0x080)]
#[case::zeroes_over_the_end(Command::io(WRITE_ZEROES, 1, 65536), 0x080)]
#[case::namespace_2(Command::io(READ, 0, 1).namespace(2).prp(DATA), 0x00b)]
#[case::all_namespaces(Command::io(READ, 0, 1).namespace(u32::MAX).prp(DATA), 0x00b)]
#[case::data_outside_memory(Command::io(READ, 0, 1).prp(MEMORY_END), 0x004)]
#[case::data_leaves_memory(Command::io(READ, 0, 2).prp(MEMORY_END - 0x200).prp2(MEMORY_END), 0x004)]
#[case::data_in_the_last_page(Command::io(READ, 0, 16).prp(!0xfff).prp2(0), 0x004)]
#[case::list_outside_memory(Command::io(READ, 0, 32).prp(DATA).prp2(1 << 50), 0x004)]
#[case::unaligned(Command::io(WRITE, 0, 1).prp(DATA + 1), 0x013)]
#[case::sgl_too_short(Command::io(READ, 0, 1).sgl(0, DATA, 511), 0x00f)]
#[case::sgl_outside(Command::io(READ, 0, 1).sgl(0, u64::MAX - 255, 512), 0x004)]
#[case::sgl_bit_bucket(Command::io(READ, 0, 1).sgl(0x10, 0, 512), 0x011)]
#[case::fused(Command::io(READ, 0, 1).prp(DATA).word(0, 0x102), 0x002)]
#[case::reserved_pointer(Command::io(READ, 0, 1).prp(DATA).word(0, 0xc002), 0x002)]
#[case::unknown_opcode(Command::new(0x7f).namespace(1), 0x001)]
fn mistakes_have_their_status_and_no_effect(#[case] command: Command, #[case] status: u16) {
    let (rig, _admin, mut io, disk) = Rig::with_io();
    let before = disk.with(|bytes| bytes.to_vec());
    let completion = rig.command(&mut io, command);
    assert_eq!((completion.status, completion.do_not_retry), (status, true));
    assert!(disk.with(|bytes| *bytes == before));
    assert_eq!(rig.status(&mut io, Command::io(READ, 0, 1).prp(DATA)), 0, "and the queue goes on");
    assert_eq!(rig.read(reg::CSTS), 1);
}

#[test]
fn failing_host_is_a_media_error_that_may_be_retried() {
    let rig = Rig::new(Arc::new(Faulty::new(MemoryDisk::new(16))));
    let mut admin = rig.enable();
    let mut io = rig.create_pair(&mut admin, 1, 8);
    let ends = [
        (Command::io(READ, 0, 1).prp(DATA), 0x281),
        (Command::io(WRITE, 0, 1).prp(DATA), 0x280),
        (Command::io(WRITE_ZEROES, 0, 1), 0x280),
        (Command::io(COMPARE, 0, 1).prp(DATA), 0x281),
        (Command::new(FLUSH).namespace(1), 0x280),
    ];
    for (command, status) in ends {
        let completion = rig.command(&mut io, command);
        assert_eq!((completion.status, completion.do_not_retry), (status, false));
    }
    rig.write(reg::CC, ENABLE | 1 << 14);
    rig.wait_until("shutdown", || rig.read(reg::CSTS) == 1 | 2 << 2);
}

#[test]
fn read_only_disk_says_so_and_refuses_writes() {
    let rig = Rig::new(Arc::new(ReadOnly::new(MemoryDisk::new(16))));
    let mut admin = rig.enable();
    let mut io = rig.create_pair(&mut admin, 1, 8);
    assert_eq!(rig.status(&mut admin, Command::new(6).namespace(1).prp(DATA)), 0);
    assert_eq!(rig.load(DATA + 99, 1), [1], "NSATTR");
    assert_eq!(rig.status(&mut io, Command::io(WRITE, 0, 1).prp(DATA)), 0x020);
    assert_eq!(rig.status(&mut io, Command::io(WRITE_ZEROES, 0, 1)), 0x020);
    let command = deallocate(&rig, &[(0, 1)]);
    assert_eq!(rig.status(&mut io, command), 0x020);
    assert_eq!(rig.status(&mut io, Command::io(READ, 0, 1).prp(DATA)), 0);
}

#[test]
fn four_queues_work_at_once() {
    let (rig, mut admin, _disk) = Rig::enabled();
    let mut queues: Vec<_> = (1..=4).map(|id| rig.create_pair(&mut admin, id, 8)).collect();
    for round in 0..50_u64 {
        for (queue, number) in queues.iter_mut().zip(0..) {
            let at = DATA + number * 0x1000;
            queue.submit(&rig.memory, Command::io(READ, round * 4 + number, 1).prp(at));
            rig.ring(queue);
        }
        for (queue, number) in queues.iter_mut().zip(0..) {
            assert_eq!(rig.wait(queue).status, 0);
            assert_eq!(rig.load(DATA + number * 0x1000, 512), [(round * 4 + number) as u8; 512]);
        }
    }
}
