//! Device slots. xHCI 1.2, 4.5.

use super::endpoint::Endpoint;
use crate::xhci::shared::Shared;
use crate::xhci::spec::Code;
use crate::xhci::spec::context::LAST_ENDPOINT;
use crate::xhci::spec::trb::Trb;

/// States of a slot. xHCI 1.2, 4.5.3; a disabled one does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SlotState {
    Enabled,
    Default,
    Addressed,
    Configured,
}

/// A slot that a driver enabled.
pub(super) struct Slot {
    /// From 1.
    pub(super) id: u8,
    pub(super) state: SlotState,
    /// Address of its device context.
    pub(super) context: u64,
    /// Index of the root hub's port.
    pub(super) port: usize,
    /// From there to the device.
    pub(super) route: u32,
    /// By device context index, from 1.
    pub(super) endpoints: Vec<Option<Endpoint>>,
}

impl Slot {
    fn new(id: u8) -> Self {
        let endpoints = (1..=LAST_ENDPOINT).map(|_| None).collect();
        Self { id, state: SlotState::Enabled, context: 0, port: usize::MAX, route: 0, endpoints }
    }

    /// The place of the endpoint with this device context index (1 to 31).
    pub(super) fn endpoint(&mut self, index: u8) -> Option<&mut Option<Endpoint>> {
        self.endpoints.get_mut(usize::from(index).checked_sub(1)?)
    }
}

/// All slots, by id.
pub(super) struct Slots {
    slots: Vec<Option<Slot>>,
    /// The slot that was enabled last.
    last: u8,
}

impl Slots {
    pub(super) fn new(count: u8) -> Self {
        Self { slots: (0..count).map(|_| None).collect(), last: 0 }
    }

    /// Takes a free slot among the first `enabled`; returns its id. They take turns: Linux still knows a slot for a while after it
    /// was disabled, and refuses to have it back by then (`xhci_alloc_virt_device`).
    pub(super) fn enable(&mut self, enabled: u8) -> Option<u8> {
        let mut ids = (self.last.saturating_add(1)..=enabled).chain(1..=enabled.min(self.last));
        let id = ids.find(|id| matches!(self.place(*id), Some(None)))?;
        *self.place(id)? = Some(Slot::new(id));
        self.last = id;
        Some(id)
    }

    pub(super) fn disable(&mut self, id: u8) {
        if let Some(place) = self.place(id) {
            *place = None;
        }
    }

    pub(super) fn get(&mut self, id: u8) -> Option<&mut Slot> {
        self.place(id)?.as_mut()
    }

    /// The endpoint that a command is about, with the slot's id and device context.
    pub(super) fn endpoint(&mut self, command: Trb) -> Result<((u8, u64), &mut Endpoint), Code> {
        let slot = self.get(command.slot()).ok_or(Code::SlotNotEnabled)?;
        let place = (slot.id, slot.context);
        let endpoint = slot.endpoint(command.endpoint()).ok_or(Code::TrbError)?;
        Ok((place, endpoint.as_mut().ok_or(Code::EndpointNotEnabled)?))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut().flatten()
    }

    /// The driver rang for an endpoint. False if there is none.
    pub(super) fn kick(&mut self, shared: &Shared, id: u8, index: u8) -> bool {
        let Some(slot) = self.get(id) else { return false };
        let context = slot.context;
        match slot.endpoint(index) {
            Some(Some(endpoint)) => endpoint.kick(shared, context),
            _ => return false,
        }
        true
    }

    /// Endpoints behind this port that wait for their device are to ask it again.
    pub(super) fn ask_again(&mut self, port: usize) {
        let slots = self.iter_mut().filter(|slot| slot.port == port);
        slots.flat_map(|slot| slot.endpoints.iter_mut().flatten()).for_each(Endpoint::ask_again);
    }

    fn place(&mut self, id: u8) -> Option<&mut Option<Slot>> {
        self.slots.get_mut(usize::from(id).checked_sub(1)?)
    }
}
