//! Memory Array Mapped Address, type 19. DSP0134 3.0, 7.20.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes};

use super::memory_array;
use super::structure::{HEADER, Strings, Writer};

const KIND: u8 = 19;

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Area {
    start: U32,
    end: U32,
    array: U16,
    partition_width: u8,
    extended_start: U64,
    extended_end: U64,
}
const _: () = assert!(HEADER + size_of::<Area>() == 0x1f);

/// In both old fields: the extended ones have the addresses, in bytes.
const EXTENDED: u32 = u32::MAX;

/// A structure for each of `ranges`: start and length in bytes.
pub(super) fn append(ranges: &[(u64, u64)], writer: &mut Writer) {
    for (n, &(start, len)) in ranges.iter().enumerate() {
        let area = area(start, start + (len - 1));
        writer.append(KIND, n, &area, &Strings::default());
    }
}

fn area(first: u64, last: u64) -> Area {
    let kib = |address: u64| u32::try_from(address >> 10).ok().filter(|&kib| kib != EXTENDED);
    let (start, end, extended) = match (kib(first), kib(last)) {
        (Some(start), Some(end)) => (start, end, (0, 0)),
        _ => (EXTENDED, EXTENDED, (first, last)),
    };
    Area {
        start: start.into(),
        end: end.into(),
        array: memory_array::the_handle().into(),
        partition_width: 1, // one device a row
        extended_start: extended.0.into(),
        extended_end: extended.1.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_in_kib_until_they_no_longer_fit() {
        let low = area(0, (3 << 30) - 1);
        assert_eq!((low.start.get(), low.end.get(), low.extended_end.get()), (0, (3 << 20) - 1, 0));
        let high = area(4 << 30, (4 << 40) - 1);
        assert_eq!((high.start.get(), high.end.get()), (EXTENDED, EXTENDED));
        assert_eq!((high.extended_start.get(), high.extended_end.get()), (4 << 30, (4 << 40) - 1));
    }
}
