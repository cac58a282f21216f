//! Pairs of queues, each with its end of the wire. virtio 1.2, 5.1.6.5.6.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use net::{Backend, MAX_PACKET, Offloads, Sent};
use rustix::event::epoll;

/// A pair of queues.
struct Pair {
    backend: Box<dyn Backend>,
    /// Came in, and is not delivered yet: the first bytes of `buffer`.
    pending: Option<usize>,
    buffer: Vec<u8>,
}

impl Pair {
    fn new(backend: Box<dyn Backend>) -> Self {
        Self { backend, pending: None, buffer: vec![0; MAX_PACKET] }
    }
}

/// All pairs, of which the driver uses the first ones.
pub(super) struct Pairs {
    pairs: Vec<Pair>,
    used: u16,
    /// Of all backends, if they are several.
    events: Option<OwnedFd>,
}

impl Pairs {
    pub(super) fn one(backend: Box<dyn Backend>) -> Self {
        Self { pairs: vec![Pair::new(backend)], used: 1, events: None }
    }

    pub(super) fn several(backends: Vec<Box<dyn Backend>>) -> io::Result<Self> {
        let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let interest = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        for (backend, n) in backends.iter().zip(0..) {
            let watch = |event| epoll::add(&events, event, epoll::EventData::new_u64(n), interest);
            // One plug may be that of all.
            match backend.events().map_or(Ok(()), watch) {
                Err(rustix::io::Errno::EXIST) => {}
                watched => watched?,
            }
        }
        Ok(Self { pairs: backends.into_iter().map(Pair::new).collect(), used: 1, events: Some(events) })
    }

    pub(super) fn count(&self) -> u16 {
        self.pairs.len() as u16
    }

    pub(super) fn events(&self) -> Option<BorrowedFd<'_>> {
        match &self.events {
            Some(events) => Some(events.as_fd()),
            None => self.pairs.first()?.backend.events(),
        }
    }

    pub(super) fn have_offloads(&self) -> bool {
        self.pairs.iter().all(|pair| pair.backend.has_offloads())
    }

    pub(super) fn set_offloads(&mut self, offloads: Offloads) {
        self.pairs.iter_mut().for_each(|pair| pair.backend.set_offloads(offloads));
    }

    pub(super) fn is_up(&self) -> bool {
        self.pairs.iter().all(|pair| pair.backend.is_up())
    }

    /// A driver starts over, with one pair.
    pub(super) fn begin(&mut self) {
        self.pairs.iter_mut().for_each(|pair| pair.pending = None);
        self.set_used(1);
    }

    /// The driver uses `count` pairs, if there are so many.
    pub(super) fn use_first(&mut self, count: u16) -> Option<()> {
        (1..=self.count()).contains(&count).then(|| self.set_used(count))
    }

    fn set_used(&mut self, count: u16) {
        self.used = count;
        for (pair, n) in self.pairs.iter_mut().zip(0..) {
            pair.backend.set_used(n < count);
            pair.pending = pair.pending.filter(|_| n < count);
        }
    }

    /// A pair that the driver uses.
    fn used(&mut self, index: u16) -> Option<&mut Pair> {
        let used = usize::from(self.used);
        self.pairs.iter_mut().take(used).nth(index.into())
    }

    /// Sends a packet. What comes through a pair that the driver does not use is lost.
    pub(super) fn send(&mut self, pair: u16, packet: &[u8]) -> io::Result<Sent> {
        self.used(pair).map_or(Ok(Sent::Done), |pair| pair.backend.send(packet))
    }

    /// The length of the packet that waits for the driver, or of a fresh one, of which there are some only if the link is `up`.
    pub(super) fn next_packet(&mut self, pair: u16, up: bool) -> io::Result<Option<usize>> {
        let Some(Pair { backend, pending, buffer }) = self.used(pair) else { return Ok(None) };
        if pending.is_none() && up {
            *pending = backend.receive(buffer)?;
        }
        Ok(*pending)
    }

    /// The packet that waits, of `len` bytes.
    pub(super) fn packet(&mut self, pair: u16, len: usize) -> &mut [u8] {
        self.used(pair).and_then(|pair| pair.buffer.get_mut(..len)).unwrap_or_default()
    }

    /// It waits no longer.
    pub(super) fn delivered(&mut self, pair: u16) {
        self.used(pair).into_iter().for_each(|pair| pair.pending = None);
    }
}
