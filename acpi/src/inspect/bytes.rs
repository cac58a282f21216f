//! A reader that runs dry instead of running over.

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes are left.
    pub(super) fn len(self) -> usize {
        self.0.len()
    }

    pub(super) fn peek(self) -> Option<u8> {
        self.0.first().copied()
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A little-endian number of `len` bytes, 8 at most.
    pub(super) fn number(&mut self, len: usize) -> Option<u64> {
        let mut wide = [0; 8];
        wide.get_mut(..len)?.copy_from_slice(self.take(len)?);
        Some(u64::from_le_bytes(wide))
    }

    /// Text up to a NUL, which is skipped.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let len = self.0.iter().position(|&byte| byte == 0)?;
        let text = std::str::from_utf8(self.take(len)?).ok()?;
        self.u8()?;
        Some(text)
    }
}

/// The little-endian number of `len` bytes at `at`.
pub(super) fn number_at(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    Bytes::new(bytes.get(at..)?).number(len)
}

/// The sum that is 0 where a checksum is right.
pub(super) fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, &byte| sum.wrapping_add(byte))
}
