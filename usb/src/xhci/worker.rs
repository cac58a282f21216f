//! The thread that owns an engine.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use vm_memory::GuestMemoryMmap;
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};
use vmm_sys_util::timerfd::TimerFd;

use super::control::Control;
use super::engine::{Engine, Turn};
use super::memory::Memory;
use super::shared::Shared;
use super::{Clock, Config, Interrupts};

/// The shortest sleep; a timer of no time at all would be none.
const SHORTEST: Duration = Duration::from_nanos(1);

/// A running worker. Dropping it ends the thread, once the transfer in flight is done.
pub(crate) struct Worker {
    control: Control,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn spawn(
        config: Config,
        memory: GuestMemoryMmap,
        interrupts: Box<dyn Interrupts>,
        clock: Clock,
    ) -> io::Result<(Self, Arc<Shared>)> {
        let alarm = Arc::new(Alarm::new()?);
        let mut bed = Bed::new(Arc::clone(&alarm))?;
        let wake = Box::new(move || alarm.ring());
        let shared = Arc::new(Shared::new(config, Memory(memory), interrupts, clock, wake));
        let (orders, inbox) = channel();
        let mut engine = Engine::new(Arc::clone(&shared), inbox);
        let control = Control::new(orders, Arc::clone(&shared));
        let clock = Arc::clone(&shared);
        let thread = Builder::new().name("xhci".into()).spawn(move || {
            loop {
                match engine.turn() {
                    Turn::Again => {}
                    Turn::Sleep(until) => bed.sleep(until.map(|until| until.saturating_sub(clock.now()))),
                    Turn::Exit => return,
                }
            }
        })?;
        Ok((Self { control, thread: Some(thread) }, shared))
    }

    pub(crate) fn control(&self) -> Control {
        self.control.clone()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.control.exit();
        // If it is gone already, so much the better.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Wakes the worker; costs a system call only if it may be asleep.
struct Alarm {
    event: EventFd,
    rung: AtomicBool,
}

impl Alarm {
    fn new() -> io::Result<Self> {
        Ok(Self { event: EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK)?, rung: AtomicBool::new(false) })
    }

    fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // It fails only when it counted to 2^64.
            let _ = self.event.write(1);
        }
    }
}

/// Where the worker sleeps: until the alarm rings or the time is up.
struct Bed {
    epoll: Epoll,
    alarm: Arc<Alarm>,
    timer: TimerFd,
}

impl Bed {
    fn new(alarm: Arc<Alarm>) -> io::Result<Self> {
        let (epoll, timer) = (Epoll::new()?, TimerFd::new()?);
        // Edge-triggered: nobody has to read the counters back to zero.
        let interest = EpollEvent::new(EventSet::IN | EventSet::EDGE_TRIGGERED, 0);
        epoll.ctl(ControlOperation::Add, alarm.event.as_raw_fd(), interest)?;
        epoll.ctl(ControlOperation::Add, timer.as_raw_fd(), interest)?;
        Ok(Self { epoll, alarm, timer })
    }

    fn sleep(&mut self, time: Option<Duration>) {
        let set = match time {
            Some(time) => self.timer.reset(time.max(SHORTEST), None),
            None => self.timer.clear(),
        };
        let waited = set.map_err(io::Error::from).and_then(|()| self.wait());
        if let Err(error) = waited {
            tracing::error!(%error, "the USB controller's thread cannot wait for events");
            std::thread::sleep(Duration::from_millis(1)); // it goes on, badly
        }
        self.alarm.rung.store(false, Ordering::Release);
    }

    fn wait(&self) -> io::Result<()> {
        match self.epoll.wait(-1, &mut [EpollEvent::default(); 2]) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }
}
