//! The producer's end of an event ring. xHCI 1.2, 4.9.4.

use super::memory::{BadAddress, Memory};
use super::spec::registers::ERST_MAX;
use super::spec::trb::{self, Event};

/// Sizes a segment may have, in TRBs. xHCI 1.2, 6.5.
const SEGMENT_SIZES: std::ops::RangeInclusive<u32> = 16..=4096;

/// One segment of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    base: u64,
    size: u32,
    /// TRBs in the segments before it.
    before: u32,
}

/// An event ring as the segment table described it, and where the controller writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventRing {
    segments: Vec<Segment>,
    /// TRBs in all segments.
    size: u32,
    /// The next TRB to write, counted over all segments.
    enqueue: u32,
    cycle: bool,
}

/// A segment table that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadTable;

impl EventRing {
    /// Reads the segment table of `entries` entries at `table`. xHCI 1.2, 6.5.
    pub(crate) fn load(memory: &Memory, table: u64, entries: u32) -> Result<Self, BadTable> {
        if !(1..=1 << ERST_MAX).contains(&entries) {
            return Err(BadTable);
        }
        let mut segments = Vec::new();
        let mut size = 0;
        for index in 0..u64::from(entries) {
            let entry = memory.read(table.wrapping_add(16 * index)).map_err(|BadAddress| BadTable)?;
            let [low, high, len, _] = entry;
            let base = (u64::from(low) | u64::from(high) << 32) & !0x3f;
            let len = len & 0xffff;
            let end = base.checked_add(u64::from(len) * trb::LEN);
            if !SEGMENT_SIZES.contains(&len) || end.is_none() {
                return Err(BadTable);
            }
            segments.push(Segment { base, size: len, before: size });
            size += len;
        }
        Ok(Self { segments, size, enqueue: 0, cycle: true })
    }

    /// Events there is room for if the driver has come to `dequeue`; one TRB always stays free. None if that is not in the ring.
    pub(crate) fn room(&self, dequeue: u64) -> u32 {
        match self.position(dequeue) {
            Some(at) => (at + self.size - self.enqueue - 1) % self.size,
            None => 0,
        }
    }

    /// Whether the driver has seen all events.
    pub(crate) fn is_empty(&self, dequeue: u64) -> bool {
        self.position(dequeue) == Some(self.enqueue)
    }

    /// Writes an event and moves on.
    pub(crate) fn push(&mut self, memory: &Memory, event: Event) -> Result<(), BadAddress> {
        memory.write_event(self.address(), event, self.cycle)?;
        self.enqueue += 1;
        if self.enqueue == self.size {
            self.enqueue = 0;
            self.cycle = !self.cycle;
        }
        Ok(())
    }

    /// Where the next event goes.
    fn address(&self) -> u64 {
        let holds = |segment: &&Segment| self.enqueue - segment.before.min(self.enqueue) < segment.size;
        let segment = self.segments.iter().find(|s| s.before <= self.enqueue && holds(s));
        segment.map_or(0, |s| s.base + u64::from(self.enqueue - s.before) * trb::LEN)
    }

    /// Which TRB of the ring is at `address`.
    fn position(&self, address: u64) -> Option<u32> {
        self.segments.iter().find_map(|segment| {
            let index = address.checked_sub(segment.base)? / trb::LEN;
            let index = u32::try_from(index).ok().filter(|&index| index < segment.size)?;
            Some(segment.before + index)
        })
    }
}

#[cfg(test)]
mod tests {
    use vm_memory::{GuestAddress, GuestMemoryMmap};

    use super::*;

    /// Segments of 16 and 17 TRBs.
    fn two_segments() -> (Memory, EventRing) {
        let memory = Memory(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x1_0000)]).unwrap());
        memory.write(0x100, [0x2000, 0, 16, 0, 0x1000, 0, 17, 0]).unwrap();
        let ring = EventRing::load(&memory, 0x100, 2).unwrap();
        (memory, ring)
    }

    #[test]
    fn events_go_from_segment_to_segment_and_back_with_the_other_cycle() {
        let (memory, mut ring) = two_segments();
        let addresses: Vec<_> = (0..34)
            .map(|_| {
                let at = ring.address();
                ring.push(&memory, Event::wrap()).unwrap();
                at
            })
            .collect();
        assert_eq!((addresses[0], addresses[15], addresses[16]), (0x2000, 0x20f0, 0x1000));
        assert_eq!((addresses[32], addresses[33]), (0x1100, 0x2000));
        assert!(!memory.trb(0x2000).unwrap().cycle() && memory.trb(0x2010).unwrap().cycle());
    }

    #[test]
    fn room_ends_one_before_the_driver() {
        let (memory, mut ring) = two_segments();
        assert_eq!((ring.room(0x2000), ring.is_empty(0x2000)), (32, true));
        for _ in 0..32 {
            ring.push(&memory, Event::wrap()).unwrap();
        }
        assert_eq!((ring.room(0x2000), ring.is_empty(0x2000)), (0, false));
        assert_eq!(ring.room(0x1000), 16);
        assert_eq!(ring.room(0x3000), 0, "outside the ring");
    }

    #[test]
    fn impossible_tables_are_refused() {
        let (memory, _) = two_segments();
        for (table, entries) in [(0x100, 0), (0x100, 33), (0x200, 1), (0xfff8, 1), (u64::MAX - 7, 1)] {
            assert_eq!(EventRing::load(&memory, table, entries), Err(BadTable), "{table:#x} {entries}");
        }
        memory.write(0x100, [u32::MAX, u32::MAX, 4096, 0]).unwrap();
        assert_eq!(EventRing::load(&memory, 0x100, 1), Err(BadTable), "wraps");
    }
}
