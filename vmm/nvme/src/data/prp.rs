//! Physical region pages. NVMe 1.4, 4.3.
//!
//! ```text
//!  PRP1 ──► data, from any dword of a page on
//!  PRP2 ──► up to a page of data, or ──► list: data, data, … data or, in a page's last place, ──► list
//! ```

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use zerocopy::little_endian::U64;
use zerocopy::{FromZeros, IntoBytes};

use super::Extents;
use crate::spec::PAGE;
use crate::spec::status::Status;

/// Bytes of a PRP entry.
const ENTRY: u64 = size_of::<U64>() as u64;

/// The memory that `prp` describe, for a transfer of `len` bytes.
pub(super) fn extents(
    [first, second]: [u64; 2],
    len: u64,
    memory: &GuestMemoryMmap,
) -> Result<Extents, Status> {
    let mut extents = Extents::default();
    if !first.is_multiple_of(4) {
        return Err(Status::PRP_OFFSET_INVALID);
    }
    let in_first = len.min(PAGE - first % PAGE);
    extents.push(first, in_first);
    match len - in_first {
        0 => {}
        rest @ 1..=PAGE => extents.push(page(second)?, rest),
        rest => list(second, rest, memory, &mut extents)?,
    }
    Ok(extents)
}

/// Follows a list. Each step but the first reads a whole page of entries, so that a transfer's length bounds the walk.
fn list(mut at: u64, mut rest: u64, memory: &GuestMemoryMmap, extents: &mut Extents) -> Result<(), Status> {
    if !at.is_multiple_of(ENTRY) {
        return Err(Status::PRP_OFFSET_INVALID);
    }
    while rest > 0 {
        let places = (PAGE - at % PAGE) / ENTRY;
        let (entries, continued) = match rest.div_ceil(PAGE) {
            needed if needed <= places => (needed, false),
            _ => (places, true),
        };
        let mut list = read(at, entries, memory)?;
        if continued {
            at = page(list.pop().unwrap_or_default().get())?;
        }
        for entry in list {
            let len = rest.min(PAGE);
            extents.push(page(entry.get())?, len);
            rest -= len;
        }
    }
    Ok(())
}

/// Reads `entries` entries at once; no more than a page of them.
fn read(at: u64, entries: u64, memory: &GuestMemoryMmap) -> Result<Vec<U64>, Status> {
    let mut list = vec![U64::new_zeroed(); entries as usize];
    memory.read_slice(list.as_mut_bytes(), GuestAddress(at)).map_err(|_| Status::DATA_TRANSFER_ERROR)?;
    Ok(list)
}

/// An entry that must be the start of a page.
fn page(entry: u64) -> Result<u64, Status> {
    if entry.is_multiple_of(PAGE) { Ok(entry) } else { Err(Status::PRP_OFFSET_INVALID) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::testing::memory;
    use super::*;

    fn store(memory: &GuestMemoryMmap, at: u64, entries: &[u64]) {
        for (place, entry) in (at..).step_by(8).zip(entries) {
            memory.write_obj(entry.to_le(), GuestAddress(place)).unwrap();
        }
    }

    #[rstest]
    #[case::part_of_a_page([0x1234, 0], 512, &[(0x1234, 512)])]
    #[case::two_pages([0x1f00, 0x8000], 0x1100, &[(0x1f00, 0x100), (0x8000, 0x1000)])]
    #[case::neighbours_become_one([0x1f00, 0x2000], 0x1100, &[(0x1f00, 0x1100)])]
    #[case::second_unused([0x1000, 0x77], 0x1000, &[(0x1000, 0x1000)])]
    #[case::list([0x1ffc, 0x3008], 0x2004, &[(0x1ffc, 4), (0x9000, 0x1000), (0x5000, 0x1000)])]
    #[case::list_behind_a_list([0x1000, 0x3ff8], 0x3000, &[(0x1000, 0x1000), (0xa000, 0x2000)])]
    fn entries_become_extents(#[case] prp: [u64; 2], #[case] len: u64, #[case] expected: &[(u64, u64)]) {
        let memory = memory();
        store(&memory, 0x3008, &[0x9000, 0x5000]);
        store(&memory, 0x3ff8, &[0x7000]);
        store(&memory, 0x7000, &[0xa000, 0xb000]);
        assert_eq!(extents(prp, len, &memory), Ok(Extents(expected.to_vec())));
    }

    #[rstest]
    #[case::first_not_at_a_dword([0x1002, 0], 8, Status::PRP_OFFSET_INVALID)]
    #[case::second_within_a_page([0x1000, 0x2004], 0x1800, Status::PRP_OFFSET_INVALID)]
    #[case::list_not_at_a_qword([0x1000, 0x3004], 0x3000, Status::PRP_OFFSET_INVALID)]
    #[case::listed_within_a_page([0x1000, 0x3000], 0x3000, Status::PRP_OFFSET_INVALID)]
    #[case::next_list_within_a_page([0x1000, 0x3ff8], 0x3000, Status::PRP_OFFSET_INVALID)]
    #[case::list_outside_memory([0x1000, 0x1_0000], 0x3000, Status::DATA_TRANSFER_ERROR)]
    #[case::list_at_the_end_of_addresses([0x1000, u64::MAX - 7], 0x3000, Status::DATA_TRANSFER_ERROR)]
    fn bad_entries_have_their_status(#[case] prp: [u64; 2], #[case] len: u64, #[case] status: Status) {
        let memory = memory();
        store(&memory, 0x3000, &[0x9000, 0x5010]);
        store(&memory, 0x3ff8, &[0x7008]);
        assert_eq!(extents(prp, len, &memory), Err(status));
    }

    #[test]
    fn list_that_continues_in_itself_ends_with_the_transfer() {
        let memory = memory();
        store(&memory, 0x3000, &[0x3000; 512]);
        let found = extents([0x1000, 0x3ff8], 2 << 20, &memory).unwrap();
        assert_eq!(found.0.iter().map(|(_, len)| len).sum::<u64>(), 2 << 20);
    }
}
