//! A queue in the hands of its device.

use std::sync::atomic::{AtomicBool, Ordering};

use vm_memory::GuestMemoryMmap;

use crate::queue::Ring;
use crate::{Broken, Chain};

/// A chain on its way through a device: to be [completed](Requests::complete), or [put back](Requests::put_back).
#[derive(Debug)]
pub struct Request<'m> {
    head: u16,
    /// The guest's buffers.
    pub chain: Chain<'m>,
}

/// The requests that a driver has made available in one queue.
///
/// There are no more than when the device began, or than the queue has entries if the device [looks again](Self::look_again),
/// however fast the driver is; and none while a command waits for the worker. Other queues and the transport have their turn.
pub struct Requests<'m> {
    ring: &'m mut Ring,
    memory: &'m GuestMemoryMmap,
    hurry: &'m AtomicBool,
    /// What interrupts the guest for this queue.
    call: &'m dyn Fn(),
    left: u16,
    /// How many more there may be.
    later: u16,
    taken: u16,
    also: Vec<u16>,
}

/// What a device leaves behind.
pub(crate) struct Left {
    /// It left requests that it could have had.
    pub(crate) deferred: bool,
    /// How many it took.
    pub(crate) taken: u16,
    /// Other queues have something to do.
    pub(crate) also: Vec<u16>,
}

impl<'m> Requests<'m> {
    pub(crate) fn new(
        ring: &'m mut Ring,
        memory: &'m GuestMemoryMmap,
        hurry: &'m AtomicBool,
        call: &'m dyn Fn(),
    ) -> Result<Self, Broken> {
        let left = ring.available()?;
        let later = ring.size() - left;
        Ok(Self { ring, memory, hurry, call, left, later, taken: 0, also: Vec::new() })
    }

    /// Takes the next request, if there is one.
    ///
    /// # Errors
    /// The driver broke the rules of the queue.
    #[expect(clippy::should_implement_trait, reason = "requests go back and forth, and taking one can fail")]
    pub fn next(&mut self) -> Result<Option<Request<'m>>, Broken> {
        if self.left == 0 || self.hurry.load(Ordering::Acquire) {
            return Ok(None);
        }
        let (head, chain) = self.ring.pop(self.memory)?;
        self.left -= 1;
        self.taken += 1;
        Ok(Some(Request { head, chain }))
    }

    /// Looks for requests that came since the device began, once it has taken all that were there.
    ///
    /// # Errors
    /// The driver broke the rules of the queue.
    pub fn look_again(&mut self) -> Result<(), Broken> {
        if self.left == 0 && self.later > 0 {
            self.left = self.ring.available()?.min(self.later);
            self.later -= self.left;
        }
        Ok(())
    }

    /// Tells the driver of what was completed up to now, if it wants to hear of it. This happens anyway when the device has
    /// served the queue; before that it is for devices that wait while others are done.
    ///
    /// # Errors
    /// The ring is not in memory any more.
    pub fn announce(&mut self) -> Result<(), Broken> {
        if self.ring.wants_interrupt()? {
            (self.call)();
        }
        Ok(())
    }

    /// Gives `request` back to the driver with `len` bytes written, from the start of the chain's writable part.
    ///
    /// # Errors
    /// The ring is not in memory any more.
    pub fn complete(&mut self, request: &Request<'_>, len: u32) -> Result<(), Broken> {
        self.ring.complete(&[(request.head, len)])
    }

    /// Gives several requests back at once: the driver sees all of them or none.
    ///
    /// # Errors
    /// The ring is not in memory any more.
    pub fn complete_together(&mut self, requests: &[(Request<'_>, u32)]) -> Result<(), Broken> {
        let used: Vec<_> = requests.iter().map(|(request, len)| (request.head, *len)).collect();
        self.ring.complete(&used)
    }

    /// Puts the `count` requests taken last back, to be taken again.
    pub fn put_back(&mut self, count: u16) {
        self.ring.put_back(count);
        self.left += count;
        self.taken = self.taken.saturating_sub(count);
    }

    /// The most requests that there can be at a time.
    #[must_use]
    pub fn capacity(&self) -> u16 {
        self.ring.size()
    }

    /// Serves each request with `serve`, which returns how many bytes it wrote.
    ///
    /// # Errors
    /// As [`next`](Self::next), and those of `serve`.
    pub fn each(
        &mut self,
        mut serve: impl FnMut(&mut Chain<'m>) -> Result<u32, Broken>,
    ) -> Result<(), Broken> {
        while let Some(mut request) = self.next()? {
            let len = serve(&mut request.chain)?;
            self.complete(&request, len)?;
        }
        Ok(())
    }

    /// Has queue `queue` served next, as if it were kicked.
    pub fn also(&mut self, queue: u16) {
        self.also.push(queue);
    }

    pub(crate) fn finish(self) -> Left {
        let deferred = self.left > 0 && !self.hurry.load(Ordering::Acquire);
        Left { deferred, taken: self.taken, also: self.also }
    }
}
