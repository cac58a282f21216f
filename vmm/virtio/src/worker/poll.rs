//! Sleeping until something happens.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};

use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::EventFd;

/// Stands for the wake event, where queues have their index.
const WAKE: u64 = u64::MAX;
/// Stands for the device's own events.
const HOST: u64 = u64::MAX - 1;

/// Events one wait can report; the rest is reported by the next.
const BATCH: usize = 16;

/// How long to wait for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Take what is there.
    None,
    /// Sleep until there is one.
    Endless,
}

/// Waits for a worker's events.
///
/// Edge-triggered: each signal of an eventfd is an edge, whatever its counter holds, so nobody has to read the counters back
/// to zero. That is one system call less for every kick.
pub(super) struct Poll(Epoll);

/// What happened besides commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    /// A queue's event was signalled.
    Queue(usize),
    /// The host's side of the device has something.
    Host,
}

impl Poll {
    /// Waits for `wake`, one event for each queue, and the device's own.
    pub(super) fn new(wake: &EventFd, queues: &[&EventFd], host: Option<BorrowedFd<'_>>) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        let watch = |event: RawFd, token, events| {
            let interest = EpollEvent::new(events | EventSet::EDGE_TRIGGERED, token);
            epoll.ctl(ControlOperation::Add, event, interest)
        };
        let add = |event, token| watch(event, token, EventSet::IN);
        add(wake.as_raw_fd(), WAKE)?;
        for (event, queue) in queues.iter().zip(0..) {
            add(event.as_raw_fd(), queue)?;
        }
        host.map_or(Ok(()), |host| watch(host.as_raw_fd(), HOST, EventSet::IN | EventSet::OUT))?;
        Ok(Self(epoll))
    }

    /// Waits for a command, a kick or the host; calls `happened` with each that is no command.
    pub(super) fn wait(&self, patience: Patience, mut happened: impl FnMut(Happened)) -> io::Result<()> {
        let timeout = match patience {
            Patience::None => 0,
            Patience::Endless => -1,
        };
        let mut events = [EpollEvent::default(); BATCH];
        let count = match self.0.wait(timeout, &mut events) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            result => result?,
        };
        for event in events.iter().take(count) {
            match event.data() {
                WAKE => {}
                HOST => happened(Happened::Host),
                queue => happened(Happened::Queue(queue as usize)),
            }
        }
        Ok(())
    }
}
