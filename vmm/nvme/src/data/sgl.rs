//! Scatter-gather lists. NVMe 1.4, 4.4.
//!
//! ```text
//!  in the command: data block
//!               or (last) segment ──► data block, data block, … data block
//!                                  or, in a segment that is not the last, (last) segment in the last place ──► …
//! ```

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, transmute};

use super::Extents;
use crate::spec::status::Status;

/// Most descriptors of a command: bytes of the longest transfer in pieces of a sector each.
const MAX_DESCRIPTORS: usize = (super::MAX_TRANSFER / block::SECTOR) as usize;

/// An SGL descriptor.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Descriptor {
    address: U64,
    len: U32,
    reserved: [u8; 3],
    /// Type in bits 7:4, subtype in 3:0.
    identifier: u8,
}

/// Bytes of a [`Descriptor`].
const DESCRIPTOR_LEN: u32 = size_of::<Descriptor>() as u32;

// Types with the subtype "address".
const DATA_BLOCK: u8 = 0x00;
const SEGMENT: u8 = 0x20;
const LAST_SEGMENT: u8 = 0x30;

impl Descriptor {
    fn is_segment(&self) -> bool {
        matches!(self.identifier, SEGMENT | LAST_SEGMENT)
    }
}

/// The memory that the descriptor in `pointer` leads to, for a transfer of `len` bytes.
pub(super) fn extents(pointer: [U64; 2], len: u64, memory: &GuestMemoryMmap) -> Result<Extents, Status> {
    let mut walk = Walk { memory, extents: Extents::default(), left: MAX_DESCRIPTORS, found: 0 };
    let first: Descriptor = transmute!(pointer);
    if first.is_segment() {
        walk.segments(first)?
    } else {
        walk.data(&first)?
    }
    if walk.found == len { Ok(walk.extents) } else { Err(Status::DATA_LENGTH_INVALID) }
}

/// On the way through the segments.
struct Walk<'m> {
    memory: &'m GuestMemoryMmap,
    extents: Extents,
    /// How many more descriptors are allowed.
    left: usize,
    /// Bytes of data so far.
    found: u64,
}

impl Walk<'_> {
    fn data(&mut self, descriptor: &Descriptor) -> Result<(), Status> {
        if descriptor.identifier != DATA_BLOCK {
            return Err(Status::DESCRIPTOR_TYPE_INVALID);
        }
        let len = u64::from(descriptor.len.get());
        self.found += len; // 4096 times 4 GiB at most
        self.extents.push(descriptor.address.get(), len);
        Ok(())
    }

    /// Follows segments to the last one. Each costs one of the descriptors allowed at least.
    fn segments(&mut self, first: Descriptor) -> Result<(), Status> {
        let mut next = Some(first);
        while let Some(segment) = next {
            let mut descriptors = self.read(&segment)?;
            next = match segment.identifier {
                SEGMENT => descriptors.pop_if(|last| last.is_segment()),
                _ => None,
            };
            for descriptor in &descriptors {
                match (descriptor.is_segment(), segment.identifier) {
                    (false, _) => self.data(descriptor)?,
                    (true, LAST_SEGMENT) => return Err(Status::INVALID_SEGMENT),
                    (true, _) => return Err(Status::INVALID_DESCRIPTOR_COUNT),
                }
            }
        }
        Ok(())
    }

    /// The descriptors of a segment.
    fn read(&mut self, segment: &Descriptor) -> Result<Vec<Descriptor>, Status> {
        let len = segment.len.get();
        if len == 0 || !len.is_multiple_of(DESCRIPTOR_LEN) || !segment.address.get().is_multiple_of(8) {
            return Err(Status::INVALID_SEGMENT);
        }
        let count = (len / DESCRIPTOR_LEN) as usize;
        self.left = self.left.checked_sub(count).ok_or(Status::INVALID_DESCRIPTOR_COUNT)?;
        let mut descriptors = vec![Descriptor::new_zeroed(); count];
        let at = GuestAddress(segment.address.get());
        self.memory.read_slice(descriptors.as_mut_bytes(), at).map_err(|_| Status::DATA_TRANSFER_ERROR)?;
        Ok(descriptors)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::testing::memory;
    use super::*;

    const BIT_BUCKET: u8 = 0x10;

    fn descriptor(identifier: u8, address: u64, len: u32) -> Descriptor {
        Descriptor { address: address.into(), len: len.into(), reserved: [0; 3], identifier }
    }

    fn store(memory: &GuestMemoryMmap, at: u64, descriptors: &[Descriptor]) {
        memory.write_slice(descriptors.as_bytes(), GuestAddress(at)).unwrap();
    }

    fn walk(memory: &GuestMemoryMmap, first: Descriptor, len: u64) -> Result<Vec<(u64, u64)>, Status> {
        extents(transmute!(first), len, memory).map(|extents| extents.0)
    }

    #[test]
    fn data_block_in_the_command_may_be_anywhere() {
        let first = descriptor(DATA_BLOCK, 0x1001, 1023);
        assert_eq!(walk(&memory(), first, 1023), Ok(vec![(0x1001, 1023)]));
    }

    #[test]
    fn segments_are_followed_to_the_last() {
        let memory = memory();
        store(&memory, 0x2000, &[descriptor(DATA_BLOCK, 0x5000, 3), descriptor(SEGMENT, 0x3008, 16)]);
        store(&memory, 0x3008, &[descriptor(LAST_SEGMENT, 0x4000, 32)]);
        store(&memory, 0x4000, &[descriptor(DATA_BLOCK, 9, 0), descriptor(DATA_BLOCK, 0x5003, 5)]);
        assert_eq!(walk(&memory, descriptor(SEGMENT, 0x2000, 32), 8), Ok(vec![(0x5000, 8)]));
    }

    #[rstest]
    #[case::too_little_data(descriptor(DATA_BLOCK, 0, 511), Status::DATA_LENGTH_INVALID)]
    #[case::too_much_data(descriptor(DATA_BLOCK, 0, 513), Status::DATA_LENGTH_INVALID)]
    #[case::bit_bucket(descriptor(BIT_BUCKET, 0, 512), Status::DESCRIPTOR_TYPE_INVALID)]
    #[case::subtype(descriptor(DATA_BLOCK | 1, 0, 512), Status::DESCRIPTOR_TYPE_INVALID)]
    #[case::segment_of_nothing(descriptor(SEGMENT, 0x2000, 0), Status::INVALID_SEGMENT)]
    #[case::segment_of_a_part(descriptor(LAST_SEGMENT, 0x2000, 24), Status::INVALID_SEGMENT)]
    #[case::segment_unaligned(descriptor(LAST_SEGMENT, 0x2004, 16), Status::INVALID_SEGMENT)]
    #[case::segment_outside(descriptor(LAST_SEGMENT, 0x1_0000, 16), Status::DATA_TRANSFER_ERROR)]
    #[case::segment_huge(descriptor(LAST_SEGMENT, 0, 0xffff_fff0), Status::INVALID_DESCRIPTOR_COUNT)]
    #[case::segment_in_the_last_one(descriptor(LAST_SEGMENT, 0x2000, 16), Status::INVALID_SEGMENT)]
    #[case::segment_before_data(descriptor(SEGMENT, 0x2000, 32), Status::INVALID_DESCRIPTOR_COUNT)]
    #[case::segments_in_a_circle(descriptor(SEGMENT, 0x2000, 16), Status::INVALID_DESCRIPTOR_COUNT)]
    fn bad_descriptors_have_their_status(#[case] first: Descriptor, #[case] status: Status) {
        let memory = memory();
        store(&memory, 0x2000, &[descriptor(SEGMENT, 0x2000, 16), descriptor(DATA_BLOCK, 0, 512)]);
        assert_eq!(walk(&memory, first, 512), Err(status));
    }
}
