//! The worker's loop: sleep, obey, serve.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use bus::Courtesy;
use vm_memory::GuestMemoryMmap;

use crate::interrupt::Cause;
use crate::queue::{Ring, Setup, Suppression};
use crate::status::{DRIVER_OK, NEEDS_RESET};
use crate::{Broken, Features, Outside, Requests, VirtioDevice};

use super::handover::Handover;
use super::poll::{Happened, Patience, Poll};
use super::{Command, Done, Front, Inbox};

/// What became of a queue's kick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    /// The queue is empty, so the next chain comes with a kick; or its device waits for the host.
    Drained,
    /// There is, or may be, more to do at once.
    Pending,
}

impl Served {
    fn of(more: bool) -> Self {
        if more { Self::Pending } else { Self::Drained }
    }
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
    front: Front,
    inbox: Inbox,
    /// For a device whose queues are served outside: these, instead of the slots' rings.
    handover: Option<Handover>,
    /// The host's side has something for the device.
    host: bool,
    /// Requests since the last sleep.
    found: usize,
    /// A breakdown was logged; a guest can cause them for ever.
    warned: bool,
}

impl Engine {
    pub(super) fn new(
        device: Box<dyn VirtioDevice>,
        memory: GuestMemoryMmap,
        front: Front,
        inbox: Inbox,
        handover: Option<Handover>,
    ) -> Self {
        let slots = (0..device.queues()).map(|_| Slot::default()).collect();
        Self { device, slots, memory, front, inbox, handover, host: false, found: 0, warned: false }
    }

    /// Works until told to exit.
    ///
    /// Kicks are collected before commands are obeyed, and a driver makes a queue ready before it kicks it. So when a kick is
    /// served, its queue is in use, and a kick that finds none meant nothing.
    pub(super) fn run(mut self, poll: &Poll, mut courtesy: Courtesy) {
        loop {
            if self.collect_kicks(poll, &mut courtesy).is_err() {
                tracing::error!("the worker of a virtio device cannot wait for events any more");
                return;
            }
            if self.obey().is_break() {
                return;
            }
            if std::mem::take(&mut self.host) {
                self.host_event();
            }
            self.serve();
        }
    }

    /// Sleeps until there is something to do; with work left over, only looks whether other queues have some too.
    fn collect_kicks(&mut self, poll: &Poll, courtesy: &mut Courtesy) -> std::io::Result<()> {
        let busy = self.slots.iter().any(|slot| slot.kicked);
        if !busy {
            courtesy.sleeps(std::mem::take(&mut self.found));
        }
        poll.wait(if busy { Patience::None } else { Patience::Endless }, |happened| match happened {
            Happened::Queue(queue) => self.queue_event(queue),
            Happened::Host => self.host = true,
        })
    }

    /// A kick by the driver, or a call by whoever serves the queue.
    fn queue_event(&mut self, queue: usize) {
        match &self.handover {
            Some(handover) if !handover.takes(queue) => self.set_kicked(queue, true),
            None => self.set_kicked(queue, true),
            // No request for the worker's courtesy: whoever serves the queue collects them already.
            Some(handover) if handover.is_given() => self.front.interrupt.raise(Cause::Used(queue as u16)),
            Some(_) => {} // left from before a reset
        }
    }

    /// Lets the device look at the host's side, tells the driver what that changed, and looks at all queues.
    fn host_event(&mut self) {
        self.device.host_event();
        self.publish_config();
        self.slots.iter_mut().for_each(|slot| slot.kicked = slot.ring.is_some());
        let present = self.device.outside().map_or(Ok(()), |outside| outside.check());
        if let Err(gone) = present {
            self.break_down(&Broken::Outside(gone));
        }
    }

    /// Carries out all commands that have come in.
    fn obey(&mut self) -> ControlFlow<()> {
        self.inbox.waiting.store(false, Ordering::Release);
        while let Ok(command) = self.inbox.commands.try_recv() {
            self.carry_out(command)?;
            self.front.config.update(self.device.config());
            if self.inbox.replies.send(Done).is_err() {
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
            Command::Begin(features) => {
                self.handover.iter_mut().for_each(|handover| handover.accept(features));
                self.device.begin(features);
            }
            Command::WriteConfig { offset, data } => self.device.write_config(offset, &data),
            Command::Start { queue, setup, suppression } => self.start(queue, &setup, suppression),
            Command::Stop { queue } => self.stop(queue),
            Command::Ready => self.hand_over(|handover, outside, memory| handover.give(outside, memory)),
            Command::Exit => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn start(&mut self, queue: u16, setup: &Setup, suppression: Suppression) {
        if self.front.status.has(NEEDS_RESET) {
            return;
        }
        if self.is_taken(queue) {
            return self.hand_over(|handover, _, memory| handover.add(queue, setup, suppression, memory));
        }
        match Ring::new(setup, suppression, &self.memory) {
            Some(ring) => self.put_ring(queue, Some(ring)),
            None => self.break_down(&Broken::Rings(queue)),
        }
    }

    fn stop(&mut self, queue: u16) {
        if !self.is_taken(queue) {
            return self.put_ring(queue, None);
        }
        self.hand_over(|handover, outside, memory| handover.remove(queue, outside, memory));
    }

    fn is_taken(&self, queue: u16) -> bool {
        self.handover.as_ref().is_some_and(|handover| handover.takes(queue.into()))
    }

    /// Does something about queues that are served outside, if these are.
    fn hand_over(
        &mut self,
        change: impl FnOnce(&mut Handover, &mut dyn Outside, &GuestMemoryMmap) -> Result<(), Broken>,
    ) {
        let (Some(handover), Some(outside)) = (&mut self.handover, self.device.outside()) else { return };
        if let Err(broken) = change(handover, outside, &self.memory) {
            self.break_down(&broken);
        }
    }

    fn put_ring(&mut self, queue: u16, ring: Option<Ring>) {
        if let Some(slot) = self.slots.get_mut(usize::from(queue)) {
            slot.ring = ring;
        }
    }

    fn forget_rings(&mut self) {
        self.slots.fill_with(Slot::default);
        if let (Some(handover), Some(outside)) = (&mut self.handover, self.device.outside()) {
            handover.reset(outside);
        }
    }

    /// Tells the driver if the configuration space is not what it was.
    fn publish_config(&self) {
        if self.front.config.update(self.device.config()) && self.front.status.has(DRIVER_OK) {
            self.front.interrupt.raise(Cause::Config);
        }
    }

    /// Serves every queue that was kicked, a batch each.
    fn serve(&mut self) {
        for queue in 0..self.slots.len() {
            match self.serve_queue(queue) {
                Ok(served) => self.set_kicked(queue, served == Served::Pending),
                Err(broken) => return self.break_down(&broken),
            }
        }
        self.publish_config();
    }

    fn set_kicked(&mut self, queue: usize, kicked: bool) {
        if let Some(slot) = self.slots.get_mut(queue) {
            slot.kicked = kicked;
        }
    }

    /// Serves what is available now, with one interrupt for all of it unless the device waits, or a command comes in between.
    fn serve_queue(&mut self, queue: usize) -> Result<Served, Broken> {
        let Some(Slot { ring: Some(ring), kicked: true }) = self.slots.get_mut(queue) else {
            return Ok(Served::Drained);
        };
        ring.hold_kicks()?;
        let call = || self.front.interrupt.raise(Cause::Used(queue as u16));
        let mut requests = Requests::new(ring, &self.memory, &self.inbox.waiting, &call)?;
        self.device.serve(queue as u16, &mut requests)?;
        requests.announce()?;
        let left = requests.finish();
        self.found += usize::from(left.taken);
        let served = if self.inbox.waiting.load(Ordering::Acquire) {
            Served::Pending
        } else if left.deferred {
            Served::Drained
        } else {
            Served::of(ring.resume_kicks()?)
        };
        left.also.into_iter().for_each(|queue| self.set_kicked(queue.into(), true));
        Ok(served)
    }

    /// Stops everything until the driver resets the device. virtio 1.2, 2.1.2.
    fn break_down(&mut self, broken: &Broken) {
        let (id, error) = (self.device.id(), broken as &dyn std::error::Error);
        match broken {
            _ if std::mem::replace(&mut self.warned, true) => {}
            Broken::Outside(_) => {
                tracing::error!(id, error, "a virtio device lost its back end, and needs a reset")
            }
            _ => tracing::warn!(id, error, "a driver broke its virtio device, which needs a reset"),
        }
        self.forget_rings();
        if self.front.status.break_down() {
            self.front.interrupt.raise(Cause::Config);
        }
    }
}
