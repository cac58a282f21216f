//! MSI-X: a table of messages, each with a mask and a pending bit. PCIe 5.0, 7.7.2.2 and 7.7.2.3.

use bus::{Access, Msi, Width};

/// Bytes of a table entry.
const ENTRY_LEN: u64 = 16;
/// The Mask Bit of Vector Control.
const MASKED: u32 = 1;

/// A table entry: message address, upper address, data, vector control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry([u32; 4]);

impl Entry {
    const RESET: Self = Self([0, 0, 0, MASKED]);

    pub(super) fn masked(self) -> bool {
        let [.., control] = self.0;
        control & MASKED != 0
    }

    pub(super) fn message(self) -> Msi {
        let [low, high, data, _] = self.0;
        Msi { address: u64::from(high) << 32 | u64::from(low), data }
    }

    fn word(self, index: u64) -> u32 {
        self.0.get(index as usize).copied().unwrap_or(u32::MAX)
    }

    /// Address bits 1:0 and reserved bits of the control stay 0.
    fn set_word(&mut self, index: u64, value: u32) {
        let writable = [!0b11, u32::MAX, u32::MAX, MASKED];
        if let (Some(word), Some(mask)) = (self.0.get_mut(index as usize), writable.get(index as usize)) {
            *word = value & mask;
        }
    }
}

/// The table and the pending bits.
#[derive(Debug)]
pub(super) struct MsixState {
    entries: Vec<Entry>,
    pending: Vec<bool>,
}

impl MsixState {
    pub(super) fn new(vectors: u16) -> Self {
        Self { entries: vec![Entry::RESET; vectors.into()], pending: vec![false; vectors.into()] }
    }

    pub(super) fn reset(&mut self) {
        self.entries.fill(Entry::RESET);
        self.pending.fill(false);
    }

    pub(super) fn entry(&self, vector: u16) -> Option<Entry> {
        self.entries.get(usize::from(vector)).copied()
    }

    pub(super) fn set_pending(&mut self, vector: u16) {
        if let Some(pending) = self.pending.get_mut(usize::from(vector)) {
            *pending = true;
        }
    }

    /// Takes the vectors that are pending and not masked.
    pub(super) fn take_unmasked(&mut self) -> Vec<u16> {
        let mut taken = Vec::new();
        for ((entry, pending), vector) in self.entries.iter().zip(&mut self.pending).zip(0..) {
            if *pending && !entry.masked() {
                *pending = false;
                taken.push(vector);
            }
        }
        taken
    }

    /// Reads one or two words of the table; other accesses are undefined, and read all ones.
    pub(super) fn read_table(&self, at: Access) -> u64 {
        words(at).map_or(at.width.ones(), |words| {
            words.zip([0, 32]).fold(0, |value, (word, shift)| value | u64::from(self.word(word)) << shift)
        })
    }

    /// Writes one or two words of the table; other accesses are undefined, and dropped.
    pub(super) fn write_table(&mut self, at: Access, value: u64) {
        for (word, shift) in words(at).into_iter().flatten().zip([0, 32]) {
            let entry = self.entries.get_mut((word * 4 / ENTRY_LEN) as usize);
            if let Some(entry) = entry {
                entry.set_word(word % 4, (value >> shift) as u32);
            }
        }
    }

    /// Reads pending bits, 64 in a quadword.
    pub(super) fn read_pending(&self, at: Access) -> u64 {
        let first = at.offset as usize * 8;
        let bits = self.pending.iter().skip(first).take(8 * at.width.len() as usize);
        bits.zip(0..).fold(0, |value, (&pending, n)| value | u64::from(pending) << n)
    }

    fn word(&self, index: u64) -> u32 {
        self.entries.get((index * 4 / ENTRY_LEN) as usize).map_or(u32::MAX, |entry| entry.word(index % 4))
    }
}

/// The words of the table that a legal access is for. PCIe 5.0, 6.1.4.2.
fn words(at: Access) -> Option<std::ops::Range<u64>> {
    let first = at.offset / 4;
    match at.width {
        Width::Dword if at.offset.is_multiple_of(4) => Some(first..first + 1),
        Width::Qword if at.offset.is_multiple_of(8) => Some(first..first + 2),
        _ => None,
    }
}
