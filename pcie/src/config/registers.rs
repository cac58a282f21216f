//! Bytes that a guest may read, and of which it may write some bits.

use bus::Access;

/// Registers as bytes: what they hold, what a reset puts back, and which bits the guest may write.
#[derive(Debug)]
pub(crate) struct Registers {
    now: Vec<u8>,
    reset: Vec<u8>,
    writable: Vec<u8>,
}

impl Registers {
    /// `len` bytes that read 0.
    pub(crate) fn new(len: usize) -> Self {
        Self { now: vec![0; len], reset: vec![0; len], writable: vec![0; len] }
    }

    /// Makes room for `len` bytes.
    pub(crate) fn grow(&mut self, len: usize) {
        for bytes in [&mut self.now, &mut self.reset, &mut self.writable] {
            bytes.resize(len.max(bytes.len()), 0);
        }
    }

    /// Defines a register: its reset value, and the bits that the guest may write.
    pub(crate) fn define<const N: usize>(&mut self, offset: usize, reset: [u8; N], writable: [u8; N]) {
        copy(&mut self.reset, offset, &reset);
        copy(&mut self.writable, offset, &writable);
        copy(&mut self.now, offset, &reset);
    }

    /// Puts a value in a register that the guest cannot write, until the next reset.
    pub(crate) fn show(&mut self, offset: usize, bytes: &[u8]) {
        copy(&mut self.now, offset, bytes);
    }

    /// The byte at `offset`; all ones behind the end.
    pub(crate) fn byte(&self, offset: usize) -> u8 {
        self.now.get(offset).copied().unwrap_or(0xff)
    }

    /// The 16 bits at `offset`.
    pub(crate) fn word(&self, offset: usize) -> u16 {
        u16::from_le_bytes([self.byte(offset), self.byte(offset + 1)])
    }

    /// The 32 bits at `offset`.
    pub(crate) fn dword(&self, offset: usize) -> u32 {
        u32::from(self.word(offset)) | u32::from(self.word(offset + 2)) << 16
    }

    /// Reads as a guest does.
    pub(crate) fn read(&self, at: Access) -> u64 {
        offsets(at).zip(0..).fold(0, |value, (offset, n)| value | u64::from(self.byte(offset)) << (8 * n))
    }

    /// Writes as a guest does: bits that it may not write stay.
    pub(crate) fn write(&mut self, at: Access, value: u64) {
        for (offset, new) in offsets(at).zip(value.to_le_bytes()) {
            if let (Some(byte), Some(mask)) = (self.now.get_mut(offset), self.writable.get(offset)) {
                *byte = *byte & !mask | new & mask;
            }
        }
    }

    /// Reset values.
    pub(crate) fn reset(&mut self) {
        self.now.clone_from(&self.reset);
    }
}

fn offsets(at: Access) -> impl Iterator<Item = usize> {
    (at.offset..).take(at.width.len() as usize).map(|offset| offset as usize)
}

/// Copies as far as there is room.
fn copy(to: &mut [u8], offset: usize, from: &[u8]) {
    to.iter_mut().skip(offset).zip(from).for_each(|(to, from)| *to = *from);
}
