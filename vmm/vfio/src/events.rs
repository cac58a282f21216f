//! From the events that the host signals to the interrupts of the guest.

use std::io;
use std::os::fd::AsRawFd as _;
use std::thread::JoinHandle;

use pcie::Interrupts;
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// Stands for the end, where vectors have their number.
const END: u64 = u64::MAX;

/// An event for each vector, and the thread that sends the vector's message. Dropping it ends the thread.
pub(crate) struct Events {
    vectors: Vec<EventFd>,
    end: EventFd,
    thread: Option<JoinHandle<()>>,
}

impl Events {
    /// Watches `count` events.
    ///
    /// # Errors
    /// The host has no more descriptors or threads.
    pub(crate) fn watch(count: u16, interrupts: Interrupts) -> io::Result<Self> {
        let event = || EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK);
        let vectors = (0..count).map(|_| event()).collect::<io::Result<Vec<_>>>()?;
        let end = event()?;
        let epoll = Epoll::new()?;
        let all = vectors.iter().zip(0..).chain([(&end, END)]);
        for (event, token) in all {
            // Edge-triggered: nobody has to read the counters back to zero.
            let interest = EpollEvent::new(EventSet::IN | EventSet::EDGE_TRIGGERED, token);
            epoll.ctl(ControlOperation::Add, event.as_raw_fd(), interest)?;
        }
        let thread = bus::spawn_worker("vfio-events".into(), move |_| pass_on(&epoll, &interrupts))?;
        Ok(Self { vectors, end, thread: Some(thread) })
    }

    /// One for each vector.
    pub(crate) fn vectors(&self) -> Vec<&EventFd> {
        self.vectors.iter().collect()
    }
}

fn pass_on(epoll: &Epoll, interrupts: &Interrupts) {
    let mut events = [EpollEvent::default(); 16];
    loop {
        let count = match epoll.wait(-1, &mut events) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "no interrupt of a host's function arrives any more");
                return;
            }
        };
        for event in events.iter().take(count) {
            match u16::try_from(event.data()) {
                Ok(vector) => interrupts.fire(vector),
                Err(_) => return,
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.end.write(1);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
