//! The controller's view of guest memory: whole little-endian words, or nothing.

use std::sync::atomic::Ordering;

use vm_memory::{Bytes, GuestAddress, GuestMemory, GuestMemoryMmap, Permissions, VolatileSlice};

use super::spec::trb::{Event, Trb};

/// Memory that is not there: the guest gave a wrong address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadAddress;

/// Guest memory, by addresses that the guest chose.
#[derive(Clone, Debug)]
pub(crate) struct Memory(pub(crate) GuestMemoryMmap);

impl Memory {
    /// `N` dwords at `address`.
    pub(crate) fn read<const N: usize>(&self, address: u64) -> Result<[u32; N], BadAddress> {
        let mut words = [0; N];
        for (word, at) in words.iter_mut().zip((0..).step_by(4)) {
            *word = self.read_u32(offset(address, at)?)?;
        }
        Ok(words)
    }

    pub(crate) fn write<const N: usize>(&self, address: u64, words: [u32; N]) -> Result<(), BadAddress> {
        for (word, at) in words.into_iter().zip((0..).step_by(4)) {
            self.write_slice(offset(address, at)?, &word.to_le_bytes())?;
        }
        Ok(())
    }

    pub(crate) fn read_u64(&self, address: u64) -> Result<u64, BadAddress> {
        let [low, high] = self.read(address)?;
        Ok(u64::from(low) | u64::from(high) << 32)
    }

    pub(crate) fn write_slice(&self, address: u64, bytes: &[u8]) -> Result<(), BadAddress> {
        self.0.write_slice(bytes, GuestAddress(address)).map_err(|_| BadAddress)
    }

    /// The TRB at `address`, a multiple of 16; the word with the cycle bit is read first.
    pub(crate) fn trb(&self, address: u64) -> Result<Trb, BadAddress> {
        let at = GuestAddress(offset(address, 12)?);
        let control: u32 = self.0.load(at, Ordering::Acquire).map_err(|_| BadAddress)?;
        let [p0, p1, status] = self.read(address)?;
        Ok(Trb::from_words([p0, p1, status, u32::from_le(control)]))
    }

    /// Writes an event; the word with the cycle bit is written last.
    pub(crate) fn write_event(&self, address: u64, event: Event, cycle: bool) -> Result<(), BadAddress> {
        let [p0, p1, status, control] = event.words(cycle);
        let at = GuestAddress(offset(address, 12)?);
        self.write(address, [p0, p1, status])?;
        self.0.store(control.to_le(), at, Ordering::Release).map_err(|_| BadAddress)
    }

    /// Adds the `len` bytes at `address`, in place, to `slices`; nothing if any of them is not there.
    pub(crate) fn slices<'m>(
        &'m self,
        address: u64,
        len: u32,
        access: Permissions,
        slices: &mut Vec<VolatileSlice<'m>>,
    ) -> Result<(), BadAddress> {
        let before = slices.len();
        let found = self.0.get_slices(GuestAddress(address), len as usize, access).map_err(|_| BadAddress)?;
        for slice in found {
            let Ok(slice) = slice else {
                slices.truncate(before);
                return Err(BadAddress);
            };
            slices.push(slice);
        }
        Ok(())
    }

    fn read_u32(&self, address: u64) -> Result<u32, BadAddress> {
        let mut bytes = [0; 4];
        self.0.read_slice(&mut bytes, GuestAddress(address)).map_err(|_| BadAddress)?;
        Ok(u32::from_le_bytes(bytes))
    }
}

fn offset(address: u64, by: u64) -> Result<u64, BadAddress> {
    address.checked_add(by).ok_or(BadAddress)
}
