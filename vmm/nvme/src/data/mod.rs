//! The memory that a command names: from a data pointer to pieces of guest memory. NVMe 1.4, 4.3 and 4.4.

mod prp;
mod sgl;

use vm_memory::{GuestAddress, GuestMemory, GuestMemoryMmap, Permissions, VolatileSlice};

use crate::spec::PAGE;
use crate::spec::command::{Command, Pointer};
use crate::spec::status::Status;

/// MDTS: the longest transfer is this power of two of pages, 2 MiB.
pub(crate) const MAX_TRANSFER_EXPONENT: u8 = 9;
/// The longest transfer in bytes.
pub(crate) const MAX_TRANSFER: u64 = PAGE << MAX_TRANSFER_EXPONENT;

/// What the controller does with the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// It reads it.
    FromGuest,
    /// It writes it.
    ToGuest,
}

/// Pieces of guest memory that follow each other in a transfer. The guest may change them at any time.
#[derive(Debug)]
pub(crate) struct Data<'m> {
    slices: Vec<VolatileSlice<'m>>, // none of them empty
}

impl<'m> Data<'m> {
    /// The memory of a command that transfers `len` bytes.
    ///
    /// # Errors
    /// The status to complete the command with: too long, badly described, or not guest memory.
    pub(crate) fn of(
        command: &Command,
        len: u64,
        direction: Direction,
        memory: &'m GuestMemoryMmap,
    ) -> Result<Self, Status> {
        if len > MAX_TRANSFER {
            return Err(Status::INVALID_FIELD); // NVMe 1.4, 5.15.2.2, MDTS
        }
        let extents = match command.pointer() {
            Some(Pointer::Prp) => prp::extents(command.data.map(u64::from), len, memory)?,
            Some(Pointer::Sgl) => sgl::extents(command.data, len, memory)?,
            None => return Err(Status::INVALID_FIELD),
        };
        extents.into_data(direction, memory)
    }

    /// The pieces, for I/O in place.
    pub(crate) fn into_slices(self) -> Vec<VolatileSlice<'m>> {
        self.slices
    }

    /// Copies `from` to the beginning, as much as fits.
    pub(crate) fn copy_from(&self, from: &[u8]) {
        let mut rest = from;
        for slice in &self.slices {
            let (now, later) = rest.split_at(rest.len().min(slice.len()));
            slice.copy_from(now);
            rest = later;
        }
    }

    /// Copies the beginning to `to`, as much as there is.
    pub(crate) fn copy_to(&self, to: &mut [u8]) {
        let mut rest = to;
        for slice in &self.slices {
            let copied = slice.copy_to(rest);
            rest = rest.get_mut(copied..).unwrap_or_default();
        }
    }

    /// Copies everything out, in pieces of at most `size` bytes; stops at the first `false` of `each`.
    pub(crate) fn each_chunk(&self, size: usize, mut each: impl FnMut(&[u8]) -> bool) -> bool {
        let mut bytes = vec![0; size];
        self.slices.iter().all(|slice| {
            (0..slice.len()).step_by(size).all(|start| {
                let copied = slice.offset(start).map_or(0, |rest| rest.copy_to(&mut bytes));
                each(bytes.get(..copied).unwrap_or_default())
            })
        })
    }
}

/// Ranges of guest addresses in the order of a transfer; neighbours are joined.
#[derive(Debug, Default, PartialEq, Eq)]
struct Extents(Vec<(u64, u64)>);

impl Extents {
    fn push(&mut self, address: u64, len: u64) {
        match self.0.last_mut() {
            _ if len == 0 => {}
            Some((start, before)) if start.checked_add(*before) == Some(address) => *before += len,
            _ => self.0.push((address, len)),
        }
    }

    fn into_data(self, direction: Direction, memory: &GuestMemoryMmap) -> Result<Data<'_>, Status> {
        let access = match direction {
            Direction::FromGuest => Permissions::Read,
            Direction::ToGuest => Permissions::Write,
        };
        let mut slices = Vec::with_capacity(self.0.len());
        for (address, len) in self.0 {
            let pieces = memory.get_slices(GuestAddress(address), len as usize, access);
            for piece in pieces.map_err(|_| Status::DATA_TRANSFER_ERROR)? {
                slices.push(piece.map_err(|_| Status::DATA_TRANSFER_ERROR)?);
            }
        }
        Ok(Data { slices })
    }
}

#[cfg(test)]
mod testing {
    use super::*;

    /// 64 KiB of memory from address 0.
    pub(super) fn memory() -> GuestMemoryMmap {
        GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x1_0000)]).unwrap()
    }
}
