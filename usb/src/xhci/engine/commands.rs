//! The command ring and its commands. xHCI 1.2, 4.6.

use crate::UsbDevice;
use crate::xhci::memory::BadAddress;
use crate::xhci::port::{Link, Protocol};
use crate::xhci::ring::{BrokenRing, Fetched, Ring};
use crate::xhci::shared::Shared;
use crate::xhci::spec::Code;
use crate::xhci::spec::context::{EndpointContext, EndpointState, LAST_ENDPOINT, SlotContext, slot_state};
use crate::xhci::spec::trb::{Event, Trb, kind};

use super::Engine;
use super::contexts::Contexts;
use super::endpoint::Endpoint;
use super::hub::RootHub;
use super::slots::{Slot, SlotState};

/// Commands in one turn.
const BATCH: usize = 32;
/// Commands that one doorbell pays for. No driver queues so many; a ring without an end would not stop otherwise.
const CREDIT: u32 = 4096;
/// The bit of a slot context in add flags; the next is endpoint 0.
const ADD_SLOT: u32 = 1;
const ADD_CONTROL: u32 = 1 << 1;
/// What Get Port Bandwidth says is left, in percent. xHCI 1.2, 6.2.6.
const BANDWIDTH: u8 = 80;

/// An address of the guest's that leads nowhere makes its TRB an error.
impl From<BadAddress> for Code {
    fn from(_: BadAddress) -> Self {
        Self::TrbError
    }
}

/// The slot that a command was about, or why it failed.
type Completion = Result<u8, Code>;

impl Engine {
    /// Works off the command ring, a bounded part of it; true if there may be more.
    pub(super) fn run_commands(&mut self) -> bool {
        if self.shared.take_doorbells(0) != 0 {
            self.credit = CREDIT;
            self.shared.lock().command_ring.running = true;
        }
        for _ in 0..BATCH {
            match self.next_command() {
                Some(command) => self.run_command(command),
                None => return false,
            }
        }
        true
    }

    fn next_command(&mut self) -> Option<Fetched> {
        let ring = {
            let state = self.shared.lock();
            let ready = state.is_running() && state.command_ring.running && !state.is_congested(0);
            ready.then_some(state.command_ring.ring)?
        };
        self.credit = self.credit.checked_sub(1)?;
        match ring.peek(&self.shared.memory) {
            Ok(command) => command,
            Err(BrokenRing { at }) => {
                self.shared.lock().emit(&self.shared.memory, 0, Event::command(at, Code::TrbError, 0));
                self.credit = 0;
                None
            }
        }
    }

    fn run_command(&mut self, command: Fetched) {
        let (code, slot) = match self.execute(command.trb) {
            Ok(slot) => (Code::Success, slot),
            Err(code) => (code, command.trb.slot()),
        };
        let mut state = self.shared.lock();
        state.command_ring.ring = command.after;
        state.emit(&self.shared.memory, 0, Event::command(command.at, code, slot));
    }

    /// Obeys CS or CA: no command is ever half done. xHCI 1.2, 4.6.1.1.
    pub(super) fn stop_commands(&mut self) {
        let mut state = self.shared.lock();
        if std::mem::take(&mut state.command_ring.stop) && state.command_ring.running {
            state.command_ring.running = false;
            let at = state.command_ring.ring.dequeue;
            state.emit(&self.shared.memory, 0, Event::command(at, Code::CommandRingStopped, 0));
        }
    }

    fn execute(&mut self, trb: Trb) -> Completion {
        match trb.kind() {
            // Nothing here slows down for a sleeping host. xHCI 1.2, 4.6.14.
            kind::NO_OP_COMMAND | kind::SET_LATENCY_TOLERANCE => Ok(0),
            kind::ENABLE_SLOT => self.enable_slot(),
            kind::NEGOTIATE_BANDWIDTH => self.negotiate_bandwidth(trb.slot()),
            kind::GET_PORT_BANDWIDTH => self.port_bandwidth(trb),
            kind::FORCE_HEADER => self.force_header(trb),
            kind::DISABLE_SLOT => self.disable_slot(trb.slot()),
            kind::ADDRESS_DEVICE => self.address_device(trb),
            kind::CONFIGURE_ENDPOINT => self.configure_endpoint(trb),
            kind::EVALUATE_CONTEXT => self.evaluate_context(trb),
            kind::RESET_ENDPOINT => self.reset_endpoint(trb),
            kind::STOP_ENDPOINT => self.stop_endpoint(trb),
            kind::SET_TR_DEQUEUE => self.set_dequeue(trb),
            kind::RESET_DEVICE => self.reset_device(trb.slot()),
            _ => Err(Code::TrbError),
        }
    }

    /// xHCI 1.2, 4.6.3.
    fn enable_slot(&mut self) -> Completion {
        let enabled = self.shared.lock().config as u8;
        self.slots.enable(enabled.min(self.shared.config.slots)).ok_or(Code::NoSlots)
    }

    /// xHCI 1.2, 4.6.4.
    fn disable_slot(&mut self, id: u8) -> Completion {
        let slot = self.slots.get(id).ok_or(Code::SlotNotEnabled)?;
        drop_endpoints(slot, &mut self.hub, 1);
        if slot.state > SlotState::Enabled {
            // The driver may have taken the context away already.
            let _ = show_slot(Contexts::device(&self.shared, slot.context), slot_state::DISABLED, 0);
        }
        self.slots.disable(id);
        Ok(id)
    }

    /// xHCI 1.2, 4.6.5. The device's address is its slot's id.
    fn address_device(&mut self, trb: Trb) -> Completion {
        let (id, block) = (trb.slot(), trb.flag());
        let context = self.device_context(id)?;
        let shared = &*self.shared;
        let slot = self.slots.get(id).ok_or(Code::SlotNotEnabled)?;
        if slot.state > SlotState::Default || (block && slot.state != SlotState::Enabled) {
            return Err(Code::ContextState);
        }
        let Described { slot_context, control_context, control, port } =
            describe(shared, trb.parameter & !0xf)?;
        let attached = self.hub.find(port, slot_context.route()).is_some();
        if !attached || shared.lock().link(port) != Link::Up {
            return Err(Code::TransactionError);
        }
        let (state, number, address) = match block {
            true => (SlotState::Default, slot_state::DEFAULT, 0),
            false => (SlotState::Addressed, slot_state::ADDRESSED, id),
        };
        let output = Contexts::device(shared, context);
        output.write_slot(slot_context.with_state(number, address))?;
        output.write_endpoint(1, control_context.with_state(EndpointState::Running))?;
        drop_endpoints(slot, &mut self.hub, 1);
        (slot.context, slot.port, slot.route, slot.state) = (context, port, slot_context.route(), state);
        put_endpoint(slot, 1, Some(control));
        Ok(id)
    }

    /// Where the driver wants the device context of this slot. xHCI 1.2, 6.1.
    fn device_context(&self, id: u8) -> Result<u64, Code> {
        let table = self.shared.lock().contexts;
        let entry = table.checked_add(8 * u64::from(id)).ok_or(Code::TrbError)?;
        Ok(self.shared.memory.read_u64(entry)? & !0x3f)
    }

    /// xHCI 1.2, 4.6.6.
    fn configure_endpoint(&mut self, trb: Trb) -> Completion {
        let shared = &*self.shared;
        let slot = self.slots.get(trb.slot()).ok_or(Code::SlotNotEnabled)?;
        if slot.state < SlotState::Addressed {
            return Err(Code::ContextState);
        }
        let output = Contexts::device(shared, slot.context);
        if trb.flag() {
            return deconfigure(slot, &mut self.hub, output);
        }
        let base = trb.parameter & !0xf;
        let [drop, add] = shared.memory.read(base)?;
        if drop & (ADD_SLOT | ADD_CONTROL) != 0 || add & (ADD_SLOT | ADD_CONTROL) != ADD_SLOT {
            return Err(Code::TrbError);
        }
        let input = Contexts::input(shared, base);
        // First everything that may be wrong, then everything that changes.
        let added = added(input, add)?;
        let slot_context = output.slot()?.configured_by(input.slot()?);
        for index in (2..=LAST_ENDPOINT).filter(|index| (drop | add) >> index & 1 != 0) {
            drop_endpoint(slot, &mut self.hub, index);
            output.show(index, EndpointState::Disabled, 0);
        }
        for (index, context, endpoint) in added {
            output.write_endpoint(index, context.with_state(EndpointState::Running))?;
            put_endpoint(slot, index, Some(endpoint));
        }
        let any = slot.endpoints.iter().skip(1).any(Option::is_some);
        let (state, number) = match any || add != ADD_SLOT {
            true => (SlotState::Configured, slot_state::CONFIGURED),
            false => (SlotState::Addressed, slot_state::ADDRESSED),
        };
        slot.state = state;
        output.write_slot(slot_context.with_state(number, slot.id))?;
        Ok(slot.id)
    }

    /// xHCI 1.2, 4.6.7.
    fn evaluate_context(&mut self, trb: Trb) -> Completion {
        let shared = &*self.shared;
        let slot = self.slots.get(trb.slot()).ok_or(Code::SlotNotEnabled)?;
        if slot.state < SlotState::Default {
            return Err(Code::ContextState);
        }
        let base = trb.parameter & !0xf;
        let [drop, add] = shared.memory.read(base)?;
        if drop != 0 || add & !(ADD_SLOT | ADD_CONTROL) != 0 {
            return Err(Code::TrbError);
        }
        let (input, output) = (Contexts::input(shared, base), Contexts::device(shared, slot.context));
        if add & ADD_SLOT != 0 {
            output.write_slot(output.slot()?.evaluated_by(input.slot()?))?;
        }
        if add & ADD_CONTROL != 0 {
            output.write_endpoint(1, output.endpoint(1)?.with_max_packet(input.endpoint(1)?))?;
        }
        Ok(slot.id)
    }

    /// xHCI 1.2, 4.6.8.
    fn reset_endpoint(&mut self, trb: Trb) -> Completion {
        let ((id, context), endpoint) = self.slots.endpoint(trb)?;
        if endpoint.state() != EndpointState::Halted {
            return Err(Code::ContextState);
        }
        endpoint.set_state(&self.shared, context, EndpointState::Stopped);
        Ok(id)
    }

    /// xHCI 1.2, 4.6.9.
    fn stop_endpoint(&mut self, trb: Trb) -> Completion {
        let ((id, context), endpoint) = self.slots.endpoint(trb)?;
        if endpoint.state() != EndpointState::Running {
            return Err(Code::ContextState);
        }
        endpoint.stop(&self.shared, id, context);
        Ok(id)
    }

    /// xHCI 1.2, 4.6.10.
    fn set_dequeue(&mut self, trb: Trb) -> Completion {
        let ((id, context), endpoint) = self.slots.endpoint(trb)?;
        if !matches!(endpoint.state(), EndpointState::Stopped | EndpointState::Error) {
            return Err(Code::ContextState);
        }
        let asked = endpoint.set_ring(Ring::from_pointer(trb.parameter & !0xe));
        let address = endpoint.address;
        endpoint.set_state(&self.shared, context, EndpointState::Stopped);
        if asked && let Some(device) = self.device(id) {
            device.cancel(address);
        }
        Ok(id)
    }

    /// xHCI 1.2, 4.6.11.
    fn reset_device(&mut self, id: u8) -> Completion {
        let slot = self.slots.get(id).ok_or(Code::SlotNotEnabled)?;
        if slot.state < SlotState::Addressed {
            return Err(Code::ContextState);
        }
        let output = Contexts::device(&self.shared, slot.context);
        drop_endpoints(slot, &mut self.hub, 2);
        (2..=LAST_ENDPOINT).for_each(|index| output.show(index, EndpointState::Disabled, 0));
        slot.state = SlotState::Default;
        let context = output.slot()?.with_entries(1).with_state(slot_state::DEFAULT, 0);
        output.write_slot(context)?;
        Ok(id)
    }

    /// xHCI 1.2, 4.6.13. There is bandwidth for everybody, so that no other device is asked to give some up.
    fn negotiate_bandwidth(&mut self, id: u8) -> Completion {
        let slot = self.slots.get(id).ok_or(Code::SlotNotEnabled)?;
        if slot.state == SlotState::Configured { Ok(id) } else { Err(Code::ContextState) }
    }

    /// xHCI 1.2, 4.6.15: a byte for each port, behind one that is reserved.
    fn port_bandwidth(&self, trb: Trb) -> Completion {
        let mut context = vec![BANDWIDTH; self.shared.config.ports() + 1];
        context.iter_mut().take(1).for_each(|byte| *byte = 0);
        self.shared.memory.write_slice(trb.parameter & !0xf, &context)?;
        Ok(0)
    }

    /// xHCI 1.2, 4.6.16: a packet for the link, to which no device of ours listens.
    fn force_header(&self, trb: Trb) -> Completion {
        let state = self.shared.lock();
        let port = usize::from(trb.slot()).checked_sub(1).and_then(|index| state.ports.get(index));
        match port {
            Some(port) if port.protocol() == Protocol::Usb3 => Ok(0),
            _ => Err(Code::TrbError),
        }
    }

    fn device(&mut self, id: u8) -> Option<&mut dyn UsbDevice> {
        let slot = self.slots.get(id)?;
        self.hub.find(slot.port, slot.route)
    }
}

/// What a driver says of a device that is to get an address.
struct Described {
    slot_context: SlotContext,
    control_context: EndpointContext,
    control: Endpoint,
    /// Index of the root hub's port.
    port: usize,
}

/// Reads the input context at `base`. xHCI 1.2, 4.6.5.
fn describe(shared: &Shared, base: u64) -> Result<Described, Code> {
    let [drop, add] = shared.memory.read(base)?;
    if drop != 0 || add != ADD_SLOT | ADD_CONTROL {
        return Err(Code::TrbError);
    }
    let input = Contexts::input(shared, base);
    let (slot_context, control_context) = (input.slot()?, input.endpoint(1)?);
    let port = usize::from(slot_context.root_port()).checked_sub(1);
    let port = port.filter(|&port| port < shared.config.ports()).ok_or(Code::TrbError)?;
    let control = Endpoint::new(1, control_context).ok_or(Code::Parameter)?;
    Ok(Described { slot_context, control_context, control, port })
}

/// The endpoints whose bits are set in `add`, each with its index and context.
fn added(input: Contexts<'_>, add: u32) -> Result<Vec<(u8, EndpointContext, Endpoint)>, Code> {
    let indices = (2..=LAST_ENDPOINT).filter(|index| add >> index & 1 != 0);
    let endpoint = |index| {
        let context = input.endpoint(index)?;
        Ok((index, context, Endpoint::new(index, context).ok_or(Code::Parameter)?))
    };
    indices.map(endpoint).collect()
}

/// Drops all endpoints but endpoint 0. xHCI 1.2, 4.6.6: DC.
fn deconfigure(slot: &mut Slot, hub: &mut RootHub, output: Contexts<'_>) -> Completion {
    drop_endpoints(slot, hub, 2);
    (2..=LAST_ENDPOINT).for_each(|index| output.show(index, EndpointState::Disabled, 0));
    slot.state = SlotState::Addressed;
    let context = output.slot()?.with_entries(1);
    output.write_slot(context.with_state(slot_state::ADDRESSED, slot.id))?;
    Ok(slot.id)
}

fn show_slot(output: Contexts<'_>, state: u32, address: u8) -> Result<(), BadAddress> {
    let context: SlotContext = output.slot()?;
    output.write_slot(context.with_state(state, address))
}

/// Drops the endpoints from this index on.
fn drop_endpoints(slot: &mut Slot, hub: &mut RootHub, first: u8) {
    (first..=LAST_ENDPOINT).for_each(|index| drop_endpoint(slot, hub, index));
}

/// Drops an endpoint; a device that still has its transfer forgets it.
fn drop_endpoint(slot: &mut Slot, hub: &mut RootHub, index: u8) {
    let Some(mut endpoint) = slot.endpoint(index).and_then(Option::take) else { return };
    let asked = endpoint.set_ring(Ring::default());
    if asked && let Some(device) = hub.find(slot.port, slot.route) {
        device.cancel(endpoint.address);
    }
}

fn put_endpoint(slot: &mut Slot, index: u8, endpoint: Option<Endpoint>) {
    if let Some(place) = slot.endpoint(index) {
        *place = endpoint;
    }
}
