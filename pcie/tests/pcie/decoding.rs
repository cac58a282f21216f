//! Who answers at which address.

use bus::{Device as _, Width};
use pcie::Slot;

use crate::rig::{DOORBELL, HIGH, LOUD, LOW, Rig, latch};

const MEMORY: u64 = 2;

/// Two functions on the root bus that decode memory, at no address yet.
fn rig() -> Rig {
    let rig = Rig::new();
    for device in [1, 2] {
        rig.host.plug(Slot::root(device), Box::new(latch(2))).unwrap();
        rig.write((0, u64::from(device)), 4, Width::Word, MEMORY);
    }
    rig
}

/// A port with a function behind it, neither set up.
fn behind_port() -> Rig {
    let rig = Rig::new();
    let port = rig.host.add_root_port(1).unwrap();
    rig.host.plug(Slot::behind(port), Box::new(latch(2))).unwrap();
    rig
}

#[test]
fn bar_answers_where_it_is_and_nowhere_else() {
    let rig = rig();
    rig.write_dword((0, 1), 0x10, 0xc010_0000);
    rig.poke(LOW + 0x10_0000, Width::Dword, 7);
    assert_eq!(rig.peek(LOW + 0x10_0000, Width::Dword), 7);
    rig.write_dword((0, 1), 0x10, 0xc020_0000);
    assert_eq!(rig.peek(LOW + 0x10_0000, Width::Dword), 0xffff_ffff);
    assert_eq!(rig.peek(LOW + 0x20_0000, Width::Dword), 7);
    assert_eq!(rig.peek(LOW + 0x20_0ffe, Width::Dword), 0xffff_ffff, "across its end");
}

#[test]
fn bar_answers_only_while_memory_is_enabled() {
    let rig = rig();
    rig.write_dword((0, 1), 0x10, 0xc010_0000);
    rig.write((0, 1), 4, Width::Word, 0);
    assert_eq!(rig.peek(LOW + 0x10_0000, Width::Dword), 0xffff_ffff);
}

#[test]
fn bar_of_a_sleeping_function_does_not_answer() {
    let rig = rig();
    rig.write_dword((0, 1), 0x10, 0xc010_0000);
    let control = rig.capability((0, 1), 1) + 4;
    rig.write((0, 1), control, Width::Word, 3);
    assert_eq!(rig.peek(LOW + 0x10_0000, Width::Dword), 0xffff_ffff);
    rig.write((0, 1), control, Width::Word, 0);
    assert_eq!(rig.peek(LOW + 0x10_0000, Width::Dword), 0, "and keeps its state");
}

#[test]
fn sixty_four_bit_bar_answers_above_four_gib() {
    let rig = rig();
    rig.write_dword((0, 1), 0x18, 0x0000_4000);
    rig.write_dword((0, 1), 0x1c, 0xc0);
    assert_eq!(rig.peek(HIGH + 0x4123, Width::Dword), 0x123);
}

#[test]
fn first_of_two_overlapping_bars_answers() {
    let rig = rig();
    rig.write_dword((0, 2), 0x10, 0xc010_0000);
    rig.poke(LOW + 0x10_0000, Width::Dword, 2);
    rig.write_dword((0, 1), 0x10, 0xc010_0000);
    assert_eq!(rig.peek(LOW + 0x10_0000, Width::Dword), 0);
    assert_eq!(rig.bells(), [LOW + 0x10_0000 + DOORBELL], "one doorbell at one address");
    rig.write_dword((0, 1), 0x10, 0xc020_0000);
    assert_eq!(rig.peek(LOW + 0x10_0000, Width::Dword), 2);
}

#[test]
fn bars_outside_the_windows_decode_nothing() {
    let rig = rig();
    for address in [0, 0x0010_0000, 0xbfff_f000, 0xe000_0000, 0xfec0_0000, 0xfee0_0000, 0xffff_f000_u32] {
        rig.write_dword((0, 1), 0x10, address);
        assert!(rig.bells().is_empty(), "{address:#x}");
    }
}

#[test]
fn doorbell_follows_its_bar() {
    let rig = rig();
    rig.write_dword((0, 1), 0x10, 0xc010_0000);
    rig.write_dword((0, 2), 0x10, 0xc020_0000);
    rig.write_dword((0, 1), 0x10, 0xc030_0000);
    assert_eq!(rig.bells(), [LOW + 0x20_0000 + DOORBELL, LOW + 0x30_0000 + DOORBELL]);
    rig.host.ecam().reset();
    assert!(rig.bells().is_empty());
}

#[test]
fn doorbell_is_connected_while_the_function_lets_it() {
    let rig = rig();
    rig.write_dword((0, 1), 0x10, 0xc010_0000);
    rig.write_dword((0, 2), 0x10, 0xc020_0000);
    rig.poke(LOW + 0x10_0000, Width::Dword, LOUD);
    assert_eq!(rig.bells(), [LOW + 0x20_0000 + DOORBELL]);
    rig.write_dword((0, 1), 0x10, 0xc030_0000);
    assert_eq!(rig.bells(), [LOW + 0x20_0000 + DOORBELL], "nor where it moves to");
    rig.poke(LOW + 0x30_0000, Width::Dword, 0);
    assert_eq!(rig.bells(), [LOW + 0x20_0000 + DOORBELL, LOW + 0x30_0000 + DOORBELL]);
}

#[test]
fn function_behind_a_port_is_found_once_the_bus_has_a_number() {
    let rig = behind_port();
    assert_eq!(rig.read_dword((5, 0), 0), u32::MAX);
    rig.write_dword((0, 1), 0x18, 0x0007_0500);
    assert_eq!(rig.read_dword((5, 0), 0), 0x1042_1af4);
    assert_eq!(rig.read_dword((6, 0), 0), u32::MAX);
    assert_eq!(rig.read_dword((5, 1), 0), u32::MAX, "a link has one device");
}

#[test]
fn port_forwards_its_windows_alone() {
    let rig = behind_port();
    rig.write_dword((0, 1), 0x18, 0x0005_0500);
    rig.write((5, 0), 4, Width::Word, MEMORY);
    rig.write_dword((5, 0), 0x10, 0xc010_0000);
    rig.write_dword((5, 0), 0x18, 0);
    rig.write_dword((5, 0), 0x1c, 0xc1);
    assert_eq!(rig.peek(LOW + 0x10_0000, Width::Dword), 0xffff_ffff, "the port forwards nothing");
    rig.write((0, 1), 4, Width::Word, MEMORY);
    rig.write_dword((0, 1), 0x20, 0xc010_c010);
    assert_eq!(rig.peek(LOW + 0x10_0000, Width::Dword), 0);
    assert_eq!(rig.peek(HIGH + 0x1_0000_0000, Width::Dword), 0xffff_ffff);
    rig.write_dword((0, 1), 0x24, 0x0001_0001);
    rig.write_dword((0, 1), 0x28, 0xc1);
    rig.write_dword((0, 1), 0x2c, 0xc1);
    assert_eq!(rig.peek(HIGH + 0x1_0000_0004, Width::Dword), 4);
}

#[test]
fn assignment_lets_every_bar_decode() {
    let rig = behind_port();
    rig.host.plug(Slot::root(2), Box::new(latch(2))).unwrap();
    rig.host.assign();
    assert_eq!(rig.read_dword((0, 1), 0x18), 0x0001_0100);
    assert_eq!(rig.read_dword((1, 0), 0), 0x1042_1af4);
    for bdf in [(0, 2), (1, 0)] {
        rig.write(bdf, 4, Width::Word, MEMORY);
        let low = u64::from(rig.read_dword(bdf, 0x10));
        assert_eq!(rig.peek(low, Width::Dword), 0, "BAR 0 at {low:#x}");
        let high = u64::from(rig.read_dword(bdf, 0x18) & !0xf) | u64::from(rig.read_dword(bdf, 0x1c)) << 32;
        assert_eq!(rig.peek(high + 4, Width::Dword), 4, "BAR 2 at {high:#x}");
    }
}
