//! The worker's end: slots, endpoints, devices. One [`turn`](Engine::turn) does what there is to do and says when to come back.

mod commands;
mod contexts;
mod endpoint;
mod hub;
mod setup_stage;
mod slots;
mod transfer;
mod window;

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::control::{AttachError, Order, PortId};
use super::port::Link;
use super::shared::Shared;
use super::spec::Code;
use super::spec::trb::Event;
use crate::UsbDevice;
use endpoint::{Line, Pace, Served};
use hub::RootHub;
use slots::Slots;

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There is more to do at once.
    Again,
    /// Nothing before this time, or before somebody wakes the worker.
    Sleep(Option<Duration>),
    /// The machine ends.
    Exit,
}

/// Everything that the worker owns.
pub(crate) struct Engine {
    shared: Arc<Shared>,
    orders: Receiver<Order>,
    hub: RootHub,
    slots: Slots,
    /// Commands that the last doorbell still pays for.
    credit: u32,
}

impl Engine {
    pub(crate) fn new(shared: Arc<Shared>, orders: Receiver<Order>) -> Self {
        let hub = RootHub::new(&shared.config);
        let slots = Slots::new(shared.config.slots);
        Self { shared, orders, hub, slots, credit: 0 }
    }

    /// Does what there is to do, a bounded amount of it.
    pub(crate) fn turn(&mut self) -> Turn {
        while let Ok(order) = self.orders.try_recv() {
            if matches!(order, Order::Exit) {
                return Turn::Exit;
            }
            self.obey(order);
        }
        self.obey_registers();
        let (busy, due) = if self.shared.lock().is_running() { self.run() } else { self.rest() };
        self.end_turn(busy, due)
    }

    /// A turn on the thread of a vCPU that rang a doorbell: what is done at once on endpoints. [`Turn::Again`] if there is more,
    /// which is the worker's.
    pub(crate) fn turn_at_once(&mut self) -> Turn {
        if !self.shared.lock().is_running() {
            return Turn::Again;
        }
        self.hear_news();
        self.hear_doorbells();
        let (busy, due) = self.serve_endpoints(Pace::AtOnce);
        self.end_turn(busy, due)
    }

    fn end_turn(&self, busy: bool, due: Option<Duration>) -> Turn {
        let mut state = self.shared.lock();
        let wrap = state.tell_wraps(&self.shared.memory, self.shared.now());
        let interrupt = self.shared.settle(&mut state);
        match busy {
            true => Turn::Again,
            false => Turn::Sleep([due, wrap, interrupt].into_iter().flatten().min()),
        }
    }

    fn obey(&mut self, order: Order) {
        // Somebody who no longer waits for the reply does not matter.
        match order {
            Order::Attach { port, device, reply } => {
                let _ = reply.send(self.attach(port, device));
            }
            Order::AttachBehind { port, path, device, reply } => {
                let _ = reply.send(self.attach_behind(port, &path, device));
            }
            Order::Detach { port, path, reply } => {
                let _ = reply.send(self.detach(port, &path));
            }
            Order::Reset { reply } => {
                self.reset();
                let _ = reply.send(());
            }
            Order::Exit => {}
        }
    }

    /// What registers ask of the worker: to reset, to stop, to stop commands, to reset ports.
    fn obey_registers(&mut self) {
        let (reset, halt) = {
            let state = self.shared.lock();
            (state.command.reset(), !state.command.run() && !state.status.halted())
        };
        if reset {
            self.reset();
        }
        if halt {
            self.shared.lock().halt();
        }
        self.stop_commands();
        self.reset_ports();
    }

    /// Doorbells and news mean nothing while nothing runs.
    fn rest(&mut self) -> (bool, Option<Duration>) {
        self.shared.take_news();
        self.shared.silence_doorbells();
        (false, None)
    }

    fn run(&mut self) -> (bool, Option<Duration>) {
        self.shared.lock().flush(&self.shared.memory);
        self.hear_news();
        self.hear_doorbells();
        let commands = self.run_commands();
        let (transfers, due) = self.serve_endpoints(Pace::Any);
        (commands || transfers, due)
    }

    /// Power-on state, by HCRST or from outside: ports show their devices as just plugged in. xHCI 1.2, 5.4.1.1.
    pub(crate) fn reset(&mut self) {
        self.slots = Slots::new(self.shared.config.slots);
        self.credit = 0;
        self.rest();
        self.hub.reset_devices();
        let mut state = self.shared.lock();
        state.reset(&self.shared.config);
        for (index, speed) in self.hub.speeds() {
            state.change_port(&self.shared.memory, index, |port| port.attach(speed));
        }
        self.shared.settle(&mut state);
    }

    /// See [`Control::attach`](super::Control::attach).
    pub(crate) fn attach(
        &mut self,
        port: Option<PortId>,
        device: Box<dyn UsbDevice>,
    ) -> Result<PortId, AttachError> {
        let speed = device.speed();
        let index = self.hub.attach(&self.shared, port, device)?;
        self.change_port(index, |port| port.attach(speed));
        Ok(PortId(index as u8 + 1))
    }

    /// See [`Control::attach_behind`](super::Control::attach_behind).
    pub(crate) fn attach_behind(
        &mut self,
        port: PortId,
        path: &[u8],
        device: Box<dyn UsbDevice>,
    ) -> Result<(), AttachError> {
        let (hub, last) = self.hub.hub_before(port, path).ok_or(AttachError::NoHub(port))?;
        Ok(hub.plug_into(last, device)?)
    }

    /// See [`Control::detach_behind`](super::Control::detach_behind).
    pub(crate) fn detach(&mut self, port: PortId, path: &[u8]) -> Option<Box<dyn UsbDevice>> {
        if !path.is_empty() {
            let (hub, last) = self.hub.hub_before(port, path)?;
            return hub.unplug(last); // which tells the port
        }
        let index = usize::from(port.0).checked_sub(1)?;
        let device = self.hub.detach(index)?;
        self.change_port(index, |port| port.detach());
        self.shared.tell(index);
        Some(device)
    }

    fn change_port(&self, index: usize, change: impl FnOnce(&mut super::port::Port)) {
        let mut state = self.shared.lock();
        state.change_port(&self.shared.memory, index, change);
        self.shared.settle(&mut state);
    }

    fn reset_ports(&mut self) {
        let waiting: Vec<usize> = {
            let state = self.shared.lock();
            let ports = (0..).zip(&state.ports);
            ports.filter(|(_, port)| port.needs_reset()).map(|(index, _)| index).collect()
        };
        for index in waiting {
            if let Some(device) = self.hub.find(index, 0) {
                device.reset();
            }
            self.change_port(index, |port| port.finish_reset());
        }
    }

    /// Devices with news have their waiting endpoints asked again, and wake a suspended port if they may.
    fn hear_news(&mut self) {
        let news = self.shared.take_news();
        for index in (0..32).filter(|index| news >> index & 1 != 0) {
            self.slots.ask_again(index);
            let suspended = self.shared.lock().link(index) == Link::Suspended;
            if suspended && self.hub.find(index, 0).is_some_and(|device| device.signals_wakeup()) {
                self.change_port(index, |port| port.wake());
            }
        }
    }

    fn hear_doorbells(&mut self) {
        if !self.shared.take_rang() {
            return;
        }
        for slot in 1..=self.shared.config.slots {
            let rung = self.shared.take_doorbells(usize::from(slot));
            if rung == 0 {
                continue;
            }
            for endpoint in (1..32).filter(|endpoint| rung >> endpoint & 1 != 0) {
                if !self.slots.kick(&self.shared, slot, endpoint) {
                    self.refuse_doorbell(slot, endpoint);
                }
            }
        }
    }

    /// A doorbell of an endpoint that is not there. xHCI 1.2, 4.7. Nothing to say if the driver does not listen.
    fn refuse_doorbell(&self, slot: u8, endpoint: u8) {
        let mut state = self.shared.lock();
        if !state.is_congested(0) {
            let event = Event::transfer(slot, endpoint, 0, Code::EndpointNotEnabled, 0);
            state.emit(&self.shared.memory, 0, event);
        }
    }

    /// Serves every endpoint that has something to do, a bounded amount each.
    fn serve_endpoints(&mut self, pace: Pace) -> (bool, Option<Duration>) {
        let (mut busy, mut due) = (false, None);
        for slot in self.slots.iter_mut() {
            let link = self.shared.lock().link(slot.port);
            for endpoint in slot.endpoints.iter_mut().flatten().filter(|endpoint| endpoint.is_kicked()) {
                let device = self.hub.find(slot.port, slot.route);
                let (shared, id, context) = (&*self.shared, slot.id, slot.context);
                let line = Line { shared, slot: id, context, link, device, pace };
                match endpoint.serve(line) {
                    Served::Idle => {}
                    Served::More => busy = true,
                    Served::Until(at) => due = Some(due.map_or(at, |due: Duration| due.min(at))),
                }
            }
        }
        (busy, due)
    }
}
