//! Guest buffers, as a device sees them.

use virtio_queue::DescriptorChain;
use virtio_queue::desc::split::Descriptor;
use vm_memory::{GuestMemory, GuestMemoryMmap, Permissions, VolatileSlice};

use crate::Broken;

/// Most descriptors in a chain: what fits the largest ring. An indirect table could name 64 times as many.
const MAX_DESCRIPTORS: usize = crate::queue::MAX_SIZE as usize;

/// One request: the buffers of a descriptor chain, checked to be guest memory. virtio 1.2, 2.7.4.
///
/// How the driver cut its request into descriptors has no meaning (virtio 1.2, 2.7.4.1), hence only the bytes remain.
#[derive(Debug, Default)]
pub struct Chain<'m> {
    /// What the device reads.
    pub readable: Buffers<'m>,
    /// What the device writes.
    pub writable: Buffers<'m>,
}

impl<'m> Chain<'m> {
    /// Follows the descriptors to their end.
    pub(crate) fn collect(
        memory: &'m GuestMemoryMmap,
        descriptors: DescriptorChain<&'m GuestMemoryMmap>,
    ) -> Result<Self, Broken> {
        let mut chain = Self::default();
        // The iterator stops without a word at whatever it cannot follow. A whole chain is one whose last descriptor has
        // no successor; a chain that yields nothing has no last one.
        let mut unfinished = true;
        for descriptor in descriptors.take(MAX_DESCRIPTORS) {
            unfinished = descriptor.has_next();
            chain.push(memory, &descriptor)?;
        }
        if unfinished { Err(Broken::Endless) } else { Ok(chain) }
    }

    fn push(&mut self, memory: &'m GuestMemoryMmap, descriptor: &Descriptor) -> Result<(), Broken> {
        let (buffers, access) = if descriptor.is_write_only() {
            (&mut self.writable, Permissions::Write)
        } else if self.writable.is_empty() {
            (&mut self.readable, Permissions::Read)
        } else {
            return Err(Broken::Order);
        };
        for slice in memory.get_slices(descriptor.addr(), descriptor.len() as usize, access)? {
            buffers.push(slice?);
        }
        Ok(())
    }
}

/// Pieces of guest memory that follow each other in a request. The guest may change them at any time.
#[derive(Debug, Default)]
pub struct Buffers<'m> {
    slices: Vec<VolatileSlice<'m>>, // none of them empty
    len: u64,
}

impl<'m> Buffers<'m> {
    /// Bytes in all pieces together; below 4 GiB in one chain.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces, for I/O in place.
    #[must_use]
    pub fn slices(&self) -> &[VolatileSlice<'m>] {
        &self.slices
    }

    /// The pieces, for I/O that takes its time.
    #[must_use]
    pub fn into_slices(self) -> Vec<VolatileSlice<'m>> {
        self.slices
    }

    fn push(&mut self, slice: VolatileSlice<'m>) {
        if !slice.is_empty() {
            self.len += slice.len() as u64;
            self.slices.push(slice);
        }
    }

    /// Cuts off all but the first `at` bytes and returns them; `None`, and nothing changes, if there are not so many.
    pub fn split_off(&mut self, at: u64) -> Option<Self> {
        let tail_len = self.len.checked_sub(at)?;
        let mut left = at;
        let whole = self.slices.iter().take_while(|slice| {
            let fits = slice.len() as u64 <= left;
            left -= if fits { slice.len() as u64 } else { 0 };
            fits
        });
        let mut tail = self.slices.split_off(whole.count());
        if left > 0 {
            // The cut goes through the first slice of the tail, which is longer than `left`.
            let (head, rest) = tail.first()?.split_at(left as usize).ok()?;
            self.slices.push(head);
            *tail.first_mut()? = rest;
        }
        self.len = at;
        Some(Self { slices: tail, len: tail_len })
    }

    /// Copies the beginning out, as much as fits `to`; returns how much.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        let whole = to.len();
        let mut rest = to;
        for slice in &self.slices {
            let copied = slice.copy_to(rest);
            rest = rest.get_mut(copied..).unwrap_or_default();
        }
        whole - rest.len()
    }

    /// Copies `from` to the beginning, as much as fits; returns how much.
    pub fn copy_from(&self, from: &[u8]) -> usize {
        let mut rest = from;
        for slice in &self.slices {
            let (now, later) = rest.split_at(rest.len().min(slice.len()));
            slice.copy_from(now);
            rest = later;
        }
        from.len() - rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Buffers over `memory`, cut into pieces of `sizes` bytes.
    fn buffers<'m>(memory: &'m mut [u8], sizes: &[usize]) -> Buffers<'m> {
        let whole = VolatileSlice::from(memory);
        let mut start = 0;
        let mut buffers = Buffers::default();
        for &size in sizes {
            buffers.push(whole.subslice(start, size).unwrap());
            start += size;
        }
        buffers
    }

    fn bytes(buffers: &Buffers<'_>) -> Vec<u8> {
        let mut bytes = vec![0xff; buffers.len() as usize];
        assert_eq!(buffers.copy_to(&mut bytes), bytes.len());
        bytes
    }

    #[test]
    fn split_off_cuts_at_every_byte() {
        let all: Vec<u8> = (0..10).collect();
        for at in 0..=10 {
            let mut memory = all.clone();
            let mut head = buffers(&mut memory, &[3, 0, 4, 1, 2]);
            let tail = head.split_off(at as u64).unwrap();
            assert_eq!((bytes(&head), bytes(&tail)), (all[..at].to_vec(), all[at..].to_vec()));
        }
    }

    #[test]
    fn split_off_beyond_the_end_changes_nothing() {
        let mut memory = [1, 2, 3];
        let mut head = buffers(&mut memory, &[3]);
        assert!(head.split_off(4).is_none());
        assert_eq!(bytes(&head), [1, 2, 3]);
    }

    #[test]
    fn copies_stop_at_the_shorter_side() {
        let mut memory = [0; 5];
        let pieces = buffers(&mut memory, &[2, 3]);
        assert_eq!(pieces.copy_from(&[1, 2, 3]), 3);
        assert_eq!(pieces.copy_from(&[9, 8, 7, 6, 5, 4]), 5);
        let mut out = [0; 4];
        assert_eq!(pieces.copy_to(&mut out), 4);
        assert_eq!(out, [9, 8, 7, 6]);
    }
}
