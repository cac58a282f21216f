//! Where a guest starts to read: the 64-bit entry point. DSP0134 3.0, 5.2.2.

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{Immutable, IntoBytes};

use super::{ANCHOR_FILE, MAX_LEN, TABLES_FILE, TooLong};

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct EntryPoint {
    anchor: [u8; 5],
    checksum: u8,
    len: u8,
    major: u8,
    minor: u8,
    revision: u8,
    entry_point_revision: u8,
    reserved: u8,
    structures_max_len: U32,
    structures: U64,
}
const _: () = assert!(size_of::<EntryPoint>() == LEN);

/// Bytes of an entry point.
const LEN: usize = 0x18;

/// Encoded structures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables(Vec<u8>);

impl Tables {
    pub(super) fn new(structures: Vec<u8>) -> Result<Self, TooLong> {
        let len = structures.len();
        if len > MAX_LEN { Err(TooLong { len }) } else { Ok(Self(structures)) }
    }

    /// The structures.
    #[must_use]
    pub fn structures(&self) -> &[u8] {
        &self.0
    }

    /// The entry point for structures at guest-physical `address`. Without firmware, a guest looks for it at multiples of
    /// 16 in 0xf0000 to 0xfffff.
    #[must_use]
    pub fn entry_point(&self, address: u64) -> [u8; LEN] {
        let mut bytes = self.unpatched(address);
        let sum = bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
        let [_, _, _, _, _, checksum, ..] = &mut bytes;
        *checksum = sum.wrapping_neg();
        bytes
    }

    /// Names and contents of the fw_cfg files; firmware fills in address and checksum.
    #[must_use]
    pub fn files(&self) -> [(&'static str, Vec<u8>); 2] {
        [(ANCHOR_FILE, self.unpatched(0).to_vec()), (TABLES_FILE, self.0.clone())]
    }

    /// The entry point with a checksum of 0.
    fn unpatched(&self, address: u64) -> [u8; LEN] {
        let entry_point = EntryPoint {
            anchor: *b"_SM3_",
            checksum: 0,
            len: LEN as u8,
            major: 3,
            minor: 0,
            revision: 0,
            entry_point_revision: 1,
            reserved: 0,
            structures_max_len: (self.0.len() as u32).into(), // at most MAX_LEN
            structures: address.into(),
        };
        zerocopy::transmute!(entry_point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
    }

    #[test]
    fn entry_point_sums_up_to_zero_and_points_to_its_structures() {
        let tables = Tables::new(vec![127, 4, 0, 127, 0, 0]).unwrap();
        let entry_point = tables.entry_point(0x1_2345_6780);
        assert_eq!(sum(&entry_point), 0);
        assert_eq!(entry_point[..5], *b"_SM3_");
        assert_eq!(entry_point[6..12], [0x18, 3, 0, 0, 1, 0]);
        assert_eq!(entry_point[12..], [6, 0, 0, 0, 0x80, 0x67, 0x45, 0x23, 1, 0, 0, 0]);
    }

    #[test]
    fn anchor_file_leaves_address_and_checksum_to_firmware() {
        let [(name, anchor), (_, structures)] = Tables::new(vec![1; 300]).unwrap().files();
        assert_eq!((name, anchor.len(), structures.len()), ("etc/smbios/smbios-anchor", 24, 300));
        assert_eq!(anchor[5], 0);
        assert_eq!(anchor[12..], [44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn structures_beyond_16_bits_are_refused() {
        assert!(Tables::new(vec![0; 65535]).is_ok());
        let error = Tables::new(vec![0; 65536]).unwrap_err();
        let expected = "the SMBIOS structures take 65536 bytes, more than the 65535 that firmware takes: \
                        shorten the strings";
        assert_eq!(error.to_string(), expected);
    }
}
