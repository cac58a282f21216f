//! A command descriptor block, read field by field. SPC-4, 4.3.

use crate::sense::Sense;
use crate::spec::{CDB_LEN, op};

/// A command as it came, all its fields present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cdb([u8; CDB_LEN]);

/// A range of logical blocks, any numbers at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    pub(crate) first: u64,
    pub(crate) count: u64,
}

/// Bytes in a command with this operation code; `None` for the groups without a fixed length. SPC-4, 4.3.2.
const fn len(opcode: u8) -> Option<usize> {
    match opcode >> 5 {
        0 => Some(6),
        1 | 2 => Some(10),
        4 => Some(16),
        5 => Some(12),
        _ => None,
    }
}

/// Whether this is a command that reads or writes some blocks, and no more than that. To begin one takes no access to the
/// medium.
#[must_use]
pub fn moves_blocks(cdb: &[u8]) -> bool {
    let reads_or_writes = |cdb: &Cdb| {
        let read = matches!(cdb.opcode(), op::READ_6 | op::READ_10 | op::READ_12 | op::READ_16);
        read || matches!(cdb.opcode(), op::WRITE_6 | op::WRITE_10 | op::WRITE_12 | op::WRITE_16)
    };
    Cdb::parse(cdb).is_ok_and(|cdb| reads_or_writes(&cdb) && cdb.blocks().count > 0)
}

impl Cdb {
    /// Takes what a transport brought. It may be longer than the command, as all transports pad.
    ///
    /// # Errors
    /// It is shorter than its operation code says, of a group that no device here has, or asks for normal ACA.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Sense> {
        const NACA: u8 = 0x04;
        let opcode = bytes.first().ok_or(Sense::INVALID_OPERATION)?;
        let len = len(*opcode).ok_or(Sense::INVALID_OPERATION)?;
        let fields = bytes.get(..len).ok_or(Sense::INVALID_FIELD)?;
        // The control byte is the last one. SAM-5, 5.2.
        if fields.last().is_some_and(|control| control & NACA != 0) {
            return Err(Sense::INVALID_FIELD);
        }
        let mut cdb = [0; CDB_LEN];
        cdb.iter_mut().zip(fields).for_each(|(to, from)| *to = *from);
        Ok(Self(cdb))
    }

    pub(crate) const fn opcode(&self) -> u8 {
        let [opcode, ..] = self.0;
        opcode
    }

    /// The byte at `at`.
    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or_default()
    }

    /// Whether all bits of `mask` in the byte at `at` are set.
    pub(crate) fn has(&self, at: usize, mask: u8) -> bool {
        self.byte(at) & mask == mask
    }

    /// The big-endian number of `len` bytes at `at`.
    pub(crate) fn number(&self, at: usize, len: usize) -> u64 {
        (at..at + len).fold(0, |number, at| number << 8 | u64::from(self.byte(at)))
    }

    /// The blocks that a READ, WRITE, VERIFY or SYNCHRONIZE CACHE is about. SBC-3, 5.
    pub(crate) fn blocks(&self) -> Blocks {
        match len(self.opcode()) {
            Some(6) => self.short_blocks(),
            Some(10) => Blocks { first: self.number(2, 4), count: self.number(7, 2) },
            Some(12) => Blocks { first: self.number(2, 4), count: self.number(6, 4) },
            _ => Blocks { first: self.number(2, 8), count: self.number(10, 4) },
        }
    }

    /// 21 bits of address, and a count in which 0 means 256. SBC-3, 5.10.
    fn short_blocks(&self) -> Blocks {
        let count = match self.byte(4) {
            0 => 256,
            count => count.into(),
        };
        Blocks { first: self.number(1, 3) & 0x1f_ffff, count }
    }

    /// Whether a READ or WRITE asks for protection information (RDPROTECT, WRPROTECT, VRPROTECT).
    pub(crate) fn wants_protection(&self) -> bool {
        !matches!(self.opcode(), op::READ_6 | op::WRITE_6) && self.byte(1) & 0xe0 != 0
    }

    /// Whether a WRITE must be durable before it is answered (FUA).
    pub(crate) fn forces_unit_access(&self) -> bool {
        !matches!(self.opcode(), op::READ_6 | op::WRITE_6) && self.has(1, 0x08)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_groups() {
        let lens = [0x00, 0x28, 0x5a, 0x7f, 0x88, 0xa8, 0xc0, 0xff].map(len);
        assert_eq!(lens, [Some(6), Some(10), Some(10), None, Some(16), Some(12), None, None]);
    }

    #[test]
    fn parse_refuses_what_is_cut_off_and_takes_padding() {
        assert_eq!(Cdb::parse(&[]), Err(Sense::INVALID_OPERATION));
        assert_eq!(Cdb::parse(&[op::READ_10; 9]), Err(Sense::INVALID_FIELD));
        assert!(Cdb::parse(&[0; 32]).is_ok());
    }

    #[test]
    fn parse_refuses_auto_contingent_allegiance() {
        assert_eq!(Cdb::parse(&[0, 0, 0, 0, 0, 4]), Err(Sense::INVALID_FIELD));
    }

    #[test]
    fn blocks_are_read_from_every_length() {
        let blocks = |bytes: &[u8]| {
            let blocks = Cdb::parse(bytes).unwrap().blocks();
            (blocks.first, blocks.count)
        };
        assert_eq!(blocks(&[0x08, 0xe1, 2, 3, 0, 0]), (0x01_0203, 256));
        assert_eq!(blocks(&[0x28, 0, 1, 2, 3, 4, 0, 5, 6, 0]), (0x0102_0304, 0x0506));
        assert_eq!(blocks(&[0xa8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0]), (0x0102_0304, 0x0506_0708));
        let long = [0x88, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0];
        assert_eq!(blocks(&long), (0x0102_0304_0506_0708, 0x090a_0b0c));
    }

    #[test]
    fn blocks_are_moved_by_reads_and_writes_of_some() {
        assert!(moves_blocks(&[op::READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0]));
        assert!(moves_blocks(&[op::WRITE_6, 0, 0, 0, 0, 0]));
        assert!(!moves_blocks(&[op::WRITE_10, 0x08, 0, 0, 0, 0, 0, 0, 0, 0]), "none");
        assert!(!moves_blocks(&[op::SYNCHRONIZE_CACHE_10, 0, 0, 0, 0, 0, 0, 0, 1, 0]));
        assert!(!moves_blocks(&[op::READ_10]), "cut off");
    }
}
