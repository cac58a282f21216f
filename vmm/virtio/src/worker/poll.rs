//! Sleeping until something happens.

use std::io;
use std::os::fd::AsRawFd;

use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::EventFd;

/// Stands for the wake event, where queues have their index.
const WAKE: u64 = u64::MAX;

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

impl Poll {
    pub(super) fn new(wake: &EventFd, kicks: &[EventFd]) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        let add = |event: &EventFd, token| {
            let interest = EpollEvent::new(EventSet::IN | EventSet::EDGE_TRIGGERED, token);
            epoll.ctl(ControlOperation::Add, event.as_raw_fd(), interest)
        };
        add(wake, WAKE)?;
        for (kick, queue) in kicks.iter().zip(0..) {
            add(kick, queue)?;
        }
        Ok(Self(epoll))
    }

    /// Waits for a command or a kick; calls `kicked` with each queue that has one.
    pub(super) fn wait(&self, patience: Patience, mut kicked: impl FnMut(usize)) -> io::Result<()> {
        let timeout = match patience {
            Patience::None => 0,
            Patience::Endless => -1,
        };
        let mut events = [EpollEvent::default(); BATCH];
        let count = match self.0.wait(timeout, &mut events) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            result => result?,
        };
        for event in events.iter().take(count).filter(|event| event.data() != WAKE) {
            kicked(event.data() as usize);
        }
        Ok(())
    }
}
