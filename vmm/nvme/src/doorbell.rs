//! Doorbells: a register each, and its shadow in guest memory once the driver has set up one.
//!
//! A driver that knows Doorbell Buffer Config (NVMe 1.4, 5.7 and B.5) writes each new value to the shadow. It writes the register
//! too only when the value passes the event index, by which we say whether we are looking anyway.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// Why a doorbell was refused. NVMe 1.4, 5.2.1, error status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such queue.
    Register = 0,
    /// The queue has no such entry.
    Value = 1,
}

/// The place of a doorbell's shadow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shadow {
    /// Guest address of the value; never 0.
    pub(crate) value: u64,
    /// Guest address of the event index.
    pub(crate) event: u64,
}

/// One doorbell.
#[derive(Default)]
pub(crate) struct Doorbell {
    /// Entries of the queue; 0: there is no queue.
    entries: AtomicU32,
    value: AtomicU32,
    /// 0: there is no shadow.
    shadow: AtomicU64,
    event: AtomicU64,
}

impl Doorbell {
    /// A queue of `entries` entries begins.
    pub(crate) fn open(&self, entries: u16) {
        self.value.store(0, Ordering::Relaxed);
        self.entries.store(entries.into(), Ordering::Release);
    }

    /// The queue is gone.
    pub(crate) fn close(&self) {
        self.entries.store(0, Ordering::Release);
        self.shadow.store(0, Ordering::Release);
    }

    /// The driver writes the register.
    pub(crate) fn ring(&self, value: u16) -> Result<(), Refusal> {
        match self.entries.load(Ordering::Acquire) {
            0 => Err(Refusal::Register),
            entries if u32::from(value) < entries => {
                self.value.store(value.into(), Ordering::SeqCst);
                Ok(())
            }
            _ => Err(Refusal::Value),
        }
    }

    /// What the driver wrote last: any number at all.
    pub(crate) fn value(&self, memory: &GuestMemoryMmap) -> u32 {
        match self.shadow.load(Ordering::Acquire) {
            0 => self.value.load(Ordering::SeqCst),
            shadow => memory.load(GuestAddress(shadow), Ordering::Acquire).map_or(0, u32::from_le),
        }
    }

    /// From now on the driver writes to `shadow`, which begins with `index`, what we have seen.
    ///
    /// # Errors
    /// The shadow is not in memory, or not aligned.
    pub(crate) fn set_shadow(
        &self,
        memory: &GuestMemoryMmap,
        shadow: Shadow,
        index: u16,
    ) -> Result<(), vm_memory::GuestMemoryError> {
        for place in [shadow.value, shadow.event] {
            memory.store(u32::from(index).to_le(), GuestAddress(place), Ordering::Release)?;
        }
        self.event.store(shadow.event, Ordering::Release);
        self.shadow.store(shadow.value, Ordering::Release);
        Ok(())
    }

    /// Whether there is a shadow.
    pub(crate) fn has_shadow(&self) -> bool {
        self.shadow.load(Ordering::Acquire) != 0
    }

    /// Asks the driver to ring when its value moves on from `index`. Look at the value once more after this: the driver may
    /// have moved on already.
    pub(crate) fn want_ring_after(&self, memory: &GuestMemoryMmap, index: u16) {
        if self.has_shadow() {
            let event = GuestAddress(self.event.load(Ordering::Acquire));
            // It was in memory when the shadow was set, and memory does not go away.
            let _ = memory.store(u32::from(index).to_le(), event, Ordering::Release);
            fence(Ordering::SeqCst);
        }
    }
}
