//! The configuration space between the worker, who knows it, and the transport, who shows it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A copy of a device's configuration space, with the number of times that the device changed it by itself.
#[derive(Debug)]
pub(crate) struct ConfigSpace(Mutex<(Vec<u8>, u32)>);

impl ConfigSpace {
    /// A copy of `bytes`.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(Mutex::new((bytes.to_vec(), 0)))
    }

    /// One byte; all ones behind the end.
    pub(crate) fn byte(&self, offset: usize) -> u8 {
        self.lock().0.get(offset).copied().unwrap_or(0xff)
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().0.len()
    }

    /// Changes when a driver could have read two halves that do not belong together. virtio 1.2, 2.5.
    pub(crate) fn generation(&self) -> u32 {
        self.lock().1
    }

    /// Takes over what the device says now. Returns whether it is news.
    pub(crate) fn update(&self, bytes: &[u8]) -> bool {
        let mut space = self.lock();
        let news = space.0 != bytes;
        if news {
            space.0 = bytes.to_vec();
            space.1 = space.1.wrapping_add(1);
        }
        news
    }

    fn lock(&self) -> MutexGuard<'_, (Vec<u8>, u32)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
