//! What every transport does, whatever its registers look like. virtio 1.2, 2 and 3.

use std::io;
use std::sync::Arc;

use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::EventFd;

use crate::config_space::ConfigSpace;
use crate::features::Half;
use crate::interrupt::{Cause, Interrupt};
use crate::queue::{Setup, Suppression};
use crate::status::{DRIVER_OK, FEATURES_OK, NEEDS_RESET, Status};
use crate::worker::{Command, Front, Worker};
use crate::{Features, VirtioDevice};

/// A queue's registers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Queue {
    /// What the driver has written; read when it makes the queue ready.
    pub(super) setup: Setup,
    ready: bool,
}

/// What a driver's reset puts back.
struct State {
    /// What the driver says it accepts.
    latched: Features,
    /// What it accepted when it set FEATURES_OK.
    accepted: Features,
    queues: Vec<Queue>,
}

/// A device behind a transport: status, negotiation, queues and configuration.
pub(super) struct Core {
    // Fixed.
    id: u32,
    offered: Features,
    // Glue.
    front: Front,
    worker: Worker,
    // Volatile.
    state: State,
}

impl Core {
    /// Starts the device's worker.
    pub(super) fn new(
        mut device: Box<dyn VirtioDevice>,
        memory: GuestMemoryMmap,
        interrupt: Arc<dyn Interrupt>,
    ) -> io::Result<Self> {
        let rings = if device.outside().is_some() { Features::NONE } else { Features::RING };
        let (id, offered) = (device.id(), device.features().union(rings));
        let state = State {
            latched: Features::NONE,
            accepted: Features::NONE,
            queues: vec![Queue::default(); usize::from(device.queues())],
        };
        let config = ConfigSpace::new(device.config());
        let front = Front { status: Arc::new(Status::default()), config: Arc::new(config), interrupt };
        let worker = Worker::spawn(device, memory, front.clone())?;
        Ok(Self { id, offered, front, worker, state })
    }

    /// The device's type.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Back to the state after power-on. Returns when nothing is in flight any more.
    pub(super) fn reset(&mut self) {
        self.command(Command::Reset);
        self.state.latched = Features::NONE;
        self.state.accepted = Features::NONE;
        self.state.queues.fill(Queue::default());
        self.front.status.reset();
        self.front.interrupt.clear();
    }

    /// The device status field.
    pub(super) fn status(&self) -> u8 {
        self.front.status.load()
    }

    /// The driver writes the device status field; 0 resets the device.
    ///
    /// Bits may come and go in any order: SeaBIOS sets FEATURES_OK without ACKNOWLEDGE and DRIVER, and drops it with DRIVER_OK.
    pub(super) fn set_status(&mut self, value: u8) {
        if value == 0 {
            return self.reset();
        }
        if value & FEATURES_OK != 0 && !self.front.status.has(FEATURES_OK) && !self.negotiate() {
            return; // the driver sees the bit missing
        }
        let before = self.front.status.load();
        let after = self.front.status.write(value);
        let starts = after & !before & DRIVER_OK != 0;
        if starts && after & NEEDS_RESET != 0 {
            self.front.interrupt.raise(Cause::Config); // it broke down before there was a driver to tell
        } else if starts {
            self.command(Command::Ready);
        }
    }

    /// Takes the latched features as accepted, if they were offered.
    fn negotiate(&mut self) -> bool {
        let latched = self.state.latched;
        let possible = self.offered.contains(latched);
        if possible {
            self.state.accepted = latched;
            self.command(Command::Begin(latched));
        }
        possible
    }

    /// What the device offers.
    pub(super) fn device_features(&self, half: Half) -> u32 {
        self.offered.half(half)
    }

    /// What the driver says it accepts.
    pub(super) fn driver_features(&self, half: Half) -> u32 {
        self.state.latched.half(half)
    }

    /// What the driver accepts; too late once FEATURES_OK is set.
    pub(super) fn set_driver_features(&mut self, half: Half, value: u32) {
        if !self.front.status.has(FEATURES_OK) {
            self.state.latched.set_half(half, value);
        }
    }

    /// The registers of queue `index`, if it exists.
    pub(super) fn queue(&mut self, index: u16) -> Option<&mut Queue> {
        self.state.queues.get_mut(usize::from(index))
    }

    /// Whether queue `index` is in use.
    pub(super) fn queue_ready(&self, index: u16) -> bool {
        self.state.queues.get(usize::from(index)).is_some_and(|queue| queue.ready)
    }

    /// Takes queue `index` in or out of use.
    pub(super) fn set_queue_ready(&mut self, index: u16, ready: bool) {
        let suppression = self.suppression();
        let Some(queue) = self.queue(index).filter(|queue| queue.ready != ready) else { return };
        queue.ready = ready;
        let setup = queue.setup;
        self.command(match ready {
            true => Command::Start { queue: index, setup, suppression },
            false => Command::Stop { queue: index },
        });
    }

    fn suppression(&self) -> Suppression {
        match self.state.accepted.contains(Features::EVENT_IDX) {
            true => Suppression::EventIndex,
            false => Suppression::Flags,
        }
    }

    /// Kicks queue `index`, as a driver's notification does.
    pub(super) fn notify(&self, index: u16) {
        if let Some(kick) = self.worker.kicks().get(usize::from(index)) {
            // Fails only when the counter is full of unread kicks; one more makes no difference.
            let _ = kick.write(1);
        }
    }

    /// The events that kick the queues, in their order.
    pub(super) fn kicks(&self) -> &[EventFd] {
        self.worker.kicks()
    }

    /// One byte of the configuration space; all ones behind its end.
    pub(super) fn config_byte(&self, offset: usize) -> u8 {
        self.front.config.byte(offset)
    }

    /// Changes with the configuration space. virtio 1.2, 2.5.
    pub(super) fn config_generation(&self) -> u32 {
        self.front.config.generation()
    }

    /// The driver writes to the configuration space.
    pub(super) fn write_config(&mut self, offset: usize, data: &[u8]) {
        let inside = offset.checked_add(data.len()).is_some_and(|end| end <= self.front.config.len());
        if inside {
            self.command(Command::WriteConfig { offset, data: data.to_vec() });
        }
    }

    /// Has the worker obey. Without its worker, a device is broken.
    fn command(&mut self, command: Command) {
        if self.worker.call(command).is_err() {
            self.front.status.break_down();
        }
    }
}
