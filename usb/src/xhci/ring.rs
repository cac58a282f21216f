//! The consumer's end of a command or transfer ring. xHCI 1.2, 4.9.

use super::memory::{BadAddress, Memory};
use super::spec::trb::{self, Trb, kind};

/// Most links in a row. One leads from the end of a segment to the next; two in a row are of no use to anybody.
const MAX_LINKS: usize = 32;

/// Where the controller stands in a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ring {
    /// Address of the next TRB.
    pub(crate) dequeue: u64,
    /// Its cycle bit, once the driver has filled it.
    pub(crate) cycle: bool,
}

/// A TRB, taken from a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) trb: Trb,
    /// Its address.
    pub(crate) at: u64,
    /// The ring after it.
    pub(crate) after: Ring,
}

/// A ring that cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BrokenRing {
    /// The TRB, or where it should have been.
    pub(crate) at: u64,
}

impl Ring {
    /// The ring that a context or command names: address, and cycle state in bit 0.
    pub(crate) fn from_pointer(pointer: u64) -> Self {
        Self { dequeue: pointer & !0xf, cycle: pointer & 1 != 0 }
    }

    /// The same as contexts show it.
    pub(crate) fn pointer(self) -> u64 {
        self.dequeue | u64::from(self.cycle)
    }

    /// The next TRB behind any links, if the driver has filled it.
    pub(crate) fn peek(self, memory: &Memory) -> Result<Option<Fetched>, BrokenRing> {
        let mut ring = self;
        for _ in 0..=MAX_LINKS {
            let broken = BrokenRing { at: ring.dequeue };
            let trb = memory.trb(ring.dequeue).map_err(|BadAddress| broken)?;
            if trb.cycle() != ring.cycle {
                return Ok(None);
            }
            if trb.kind() != kind::LINK {
                let dequeue = ring.dequeue.checked_add(trb::LEN).ok_or(broken)?;
                return Ok(Some(Fetched { trb, at: ring.dequeue, after: Self { dequeue, ..ring } }));
            }
            ring = Self { dequeue: trb.parameter & !0xf, cycle: ring.cycle ^ trb.toggles_cycle() };
        }
        Err(BrokenRing { at: self.dequeue })
    }
}

#[cfg(test)]
mod tests {
    use vm_memory::{GuestAddress, GuestMemoryMmap};

    use super::*;

    const LINK: u32 = (kind::LINK as u32) << 10;
    const NO_OP: u32 = (kind::NO_OP as u32) << 10;

    /// 64 KiB of memory with these TRBs: address, parameter, control.
    fn memory(trbs: &[(u64, u64, u32)]) -> Memory {
        let memory = Memory(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x1_0000)]).unwrap());
        for &(at, parameter, control) in trbs {
            memory.write(at, [parameter as u32, (parameter >> 32) as u32, 0, control]).unwrap();
        }
        memory
    }

    #[test]
    fn peek_sees_what_the_driver_has_filled() {
        let memory = memory(&[(0x1000, 0, NO_OP | 1)]);
        let ring = Ring::from_pointer(0x1001);
        let first = ring.peek(&memory).unwrap().unwrap();
        assert_eq!((first.at, first.after.pointer()), (0x1000, 0x1011));
        assert_eq!(first.after.peek(&memory), Ok(None));
        assert_eq!(Ring::from_pointer(0x1000).peek(&memory), Ok(None), "the other cycle");
    }

    #[test]
    fn link_leads_to_another_segment_and_toggles_the_cycle() {
        let memory = memory(&[(0x1000, 0x2000, LINK | 2 | 1), (0x2000, 0, NO_OP)]);
        let next = Ring::from_pointer(0x1001).peek(&memory).unwrap().unwrap();
        assert_eq!((next.at, next.after.pointer()), (0x2000, 0x2010));
    }

    #[test]
    fn links_in_a_circle_break_the_ring() {
        let memory = memory(&[(0x1000, 0x2000, LINK | 1), (0x2000, 0x1000, LINK | 1)]);
        assert_eq!(Ring::from_pointer(0x1001).peek(&memory), Err(BrokenRing { at: 0x1000 }));
    }

    #[test]
    fn ring_outside_memory_is_broken_where_it_leaves_it() {
        let memory = memory(&[(0x1000, u64::MAX, LINK | 1)]);
        let at = !0xf;
        assert_eq!(Ring::from_pointer(0x1001).peek(&memory), Err(BrokenRing { at }));
        assert_eq!(Ring::from_pointer(0x1_0000).peek(&memory), Err(BrokenRing { at: 0x1_0000 }));
    }
}
