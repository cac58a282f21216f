//! A driver that breaks the rules between commands: doorbells, resets in flight, memory that changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::rig::{Command, DATA, ENABLE, IO_QUEUES, Rig, reg};

const READ: u8 = 0x02;

#[test]
fn doorbells_out_of_range_are_ignored() {
    let (rig, _admin, mut io, _disk) = Rig::with_io();
    for (queue, value) in [(1, 16), (1, 0xffff), (2, 1), (64, 1), (65, 1), (100, 7)] {
        rig.write(reg::DOORBELLS + 8 * queue, value);
        rig.write(reg::DOORBELLS + 8 * queue + 4, value);
    }
    assert_eq!(rig.status(&mut io, Command::io(READ, 3, 1).prp(DATA)), 0);
    assert_eq!(rig.load(DATA, 512), [3; 512]);
}

#[test]
fn doorbells_of_a_disabled_controller_are_ignored() {
    let (rig, _admin, _disk) = Rig::enabled();
    rig.write(reg::CC, 0);
    for queue in 0..70 {
        rig.write(reg::DOORBELLS + 4 * queue, 1);
    }
    let mut admin = rig.enable();
    assert_eq!(rig.status(&mut admin, Command::new(0x0a).cdw10(7)), 0);
}

#[test]
fn completion_head_beyond_what_was_completed_frees_nothing() {
    let (rig, mut admin, _disk) = Rig::enabled();
    let mut io = rig.create_pair(&mut admin, 1, 4);
    rig.write(reg::DOORBELLS + 8 + 4, 3);
    (0..3).for_each(|block| _ = io.submit(&rig.memory, Command::io(READ, block, 1).prp(DATA)));
    rig.ring(&io);
    (0..3).for_each(|_| _ = rig.wait(&mut io));
    assert_eq!(rig.status(&mut io, Command::io(READ, 0, 1).prp(DATA)), 0);
}

#[test]
fn tail_that_runs_around_ends_at_the_reset() {
    let (rig, _admin, io, _disk) = Rig::with_io();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Another processor moves the tail for ever, and acknowledges whatever there is.
        scope.spawn(|| {
            let mut value = 0;
            while !stop.load(Ordering::SeqCst) {
                value = (value + 1) % 16;
                rig.write(reg::DOORBELLS + 8 * u64::from(io.id), value);
                rig.write(reg::DOORBELLS + 8 * u64::from(io.id) + 4, value);
            }
        });
        std::thread::sleep(Duration::from_millis(20));
        rig.write(reg::CC, 0);
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(rig.read(reg::CSTS), 0);
    let mut admin = rig.enable();
    assert_eq!(rig.status(&mut admin, Command::new(0x0a).cdw10(7)), 0);
}

#[test]
fn reset_in_flight_leaves_memory_alone_afterwards() {
    let (rig, _admin, mut io, _disk) = Rig::with_io();
    for _ in 0..15 {
        io.submit(&rig.memory, Command::io(READ, 0x55, 1).prp(DATA));
    }
    rig.ring(&io);
    rig.write(reg::CC, 0);
    rig.store(DATA, &[0; 512]);
    rig.store(IO_QUEUES + 0x2000, &[0; 0x2000]);
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(rig.load(DATA, 512), [0; 512]);
    assert_eq!(rig.load(IO_QUEUES + 0x2000, 0x2000), [0; 0x2000]);
}

#[test]
fn enabling_and_disabling_for_ever_is_possible() {
    let (rig, _admin, _disk) = Rig::enabled();
    for _ in 0..200 {
        rig.write(reg::CC, 0);
        rig.write(reg::CC, ENABLE);
    }
    rig.write(reg::CC, 0);
    let mut admin = rig.enable();
    let mut io = rig.create_pair(&mut admin, 1, 4);
    assert_eq!(rig.status(&mut io, Command::io(READ, 0, 1).prp(DATA)), 0);
}

#[test]
fn queue_made_of_its_own_data_ends() {
    // A read whose destination is the queue it is in, and a completion queue over it.
    let (rig, mut admin, _disk) = Rig::enabled();
    let at = IO_QUEUES;
    let create = |opcode| Command::new(opcode).prp(at).cdw10(15 << 16 | 1).cdw11(1 << 16 | 1);
    assert_eq!(rig.status(&mut admin, create(5)), 0);
    assert_eq!(rig.status(&mut admin, create(1)), 0);
    let mut io = crate::rig::Queue::new(1, at, at, 16);
    for block in 0..15 {
        io.submit(&rig.memory, Command::io(READ, block, 2).prp(at));
    }
    rig.ring(&io);
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(rig.status(&mut admin, Command::new(0).cdw10(1)), 0);
}
