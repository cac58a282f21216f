//! Who runs the engine: a thread of its own, and a vCPU whose doorbell asks for what is done at once.
//!
//! ```text
//!  vCPU ──► doorbell ──► baton free? ── yes ──► turn_at_once ──► rest? ── no ──► guest goes on
//!                             │ no                                │ yes
//!                             └────────────► ring ──► worker ◄────┘          timer ──► worker
//! ```

use std::io;
use std::os::fd::AsRawFd;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use vm_memory::GuestMemoryMmap;
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::timerfd::TimerFd;

use super::baton::Baton;
use super::control::Control;
use super::engine::{Engine, Turn};
use super::memory::Memory;
use super::shared::Shared;
use super::{Clock, Config, Interrupts};

/// The shortest sleep; a timer of no time at all would be none.
const SHORTEST: Duration = Duration::from_nanos(1);
/// Turns that a vCPU takes: one for the doorbell, and one for the news that the device has of it.
const TURNS_AT_ONCE: usize = 2;

/// A running worker. Dropping it ends the thread, once the transfer in flight is done.
pub(crate) struct Worker {
    control: Control,
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn spawn(
        config: Config,
        memory: GuestMemoryMmap,
        interrupts: Box<dyn Interrupts>,
        clock: Clock,
    ) -> io::Result<(Self, Arc<Shared>)> {
        let baton = Arc::new(Baton::new()?);
        let bell = Arc::clone(&baton);
        let wake = Box::new(move || bell.ring());
        let shared = Arc::new(Shared::new(config, Memory(memory), interrupts, clock, wake));
        let (orders, inbox) = channel();
        let engine = Engine::new(Arc::clone(&shared), inbox);
        let control = Control::new(orders, Arc::clone(&shared));
        let timer = Timer { file: TimerFd::new()?, set: Duration::ZERO };
        let bed = Bed::new(&baton, &timer)?;
        let post = Mutex::new(Post { engine, timer });
        let desk = Arc::new(Desk { baton, shared: Arc::clone(&shared), post });
        let run = Arc::clone(&desk);
        let thread = Builder::new().name("xhci".into()).spawn(move || {
            loop {
                bed.sleep();
                if !run.work() {
                    return;
                }
            }
        })?;
        Ok((Self { control, desk, thread: Some(thread) }, shared))
    }

    pub(crate) fn control(&self) -> Control {
        self.control.clone()
    }

    /// What a vCPU does when there is something to do on endpoints, or an interrupt is due later.
    pub(crate) fn look(&self) -> Box<dyn Fn() + Send> {
        let desk = Arc::clone(&self.desk);
        Box::new(move || desk.serve_at_once())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.control.exit();
        // If it is gone already, so much the better.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The engine, and the right to run it.
struct Desk {
    baton: Arc<Baton>,
    shared: Arc<Shared>,
    /// Locked by who has the baton, so that nobody waits.
    post: Mutex<Post>,
}

struct Post {
    engine: Engine,
    timer: Timer,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker woke up. False when the machine ends.
    fn work(&self) -> bool {
        if !self.baton.take_as_worker() {
            return true;
        }
        loop {
            let mut post = self.lock();
            match post.engine.turn() {
                Turn::Again => continue,
                Turn::Sleep(until) => post.timer.set(until, self.shared.now()),
                Turn::Exit => return false,
            }
            drop(post);
            if self.baton.lay_down() {
                return true;
            }
        }
    }

    /// A vCPU does what is done at once, and leaves the rest to the worker.
    fn serve_at_once(&self) {
        if !self.baton.take() {
            return self.baton.ring();
        }
        for _ in 0..TURNS_AT_ONCE {
            let mut post = self.lock();
            match post.engine.turn_at_once() {
                Turn::Sleep(until) => post.timer.set(until, self.shared.now()),
                Turn::Again | Turn::Exit => break,
            }
            drop(post);
            if self.baton.lay_down() {
                return;
            }
        }
        self.baton.call();
    }
}

/// Wakes the worker at a time.
struct Timer {
    file: TimerFd,
    /// When it last was to go off.
    set: Duration,
}

impl Timer {
    /// It goes off at `until`, or before that: one that is set already, and is early enough, is left alone.
    fn set(&mut self, until: Option<Duration>, now: Duration) {
        let Some(until) = until.filter(|&until| self.set <= now || until < self.set) else { return };
        self.set = until;
        if let Err(error) = self.file.reset(until.saturating_sub(now).max(SHORTEST), None) {
            tracing::error!(%error, "the USB controller has no timer");
        }
    }
}

/// Where the worker sleeps: until it is called or the time is up.
struct Bed(Epoll);

impl Bed {
    fn new(baton: &Baton, timer: &Timer) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        // Edge-triggered: nobody has to read the counters back to zero.
        let interest = EpollEvent::new(EventSet::IN | EventSet::EDGE_TRIGGERED, 0);
        epoll.ctl(ControlOperation::Add, baton.as_raw_fd(), interest)?;
        epoll.ctl(ControlOperation::Add, timer.file.as_raw_fd(), interest)?;
        Ok(Self(epoll))
    }

    fn sleep(&self) {
        if let Err(error) = self.0.wait(-1, &mut [EpollEvent::default(); 2])
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::error!(%error, "the USB controller's thread cannot wait for events");
            std::thread::sleep(Duration::from_millis(1)); // it goes on, badly
        }
    }
}
