//! What the blocks are on, and the transfers to and from it.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use block::{Access, Backend, Error, Room, SECTOR};
use vm_memory::VolatileSlice;

use crate::cdb::Blocks;
use crate::sense::Sense;

/// Most bytes that are copied at once where a transfer cannot go straight between backend and guest memory.
const BOUNCE: u64 = 64 << 10;

/// A disk or a disc: a backend that is addressed in logical blocks.
pub(crate) struct Medium {
    backend: Arc<dyn Backend>,
    /// Bytes in a logical block, a multiple of [`SECTOR`].
    block_len: u32,
    /// A failure of the host was logged; a broken disk fails for ever.
    warned: AtomicBool,
}

impl Medium {
    pub(crate) fn new(backend: Arc<dyn Backend>, block_len: u32) -> Arc<Self> {
        Arc::new(Self { backend, block_len, warned: AtomicBool::new(false) })
    }

    /// Bytes in a logical block.
    pub(crate) const fn block_len(&self) -> u32 {
        self.block_len
    }

    /// Whole logical blocks; what is left over at the end of the backend cannot be reached.
    pub(crate) fn blocks(&self) -> u64 {
        self.backend.geometry().sectors / (u64::from(self.block_len) / SECTOR)
    }

    /// Logical blocks in a physical one, as a power of two of four bits.
    pub(crate) fn physical_exponent(&self) -> u8 {
        const MAX: u32 = 15;
        (self.backend.geometry().block_size / self.block_len).max(1).ilog2().min(MAX) as u8
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.backend.geometry().access == Access::ReadOnly
    }

    /// # Errors
    /// WRITE PROTECTED.
    pub(crate) fn check_writable(&self) -> Result<(), Sense> {
        if self.is_read_only() { Err(Sense::WRITE_PROTECTED) } else { Ok(()) }
    }

    /// # Errors
    /// LOGICAL BLOCK ADDRESS OUT OF RANGE, with the first block that is.
    pub(crate) fn check(&self, blocks: Blocks) -> Result<(), Sense> {
        let end = blocks.first.checked_add(blocks.count);
        if end.is_some_and(|end| end <= self.blocks()) {
            return Ok(());
        }
        Err(Sense::OUT_OF_RANGE.about(blocks.first.max(self.blocks())))
    }

    /// Makes everything written so far durable.
    pub(crate) fn flush(&self) -> Result<(), Sense> {
        self.backend.flush().map_err(|error| self.sense(&error, Sense::WRITE_ERROR))
    }

    /// Where blocks of the medium are in the backend, in bytes.
    fn place(&self, blocks: Blocks) -> Result<(u64, u64), Sense> {
        self.check(blocks)?;
        let block_len = u64::from(self.block_len);
        Ok((blocks.first * block_len, blocks.count * block_len))
    }

    /// Nobody needs these blocks any more.
    pub(crate) fn discard(&self, blocks: Blocks) -> Result<(), Sense> {
        let (at, len) = self.place(blocks)?;
        self.backend
            .discard(at, len)
            .map_err(|error| self.sense(&error, Sense::WRITE_ERROR.about(blocks.first)))
    }

    /// Makes these blocks zeroes; their storage may be given back if `unmap`.
    pub(crate) fn write_zeroes(&self, blocks: Blocks, unmap: bool) -> Result<(), Sense> {
        let (at, len) = self.place(blocks)?;
        let room = if unmap { Room::Free } else { Room::Keep };
        self.backend
            .write_zeroes(at, len, room)
            .map_err(|error| self.sense(&error, Sense::WRITE_ERROR.about(blocks.first)))
    }

    /// Makes each of these blocks `block`.
    pub(crate) fn fill(self: &Arc<Self>, blocks: Blocks, block: &[u8]) -> Result<(), Sense> {
        let mut transfer = Transfer::new(self, blocks)?;
        let copies = (BOUNCE as usize / block.len().max(1)).max(1);
        let mut chunk = block.repeat(copies);
        while transfer.left > 0 {
            chunk.truncate(usize::try_from(transfer.left).unwrap_or(usize::MAX));
            transfer.write(&[VolatileSlice::from(chunk.as_mut_slice())])?;
        }
        Ok(())
    }

    /// What a failure of the backend is called; `host` if it is one of the host's.
    fn sense(&self, error: &Error, host: Sense) -> Sense {
        match error {
            Error::ReadOnly => Sense::WRITE_PROTECTED,
            Error::Host(source) => {
                self.report(source);
                if source.kind() == ErrorKind::StorageFull { Sense::NO_SPACE } else { host }
            }
            Error::Unaligned { .. } | Error::OutOfRange { .. } => Sense::OUT_OF_RANGE,
            Error::Disguise(_) => host,
        }
    }

    fn report(&self, error: &(dyn std::error::Error + 'static)) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(error, "a disk fails; the guest sees medium errors");
        }
    }
}

/// A transfer under way between consecutive blocks and memory. Pieces have any size; those that are not whole sectors, or
/// come after such, are copied.
pub(crate) struct Transfer {
    medium: Arc<Medium>,
    /// The next byte of the backend.
    at: u64,
    /// Bytes still to move.
    left: u64,
    /// Bytes before `at` that the initiator sent, and that do not fill a sector yet.
    part: Vec<u8>,
}

impl Transfer {
    /// # Errors
    /// The blocks are not all on the medium.
    pub(crate) fn new(medium: &Arc<Medium>, blocks: Blocks) -> Result<Self, Sense> {
        let (at, left) = medium.place(blocks)?;
        Ok(Self { medium: medium.clone(), at, left, part: Vec::new() })
    }

    /// Bytes still to move.
    pub(crate) const fn left(&self) -> u64 {
        self.left
    }

    /// The logical block that the next byte is in.
    fn block(&self) -> u64 {
        self.at / u64::from(self.medium.block_len)
    }

    fn moved(&mut self, len: u64) {
        self.at += len;
        self.left -= len;
    }

    /// Fills the slices with the next bytes, as many as are left; returns how many.
    pub(crate) fn read(&mut self, to: &[VolatileSlice<'_>]) -> Result<u64, Sense> {
        let left = self.left;
        self.read_slices(to)
            .map_err(|error| self.medium.sense(&error, Sense::READ_ERROR.about(self.block())))?;
        Ok(left - self.left)
    }

    fn read_slices(&mut self, to: &[VolatileSlice<'_>]) -> Result<(), Error> {
        if self.is_straight(to) {
            self.medium.backend.read(self.at, to)?;
            self.moved(total(to));
            return Ok(());
        }
        to.iter().try_for_each(|slice| self.read_copied(slice))
    }

    fn read_copied(&mut self, to: &VolatileSlice<'_>) -> Result<(), Error> {
        let mut done = 0;
        while done < to.len() && self.left > 0 {
            let len = ((to.len() - done) as u64).min(self.left).min(BOUNCE);
            let Ok(piece) = to.subslice(done, len as usize) else { break };
            piece.copy_from(&self.fetch(len)?);
            self.moved(len);
            done += len as usize;
        }
        Ok(())
    }

    /// The next `len` bytes, by way of the whole sectors that they are in.
    fn fetch(&self, len: u64) -> Result<Vec<u8>, Error> {
        let before = self.at % SECTOR;
        let mut sectors = vec![0; (before + len).next_multiple_of(SECTOR) as usize];
        self.medium.backend.read(self.at - before, &[VolatileSlice::from(sectors.as_mut_slice())])?;
        let mut bytes = sectors.split_off(before as usize);
        bytes.truncate(len as usize);
        Ok(bytes)
    }

    /// Writes the next bytes from the slices, as many as are left; returns how many. What does not fill a sector waits for
    /// more, and is dropped if none comes.
    pub(crate) fn write(&mut self, from: &[VolatileSlice<'_>]) -> Result<u64, Sense> {
        let left = self.left;
        self.write_slices(from)
            .map_err(|error| self.medium.sense(&error, Sense::WRITE_ERROR.about(self.block())))?;
        Ok(left - self.left)
    }

    fn write_slices(&mut self, from: &[VolatileSlice<'_>]) -> Result<(), Error> {
        if self.is_straight(from) {
            self.medium.backend.write(self.at, from)?;
            self.moved(total(from));
            return Ok(());
        }
        from.iter().try_for_each(|slice| self.write_copied(slice))
    }

    fn write_copied(&mut self, from: &VolatileSlice<'_>) -> Result<(), Error> {
        let mut done = 0;
        while done < from.len() && self.left > 0 {
            let len = ((from.len() - done) as u64).min(self.left).min(BOUNCE) as usize;
            let Ok(piece) = from.subslice(done, len) else { break };
            let mut bytes = std::mem::take(&mut self.part);
            let start = bytes.len();
            bytes.resize(start + len, 0);
            piece.copy_to(bytes.get_mut(start..).unwrap_or_default());
            self.store(bytes)?;
            self.moved(len as u64);
            done += len;
        }
        Ok(())
    }

    /// Writes the whole sectors of `bytes`, the first of which comes `part` before `at`, and keeps the rest.
    fn store(&mut self, mut bytes: Vec<u8>) -> Result<(), Error> {
        let whole = bytes.len() - bytes.len() % SECTOR as usize;
        let rest = bytes.split_off(whole);
        let sector = self.at - self.at % SECTOR;
        self.medium.backend.write(sector, &[VolatileSlice::from(bytes.as_mut_slice())])?;
        self.part = rest;
        Ok(())
    }

    /// Whether the slices can be handed to the backend as they are.
    fn is_straight(&self, slices: &[VolatileSlice<'_>]) -> bool {
        let len = total(slices);
        len <= self.left && self.at.is_multiple_of(SECTOR) && len.is_multiple_of(SECTOR)
    }
}

/// Bytes in all slices together.
pub(crate) fn total(slices: &[VolatileSlice<'_>]) -> u64 {
    slices.iter().map(|slice| slice.len() as u64).sum()
}
