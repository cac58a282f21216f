//! The PCI Express capability, and resets.

use bus::{Device as _, Width};
use pcie::Slot;

use crate::rig::{LOW, Rig, latch};

fn rig() -> Rig {
    let rig = Rig::new();
    let port = rig.host.add_root_port(1).unwrap();
    rig.host.plug(Slot::behind(port), Box::new(latch(2))).unwrap();
    rig.host.plug(Slot::root(2), Box::new(latch(2))).unwrap();
    rig.host.assign();
    rig.write((0, 2), 4, Width::Word, 2);
    rig.write((1, 0), 4, Width::Word, 2);
    rig
}

/// Puts 7 into the latch of a function, whose BAR 0 it returns.
fn fill(rig: &Rig, bdf: (u64, u64)) -> u64 {
    let bar = u64::from(rig.read_dword(bdf, 0x10));
    rig.poke(bar, Width::Dword, 7);
    assert_eq!(rig.peek(bar, Width::Dword), 7);
    bar
}

#[test]
fn port_type_follows_from_the_slot() {
    let rig = rig();
    let kind = |bdf| rig.read(bdf, rig.capability(bdf, 0x10) + 2, Width::Word);
    assert_eq!(kind((0, 1)), 0x0142, "root port with a slot");
    assert_eq!(kind((1, 0)), 0x0002, "endpoint");
    assert_eq!(kind((0, 2)), 0x0092, "root complex integrated endpoint");
}

#[test]
fn root_port_shows_its_slot_occupied_and_its_link_up() {
    let rig = rig();
    let at = rig.capability((0, 1), 0x10);
    assert_eq!(rig.read((0, 1), at + 0x1a, Width::Word), 1 << 6);
    assert_eq!(rig.read((0, 1), at + 0x12, Width::Word), 0x11);
    assert_eq!(rig.read_dword((0, 1), at + 0x14) >> 19, 1, "slot number");
}

#[test]
fn root_port_has_no_window_for_ports() {
    let rig = rig();
    rig.write((0, 1), 0x1c, Width::Word, 0xe0f0);
    assert_eq!(rig.read((0, 1), 0x1c, Width::Word), 0);
}

#[test]
fn function_level_reset_resets_the_function_alone() {
    let rig = rig();
    let (inside, outside) = (fill(&rig, (1, 0)), fill(&rig, (0, 2)));
    let control = rig.capability((1, 0), 0x10) + 8;
    rig.write((1, 0), control, Width::Word, 1 << 15);
    assert_eq!(rig.read_dword((1, 0), 0x10), 0);
    assert_eq!(rig.read((1, 0), 4, Width::Word), 0);
    assert_eq!(rig.read((1, 0), control, Width::Word) & 1 << 15, 0);
    rig.write_dword((1, 0), 0x10, inside as u32);
    rig.write((1, 0), 4, Width::Word, 2);
    assert_eq!(rig.peek(inside, Width::Dword), 0);
    assert_eq!(rig.peek(outside, Width::Dword), 7);
}

#[test]
fn bus_reset_resets_what_is_behind_the_port() {
    let rig = rig();
    let inside = fill(&rig, (1, 0));
    rig.write((0, 1), 0x3e, Width::Word, 1 << 6);
    assert_eq!(rig.read_dword((1, 0), 0), u32::MAX, "held in reset");
    assert_eq!(rig.peek(inside, Width::Dword), 0xffff_ffff);
    rig.write((0, 1), 0x3e, Width::Word, 0);
    assert_eq!(rig.read_dword((1, 0), 0x10), 0);
    rig.write_dword((1, 0), 0x10, inside as u32);
    rig.write((1, 0), 4, Width::Word, 2);
    assert_eq!(rig.peek(inside, Width::Dword), 0);
}

#[test]
fn machine_reset_reaches_every_function() {
    let rig = rig();
    let outside = fill(&rig, (0, 2));
    rig.host.ecam().reset();
    assert_eq!(rig.read_dword((0, 1), 0x18), 0);
    rig.write_dword((0, 2), 0x10, outside as u32);
    rig.write((0, 2), 4, Width::Word, 2);
    assert_eq!(rig.peek(outside, Width::Dword), 0);
    assert_eq!(rig.peek(LOW, Width::Byte), 0, "the first place given out");
}
