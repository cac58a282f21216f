//! Several commands of an I/O queue at a time.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use block::testing::{Gates, Held};
use block::{EngineKind, OpenMode, RawImage};
use rstest::rstest;

use crate::rig::{Command, DATA, Queue, Rig, numbered_disk, reg};

const FLUSH: u8 = 0x00;
const WRITE: u8 = 0x01;
const READ: u8 = 0x02;
/// Force unit access.
const FORCED: u32 = 1 << 30;

/// An I/O queue of 64 entries on a disk whose first two blocks are slow to read.
fn held() -> (Rig, Queue, Gates) {
    let (disk, gates) = Held::new(numbered_disk(), 2);
    let rig = Rig::new(Arc::new(disk));
    let mut admin = rig.enable();
    let io = rig.create_pair(&mut admin, 1, 64);
    (rig, io, gates)
}

/// Submits `commands` and rings once; returns their ids.
fn submit(rig: &Rig, io: &mut Queue, commands: impl IntoIterator<Item = Command>) -> Vec<u16> {
    let ids = commands.into_iter().map(|command| io.submit(&rig.memory, command)).collect();
    rig.ring(io);
    ids
}

/// A read of block `block` to a place of its own.
fn read(block: u64) -> Command {
    Command::io(READ, block, 1).prp(DATA + 512 * block)
}

#[test]
fn slow_command_holds_up_none_behind_it() {
    let (rig, mut io, gates) = held();
    let ids =
        submit(&rig, &mut io, [0, 5, 6].map(read).into_iter().chain([Command::new(FLUSH).namespace(1)]));
    let mut done: Vec<_> = (0..3).map(|_| rig.wait(&mut io).id).collect();
    done.sort_unstable();
    assert_eq!(done, ids[1..]);
    rig.wait_until("the interrupt for them", || rig.raised(1) > 0);
    gates.open(0);
    assert_eq!(rig.wait(&mut io).id, ids[0]);
    assert_eq!(rig.load(DATA + 512 * 6, 512), [6; 512]);
}

#[test]
fn command_that_comes_while_others_are_under_way_waits_for_the_first_of_them() {
    let (rig, mut io, gates) = held();
    submit(&rig, &mut io, [0, 1].map(read));
    gates.entered().unwrap();
    gates.entered().unwrap();
    let late = submit(&rig, &mut io, [read(9)]);
    gates.open(1);
    let done = [rig.wait(&mut io).id, rig.wait(&mut io).id];
    assert!(done.contains(&late[0]), "{done:?}");
    gates.open(0);
    rig.wait(&mut io);
}

#[test]
fn reset_waits_for_all_that_are_under_way() {
    let (rig, mut io, gates) = held();
    submit(&rig, &mut io, [0, 1].map(read));
    gates.entered().unwrap();
    gates.entered().unwrap();
    std::thread::scope(|scope| {
        let (done, is_done) = channel();
        let rig = &rig;
        scope.spawn(move || {
            rig.write(reg::CC, 0);
            done.send(()).unwrap();
        });
        for block in 0..2 {
            assert!(is_done.recv_timeout(Duration::from_millis(50)).is_err(), "{block} is under way");
            gates.open(block);
        }
        is_done.recv_timeout(Duration::from_secs(20)).unwrap();
    });
    assert_eq!(rig.read(reg::CSTS), 0);
}

#[rstest]
fn raw_image_holds_what_many_commands_wrote(
    #[values(EngineKind::Threads, EngineKind::IoUring)] engine: EngineKind,
    #[values(0, FORCED)] forced: u32,
) {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(1 << 20).unwrap();
    let image = RawImage::open(&file, OpenMode::ReadWrite).unwrap();
    let rig = Rig::with_engine(Arc::new(image), engine);
    let mut admin = rig.enable();
    let mut io = rig.create_pair(&mut admin, 1, 64);
    let mut all = |opcode, flags: u32| {
        let command = |block: u64| Command::io(opcode, block, 1).prp(DATA + 512 * block).word(12, flags);
        submit(&rig, &mut io, (0..60).map(command));
        (0..60).for_each(|_| assert_eq!(rig.wait(&mut io).status, 0));
    };
    (0..60).for_each(|block| rig.store(DATA + 512 * block, &[block as u8; 512]));
    all(WRITE, forced);
    rig.store(DATA, &[0xee; 60 * 512]);
    all(READ, 0);
    (0..60).for_each(|block| assert_eq!(rig.load(DATA + 512 * block, 512), [block as u8; 512]));
    assert_eq!(std::fs::read(&file).unwrap()[59 * 512..60 * 512], [59; 512]);
}

#[test]
fn forced_writes_are_durable_however_many_there_are() {
    let (rig, _admin, mut io, disk) = Rig::with_io();
    let write = |block: u64| Command::io(WRITE, block, 1).prp(DATA).word(12, FORCED);
    submit(&rig, &mut io, (0..10).map(write));
    (0..10).for_each(|_| _ = rig.wait(&mut io));
    assert_eq!(disk.flushes(), 10);
}
