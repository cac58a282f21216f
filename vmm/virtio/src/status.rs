//! The device status field, shared by the transport and the worker.

use std::sync::atomic::{AtomicU8, Ordering};

use virtio_bindings::bindings::virtio_config as bits;

/// The driver is set up and drives the device. virtio 1.2, 2.1.
pub(crate) const DRIVER_OK: u8 = bits::VIRTIO_CONFIG_S_DRIVER_OK as u8;
/// The driver is content with the features.
pub(crate) const FEATURES_OK: u8 = bits::VIRTIO_CONFIG_S_FEATURES_OK as u8;
/// The device cannot go on. Set by the device, unlike all others.
pub(crate) const NEEDS_RESET: u8 = bits::VIRTIO_CONFIG_S_NEEDS_RESET as u8;

/// Device status. The driver may set and clear its bits as it likes, for firmware does; only NEEDS_RESET is ours.
#[derive(Debug, Default)]
pub(crate) struct Status(AtomicU8);

impl Status {
    /// All bits.
    pub(crate) fn load(&self) -> u8 {
        self.0.load(Ordering::SeqCst)
    }

    /// Whether any of `bits` is set.
    pub(crate) fn has(&self, bits: u8) -> bool {
        self.load() & bits != 0
    }

    /// The driver writes the register, with anything but 0. Returns what it holds then.
    pub(crate) fn write(&self, value: u8) -> u8 {
        let merge = |old: u8| old & NEEDS_RESET | value & !NEEDS_RESET;
        let update = |old| Some(merge(old));
        match self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, update) {
            Ok(old) | Err(old) => merge(old),
        }
    }

    /// The device broke down. Returns whether the driver must be told.
    pub(crate) fn break_down(&self) -> bool {
        self.0.fetch_or(NEEDS_RESET, Ordering::SeqCst) & DRIVER_OK != 0
    }

    /// Everything forgotten.
    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::SeqCst);
    }
}
