//! Hostile configuration space writes, against a model.

use bus::Width;
use pcie::Slot;
use proptest::prelude::*;

use crate::rig::{Rig, latch};

/// The bits of a header that a guest may write, from the standard: PCIe 5.0, figures 7-10 and 7-14.
const COMMON: [(u64, u32); 2] = [(0x04, 0x0546), (0x0c, 0x0000_00ff)];
const ENDPOINT: [(u64, u32); 4] =
    [(0x10, 0xffff_f000), (0x18, 0xffff_c000), (0x1c, 0xffff_ffff), (0x3c, 0x0000_00ff)];
const BRIDGE: [(u64, u32); 6] = [
    (0x18, 0x00ff_ffff),
    (0x20, 0xfff0_fff0),
    (0x24, 0xfff0_fff0),
    (0x28, 0xffff_ffff),
    (0x2c, 0xffff_ffff),
    (0x3c, 0x0043_00ff),
];

/// Registers with bits that a guest may write: offsets, and the bits.
type Bits = [(u64, u32)];

/// The same of capabilities, by id, with offsets from where each begins: power management, MSI with four vectors, MSI-X, PCI
/// Express without a link. PCIe 5.0, 7.5.2.2, 7.7.1, 7.7.2.2 and 7.5.3.4.
const ENDPOINT_CAPABILITIES: [(u8, &Bits); 4] = [
    (0x01, &[(4, 0b11)]),
    (0x05, &[(0, 0x71 << 16), (4, !0b11), (8, u32::MAX), (12, 0xffff), (16, 0xf)]),
    (0x11, &[(0, 0xc000 << 16)]),
    (0x10, &[(8, 0x78ff)]),
];
/// MSI with one vector, PCI Express with a link. PCIe 5.0, 7.5.3.7, 7.5.3.12 and 7.5.3.19, too.
const PORT_CAPABILITIES: [(u8, &Bits); 3] = [
    (0x01, &[(4, 0b11)]),
    (0x05, &[(0, 0x71 << 16), (4, !0b11), (8, u32::MAX), (12, 0xffff), (16, 1)]),
    (0x10, &[(8, 0x78ff), (0x10, 0xc8), (0x1c, 0xf), (0x30, 0xf)]),
];

fn width() -> impl Strategy<Value = Width> {
    prop::sample::select(Width::ALL.to_vec())
}

/// Offset, width and value of a write.
fn writes() -> impl Strategy<Value = Vec<(u64, Width, u64)>> {
    let offset = prop_oneof![3 => 0u64..0x40, 2 => 0u64..0x100, 1 => 0u64..0x1000];
    let value = prop_oneof![any::<u64>(), Just(u64::MAX), Just(0)];
    prop::collection::vec((offset, width(), value), 1..40)
}

fn machine() -> Rig {
    let rig = Rig::new();
    rig.host.add_root_port(1).unwrap();
    rig.host.plug(Slot::root(2), Box::new(latch(2))).unwrap();
    rig
}

/// The header and the capabilities.
fn space(rig: &Rig, bdf: (u64, u64)) -> Vec<u32> {
    (0..0x100).step_by(4).map(|at| rig.read_dword(bdf, at)).collect()
}

/// All that a guest may write, with the capabilities where they are.
fn writable(rig: &Rig, bdf: (u64, u64), header: &Bits, capabilities: &[(u8, &Bits)]) -> Vec<(u64, u32)> {
    let capabilities = capabilities.iter().flat_map(|(id, bits)| {
        let at = rig.capability(bdf, *id);
        bits.iter().map(move |(offset, mask)| (at + offset, *mask))
    });
    COMMON.iter().chain(header).copied().chain(capabilities).collect()
}

/// What all of it holds after a write, by the table of its writable bits.
fn model(before: &[u32], writable: &Bits, (offset, width, value): (u64, Width, u64)) -> Vec<u32> {
    let mut bytes: Vec<u8> = before.iter().flat_map(|dword| dword.to_le_bytes()).collect();
    let writable = |at: u64| {
        let dword = writable.iter().find(|(register, _)| *register == at & !3);
        dword.map_or(0, |(_, mask)| mask.to_le_bytes()[(at & 3) as usize])
    };
    for (n, new) in value.to_le_bytes().into_iter().enumerate().take(width.len() as usize) {
        let at = offset + n as u64;
        if let Some(byte) = bytes.get_mut(at as usize) {
            *byte = *byte & !writable(at) | new & writable(at);
        }
    }
    bytes.chunks(4).map(|dword| u32::from_le_bytes(dword.try_into().unwrap())).collect()
}

/// There is no D1 and no D2: the function stays where it is. PCIe 5.0, 7.5.2.2.
fn keep_power_state(rig: &Rig, bdf: (u64, u64), expected: &mut [u32]) {
    let at = rig.capability(bdf, 0x01) + 4;
    let state = &mut expected[(at / 4) as usize];
    if matches!(*state & 0b11, 1 | 2) {
        *state = *state & !0b11 | rig.read_dword(bdf, at) & 0b11;
    }
}

/// Whether a write starts a function level reset, after which the header is that of power-on.
fn resets(rig: &Rig, bdf: (u64, u64), (offset, width, value): (u64, Width, u64)) -> bool {
    let bit = rig.capability(bdf, 0x10) + 9;
    (offset..offset + width.len()).contains(&bit) && value >> (8 * (bit - offset)) & 0x80 != 0
}

proptest! {
    #[test]
    fn endpoint_changes_as_the_standard_says(writes in writes()) {
        let rig = machine();
        let fresh = space(&rig, (0, 2));
        let writable = writable(&rig, (0, 2), &ENDPOINT, &ENDPOINT_CAPABILITIES);
        for write in writes {
            let mut expected = model(&space(&rig, (0, 2)), &writable, write);
            if resets(&rig, (0, 2), write) && write.0 + write.1.len() <= 0x1000 {
                expected.clone_from(&fresh);
            }
            keep_power_state(&rig, (0, 2), &mut expected);
            rig.write((0, 2), write.0, write.1, write.2);
            prop_assert_eq!(space(&rig, (0, 2)), expected, "{:x?}", write);
        }
    }

    #[test]
    fn bridge_changes_as_the_standard_says(writes in writes()) {
        let rig = machine();
        let writable = writable(&rig, (0, 1), &BRIDGE, &PORT_CAPABILITIES);
        for write in writes {
            let mut expected = model(&space(&rig, (0, 1)), &writable, write);
            keep_power_state(&rig, (0, 1), &mut expected);
            rig.write((0, 1), write.0, write.1, write.2);
            prop_assert_eq!(space(&rig, (0, 1)), expected, "{:x?}", write);
        }
    }

    #[test]
    fn memory_accesses_anywhere_are_harmless(
        bars in prop::collection::vec((any::<bool>(), 0u64..6, any::<u32>()), 1..20),
        accesses in prop::collection::vec((0u64..0x2000_0000, width(), any::<u64>()), 1..20),
    ) {
        let rig = machine();
        for (bridge, register, value) in bars {
            let bdf = (0, if bridge { 1 } else { 2 });
            rig.write(bdf, 4, Width::Word, 6);
            rig.write_dword(bdf, 0x10 + 4 * register, value);
        }
        for (offset, width, value) in accesses {
            rig.poke(crate::rig::LOW + offset, width, value);
            let _ = rig.peek(crate::rig::LOW + offset, width);
            rig.poke(crate::rig::HIGH + offset, width, value);
        }
    }
}
