//! The virtio devices other than disks.

/// What is plugged in besides disks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VirtioConfig {
    /// A source of random bytes.
    pub rng: bool,
}
