//! Configuration space.

use bus::Width;
use pcie::{PlugError, Slot};

use crate::rig::{Rig, latch};

const FIRST: (u64, u64) = (0, 1);

fn rig() -> Rig {
    let rig = Rig::new();
    rig.host.plug(Slot::root(1), Box::new(latch(2))).unwrap();
    rig
}

#[test]
fn host_bridge_is_function_zero_of_bus_zero() {
    let rig = Rig::new();
    assert_eq!(rig.read_dword((0, 0), 0), 0x0008_1b36);
    assert_eq!(rig.read_dword((0, 0), 8), 0x0600_0000);
    assert_eq!(rig.read_dword((0, 0), 0x2c), 0x1100_1af4);
    assert_eq!(rig.read_dword((0, 0), 0x100), u32::MAX, "no extended space");
}

#[test]
fn header_says_who_the_function_is() {
    let rig = rig();
    let header: Vec<_> = [0, 4, 8, 0xc, 0x2c, 0x3c].map(|at| rig.read_dword(FIRST, at)).into();
    assert_eq!(header, [0x1042_1af4, 0x0010_0000, 0x0100_0001, 0, 0x1100_1af4, 0x0000_0100]);
}

#[test]
fn absent_functions_read_all_ones() {
    let rig = rig();
    assert_eq!(rig.read_dword((0, 2), 0), u32::MAX);
    assert_eq!(rig.read_dword((1, 1), 0), u32::MAX);
    assert_eq!(rig.read((0, 1), 1 << 12, Width::Word), 0xffff, "function 1");
}

#[test]
fn access_across_the_end_of_a_function_reaches_nobody() {
    let rig = rig();
    assert_eq!(rig.read(FIRST, 0xffe, Width::Dword), 0xffff_ffff);
    rig.write((0, 0), 0x7ffe, Width::Dword, 0);
}

#[test]
fn bar_sizes_are_found_by_writing_ones() {
    let rig = rig();
    for bar in [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30] {
        rig.write_dword(FIRST, bar, u32::MAX);
    }
    let bars = [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30].map(|bar| rig.read_dword(FIRST, bar));
    assert_eq!(bars, [0xffff_f000, 0, 0xffff_c00c, 0xffff_ffff, 0, 0, 0]);
}

#[test]
fn device_with_two_functions_says_so() {
    let rig = rig();
    assert_eq!(rig.read(FIRST, 0x0e, Width::Byte), 0);
    rig.host.plug(Slot { function: 3, ..Slot::root(1) }, Box::new(latch(1))).unwrap();
    assert_eq!(rig.read(FIRST, 0x0e, Width::Byte), 0x80);
    assert_eq!(rig.read(FIRST, 3 << 12, Width::Word), 0x1af4);
}

#[test]
fn slots_that_are_taken_or_do_not_exist_are_refused() {
    let rig = rig();
    let port = rig.host.add_root_port(2).unwrap();
    let plug = |slot| rig.host.plug(slot, Box::new(latch(1)));
    assert_eq!(plug(Slot::root(1)), Err(PlugError::Taken(Slot::root(1))));
    assert!(matches!(plug(Slot::root(32)), Err(PlugError::NoSlot(_))));
    assert!(matches!(plug(Slot { device: 1, ..Slot::behind(port) }), Err(PlugError::NoSlot(_))));
    assert!(matches!(plug(Slot { function: 8, ..Slot::root(3) }), Err(PlugError::NoSlot(_))));
    assert_eq!(rig.host.add_root_port(2), Err(PlugError::Taken(Slot::root(2))));
}
