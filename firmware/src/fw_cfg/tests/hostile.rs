//! Guests that do anything.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{HIGH, LOW_END, REGIONS, Rig};
use crate::fw_cfg::{Contents, Item};

const PAGE: usize = 0x1000;

/// One thing a guest does.
#[derive(Clone, Debug)]
enum Act {
    Read {
        port: u64,
        len: usize,
    },
    Write {
        port: u64,
        bytes: Vec<u8>,
    },
    /// Puts a descriptor somewhere, and starts it by its true address or another one.
    Transfer {
        at: u64,
        control: u32,
        len: u32,
        buffer: u64,
        start: u64,
    },
    Reset,
}

/// Addresses where something can go wrong.
fn address() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..0x2100_u64,
        LOW_END - 0x40..LOW_END + 0x40,
        HIGH - 0x40..HIGH + 0x1040,
        u64::MAX - 0x40..=u64::MAX,
        any::<u64>(),
    ]
}

fn length() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..0x40_u32, 1 => 0..0x4000_u32, 1 => any::<u32>()]
}

fn control() -> impl Strategy<Value = u32> {
    let key = prop_oneof![0..0x48_u32, 0x8000..0x8004_u32, 0..0x1_0000_u32];
    (key, any::<u16>()).prop_map(|(key, bits)| key << 16 | u32::from(bits))
}

fn act() -> impl Strategy<Value = Act> {
    let transfer = (
        address(),
        control(),
        length(),
        address(),
        prop_oneof![9 => Just(None), 1 => address().prop_map(Some)],
    )
        .prop_map(|(at, control, len, buffer, start)| Act::Transfer {
            at,
            control,
            len,
            buffer,
            start: start.unwrap_or(at),
        });
    prop_oneof![
        2 => (0x50e..0x51e_u64, 1..9_usize).prop_map(|(port, len)| Act::Read { port, len }),
        2 => (0x50e..0x51e_u64, vec(any::<u8>(), 1..9)).prop_map(|(port, bytes)| Act::Write { port, bytes }),
        6 => transfer,
        1 => Just(Act::Reset),
    ]
}

fn rig() -> Rig {
    let mut contents = Contents::new();
    contents.item(Item::BootCpus(4));
    contents.file("bootorder", []).unwrap();
    contents.file("etc/fdt", vec![0x5a; 0x3000]).unwrap();
    contents.writable_file("etc/ramfb", [0x77; 28]).unwrap();
    Rig::new(contents)
}

/// All of memory.
fn snapshot(rig: &Rig) -> Vec<(u64, Vec<u8>)> {
    REGIONS.iter().map(|&(start, len)| (start, rig.memory(start, len))).collect()
}

/// Which bytes differ: address, before, after.
fn changes(before: &[(u64, Vec<u8>)], after: &[(u64, Vec<u8>)]) -> Vec<(u64, u8, u8)> {
    let pages = before.iter().zip(after).flat_map(|((start, before), (_, after))| {
        (*start..).step_by(PAGE).zip(before.chunks(PAGE).zip(after.chunks(PAGE)))
    });
    let changed = pages.filter(|(_, (before, after))| before != after);
    let bytes = changed.flat_map(|(start, (before, after))| (start..).zip(before.iter().zip(after)));
    bytes.filter(|(_, (before, after))| before != after).map(|(at, (old, new))| (at, *old, *new)).collect()
}

/// Stores those of the bytes that hit memory.
fn put(rig: &Rig, at: u64, bytes: &[u8]) {
    for (offset, byte) in (0..).zip(bytes) {
        let Some(at) = at.checked_add(offset) else { return };
        if REGIONS.iter().any(|&(start, len)| (start..start + len as u64).contains(&at)) {
            rig.set_memory(at, &[*byte]);
        }
    }
}

impl Rig {
    fn act(&self, act: &Act) {
        match act {
            Act::Read { port, len } => self.bus.read(*port, &mut vec![0; *len]),
            Act::Write { port, bytes } => self.bus.write(*port, bytes),
            Act::Reset => self.bus.reset(),
            Act::Transfer { at, control, len, buffer, start } => {
                let parts = [&control.to_be_bytes()[..], &len.to_be_bytes(), &buffer.to_be_bytes()];
                put(self, *at, &parts.concat());
                self.bus.write(0x514, &((*start >> 32) as u32).to_be_bytes());
                self.bus.write(0x518, &(*start as u32).to_be_bytes());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_traffic_never_panics_and_leaves_the_device_working(acts in vec(act(), 1..40)) {
        let rig = rig();
        acts.iter().for_each(|act| rig.act(act));
        prop_assert_eq!(rig.item(0), *b"QEMU");
        prop_assert_eq!(rig.item(5), [4, 0, 0, 0]);
    }

    #[test]
    fn transfer_touches_nothing_but_its_buffer_and_control_word(
        at in address(),
        control in control(),
        len in length(),
        buffer in address(),
    ) {
        let rig = rig();
        for (start, len) in REGIONS {
            rig.set_memory(start, &vec![0xc3; len]);
        }
        let parts = [&control.to_be_bytes()[..], &len.to_be_bytes(), &buffer.to_be_bytes()];
        put(&rig, at, &parts.concat());
        let before = snapshot(&rig);

        rig.bus.write(0x514, &((at >> 32) as u32).to_be_bytes());
        rig.bus.write(0x518, &(at as u32).to_be_bytes());

        let reads = control & 2 != 0;
        let inside = |address: u64, start: u64, len: u64| address.wrapping_sub(start) < len;
        for (address, before, after) in changes(&before, &snapshot(&rig)) {
            let allowed = inside(address, at, 4) || reads && inside(address, buffer, len.into());
            prop_assert!(allowed, "{address:#x} changed from {before:#x} to {after:#x}");
        }
    }
}
