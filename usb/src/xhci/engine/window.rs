//! A part of a transfer, as much as is done in one go.

use vm_memory::{Permissions, VolatileSlice};

use crate::Direction;
use crate::xhci::memory::Memory;
use crate::xhci::ring::{BrokenRing, Fetched, Ring};
use crate::xhci::spec::trb::{Trb, kind};

/// Most TRBs of a window: 16 MiB if each is as long as can be. A control transfer's data stage has to fit.
pub(super) const MAX_TRBS: usize = 256;
/// Most bytes that a TRB itself can hold. xHCI 1.2, 6.4.1.1.
const MAX_IMMEDIATE: u32 = 8;

/// TRBs of one transfer that follow each other, and their buffers.
#[derive(Debug, Default)]
pub(super) struct Window<'m> {
    pub(super) trbs: Vec<Fetched>,
    pub(super) slices: Vec<VolatileSlice<'m>>,
    /// Bytes of all buffers.
    pub(super) len: usize,
    /// The transfer ends with the last TRB.
    pub(super) ends: bool,
    /// A TRB behind them that makes no sense: its address.
    pub(super) broken: Option<u64>,
}

impl<'m> Window<'m> {
    /// Takes TRBs from `ring` on, until the transfer ends or the window is full, or as many as the driver has filled. The first
    /// has `offset` bytes behind it.
    pub(super) fn gather(memory: &'m Memory, ring: Ring, offset: u32, direction: Direction) -> Self {
        let mut window = Self::default();
        let (mut ring, mut offset) = (ring, offset);
        while window.trbs.len() < MAX_TRBS && !window.ends {
            match ring.peek(memory) {
                Ok(None) => break,
                Ok(Some(next)) if window.take(memory, next, offset, direction) => {
                    window.trbs.push(next);
                    window.ends = !next.trb.chained();
                    (ring, offset) = (next.after, 0);
                }
                Ok(Some(Fetched { at, .. })) | Err(BrokenRing { at }) => {
                    window.broken = Some(at);
                    break;
                }
            }
        }
        window
    }

    /// Adds a TRB's buffer; false if the TRB makes no sense here.
    fn take(&mut self, memory: &'m Memory, next: Fetched, offset: u32, direction: Direction) -> bool {
        let first = self.trbs.is_empty();
        match next.trb.kind() {
            kind::NORMAL => {}
            kind::DATA_STAGE | kind::ISOCH if first => {}
            kind::EVENT_DATA | kind::NO_OP => return true,
            _ => return false,
        }
        let left = next.trb.len().saturating_sub(offset);
        let Some(address) = buffer(next, direction) else { return false };
        let access = match direction {
            Direction::In => Permissions::Write,
            Direction::Out => Permissions::Read,
        };
        let Some(start) = address.checked_add(u64::from(offset)) else { return false };
        self.len += left as usize;
        left == 0 || memory.slices(start, left, access, &mut self.slices).is_ok()
    }

    /// Cuts the buffers off behind `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        let mut left = len;
        self.slices = std::mem::take(&mut self.slices)
            .into_iter()
            .filter_map(|slice| {
                let wanted = slice.len().min(left);
                left -= wanted;
                slice.subslice(0, wanted).ok().filter(|slice| !slice.is_empty())
            })
            .collect();
        self.len = self.len.min(len);
    }

    /// Whether any of it concerns the device.
    pub(super) fn has_transfer(&self) -> bool {
        self.trbs.iter().any(|next| is_transfer(next.trb))
    }
}

/// Whether a TRB stands for bytes on the bus, be it none.
pub(super) fn is_transfer(trb: Trb) -> bool {
    matches!(trb.kind(), kind::NORMAL | kind::DATA_STAGE | kind::ISOCH)
}

/// Where the bytes of a TRB are; immediate ones are in the TRB.
fn buffer(next: Fetched, direction: Direction) -> Option<u64> {
    match next.trb.has_immediate_data() {
        true if direction == Direction::In || next.trb.len() > MAX_IMMEDIATE => None,
        true => Some(next.at),
        false => Some(next.trb.parameter),
    }
}
