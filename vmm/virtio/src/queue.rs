//! One split queue: what `virtio-queue` offers, with silence turned into errors. virtio 1.2, 2.7.

use std::num::Wrapping;
use std::sync::atomic::{Ordering, fence};

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
    /// The used index when it was last asked whether the driver wants to hear of it.
    told: Wrapping<u16>,
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
        queue.is_valid(memory).then(|| Self { queue, memory: memory.clone(), told: Wrapping(0) })
    }

    /// How many entries the rings have.
    pub(crate) fn size(&self) -> u16 {
        self.queue.size()
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
    pub(crate) fn pop<'m>(&mut self, memory: &'m GuestMemoryMmap) -> Result<(u16, Chain<'m>), Broken> {
        let next = self.queue.iter(memory)?.next();
        let descriptors = next.ok_or(virtio_queue::Error::InvalidAvailRingIndex)?; // the driver took it back
        Ok((descriptors.head_index(), Chain::collect(memory, descriptors)?))
    }

    /// Puts back the `count` chains taken last.
    pub(crate) fn put_back(&mut self, count: u16) {
        (0..count).for_each(|_| self.queue.go_to_previous_position());
    }

    /// Gives chains back to the driver, each with the bytes written to it. It sees all of them or none: the index, which
    /// alone makes them visible, moves once.
    pub(crate) fn complete(&mut self, used: &[(u16, u32)]) -> Result<(), Broken> {
        let Some((&(head, len), before)) = used.split_last() else { return Ok(()) };
        for &(head, len) in before {
            self.write_used(head, len)?;
            self.queue.set_next_used(self.queue.next_used().wrapping_add(1));
        }
        Ok(self.queue.add_used(&self.memory, head, len)?)
    }

    /// Writes the next entry of the used ring. virtio 1.2, 2.7.8.
    fn write_used(&self, head: u16, len: u32) -> Result<(), Broken> {
        const HEADER: u64 = 4;
        const ENTRY: u64 = 8;
        let slot = u64::from(self.queue.next_used() % self.queue.size());
        let entry = u64::from(head) | u64::from(len) << 32;
        let at = GuestAddress(self.queue.used_ring() + HEADER + ENTRY * slot); // in memory, as `is_valid` says
        Ok(self.memory.write_obj(entry.to_le(), at)?)
    }

    /// Whether the driver wants to hear of the chains completed since this was last asked. virtio 1.2, 2.7.7.2.
    pub(crate) fn wants_interrupt(&mut self) -> Result<bool, Broken> {
        let used = Wrapping(self.queue.next_used());
        let news = used - std::mem::replace(&mut self.told, used);
        if news == Wrapping(0) {
            return Ok(false);
        }
        fence(Ordering::SeqCst); // the driver sees the index before we see what it wants
        Ok(match self.queue.event_idx_enabled() {
            true => used - self.used_event()? - Wrapping(1) < news,
            false => u32::from(self.avail_word(0)?) & VRING_AVAIL_F_NO_INTERRUPT == 0,
        })
    }

    /// The used index that the driver waits for.
    fn used_event(&self) -> Result<Wrapping<u16>, Broken> {
        self.avail_word(2 + u64::from(self.queue.size())).map(Wrapping)
    }

    /// The 16-bit word `index` of the available ring: flags, index, entries, event.
    fn avail_word(&self, index: u64) -> Result<u16, Broken> {
        let at = GuestAddress(self.queue.avail_ring() + 2 * index);
        Ok(u16::from_le(self.memory.load(at, Ordering::Relaxed)?))
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
