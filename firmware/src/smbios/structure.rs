//! The shape of every structure: header, formatted area, strings. DSP0134 3.0, 6.1.

use zerocopy::byteorder::little_endian::U16;
use zerocopy::{Immutable, IntoBytes};

use super::Text;

/// What precedes every formatted area. DSP0134 3.0, 6.1.2.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Header {
    kind: u8,
    /// Bytes of header and formatted area.
    len: u8,
    handle: U16,
}

/// Bytes of a header.
pub(super) const HEADER: usize = size_of::<Header>();

/// Handle of an absent structure. DSP0134 3.0, 7.5 (caches).
pub(super) const NO_HANDLE: u16 = 0xffff;
/// Handle that says "no error information". DSP0134 3.0, 7.17 and 7.18.
pub(super) const NO_ERROR_INFORMATION: u16 = 0xfffe;

/// The handle of structure `n` of `kind`.
pub(super) fn handle(kind: u8, n: usize) -> u16 {
    // Each type's module bounds its count; beyond 256 a handle would run into the next type's.
    (u16::from(kind) << 8) + n as u16
}

/// The strings of one structure, which its fields name by number. DSP0134 3.0, 6.1.3.
#[derive(Default)]
pub(super) struct Strings<'a>(Vec<&'a Text>);

impl<'a> Strings<'a> {
    /// Adds `text` and gives its number; an empty string is not written and has the number 0.
    pub(super) fn add(&mut self, text: &'a Text) -> u8 {
        if text.is_empty() {
            return 0;
        }
        self.0.push(text);
        self.0.len() as u8 // no formatted area names more than a few; OEM strings are counted by their module
    }
}

/// Structures, one after the other.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// Appends structure `n` of `kind`; `area` is what comes after its header.
    pub(super) fn append<A: IntoBytes + Immutable>(
        &mut self,
        kind: u8,
        n: usize,
        area: &A,
        strings: &Strings<'_>,
    ) {
        let header = Header { kind, len: (HEADER + size_of::<A>()) as u8, handle: handle(kind, n).into() };
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(area.as_bytes());
        for text in &strings.0 {
            self.0.extend_from_slice(text.as_bytes());
            self.0.push(0);
        }
        // The set ends in an empty string; without strings there are two NULs all the same.
        let end: &[u8] = if strings.0.is_empty() { &[0, 0] } else { &[0] };
        self.0.extend_from_slice(end);
    }

    /// All bytes.
    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structure_without_strings_ends_in_two_nuls() {
        let mut writer = Writer::default();
        writer.append(32, 0, &[7_u8], &Strings::default());
        assert_eq!(writer.finish(), [32, 5, 0, 32, 7, 0, 0]);
    }

    #[test]
    fn strings_are_numbered_from_one_and_empty_ones_are_zero() {
        let (a, empty, b): (Text, Text, Text) = ("a".parse().unwrap(), Text::default(), "b".parse().unwrap());
        let mut strings = Strings::default();
        let numbers = [strings.add(&a), strings.add(&empty), strings.add(&b)];
        assert_eq!(numbers, [1, 0, 2]);
        let mut writer = Writer::default();
        writer.append(1, 2, &numbers, &strings);
        assert_eq!(writer.finish(), *b"\x01\x07\x02\x01\x01\x00\x02a\0b\0\0");
    }
}
