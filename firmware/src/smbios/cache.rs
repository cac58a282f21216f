//! Cache Information, type 7. DSP0134 3.0, 7.8.

use zerocopy::byteorder::little_endian::U16;
use zerocopy::{Immutable, IntoBytes};

use super::Text;
use super::structure::{HEADER, NO_HANDLE, Strings, Writer, handle};

const KIND: u8 = 7;

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Area {
    designation: u8,
    configuration: U16,
    max_size: U16,
    installed_size: U16,
    supported_sram: U16,
    current_sram: U16,
    speed: u8,
    error_correction: u8,
    kind: u8,
    associativity: u8,
}
const _: () = assert!(HEADER + size_of::<Area>() == 0x13);

/// Configuration, offset 05h.
const ENABLED: u16 = 1 << 7;
const WRITE_BACK: u16 = 1 << 8;
/// Sizes, offset 07h: the unit is 64 KiB, not 1 KiB.
const LARGE_UNIT: u16 = 1 << 15;
/// 7.8.2.
const SRAM_UNKNOWN: u16 = 1 << 1;
/// 7.8.3.
const ERROR_CORRECTION_UNKNOWN: u8 = 2;

/// One level of cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// 1 is the nearest to a core.
    pub level: u8,
    /// What it holds.
    pub kind: CacheKind,
    /// Its size in KiB, of all caches of this level in a package together.
    pub size_kib: u32,
    /// Ways of a set; 0 if not known.
    pub ways: u16,
}

/// What a cache holds. 7.8.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CacheKind {
    /// Code.
    Instruction = 3,
    /// Data.
    Data = 4,
    /// Both.
    Unified = 5,
}

/// The handles of the caches of `socket` by level; a level that is not described has none.
pub(super) fn handles(socket: u8, caches: &[Cache]) -> [u16; 3] {
    [1, 2, 3].map(|level| match find(caches, level) {
        Some(_) => handle(KIND, number(socket, level)),
        None => NO_HANDLE,
    })
}

/// Structures for the caches of `socket`.
pub(super) fn append(socket: u8, caches: &[Cache], writer: &mut Writer) {
    let designation = Text::literal("L");
    for cache in (1..=3).filter_map(|level| find(caches, level)) {
        let name = designation.joined(cache.level.into());
        let mut strings = Strings::default();
        let size = U16::new(size(cache.size_kib));
        let area = Area {
            designation: strings.add(&name),
            configuration: (u16::from(cache.level - 1) | ENABLED | WRITE_BACK).into(),
            max_size: size,
            installed_size: size,
            supported_sram: SRAM_UNKNOWN.into(),
            current_sram: SRAM_UNKNOWN.into(),
            speed: 0,
            error_correction: ERROR_CORRECTION_UNKNOWN,
            kind: cache.kind as u8,
            associativity: associativity(cache.ways),
        };
        writer.append(KIND, number(socket, cache.level), &area, &strings);
    }
}

fn find(caches: &[Cache], level: u8) -> Option<&Cache> {
    caches.iter().find(|cache| cache.level == level)
}

/// Four numbers a socket; those of 254 sockets end before the handles of type 11.
fn number(socket: u8, level: u8) -> usize {
    usize::from(socket) * 4 + usize::from(level)
}

/// In KiB while that fits into 15 bits.
fn size(kib: u32) -> u16 {
    match u16::try_from(kib) {
        Ok(kib) if kib < LARGE_UNIT => kib,
        _ => (kib / 64).min(u32::from(LARGE_UNIT - 1)) as u16 | LARGE_UNIT,
    }
}

/// 7.8.5.
fn associativity(ways: u16) -> u8 {
    match ways {
        1 => 3,
        2 => 4,
        4 => 5,
        8 => 7,
        12 => 9,
        16 => 8,
        20 => 14,
        24 => 10,
        32 => 11,
        48 => 12,
        64 => 13,
        0 => 2, // unknown
        _ => 1, // other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_beyond_15_bits_is_in_units_of_64_kib() {
        assert_eq!(size(32), 32);
        assert_eq!(size(32767), 32767);
        assert_eq!(size(32768), 0x8000 | 512);
        assert_eq!(size(u32::MAX), 0xffff);
    }

    #[test]
    fn levels_that_are_not_described_have_no_handle() {
        let level = |level| Cache { level, kind: CacheKind::Unified, size_kib: 1, ways: 8 };
        assert_eq!(handles(0, &[level(2)]), [0xffff, 0x0702, 0xffff]);
        assert_eq!(handles(253, &[level(1), level(3)]), [0x0af5, 0xffff, 0x0af7]);
    }
}
