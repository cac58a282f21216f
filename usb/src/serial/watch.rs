//! The thread that waits for the host's end of a line.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EventFd};

use crate::Waker;

/// What tells the two events of the thread apart.
const STOP: u64 = 1;

/// Whether something happened at the host's end, and who wants to know.
pub(super) struct News {
    fresh: AtomicBool,
    waker: Mutex<Waker>,
}

impl Default for News {
    /// Nobody has looked yet.
    fn default() -> Self {
        Self { fresh: AtomicBool::new(true), waker: Mutex::new(Waker::unconnected()) }
    }
}

impl News {
    fn waker(&self) -> MutexGuard<'_, Waker> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connect(&self, waker: Waker) {
        *self.waker() = waker;
    }

    /// Whether something happened since the last call.
    pub(super) fn take(&self) -> bool {
        self.fresh.swap(false, Ordering::AcqRel)
    }

    fn tell(&self) {
        self.fresh.store(true, Ordering::Release);
        self.waker().wake();
    }
}

/// The thread. Dropping this ends it.
pub(super) struct Watch {
    stop: EventFd,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Tells `news` of each edge of `events`.
    pub(super) fn start(events: BorrowedFd<'_>, news: Arc<News>) -> io::Result<Self> {
        // The stream may close its own; this one stays open as long as the thread.
        let events = events.try_clone_to_owned()?;
        let (stop, epoll) = (EventFd::new(EFD_CLOEXEC)?, Epoll::new()?);
        let interest = EpollEvent::new(EventSet::IN | EventSet::EDGE_TRIGGERED, 0);
        epoll.ctl(ControlOperation::Add, events.as_raw_fd(), interest)?;
        epoll.ctl(ControlOperation::Add, stop.as_raw_fd(), EpollEvent::new(EventSet::IN, STOP))?;
        let thread = Builder::new().name("usb-serial".into()).spawn(move || {
            let _events = events;
            while wait(&epoll) {
                news.tell();
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

/// False when it is over.
fn wait(epoll: &Epoll) -> bool {
    let mut events = [EpollEvent::default(); 2];
    loop {
        match epoll.wait(-1, &mut events) {
            Ok(count) => return events.iter().take(count).all(|event| event.data() != STOP),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::error!(%error, "a USB serial port cannot wait for the host's end");
                return false;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It fails only when it counted to 2^64.
        let _ = self.stop.write(1);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
