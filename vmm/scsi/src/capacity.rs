//! How large a medium is, three ways to say it. SBC-3, 5.15 and 5.16; MMC-6, 6.23.

use crate::cdb::Cdb;
use crate::medium::Medium;
use crate::sense::Sense;
use crate::spec::READ_CAPACITY_16;

/// Number of the last block. A medium without blocks has none, and 0 is the nearest.
fn last_block(medium: &Medium) -> u64 {
    medium.blocks().saturating_sub(1)
}

/// READ CAPACITY (10): all ones for a block beyond 32 bits, so that the initiator asks by the longer command.
pub(crate) fn read_capacity_10(medium: &Medium) -> Vec<u8> {
    let last = u32::try_from(last_block(medium)).unwrap_or(u32::MAX);
    [last.to_be_bytes(), medium.block_len().to_be_bytes()].concat()
}

/// READ CAPACITY (16).
pub(crate) fn read_capacity_16(cdb: &Cdb, medium: &Medium) -> Result<Vec<u8>, Sense> {
    if cdb.byte(1) & 0x1f != READ_CAPACITY_16 {
        return Err(Sense::INVALID_FIELD);
    }
    /// Blocks can be unmapped. SBC-3, 5.16.2.
    const LBPME: u8 = 0x80;
    let mut reply = last_block(medium).to_be_bytes().to_vec();
    reply.extend(medium.block_len().to_be_bytes());
    reply.extend([0, medium.physical_exponent(), LBPME, 0]); // no protection information
    reply.resize(32, 0);
    reply.truncate(cdb.number(10, 4) as usize);
    Ok(reply)
}

/// READ FORMAT CAPACITIES: the current capacity alone, since nothing here can be formatted.
pub(crate) fn read_format_capacities(cdb: &Cdb, medium: Option<&Medium>) -> Vec<u8> {
    const FORMATTED: u32 = 2;
    const NO_MEDIUM: u32 = 3;
    let (blocks, block_len, kind) = match medium {
        Some(medium) => (medium.blocks(), medium.block_len(), FORMATTED),
        None => (0, 0, NO_MEDIUM),
    };
    let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
    // Capacity list header, then one descriptor: the blocks; the type and 24 bits of block length.
    let mut reply = vec![0, 0, 0, 8];
    reply.extend(blocks.to_be_bytes());
    reply.extend((kind << 24 | block_len).to_be_bytes());
    reply.truncate(cdb.number(7, 2) as usize);
    reply
}
