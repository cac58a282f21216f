//! A backend with limits, and a plug that can be pulled.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rate::{Bucket, Limit, PATIENCE};
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::{Backend, Offloads, Sent};

/// What may pass in each direction; nothing limits what is not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of packets.
    pub bytes: Option<Limit>,
    /// Packets, each of which may stand for a series.
    pub packets: Option<Limit>,
}

impl Limits {
    /// Whether there are none.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.bytes.is_none() && self.packets.is_none()
    }
}

/// The plug of an interface, for whoever may pull it. A clone is the same plug.
#[derive(Clone, Debug)]
pub struct Plug(Arc<PlugState>);

#[derive(Debug)]
struct PlugState {
    out: AtomicBool,
    /// The plug was moved.
    moved: OwnedFd,
}

impl Plug {
    /// A plug that is in.
    ///
    /// # Errors
    /// The host has no more descriptors.
    pub fn new() -> io::Result<Self> {
        let moved = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(PlugState { out: AtomicBool::new(false), moved })))
    }

    /// Puts it in, or pulls it: then packets are lost in both directions.
    pub fn set(&self, up: bool) {
        self.0.out.store(!up, Ordering::SeqCst);
        // Fails only when the counter is full of signals that nobody has looked at.
        let _ = rustix::io::write(&self.0.moved, &1_u64.to_ne_bytes());
    }

    /// Whether it is pulled.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.0.out.load(Ordering::SeqCst)
    }

    /// Rings whenever it is moved: an edge, which nobody has to take back.
    #[must_use]
    pub fn events(&self) -> BorrowedFd<'_> {
        self.0.moved.as_fd()
    }
}

/// Another backend, within its limits, and plugged in at first.
pub struct Governed {
    inner: Box<dyn Backend>,
    plug: Plug,
    incoming: Gate,
    outgoing: Gate,
    start: Instant,
    /// Rings when a gate that was shut may be passed.
    timer: OwnedFd,
    /// Of the backend, the timer and the plug.
    events: OwnedFd,
}

impl Governed {
    /// Governs `inner`.
    ///
    /// # Errors
    /// The host has no more descriptors.
    pub fn new(inner: Box<dyn Backend>, limits: Limits) -> io::Result<Self> {
        Self::with_plug(inner, limits, Plug::new()?)
    }

    /// Governs `inner` behind a plug, which may be that of others, too.
    ///
    /// # Errors
    /// The host has no more descriptors.
    pub fn with_plug(inner: Box<dyn Backend>, limits: Limits, plug: Plug) -> io::Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let watch = |event: BorrowedFd<'_>, flags| {
            epoll::add(&events, event, epoll::EventData::new_u64(0), flags | epoll::EventFlags::ET)
        };
        watch(plug.events(), epoll::EventFlags::IN)?;
        watch(timer.as_fd(), epoll::EventFlags::IN)?;
        let both = epoll::EventFlags::IN | epoll::EventFlags::OUT;
        inner.events().map_or(Ok(()), |event| watch(event, both))?;
        let gate = Gate([limits.bytes, limits.packets].map(|limit| limit.map(Bucket::new)));
        Ok(Self { inner, plug, incoming: gate, outgoing: gate, start: Instant::now(), timer, events })
    }

    /// Its plug.
    #[must_use]
    pub fn plug(&self) -> Plug {
        self.plug.clone()
    }

    /// Whether a packet may pass; if not, there is an event when one may.
    fn may_pass(&self, gate: &Gate) -> io::Result<bool> {
        let delay = gate.delay(self.start.elapsed());
        if delay.is_zero() {
            return Ok(true);
        }
        let spec = Timespec::try_from(delay.min(PATIENCE)).map_err(io::Error::other)?;
        let once = Itimerspec { it_interval: Timespec::default(), it_value: spec };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(false)
    }
}

impl Backend for Governed {
    fn events(&self) -> Option<BorrowedFd<'_>> {
        Some(self.events.as_fd())
    }

    fn has_offloads(&self) -> bool {
        self.inner.has_offloads()
    }

    fn set_offloads(&mut self, offloads: Offloads) {
        self.inner.set_offloads(offloads);
    }

    fn set_used(&mut self, used: bool) {
        self.inner.set_used(used);
    }

    fn is_up(&self) -> bool {
        !self.plug.is_out() && self.inner.is_up()
    }

    fn receive(&mut self, packet: &mut [u8]) -> io::Result<Option<usize>> {
        if self.plug.is_out() {
            while self.inner.receive(packet)?.is_some() {}
            return Ok(None);
        }
        if !self.may_pass(&self.incoming)? {
            return Ok(None);
        }
        let received = self.inner.receive(packet)?;
        received.into_iter().for_each(|len| self.incoming.pass(self.start.elapsed(), len));
        Ok(received)
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<Sent> {
        if self.plug.is_out() {
            return Ok(Sent::Done);
        }
        if !self.may_pass(&self.outgoing)? {
            return Ok(Sent::Later);
        }
        let sent = self.inner.send(packet)?;
        if sent == Sent::Done {
            self.outgoing.pass(self.start.elapsed(), packet.len());
        }
        Ok(sent)
    }
}

/// The limits of one direction: bytes and packets.
#[derive(Clone, Copy)]
struct Gate([Option<Bucket>; 2]);

impl Gate {
    fn delay(&self, now: Duration) -> Duration {
        let delays = self.0.iter().flatten().map(|bucket| bucket.delay(now));
        delays.max().unwrap_or_default()
    }

    fn pass(&mut self, now: Duration, len: usize) {
        for (bucket, units) in self.0.iter_mut().zip([len as u64, 1]) {
            bucket.iter_mut().for_each(|bucket| _ = bucket.take(now, units));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Null;

    /// Has packets of 100 bytes without end.
    struct Flood;

    impl Backend for Flood {
        fn events(&self) -> Option<BorrowedFd<'_>> {
            None
        }

        fn receive(&mut self, packet: &mut [u8]) -> io::Result<Option<usize>> {
            packet.fill(1);
            Ok(Some(100))
        }

        fn send(&mut self, _packet: &[u8]) -> io::Result<Sent> {
            Ok(Sent::Done)
        }
    }

    fn wait(governed: &Governed) -> bool {
        let mut events = Vec::with_capacity(4);
        let limit = Timespec { tv_sec: 5, tv_nsec: 0 };
        epoll::wait(&governed.events, rustix::buffer::spare_capacity(&mut events), Some(&limit)).unwrap() > 0
    }

    #[test]
    fn packets_wait_for_the_limit_and_an_event_says_when() {
        let packets = Some(Limit { rate: 200, burst: 2 });
        let limits = Limits { packets, bytes: None };
        let mut governed = Governed::new(Box::new(Flood), limits).unwrap();
        let start = Instant::now();
        let mut passed = 0;
        while passed < 20 {
            match governed.receive(&mut [0; 100]).unwrap() {
                Some(_) => passed += 1,
                None => assert!(wait(&governed), "somebody wakes the worker"),
            }
        }
        assert!(start.elapsed() >= Duration::from_millis(80), "{:?}", start.elapsed());
    }

    #[test]
    fn bytes_count_in_each_direction_for_itself() {
        let bytes = Some(Limit { rate: 100, burst: 100 });
        let mut governed = Governed::new(Box::new(Flood), Limits { bytes, packets: None }).unwrap();
        let sent: Vec<_> = (0..3).map(|_| governed.send(&[0; 100]).unwrap()).collect();
        assert_eq!(sent, [Sent::Done, Sent::Done, Sent::Later]);
        assert_eq!(governed.receive(&mut [0; 100]).unwrap(), Some(100));
    }

    #[test]
    fn pulled_plug_loses_packets_and_says_so() {
        let mut governed = Governed::new(Box::new(Null), Limits::default()).unwrap();
        assert!(governed.is_up());
        let plug = governed.plug();
        plug.set(false);
        assert!(wait(&governed));
        assert!(!governed.is_up());
        assert_eq!(governed.send(&[0; 20]).unwrap(), Sent::Done);
        plug.set(true);
        assert!(wait(&governed));
        assert!(governed.is_up());
    }

    #[test]
    fn without_a_plug_the_other_end_speaks_to_nobody() {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let stream = crate::Stream::new(ours).unwrap();
        let mut governed = Governed::new(Box::new(stream), Limits::default()).unwrap();
        governed.plug().set(false);
        io::Write::write_all(&mut theirs, b"\0\0\0\x02hi").unwrap();
        assert_eq!(governed.receive(&mut [0; 100]).unwrap(), None);
        governed.plug().set(true);
        assert_eq!(governed.receive(&mut [0; 100]).unwrap(), None, "what came meanwhile is lost");
    }
}
