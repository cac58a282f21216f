//! The worker's loop: sleep, obey, serve.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use vm_memory::GuestMemoryMmap;

use crate::interrupt::{Cause, Interrupt};
use crate::queue::{Ring, Setup, Suppression};
use crate::status::{NEEDS_RESET, Status};
use crate::{Broken, Features, VirtioDevice};

use super::poll::{Patience, Poll};
use super::{Command, Inbox};

/// What became of a queue's kick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    /// The queue is empty; the next chain comes with a kick.
    Drained,
    /// There is, or may be, more to do at once.
    Pending,
}

/// A queue as the worker keeps it.
#[derive(Default)]
struct Slot {
    ring: Option<Ring>,
    kicked: bool,
}

/// A device, its queues and what drives them. Lives on the worker's thread.
pub(super) struct Engine {
    device: Box<dyn VirtioDevice>,
    slots: Vec<Slot>,
    memory: GuestMemoryMmap,
    status: Arc<Status>,
    interrupt: Arc<dyn Interrupt>,
    inbox: Inbox,
    /// A breakdown was logged; a guest can cause them for ever.
    warned: bool,
}

impl Engine {
    pub(super) fn new(
        device: Box<dyn VirtioDevice>,
        memory: GuestMemoryMmap,
        status: Arc<Status>,
        interrupt: Arc<dyn Interrupt>,
        inbox: Inbox,
    ) -> Self {
        let slots = (0..device.queues()).map(|_| Slot::default()).collect();
        Self { device, slots, memory, status, interrupt, inbox, warned: false }
    }

    /// Works until told to exit.
    ///
    /// Kicks are collected before commands are obeyed, and a driver makes a queue ready before it kicks it. So when a kick is
    /// served, its queue is in use, and a kick that finds none meant nothing.
    pub(super) fn run(mut self, poll: &Poll) {
        loop {
            if self.collect_kicks(poll).is_err() {
                tracing::error!("the worker of a virtio device cannot wait for events any more");
                return;
            }
            if self.obey().is_break() {
                return;
            }
            self.serve();
        }
    }

    /// Sleeps until there is something to do; with work left over, only looks whether other queues have some too.
    fn collect_kicks(&mut self, poll: &Poll) -> std::io::Result<()> {
        let busy = self.slots.iter().any(|slot| slot.kicked);
        poll.wait(if busy { Patience::None } else { Patience::Endless }, |queue| self.set_kicked(queue, true))
    }

    /// Carries out all commands that have come in.
    fn obey(&mut self) -> ControlFlow<()> {
        self.inbox.waiting.store(false, Ordering::Release);
        while let Ok(command) = self.inbox.commands.try_recv() {
            self.carry_out(command)?;
            if self.inbox.replies.send(self.device.config().to_vec()).is_err() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn carry_out(&mut self, command: Command) -> ControlFlow<()> {
        match command {
            Command::Reset => {
                self.forget_rings();
                self.device.begin(Features::NONE);
            }
            Command::Begin(features) => self.device.begin(features),
            Command::WriteConfig { offset, data } => self.device.write_config(offset, &data),
            Command::Start { queue, setup, suppression } => self.start(queue, &setup, suppression),
            Command::Stop { queue } => self.put_ring(queue, None),
            Command::Exit => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn start(&mut self, queue: u16, setup: &Setup, suppression: Suppression) {
        if self.status.has(NEEDS_RESET) {
            return;
        }
        match Ring::new(setup, suppression, &self.memory) {
            Some(ring) => self.put_ring(queue, Some(ring)),
            None => self.break_down(&Broken::Rings(queue)),
        }
    }

    fn put_ring(&mut self, queue: u16, ring: Option<Ring>) {
        if let Some(slot) = self.slots.get_mut(usize::from(queue)) {
            slot.ring = ring;
        }
    }

    fn forget_rings(&mut self) {
        self.slots.fill_with(Slot::default);
    }

    /// Serves every queue that was kicked, a batch each.
    fn serve(&mut self) {
        for queue in 0..self.slots.len() {
            match self.serve_queue(queue) {
                Ok(served) => self.set_kicked(queue, served == Served::Pending),
                Err(broken) => return self.break_down(&broken),
            }
        }
    }

    fn set_kicked(&mut self, queue: usize, kicked: bool) {
        if let Some(slot) = self.slots.get_mut(queue) {
            slot.kicked = kicked;
        }
    }

    /// Serves what is available now, with one interrupt for all of it, unless a command comes in between.
    fn serve_queue(&mut self, queue: usize) -> Result<Served, Broken> {
        let Some(Slot { ring: Some(ring), kicked: true }) = self.slots.get_mut(queue) else {
            return Ok(Served::Drained);
        };
        ring.hold_kicks()?;
        let waiting = ring.available()?;
        for _ in 0..waiting {
            let (head, chain) = ring.pop()?;
            let written = self.device.handle(queue as u16, chain)?;
            ring.complete(head, written)?;
            if self.inbox.waiting.load(Ordering::Acquire) {
                break;
            }
        }
        if waiting > 0 && ring.wants_interrupt()? {
            self.interrupt.raise(Cause::Used);
        }
        if self.inbox.waiting.load(Ordering::Acquire) {
            return Ok(Served::Pending);
        }
        Ok(if ring.resume_kicks()? { Served::Pending } else { Served::Drained })
    }

    /// Stops everything until the driver resets the device. virtio 1.2, 2.1.2.
    fn break_down(&mut self, broken: &Broken) {
        if !std::mem::replace(&mut self.warned, true) {
            let error = broken as &dyn std::error::Error;
            tracing::warn!(
                id = self.device.id(),
                error,
                "a driver broke its virtio device, which needs a reset"
            );
        }
        self.forget_rings();
        if self.status.break_down() {
            self.interrupt.raise(Cause::Config);
        }
    }
}
