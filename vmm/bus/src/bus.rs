//! Address to device.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The width of a legal access; others cannot be expressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::len_without_is_empty, reason = "no access is empty")]
pub enum Width {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Word,
    /// 32 bits.
    Dword,
    /// 64 bits.
    Qword,
}

impl Width {
    /// All widths, narrow to wide.
    pub const ALL: [Self; 4] = [Self::Byte, Self::Word, Self::Dword, Self::Qword];

    /// The width of `len` bytes, if an access can be that wide.
    #[must_use]
    pub const fn from_len(len: usize) -> Option<Self> {
        Some(match len {
            1 => Self::Byte,
            2 => Self::Word,
            4 => Self::Dword,
            8 => Self::Qword,
            _ => return None,
        })
    }

    /// Bytes moved by an access of this width.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no access is empty")]
    pub const fn len(self) -> u64 {
        match self {
            Self::Byte => 1,
            Self::Word => 2,
            Self::Dword => 4,
            Self::Qword => 8,
        }
    }

    /// All ones in this width: what an unassigned address reads as.
    #[must_use]
    pub const fn ones(self) -> u64 {
        u64::MAX >> (64 - 8 * self.len())
    }
}

/// One guest access as a device sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Bytes from the start of the device's range; the whole access lies inside the range.
    pub offset: u64,
    /// How many bytes are moved. The offset need not be a multiple of it.
    pub width: Width,
}

/// "You may not access me like that": the bus answers all ones, or drops the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// A device on a bus. Offsets start at 0, wherever the machine puts it; values are little-endian numbers.
pub trait Device: Send {
    /// Reads a register. Bits above the width are ignored.
    fn read(&mut self, at: Access) -> Result<u64, Refused>;

    /// Writes a register. Bits of `value` above the width are zero.
    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused>;

    /// Power-on state; interrupt lines go low.
    fn reset(&mut self);
}

/// Two ranges claim the same address.
#[derive(Debug, thiserror::Error)]
#[error("{name} at {start:#x} (length {len:#x}) overlaps {other}")]
pub struct Overlap {
    name: String,
    start: u64,
    len: u64,
    other: String,
}

struct Range {
    start: u64,
    last: u64,
    name: String,
    device: Arc<Mutex<dyn Device>>,
}

/// An address space: ports, or memory-mapped registers. Filled once, then shared by all vCPUs.
#[derive(Default)]
pub struct Bus {
    ranges: Vec<Range>, // sorted by start, disjoint
}

impl Bus {
    /// An address space with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `device` at `start..start + len`.
    ///
    /// # Errors
    /// When any of the range is taken, empty, or beyond 64 bits.
    pub fn insert(
        &mut self,
        name: &str,
        start: u64,
        len: u64,
        device: Arc<Mutex<dyn Device>>,
    ) -> Result<(), Overlap> {
        let overlap = |other: &str| Overlap { name: name.into(), start, len, other: other.into() };
        let Some(last) = len.checked_sub(1).and_then(|l| start.checked_add(l)) else {
            return Err(overlap("the end of the address space"));
        };
        let at = self.ranges.partition_point(|r| r.start <= start);
        let before = at.checked_sub(1).and_then(|i| self.ranges.get(i)).filter(|r| r.last >= start);
        let after = self.ranges.get(at).filter(|r| r.start <= last);
        if let Some(other) = before.or(after) {
            return Err(overlap(&other.name));
        }
        self.ranges.insert(at, Range { start, last, name: name.into(), device });
        Ok(())
    }

    /// Reads `data.len()` bytes at `addr`; what nobody answers is all ones.
    pub fn read(&self, addr: u64, data: &mut [u8]) {
        let Some(width) = Width::from_len(data.len()) else {
            // KVM cuts an access at a page boundary, which leaves odd lengths.
            for (addr, byte) in (addr..).zip(data.chunks_mut(1)) {
                self.read(addr, byte);
            }
            return;
        };
        let value = self
            .find(addr, width)
            .and_then(|(at, range)| lock(&range.device).read(at).ok())
            .unwrap_or(width.ones());
        let bytes = value.to_le_bytes();
        data.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    }

    /// Writes `data` to `addr`; what nobody answers vanishes.
    pub fn write(&self, addr: u64, data: &[u8]) {
        let Some(width) = Width::from_len(data.len()) else {
            for (addr, byte) in (addr..).zip(data.chunks(1)) {
                self.write(addr, byte);
            }
            return;
        };
        let value = data.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
        if let Some((at, range)) = self.find(addr, width) {
            // A refused write is dropped, as on real hardware.
            let _ = lock(&range.device).write(at, value);
        }
    }

    /// Resets every device, in order of address.
    pub fn reset(&self) {
        for range in &self.ranges {
            lock(&range.device).reset();
        }
    }

    /// The ranges by address: start, last, name.
    pub fn ranges(&self) -> impl Iterator<Item = (u64, u64, &str)> {
        self.ranges.iter().map(|r| (r.start, r.last, r.name.as_str()))
    }

    /// The device that holds the whole of an access.
    fn find(&self, addr: u64, width: Width) -> Option<(Access, &Range)> {
        let at = self.ranges.partition_point(|r| r.start <= addr).checked_sub(1)?;
        let range = self.ranges.get(at)?;
        let end = addr.checked_add(width.len() - 1)?;
        (end <= range.last).then(|| (Access { offset: addr - range.start, width }, range))
    }
}

/// A device that panicked is a bug of ours; the guest goes on with what state it left.
fn lock(device: &Mutex<dyn Device>) -> MutexGuard<'_, dyn Device + 'static> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers the last write; refuses 8-byte accesses.
    #[derive(Default)]
    struct Latch(u64);

    impl Device for Latch {
        fn read(&mut self, at: Access) -> Result<u64, Refused> {
            if at.width == Width::Qword { Err(Refused) } else { Ok(self.0 >> (8 * at.offset)) }
        }
        fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
            if at.width == Width::Qword {
                return Err(Refused);
            }
            self.0 = value << (8 * at.offset);
            Ok(())
        }
        fn reset(&mut self) {
            self.0 = 0;
        }
    }

    fn bus() -> Bus {
        let mut bus = Bus::new();
        bus.insert("latch", 0x10, 8, Arc::new(Mutex::new(Latch::default()))).unwrap();
        bus
    }

    fn read<const N: usize>(bus: &Bus, addr: u64) -> [u8; N] {
        let mut data = [0; N];
        bus.read(addr, &mut data);
        data
    }

    #[test]
    fn values_are_little_endian() {
        let bus = bus();
        bus.write(0x10, &[0x78, 0x56, 0x34, 0x12]);
        assert_eq!(read(&bus, 0x10), 0x1234_5678_u32.to_le_bytes());
        assert_eq!(read(&bus, 0x11), [0x56]);
    }

    #[test]
    fn unassigned_and_refused_reads_give_all_ones() {
        let bus = bus();
        bus.write(0x10, &[0; 8]);
        assert_eq!(read(&bus, 0x10), [0xff; 8], "refused width");
        assert_eq!(read(&bus, 0x0f), [0xff; 2], "starts before the range");
        assert_eq!(read(&bus, 0x17), [0xff; 2], "crosses the end of the range");
        assert_eq!(read(&bus, u64::MAX), [0xff; 8], "wraps around");
    }

    #[test]
    fn odd_lengths_are_split_into_bytes() {
        let bus = bus();
        bus.write(0x10, &[0xaa, 0xbb, 0xcc, 0xdd]);
        assert_eq!(read(&bus, 0x10), [0xaa, 0xbb, 0xcc]);
    }

    #[test]
    fn overlapping_ranges_are_refused_by_name() {
        let mut bus = bus();
        let latch = || Arc::new(Mutex::new(Latch::default()));
        for (start, len) in [(0x17, 1), (0x0f, 2), (0x00, 0x100)] {
            let error = bus.insert("late", start, len, latch()).unwrap_err();
            assert!(error.to_string().ends_with("overlaps latch"), "{error}");
        }
        assert!(bus.insert("empty", 0x40, 0, latch()).is_err());
        assert!(bus.insert("wraps", u64::MAX, 2, latch()).is_err());
        bus.insert("next", 0x18, 8, latch()).unwrap();
    }

    #[test]
    fn reset_reaches_every_device() {
        let bus = bus();
        bus.write(0x10, &[1, 2]);
        bus.reset();
        assert_eq!(read(&bus, 0x10), [0, 0]);
    }
}
