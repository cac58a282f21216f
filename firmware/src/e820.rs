//! The memory map as firmware gets it: the fw_cfg file `etc/e820`.
//!
//! Layout: ACPI 6.5, 15.1 (the entries of INT 15h E820h), packed to 20 bytes and without a count.

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{Immutable, IntoBytes};

/// Name of the fw_cfg file.
pub const FILE: &str = "etc/e820";

/// What a range of addresses is to the guest. ACPI 6.5, table 15.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Memory the guest may use.
    Ram = 1,
    /// Hands off.
    Reserved = 2,
}

/// One range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// First address.
    pub address: u64,
    /// Length in bytes.
    pub length: u64,
    /// What it is.
    pub kind: Kind,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Wire {
    address: U64,
    length: U64,
    kind: U32,
}
const _: () = assert!(size_of::<Wire>() == 20);

/// The bytes of the file, in the order given.
#[must_use]
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    let wire = |entry: &Entry| Wire {
        address: entry.address.into(),
        length: entry.length.into(),
        kind: (entry.kind as u32).into(),
    };
    entries.iter().flat_map(|entry| wire(entry).as_bytes().to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_packed_little_endian_in_the_order_given() {
        let file = encode(&[
            Entry { address: 0xfeff_c000, length: 0x4000, kind: Kind::Reserved },
            Entry { address: 0x1_0000_0000, length: 0x2_4000_0000, kind: Kind::Ram },
        ]);
        let expected = [
            [0x00, 0xc0, 0xff, 0xfe, 0, 0, 0, 0, 0x00, 0x40, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0],
            [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x40, 2, 0, 0, 0, 1, 0, 0, 0],
        ];
        assert_eq!(file, expected.concat());
    }

    #[test]
    fn no_entries_make_an_empty_file() {
        assert!(encode(&[]).is_empty());
    }
}
