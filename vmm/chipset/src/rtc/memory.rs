//! What the battery-backed bytes tell firmware about the machine.

use super::spec::BYTES;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Conventional memory, KiB.
const BASE: usize = 0x15;
/// Memory above 1 MiB, KiB; twice, because one is what the set-up program found and the other what is there.
const EXTENDED: [usize; 2] = [0x17, 0x30];
/// Memory above 16 MiB, in units of 64 KiB.
const ABOVE_16_MIB: usize = 0x34;
/// Memory above 4 GiB, in units of 64 KiB. Three bytes.
const HIGH: usize = 0x5b;

/// The machine's memory, as the chip's own memory tells it.
#[derive(Clone, Copy, Debug)]
pub struct RamSize {
    /// Bytes below 4 GiB.
    pub low: u64,
    /// Bytes from 4 GiB on.
    pub high: u64,
}

impl RamSize {
    /// Writes the sizes where QEMU writes them.
    pub(super) fn fill(self, bytes: &mut [u8; BYTES]) {
        let mut put = |at: usize, value: u16| bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        put(BASE, capped(self.low.min(640 * KIB) / KIB));
        EXTENDED.into_iter().for_each(|at| put(at, capped(self.low.saturating_sub(MIB) / KIB)));
        put(ABOVE_16_MIB, capped(self.low.saturating_sub(16 * MIB) / (64 * KIB)));
        let [low, middle, high, ..] = (self.high / (64 * KIB)).to_le_bytes();
        bytes[HIGH..HIGH + 3].copy_from_slice(&[low, middle, high]);
    }
}

fn capped(units: u64) -> u16 {
    u16::try_from(units).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn bytes(low: u64, high: u64) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        RamSize { low, high }.fill(&mut bytes);
        bytes
    }

    #[rstest]
    #[case::tiny(512 * KIB, 512, 0, 0)]
    #[case::one_mib(MIB, 640, 0, 0)]
    #[case::two_mib(2 * MIB, 640, 1024, 0)]
    #[case::sixteen_mib(16 * MIB, 640, 15 * 1024, 0)]
    #[case::beyond_16_bits(128 * MIB, 640, 65535, 112 * 16)]
    #[case::three_gib(3 * GIB, 640, 65535, (3 * GIB - 16 * MIB) / 65536)]
    fn low_memory(#[case] low: u64, #[case] base: u64, #[case] extended: u64, #[case] above: u64) {
        let bytes = bytes(low, 0);
        let word = |at: usize| u64::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        assert_eq!([0x15, 0x17, 0x30, 0x34].map(word), [base, extended, extended, above]);
    }

    #[test]
    fn high_memory_has_three_bytes() {
        assert_eq!(bytes(3 * GIB, 5 * GIB)[0x5b..0x5e], [0x00, 0x40, 0x01]);
        assert_eq!(bytes(3 * GIB, 0)[0x5b..0x5e], [0, 0, 0]);
    }

    #[test]
    fn all_else_is_zero() {
        let told = [0x15, 0x16, 0x17, 0x18, 0x30, 0x31, 0x34, 0x35, 0x5b, 0x5c, 0x5d];
        let others = (0..BYTES).filter(|at| !told.contains(at));
        assert!(others.map(|at| bytes(3 * GIB, u64::MAX)[at]).all(|byte| byte == 0));
    }
}
