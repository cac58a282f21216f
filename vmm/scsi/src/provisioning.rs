//! Blocks that are not needed, and blocks that are all alike: UNMAP and WRITE SAME. SBC-3, 4.7, 5.38 and 5.55.

use std::sync::Arc;

use crate::cdb::{Blocks, Cdb};
use crate::medium::Medium;
use crate::sense::Sense;
use crate::spec::op;
use crate::unit::WriteCache;

/// Most blocks of one command: what a host writes in a blink if it has no better way to make zeroes.
pub(crate) const MAX_BLOCKS: u32 = 256 << 11;
/// Most descriptors of an UNMAP.
pub(crate) const MAX_DESCRIPTORS: u32 = 64;

/// Bytes of an UNMAP parameter list's header, and of a descriptor.
const HEADER: usize = 8;
const DESCRIPTOR: usize = 16;

/// A command whose data say what to do, and which is carried out when all of them are there.
pub(crate) struct Parameters {
    medium: Arc<Medium>,
    deed: Deed,
    cache: WriteCache,
    /// Data so far.
    pub(crate) bytes: Vec<u8>,
    /// Data in all.
    pub(crate) len: usize,
}

enum Deed {
    Unmap,
    WriteSame { blocks: Blocks, unmap: bool },
}

impl Parameters {
    /// UNMAP.
    pub(crate) fn unmap(cdb: &Cdb, medium: &Arc<Medium>, cache: WriteCache) -> Result<Self, Sense> {
        const ANCHOR: u8 = 0x01;
        medium.check_writable()?;
        let len = cdb.number(7, 2) as usize;
        match len {
            _ if cdb.has(1, ANCHOR) => Err(Sense::INVALID_FIELD),
            1..HEADER => Err(Sense::PARAMETER_LIST_LENGTH),
            _ => Ok(Self { medium: medium.clone(), deed: Deed::Unmap, cache, bytes: Vec::new(), len }),
        }
    }

    /// WRITE SAME (10) and (16).
    pub(crate) fn write_same(cdb: &Cdb, medium: &Arc<Medium>, cache: WriteCache) -> Result<Self, Sense> {
        const ANCHOR: u8 = 0x10;
        const UNMAP: u8 = 0x08;
        const NO_DATA_OUT: u8 = 0x01;
        medium.check_writable()?;
        let blocks = cdb.blocks();
        let no_data = cdb.opcode() == op::WRITE_SAME_16 && cdb.has(1, NO_DATA_OUT);
        // The limits page says that 0 does not mean "to the end" (WSNZ).
        let bounded = (1..=u64::from(MAX_BLOCKS)).contains(&blocks.count);
        if cdb.has(1, ANCHOR) || !bounded {
            return Err(Sense::INVALID_FIELD);
        }
        medium.check(blocks)?;
        let deed = Deed::WriteSame { blocks, unmap: cdb.has(1, UNMAP) };
        let len = if no_data { 0 } else { medium.block_len() as usize };
        Ok(Self { medium: medium.clone(), deed, cache, bytes: Vec::new(), len })
    }

    /// Data that are not there yet.
    pub(crate) fn left(&self) -> u64 {
        (self.len - self.bytes.len()) as u64
    }

    /// Does what the data say.
    pub(crate) fn carry_out(&self) -> Result<(), Sense> {
        if self.left() > 0 {
            return Err(Sense::PARAMETER_LIST_LENGTH);
        }
        match self.deed {
            Deed::Unmap => self.unmap_all(),
            Deed::WriteSame { blocks, unmap } if self.bytes.iter().all(|byte| *byte == 0) => {
                self.medium.write_zeroes(blocks, unmap)
            }
            Deed::WriteSame { blocks, .. } => self.medium.fill(blocks, &self.bytes),
        }?;
        match self.cache {
            WriteCache::Back => Ok(()),
            WriteCache::Through => self.medium.flush(),
        }
    }

    /// Nothing is unmapped unless all descriptors are right. An empty list is no error.
    fn unmap_all(&self) -> Result<(), Sense> {
        let described = usize::from(u16::from_be_bytes([self.byte(2), self.byte(3)]));
        let list = self.bytes.get(HEADER..).unwrap_or_default();
        let list = list.get(..described.min(list.len())).unwrap_or_default();
        let pieces: Vec<_> = list.chunks_exact(DESCRIPTOR).map(piece).collect();
        let too_many = pieces.len() > MAX_DESCRIPTORS as usize;
        if too_many || pieces.iter().any(|piece| piece.count > MAX_BLOCKS.into()) {
            return Err(Sense::INVALID_PARAMETER);
        }
        pieces.iter().try_for_each(|piece| self.medium.check(*piece))?;
        pieces.iter().try_for_each(|piece| self.medium.discard(*piece))
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or_default()
    }
}

/// An UNMAP block descriptor. SBC-3, table 95.
fn piece(bytes: &[u8]) -> Blocks {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let (first, rest) = bytes.split_at(8);
    Blocks { first: number(first), count: number(rest.get(..4).unwrap_or_default()) }
}
