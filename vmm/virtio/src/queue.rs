//! One split queue: what `virtio-queue` offers, with silence turned into errors. virtio 1.2, 2.7.

use std::sync::atomic::Ordering;

use virtio_bindings::bindings::virtio_ring::VRING_AVAIL_F_NO_INTERRUPT;
use virtio_queue::{Queue, QueueOwnedT, QueueState, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use crate::{Broken, Chain};

/// Most entries of a ring, of every queue of every device.
pub(crate) const MAX_SIZE: u16 = 1024;

/// What the driver says about a queue before it makes it ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Entries.
    pub(crate) size: u32,
    /// Guest physical address of the descriptor table.
    pub(crate) descriptors: u64,
    /// Guest physical address of the driver area, or available ring.
    pub(crate) driver: u64,
    /// Guest physical address of the device area, or used ring.
    pub(crate) device: u64,
}

/// Whether notifications are suppressed by flags or by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suppression {
    /// By the flags of each ring. virtio 1.2, 2.7.6 and 2.7.8.
    Flags,
    /// By the event index of each ring, VIRTIO_F_EVENT_IDX.
    EventIndex,
}

/// A queue at work.
pub(crate) struct Ring {
    queue: Queue,
    memory: GuestMemoryMmap,
}

impl Ring {
    /// Takes the rings into use, if they are possible and in memory.
    pub(crate) fn new(setup: &Setup, suppression: Suppression, memory: &GuestMemoryMmap) -> Option<Self> {
        let queue = Queue::try_from(QueueState {
            max_size: MAX_SIZE,
            size: u16::try_from(setup.size).ok()?,
            ready: true,
            desc_table: setup.descriptors,
            avail_ring: setup.driver,
            used_ring: setup.device,
            event_idx_enabled: suppression == Suppression::EventIndex,
            ..QueueState::default()
        })
        .ok()?;
        queue.is_valid(memory).then(|| Self { queue, memory: memory.clone() })
    }

    /// How many chains the driver has made available.
    pub(crate) fn available(&self) -> Result<u16, Broken> {
        let driver = self.queue.avail_idx(&self.memory, Ordering::Acquire)?;
        let waiting = driver.0.wrapping_sub(self.queue.next_avail());
        if waiting > self.queue.size() {
            return Err(virtio_queue::Error::InvalidAvailRingIndex.into());
        }
        Ok(waiting)
    }

    /// Takes the next available chain: its head, to be given back to [`complete`](Self::complete), and its buffers.
    pub(crate) fn pop(&mut self) -> Result<(u16, Chain<'_>), Broken> {
        let next = self.queue.iter(&self.memory)?.next();
        let descriptors = next.ok_or(virtio_queue::Error::InvalidAvailRingIndex)?; // the driver took it back
        Ok((descriptors.head_index(), Chain::collect(&self.memory, descriptors)?))
    }

    /// Gives a chain back to the driver with `len` bytes written.
    pub(crate) fn complete(&mut self, head: u16, len: u32) -> Result<(), Broken> {
        Ok(self.queue.add_used(&self.memory, head, len)?)
    }

    /// Whether the driver wants to hear of the chains completed since this was last asked.
    pub(crate) fn wants_interrupt(&mut self) -> Result<bool, Broken> {
        let by_index = self.queue.needs_notification(&self.memory)?; // with a full fence
        Ok(by_index && (self.queue.event_idx_enabled() || !self.no_interrupt_flag()?))
    }

    fn no_interrupt_flag(&self) -> Result<bool, Broken> {
        let flags = GuestAddress(self.queue.avail_ring());
        let flags: u16 = self.memory.load(flags, Ordering::Relaxed)?;
        Ok(u32::from(u16::from_le(flags)) & VRING_AVAIL_F_NO_INTERRUPT != 0)
    }

    /// Asks the driver not to kick while we are looking anyway.
    pub(crate) fn hold_kicks(&mut self) -> Result<(), Broken> {
        Ok(self.queue.disable_notification(&self.memory)?)
    }

    /// Asks for kicks again. True if chains came in meanwhile, for which there may be no kick.
    pub(crate) fn resume_kicks(&mut self) -> Result<bool, Broken> {
        Ok(self.queue.enable_notification(&self.memory)?)
    }
}
