//! Shadow doorbells: the driver writes memory, and registers only when asked. NVMe 1.4, 5.7 and B.5.

use vm_memory::{Bytes, GuestAddress};

use crate::rig::{Command, DATA, IO_QUEUES, MEMORY_END, Queue, Rig, reg};

const SHADOWS: u64 = 0x8_0000;
const EVENTS: u64 = 0x8_1000;
const READ: u8 = 0x02;

fn configure() -> Command {
    Command::new(0x7c).prp(SHADOWS).prp2(EVENTS)
}

fn word(rig: &Rig, address: u64) -> u32 {
    rig.memory.read_obj(GuestAddress(address)).unwrap()
}

/// What a driver does with the tail of queue 1: as Linux, it rings if the value passes the event index.
fn publish(rig: &Rig, io: &Queue, old: u16) -> bool {
    rig.store(SHADOWS + 8, &u32::from(io.tail).to_le_bytes());
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    let event = word(rig, EVENTS + 8) as u16;
    let passes = io.tail.wrapping_sub(event).wrapping_sub(1) < io.tail.wrapping_sub(old);
    if passes {
        rig.ring(io);
    }
    passes
}

#[test]
fn shadows_begin_where_the_registers_were() {
    let (rig, mut admin, mut io, _disk) = Rig::with_io();
    (0..3).for_each(|_| assert_eq!(rig.status(&mut io, Command::io(READ, 0, 1).prp(DATA)), 0));
    rig.store(SHADOWS, &[0xff; 0x20]);
    assert_eq!(rig.status(&mut admin, configure()), 0);
    assert_eq!(word(&rig, SHADOWS + 8), 3, "the tail");
    assert_eq!(word(&rig, SHADOWS), u32::MAX, "not the admin queue's");
    rig.wait_until("the event index", || word(&rig, EVENTS + 8) == 3);
}

#[test]
fn commands_are_found_by_the_shadow_and_rings_are_rare() {
    let (rig, mut admin, mut io, _disk) = Rig::with_io();
    assert_eq!(rig.status(&mut admin, configure()), 0);
    let mut rings = 0;
    for round in 0..40_u64 {
        let old = io.tail;
        for block in 0..10 {
            io.submit(&rig.memory, Command::io(READ, round * 10 + block, 1).prp(DATA + block * 0x1000));
        }
        rings += usize::from(publish(&rig, &io, old));
        for _ in 0..10 {
            rig.wait_until("a completion", || io.peek(&rig.memory).is_some());
            assert_eq!(io.take(&rig.memory).status, 0);
            rig.store(SHADOWS + 12, &u32::from(io.head).to_le_bytes());
        }
        assert_eq!(rig.load(DATA + 0x9000, 512), [(round * 10 + 9) as u8; 512]);
    }
    assert!(rings <= 40, "at most one a batch");
}

#[test]
fn queue_created_later_has_shadows_too() {
    let (rig, mut admin, _disk) = Rig::enabled();
    assert_eq!(rig.status(&mut admin, configure()), 0);
    let mut io = rig.create_pair(&mut admin, 1, 16);
    let id = io.submit(&rig.memory, Command::io(READ, 4, 1).prp(DATA));
    rig.wait_until("the worker asleep", || word(&rig, EVENTS + 8) == 0);
    assert!(publish(&rig, &io, 0));
    rig.wait_until("a completion", || io.peek(&rig.memory).is_some());
    assert_eq!(io.take(&rig.memory).id, id);
}

#[test]
fn full_completion_queue_asks_for_a_ring() {
    let (rig, mut admin, _disk) = Rig::enabled();
    assert_eq!(rig.status(&mut admin, configure()), 0);
    let mut io = rig.create_pair(&mut admin, 1, 4);
    let mut submissions = io.clone();
    (0..3).for_each(|_| _ = submissions.submit(&rig.memory, Command::io(READ, 0, 1).prp(DATA)));
    publish(&rig, &submissions, 0);
    let third = IO_QUEUES + 0x3000 + 2 * 16;
    rig.wait_until("the third completion, which fills the queue", || word(&rig, third + 12) >> 16 & 1 == 1);
    submissions.submit(&rig.memory, Command::io(READ, 9, 1).prp(DATA));
    rig.store(SHADOWS + 8, &u32::from(submissions.tail).to_le_bytes());
    rig.ring(&submissions);
    rig.wait_until("the event index", || word(&rig, EVENTS + 12) == 0);
    io.take(&rig.memory);
    rig.store(SHADOWS + 12, &1_u32.to_le_bytes());
    rig.write(reg::DOORBELLS + 12, 1);
    for _ in 0..3 {
        rig.wait_until("a completion", || io.peek(&rig.memory).is_some());
        io.take(&rig.memory);
    }
    assert_eq!(rig.load(DATA, 512), [9; 512]);
}

#[test]
fn shadows_outside_memory_are_refused() {
    let (rig, mut admin, mut io, _disk) = Rig::with_io();
    let bad = [
        configure().prp(0),
        configure().prp2(0),
        configure().prp(SHADOWS + 4),
        configure().prp2(EVENTS + 8),
        configure().prp(MEMORY_END),
        configure().prp2(!0xfff),
    ];
    for command in bad {
        assert_eq!(rig.status(&mut admin, command), 0x002);
    }
    assert_eq!(rig.status(&mut io, Command::io(READ, 0, 1).prp(DATA)), 0, "registers still work");
}

#[test]
fn nonsense_in_a_shadow_is_no_command() {
    let (rig, mut admin, mut io, _disk) = Rig::with_io();
    assert_eq!(rig.status(&mut admin, configure()), 0);
    for value in [16, 0xffff, 0x1_0001, u32::MAX] {
        rig.store(SHADOWS + 8, &value.to_le_bytes());
        rig.store(SHADOWS + 12, &value.to_le_bytes());
        rig.ring(&io);
    }
    assert_eq!(rig.status(&mut admin, Command::new(0x0a).cdw10(7)), 0);
    rig.store(SHADOWS + 12, &[0; 4]);
    let id = io.submit(&rig.memory, Command::io(READ, 0, 1).prp(DATA));
    rig.store(SHADOWS + 8, &1_u32.to_le_bytes());
    rig.ring(&io);
    assert_eq!(rig.wait(&mut io).id, id);
}
