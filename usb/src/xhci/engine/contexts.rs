//! Where contexts are: arrays of 32 or 64 bytes each. xHCI 1.2, 6.2.1 and 6.2.5.

use crate::xhci::memory::{BadAddress, Memory};
use crate::xhci::shared::Shared;
use crate::xhci::spec::context::{EndpointContext, EndpointState, SlotContext};

/// An array of contexts in guest memory.
#[derive(Clone, Copy)]
pub(super) struct Contexts<'s> {
    memory: &'s Memory,
    base: u64,
    stride: u64,
}

impl<'s> Contexts<'s> {
    /// The device context at `base`: slot, then endpoints by their index.
    pub(super) fn device(shared: &'s Shared, base: u64) -> Self {
        let stride = if shared.config.large_contexts { 64 } else { 32 };
        Self { memory: &shared.memory, base, stride }
    }

    /// The same inside the input context at `base`, behind the input control context.
    pub(super) fn input(shared: &'s Shared, base: u64) -> Self {
        let device = Self::device(shared, base);
        Self { base: base.wrapping_add(device.stride), ..device }
    }

    pub(super) fn slot(self) -> Result<SlotContext, BadAddress> {
        Ok(SlotContext(self.memory.read(self.base)?))
    }

    pub(super) fn write_slot(self, context: SlotContext) -> Result<(), BadAddress> {
        self.memory.write(self.base, context.0)
    }

    pub(super) fn endpoint(self, index: u8) -> Result<EndpointContext, BadAddress> {
        Ok(EndpointContext(self.memory.read(self.at(index))?))
    }

    pub(super) fn write_endpoint(self, index: u8, context: EndpointContext) -> Result<(), BadAddress> {
        self.memory.write(self.at(index), context.0)
    }

    /// Shows an endpoint's state and position. A context that went away with its memory shows nothing.
    pub(super) fn show(self, index: u8, state: EndpointState, pointer: u64) {
        let Ok(context) = self.endpoint(index) else { return };
        let EndpointContext([d0, d1, _, _, d4]) = context.with_state(state);
        let shown = EndpointContext([d0, d1, pointer as u32, (pointer >> 32) as u32, d4]);
        let _ = self.write_endpoint(index, shown);
    }

    fn at(self, index: u8) -> u64 {
        self.base.wrapping_add(self.stride * u64::from(index))
    }
}
