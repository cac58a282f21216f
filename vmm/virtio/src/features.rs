//! Feature bits.

use virtio_bindings::bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};

/// A set of feature bits. virtio 1.2, 2.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(u64);

/// The 32 bits of a set that a register shows at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Half {
    /// Bits 31:0.
    #[default]
    Low,
    /// Bits 63:32.
    High,
}

impl Features {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// What rings and transports give to every device.
    pub const RING: Self =
        Self::bits(&[VIRTIO_RING_F_INDIRECT_DESC, VIRTIO_RING_F_EVENT_IDX, VIRTIO_F_VERSION_1]);
    /// The driver follows version 1 of the standard or a later one.
    pub const VERSION_1: Self = Self::bits(&[VIRTIO_F_VERSION_1]);
    /// Notifications are suppressed by ring index. virtio 1.2, 2.7.7.
    pub const EVENT_IDX: Self = Self::bits(&[VIRTIO_RING_F_EVENT_IDX]);

    /// The set of the bits with these numbers, each below 64.
    #[must_use]
    pub const fn bits(mut numbers: &[u32]) -> Self {
        let mut set = 0;
        while let [first, rest @ ..] = numbers {
            set |= 1 << *first;
            numbers = rest;
        }
        Self(set)
    }

    /// The set of the bits that are 1 in `bits`.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in `self`.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    pub(crate) const fn half(self, half: Half) -> u32 {
        match half {
            Half::Low => self.0 as u32,
            Half::High => (self.0 >> 32) as u32,
        }
    }

    pub(crate) fn set_half(&mut self, half: Half, value: u32) {
        let (keep, shift) = match half {
            Half::Low => (0xffff_ffff << 32, 0),
            Half::High => (0xffff_ffff, 32),
        };
        self.0 = self.0 & keep | u64::from(value) << shift;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_features_have_the_numbers_of_the_standard() {
        assert_eq!(Features::RING.half(Half::Low), 1 << 28 | 1 << 29);
        assert_eq!(Features::RING.half(Half::High), 1 << (32 - 32));
    }

    #[test]
    fn set_half_leaves_the_other_half() {
        let mut features = Features::NONE;
        features.set_half(Half::High, 0x1234_5678);
        features.set_half(Half::Low, 0x9abc_def0);
        assert_eq!(features, Features(0x1234_5678_9abc_def0));
        features.set_half(Half::High, 0);
        assert_eq!(features, Features(0x9abc_def0));
    }

    #[test]
    fn contains_means_every_bit() {
        let offered = Features::bits(&[3, 40]);
        assert!(offered.contains(Features::bits(&[40])));
        assert!(offered.contains(Features::NONE));
        assert!(!offered.contains(Features::bits(&[3, 41])));
    }
}
