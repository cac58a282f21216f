//! Creating, using and deleting I/O queues. NVMe 1.4, 4.1 and 5.3 to 5.6.

use rstest::rstest;

use crate::rig::{Command, DATA, IO_QUEUES, MEMORY_END, Queue, Rig};

const DELETE_SQ: u8 = 0x00;
const CREATE_SQ: u8 = 0x01;
const DELETE_CQ: u8 = 0x04;
const CREATE_CQ: u8 = 0x05;
const READ: u8 = 0x02;

/// A queue of 8 entries, number 2, that uses vector or completion queue 1.
fn create(opcode: u8) -> Command {
    Command::new(opcode).prp(IO_QUEUES).cdw10(7 << 16 | 2).cdw11(1 << 16 | 1)
}

#[rstest]
#[case::number_0(create(CREATE_CQ).cdw10(7 << 16), 0x101)]
#[case::number_65(create(CREATE_CQ).cdw10(7 << 16 | 65), 0x101)]
#[case::number_in_use(create(CREATE_CQ).cdw10(7 << 16 | 1), 0x101)]
#[case::one_entry(create(CREATE_CQ).cdw10(2), 0x102)]
#[case::more_entries_than_mqes(create(CREATE_CQ).cdw10(1024 << 16 | 2), 0x102)]
#[case::most_entries_there_can_be(create(CREATE_CQ).cdw10(0xffff << 16 | 2), 0x102)]
#[case::scattered(create(CREATE_CQ).cdw11(1 << 16), 0x002)]
#[case::vector_65(create(CREATE_CQ).cdw11(65 << 16 | 3), 0x108)]
#[case::not_at_a_page(create(CREATE_CQ).prp(IO_QUEUES + 64), 0x013)]
#[case::outside_memory(create(CREATE_CQ).prp(MEMORY_END), 0x004)]
#[case::leaves_memory(create(CREATE_CQ).cdw10(1023 << 16 | 2).prp(MEMORY_END - 0x1000), 0x004)]
#[case::last_page(create(CREATE_CQ).prp(!0xfff), 0x004)]
#[case::submission_number_0(create(CREATE_SQ).cdw10(7 << 16), 0x101)]
#[case::submission_number_in_use(create(CREATE_SQ).cdw10(7 << 16 | 1), 0x101)]
#[case::submission_of_one_entry(create(CREATE_SQ).cdw10(2), 0x102)]
#[case::submission_outside_memory(create(CREATE_SQ).prp(1 << 60), 0x004)]
#[case::completion_queue_of_the_admin_queue(create(CREATE_SQ).cdw11(1), 0x100)]
#[case::completion_queue_missing(create(CREATE_SQ).cdw11(3 << 16 | 1), 0x100)]
#[case::deletes_the_admin_queue(Command::new(DELETE_SQ), 0x101)]
#[case::deletes_a_missing_queue(Command::new(DELETE_SQ).cdw10(2), 0x101)]
#[case::deletes_the_admin_completion_queue(Command::new(DELETE_CQ), 0x101)]
#[case::deletes_a_missing_completion_queue(Command::new(DELETE_CQ).cdw10(2), 0x101)]
#[case::deletes_a_queue_in_use(Command::new(DELETE_CQ).cdw10(1), 0x10c)]
fn mistakes_have_their_status_and_no_effect(#[case] command: Command, #[case] status: u16) {
    let (rig, mut admin, mut io, _disk) = Rig::with_io();
    assert_eq!(rig.status(&mut admin, command), status);
    assert_eq!(rig.status(&mut io, Command::io(READ, 0, 1).prp(DATA)), 0);
}

#[test]
fn all_64_queues_work() {
    let (rig, mut admin, _disk) = Rig::enabled();
    let mut queues: Vec<Queue> = (1..=64).map(|id| rig.create_pair(&mut admin, id, 4)).collect();
    for queue in &mut queues {
        assert_eq!(rig.status(queue, Command::io(READ, 0, 1).prp(DATA)), 0);
    }
    assert!((1..=64).all(|vector| rig.raised(vector) == 1));
}

#[test]
fn granted_number_limits_the_queues() {
    let (rig, mut admin, _disk) = Rig::enabled();
    assert_eq!(rig.command(&mut admin, Command::new(9).cdw10(7).cdw11(0)).result, 0, "one of each");
    assert_eq!(rig.status(&mut admin, create(CREATE_CQ)), 0x101);
    rig.create_pair(&mut admin, 1, 4);
    assert_eq!(rig.status(&mut admin, Command::new(9).cdw10(7).cdw11(0)), 0x00c, "too late to ask again");
}

#[test]
fn queues_can_be_deleted_and_created_again() {
    let (rig, mut admin, mut io, _disk) = Rig::with_io();
    assert_eq!(rig.status(&mut io, Command::io(READ, 0, 1).prp(DATA)), 0);
    assert_eq!(rig.status(&mut admin, Command::new(DELETE_SQ).cdw10(1)), 0);
    assert_eq!(rig.status(&mut admin, Command::new(DELETE_CQ).cdw10(1)), 0);
    let mut again = rig.create_pair(&mut admin, 1, 8);
    assert_eq!(rig.status(&mut again, Command::io(READ, 0, 1).prp(DATA)), 0);
}

#[test]
fn queues_wrap_many_times() {
    let (rig, _admin, mut io, _disk) = Rig::with_io();
    for block in 0..100 {
        let completion = rig.command(&mut io, Command::io(READ, block, 1).prp(DATA));
        assert_eq!(completion.submission_head, io.tail);
        assert_eq!(rig.load(DATA, 512), [block as u8; 512]);
    }
}

#[test]
fn full_completion_queue_holds_commands_back() {
    let (rig, mut admin, _disk) = Rig::enabled();
    // Two entries, of which one is always free, for a submission queue of 16.
    let size = |entries: u32| (entries - 1) << 16 | 1;
    let at = IO_QUEUES;
    rig.store(at, &[0; 0x2000]);
    let create_cq = Command::new(CREATE_CQ).prp(at + 0x1000).cdw10(size(2)).cdw11(1 << 16 | 3);
    assert_eq!(rig.status(&mut admin, create_cq), 0);
    let create_sq = Command::new(CREATE_SQ).prp(at).cdw10(size(16)).cdw11(1 << 16 | 1);
    assert_eq!(rig.status(&mut admin, create_sq), 0);
    let mut submissions = Queue::new(1, at, at + 0x1000, 16);
    let mut completions = Queue::new(1, at, at + 0x1000, 2);
    let ids: Vec<u16> =
        (0..10).map(|block| submissions.submit(&rig.memory, Command::io(READ, block, 1).prp(DATA))).collect();
    rig.ring(&submissions);
    for id in ids {
        assert_eq!(rig.wait(&mut completions).id, id);
    }
}

#[test]
fn two_submission_queues_share_a_completion_queue() {
    let (rig, mut admin, io, _disk) = Rig::with_io();
    let at = IO_QUEUES + 0x8000;
    let create_sq = Command::new(CREATE_SQ).prp(at).cdw10(15 << 16 | 2).cdw11(1 << 16 | 1);
    assert_eq!(rig.status(&mut admin, create_sq), 0);
    let mut first = io.clone();
    let mut second = Queue::new(2, at, 0, 16);
    for queue in [&mut first, &mut second] {
        (0..12).for_each(|block| _ = queue.submit(&rig.memory, Command::io(READ, block, 1).prp(DATA)));
        rig.ring(queue);
    }
    let mut shared = io;
    let done: Vec<u16> = (0..24).map(|_| rig.wait(&mut shared).queue).collect();
    assert_eq!([1, 2].map(|id| done.iter().filter(|queue| **queue == id).count()), [12, 12]);
}

#[test]
fn silent_queue_completes_without_interrupts() {
    let (rig, mut admin, mut io, _disk) = Rig::with_io();
    let before = rig.raised(1);
    let silent = Command::new(CREATE_CQ).prp(IO_QUEUES + 0x9000).cdw10(7 << 16 | 2).cdw11(1 << 16 | 1);
    assert_eq!(rig.status(&mut admin, silent), 0);
    let create_sq = Command::new(CREATE_SQ).prp(IO_QUEUES + 0x8000).cdw10(7 << 16 | 2).cdw11(2 << 16 | 1);
    assert_eq!(rig.status(&mut admin, create_sq), 0);
    let mut queue = Queue::new(2, IO_QUEUES + 0x8000, IO_QUEUES + 0x9000, 8);
    assert_eq!(rig.status(&mut queue, Command::io(READ, 0, 1).prp(DATA)), 0);
    assert_eq!(rig.status(&mut io, Command::io(READ, 0, 1).prp(DATA)), 0);
    rig.wait_until("the other queue's interrupt", || rig.raised(1) == before + 1);
}

#[test]
fn batch_is_announced_less_often_than_command_by_command() {
    let (rig, mut admin, _disk) = Rig::enabled();
    let mut io = rig.create_pair(&mut admin, 1, 64);
    // Blocks that the disk does not have: such commands complete at once, and the disk's engine has no part in when.
    (0..60).for_each(|n| _ = io.submit(&rig.memory, Command::io(READ, (1 << 40) + n, 1).prp(DATA)));
    rig.ring(&io);
    (0..60).for_each(|_| _ = rig.wait(&mut io));
    rig.wait_until("the last interrupt", || rig.raised(1) >= 4);
    assert!(rig.raised(1) <= 5, "{} interrupts", rig.raised(1));
}
