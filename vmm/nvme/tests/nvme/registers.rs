//! Registers: what they show, what can be written, and what enabling and disabling do. NVMe 1.4, 3.1 and 7.6.

use rstest::rstest;

use crate::rig::{ADMIN_CQ, ADMIN_SQ, Command, ENABLE, MEMORY_END, Rig, numbered_disk, reg};

const FLUSH: u8 = 0;

fn rig() -> Rig {
    Rig::new(numbered_disk())
}

#[test]
fn capabilities_are_read_whole_and_by_halves() {
    let rig = rig();
    let cap = rig.read_wide(reg::CAP);
    assert_eq!(cap & 0xffff, 1023, "MQES");
    assert_eq!(cap >> 37 & 1, 1, "the NVM command set");
    assert_eq!((cap >> 32 & 0xf, cap >> 48 & 0xff), (0, 0), "doorbell stride, page sizes");
    assert_eq!((rig.read(reg::CAP), rig.read(reg::CAP + 4)), (cap as u32, (cap >> 32) as u32));
    assert_eq!(rig.read(reg::VS), 0x10400);
}

#[test]
fn masks_are_set_and_cleared_by_ones() {
    let rig = rig();
    rig.write(reg::INTMS, 0xf0);
    rig.write(reg::INTMC, 0x30);
    assert_eq!((rig.read(reg::INTMS), rig.read(reg::INTMC)), (0xc0, 0xc0));
}

#[test]
fn masked_vector_is_raised_when_the_mask_goes() {
    let (rig, mut admin, mut io, _disk) = Rig::with_io();
    rig.write(reg::INTMS, 1 << 1);
    io.submit(&rig.memory, Command::new(FLUSH).namespace(1));
    rig.ring(&io);
    rig.wait_until("a completion", || io.peek(&rig.memory).is_some());
    // Vector 0 is another.
    let before = rig.raised(0);
    assert_eq!(rig.status(&mut admin, Command::new(0x0a).cdw10(7)), 0);
    rig.wait_until("vector 0", || rig.raised(0) > before);
    assert_eq!(rig.raised(1), 0);
    rig.write(reg::INTMC, 1 << 1);
    rig.wait_until("vector 1", || rig.raised(1) == 1);
    assert_eq!(io.take(&rig.memory).status, 0);
}

#[test]
fn what_the_driver_found_under_a_mask_is_not_announced() {
    let (rig, _admin, mut io, _disk) = Rig::with_io();
    rig.write(reg::INTMS, u32::MAX);
    assert_eq!(rig.status(&mut io, Command::new(FLUSH).namespace(1)), 0);
    rig.write(reg::INTMC, u32::MAX);
    // The next one is, and alone.
    io.submit(&rig.memory, Command::new(FLUSH).namespace(1));
    rig.ring(&io);
    rig.wait_until("vector 1", || rig.raised(1) > 0);
    assert_eq!(rig.raised(1), 1);
}

#[test]
fn reset_of_the_controller_clears_the_masks() {
    let (rig, ..) = Rig::enabled();
    rig.write(reg::INTMS, 1);
    rig.write(reg::CC, 0);
    assert_eq!(rig.read(reg::INTMS), 0);
    rig.write(reg::INTMS, 1);
    let mut admin = rig.enable();
    admin.submit(&rig.memory, Command::new(0x0a).cdw10(7));
    rig.ring(&admin);
    rig.wait_until("a completion", || admin.peek(&rig.memory).is_some());
    rig.write(reg::INTMC, 1);
    rig.wait_until("vector 0", || rig.raised(0) == 1);
}

#[test]
fn reserved_bits_and_read_only_registers_stay() {
    let rig = rig();
    rig.write(reg::AQA, u32::MAX);
    rig.write_wide(reg::ASQ, u64::MAX);
    rig.write_wide(reg::CAP, 0);
    rig.write(reg::CSTS, u32::MAX);
    assert_eq!(rig.read(reg::AQA), 0x0fff_0fff);
    assert_eq!(rig.read_wide(reg::ASQ), !0xfff);
    assert_ne!(rig.read_wide(reg::CAP), 0);
    assert_eq!(rig.read(reg::CSTS), 0);
}

#[test]
fn controller_is_ready_while_enabled() {
    let rig = rig();
    rig.enable();
    rig.write(reg::CC, 0);
    assert_eq!(rig.read(reg::CSTS), 0);
    assert_eq!(rig.read_wide(reg::ASQ), ADMIN_SQ, "a controller reset spares the admin queue registers");
    rig.write(reg::CC, ENABLE);
    assert_eq!(rig.read(reg::CSTS), 1);
    rig.reset();
    assert_eq!((rig.read(reg::CC), rig.read(reg::CSTS), rig.read_wide(reg::ACQ)), (0, 0, 0));
}

#[rstest]
#[case::submission_queue_outside_memory(15, MEMORY_END, ADMIN_CQ, ENABLE)]
#[case::submission_queue_leaves_memory(0x41, MEMORY_END - 0x1000, ADMIN_CQ, ENABLE)]
#[case::completion_queue_at_the_last_page(15, ADMIN_SQ, !0xfff, ENABLE)]
#[case::one_entry(0, ADMIN_SQ, ADMIN_CQ, ENABLE)]
#[case::command_set(15, ADMIN_SQ, ADMIN_CQ, ENABLE | 7 << 4)]
#[case::large_pages(15, ADMIN_SQ, ADMIN_CQ, ENABLE | 1 << 7)]
#[case::weighted_arbitration(15, ADMIN_SQ, ADMIN_CQ, ENABLE | 1 << 11)]
fn impossible_admin_queues_are_fatal_until_a_reset(
    #[case] less_one: u32,
    #[case] submissions: u64,
    #[case] completions: u64,
    #[case] configuration: u32,
) {
    let rig = rig();
    rig.write(reg::AQA, less_one << 16 | less_one);
    rig.write_wide(reg::ASQ, submissions);
    rig.write_wide(reg::ACQ, completions);
    rig.write(reg::CC, configuration);
    assert_eq!(rig.read(reg::CSTS), 2, "CFS");
    rig.write(reg::DOORBELLS, 1);
    rig.write(reg::CC, 0);
    assert_eq!(rig.read(reg::CSTS), 0);
    rig.enable();
}

#[rstest]
#[case::normal(1)]
#[case::abrupt(2)]
fn shutdown_flushes_and_says_so(#[case] kind: u32) {
    let (rig, _admin, disk) = Rig::enabled();
    rig.write(reg::CC, ENABLE | kind << 14);
    rig.wait_until("shutdown", || rig.read(reg::CSTS) == 1 | 2 << 2);
    assert_eq!(disk.flushes(), 1);
    rig.write(reg::CC, 0);
    assert_eq!(rig.read(reg::CSTS), 0);
    rig.enable();
}

#[test]
fn shutdown_of_a_disabled_controller_is_done_at_once() {
    let rig = rig();
    rig.write(reg::CC, 1 << 14);
    assert_eq!(rig.read(reg::CSTS), 2 << 2);
}

#[test]
fn narrow_and_unaligned_accesses_do_nothing() {
    let (rig, mut admin, _disk) = Rig::enabled();
    rig.write_bytes(reg::CC, &[0]);
    rig.write_bytes(reg::CC, &[0, 0]);
    rig.write_bytes(reg::CC + 2, &[0; 4]);
    rig.write_bytes(reg::CC, &[0; 8]);
    assert_eq!(rig.read(reg::CC), ENABLE);
    assert_eq!(rig.status(&mut admin, Command::new(0x0a).cdw10(7)), 0);
}
