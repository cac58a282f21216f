//! The thread that owns a device, and the transport's end of it.
//!
//! Commands are calls: the transport waits until the worker has obeyed. That makes a reset what the standard wants (nothing
//! is in flight afterwards) and leaves one owner for device and rings. A device takes no request any more once a command
//! waits, so a call lasts no longer than what is in flight: one request, or what a disk does at a time.

mod engine;
mod handover;
mod poll;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use crate::config_space::ConfigSpace;
use crate::interrupt::Interrupt;
use crate::queue::{Setup, Suppression};
use crate::status::Status;
use crate::{Features, VirtioDevice};

use engine::Engine;
use handover::Handover;
use poll::Poll;

/// What a transport asks of a worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// Forget all rings, and start over without features.
    Reset,
    /// Start over with these features; rings stay.
    Begin(Features),
    /// The driver writes to the configuration space.
    WriteConfig {
        /// Byte offset.
        offset: usize,
        /// What is written.
        data: Vec<u8>,
    },
    /// Take a queue into use.
    Start {
        /// Which one.
        queue: u16,
        /// Where its rings are.
        setup: Setup,
        /// How notifications are suppressed.
        suppression: Suppression,
    },
    /// Take a queue out of use.
    Stop {
        /// Which one.
        queue: u16,
    },
    /// The driver is ready, and all its queues are.
    Ready,
    /// End the thread.
    Exit,
}

/// The worker's answer: it has obeyed.
#[derive(Debug)]
struct Done;

/// The worker is gone.
#[derive(Debug)]
pub(crate) struct Gone;

/// What worker and transport share: the device's face to the driver.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) status: Arc<Status>,
    pub(crate) config: Arc<ConfigSpace>,
    pub(crate) interrupt: Arc<dyn Interrupt>,
}

/// The worker's end of the line.
struct Inbox {
    commands: Receiver<Command>,
    replies: Sender<Done>,
    waiting: Arc<AtomicBool>,
}

/// A running worker. Dropping it ends the thread, once the request in flight is done.
pub(crate) struct Worker {
    commands: Sender<Command>,
    replies: Receiver<Done>,
    waiting: Arc<AtomicBool>,
    wake: EventFd,
    kicks: Vec<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Gives `device` its thread, which sleeps until the first command or kick.
    ///
    /// # Errors
    /// The host has no more descriptors or threads.
    pub(crate) fn spawn(
        mut device: Box<dyn VirtioDevice>,
        memory: GuestMemoryMmap,
        front: Front,
    ) -> io::Result<Self> {
        let kicks: Vec<_> = (0..device.queues()).map(|_| event()).collect::<Result<_, _>>()?;
        let wake = event()?;
        let handover = device.outside().map(|outside| Handover::new(&kicks, outside)).transpose()?;
        let events = handover.as_ref().map_or_else(|| kicks.iter().collect(), Handover::events);
        let poll = Poll::new(&wake, &events, device.host_events())?;
        let waiting = Arc::new(AtomicBool::new(false));
        let (commands, command_receiver) = channel();
        let (reply_sender, replies) = channel();
        let inbox =
            Inbox { commands: command_receiver, replies: reply_sender, waiting: Arc::clone(&waiting) };
        let name = format!("virtio-{}", device.id());
        let engine = Engine::new(device, memory, front, inbox, handover);
        let thread = bus::spawn_worker(name, move |courtesy| engine.run(&poll, courtesy))?;
        Ok(Self { commands, replies, waiting, wake, kicks, thread: Some(thread) })
    }

    /// Has the worker obey `command`.
    pub(crate) fn call(&self, command: Command) -> Result<(), Gone> {
        self.send(command)?;
        self.replies.recv().map(|Done| ()).map_err(|_| Gone)
    }

    /// The events that kick the queues, in their order.
    pub(crate) fn kicks(&self) -> &[EventFd] {
        &self.kicks
    }

    fn send(&self, command: Command) -> Result<(), Gone> {
        self.commands.send(command).map_err(|_| Gone)?;
        // First the flag, which ends a batch early, then the event, which ends a sleep.
        self.waiting.store(true, Ordering::Release);
        self.wake.write(1).map_err(|_| Gone)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // If it is gone already, so much the better.
        let _ = self.send(Command::Exit);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// An event that counts without ever blocking the one who signals it.
fn event() -> io::Result<EventFd> {
    EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK)
}
