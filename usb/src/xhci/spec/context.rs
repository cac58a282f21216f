//! Contexts: what driver and controller tell each other of slots and endpoints. xHCI 1.2, 6.2.

use crate::{Direction, EndpointAddress};

/// Slot states. xHCI 1.2, 6.2.2, dword 3.
pub(crate) mod slot_state {
    pub(crate) const DISABLED: u32 = 0;
    pub(crate) const DEFAULT: u32 = 1;
    pub(crate) const ADDRESSED: u32 = 2;
    pub(crate) const CONFIGURED: u32 = 3;
}

/// A slot context: the dwords that have a meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotContext(pub(crate) [u32; 4]);

impl SlotContext {
    /// Bits of dwords 0 to 2 that Configure Endpoint takes over: hub, context entries, ports, think time. xHCI 1.2, 6.2.2.2.
    const CONFIGURED: [u32; 4] = [0xfe00_0000, 0xff00_0000, 0x0003_0000, 0];
    /// What Evaluate Context takes over: exit latency, interrupter. xHCI 1.2, 6.2.2.3.
    const EVALUATED: [u32; 4] = [0, 0xffff, 0xffc0_0000, 0];

    /// 20 bits, a hub's port in each 4.
    pub(crate) fn route(self) -> u32 {
        self.0[0] & 0xf_ffff
    }

    /// From 1.
    pub(crate) fn root_port(self) -> u8 {
        (self.0[1] >> 16) as u8
    }

    /// With another state and device address.
    pub(crate) fn with_state(mut self, state: u32, address: u8) -> Self {
        self.0[3] = state << 27 | u32::from(address);
        self
    }

    pub(crate) fn configured_by(self, input: Self) -> Self {
        self.merged(input, Self::CONFIGURED)
    }

    pub(crate) fn evaluated_by(self, input: Self) -> Self {
        self.merged(input, Self::EVALUATED)
    }

    /// With context entries alone taken away, as after dropping all endpoints.
    pub(crate) fn with_entries(mut self, entries: u8) -> Self {
        self.0[0] = self.0[0] & 0x07ff_ffff | u32::from(entries) << 27;
        self
    }

    fn merged(self, input: Self, mask: [u32; 4]) -> Self {
        let mut merged = self;
        for ((to, from), mask) in merged.0.iter_mut().zip(input.0).zip(mask) {
            *to = *to & !mask | from & mask;
        }
        merged
    }
}

/// Endpoint states. xHCI 1.2, 6.2.3, dword 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum EndpointState {
    Disabled = 0,
    Running = 1,
    Halted = 2,
    Stopped = 3,
    Error = 4,
}

/// What an endpoint is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndpointKind {
    Control,
    Bulk,
    Interrupt,
    Isochronous,
}

impl EndpointKind {
    /// Whether it is served at intervals.
    pub(crate) fn is_periodic(self) -> bool {
        matches!(self, Self::Interrupt | Self::Isochronous)
    }
}

/// An endpoint context: the dwords that have a meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EndpointContext(pub(crate) [u32; 5]);

impl EndpointContext {
    /// Kind and direction; control has none. `None` for type 0, which is not valid. xHCI 1.2, table 6-9.
    pub(crate) fn kind(self) -> Option<(EndpointKind, Option<Direction>)> {
        use EndpointKind::{Bulk, Control, Interrupt, Isochronous};
        Some(match self.0[1] >> 3 & 7 {
            1 => (Isochronous, Some(Direction::Out)),
            2 => (Bulk, Some(Direction::Out)),
            3 => (Interrupt, Some(Direction::Out)),
            4 => (Control, None),
            5 => (Isochronous, Some(Direction::In)),
            6 => (Bulk, Some(Direction::In)),
            7 => (Interrupt, Some(Direction::In)),
            _ => return None,
        })
    }

    /// It asks for streams, which this controller has not.
    pub(crate) fn wants_streams(self) -> bool {
        self.0[0] >> 10 & 0x1f != 0
    }

    /// Time between two services is 2 to the power of this, in microframes.
    pub(crate) fn interval(self) -> u32 {
        self.0[0] >> 16 & 0xff
    }

    pub(crate) fn max_packet(self) -> u16 {
        (self.0[1] >> 16) as u16
    }

    /// The ring: address, and cycle state in bit 0.
    pub(crate) fn dequeue(self) -> u64 {
        u64::from(self.0[2]) | u64::from(self.0[3]) << 32
    }

    pub(crate) fn with_state(mut self, state: EndpointState) -> Self {
        self.0[0] = self.0[0] & !7 | state as u32;
        self
    }

    pub(crate) fn with_max_packet(mut self, input: Self) -> Self {
        self.0[1] = self.0[1] & 0xffff | input.0[1] & 0xffff_0000;
        self
    }
}

/// Most endpoints of a device, by device context index: 1 is endpoint 0, 2n is OUT n, 2n + 1 is IN n. xHCI 1.2, 4.5.1.
pub(crate) const LAST_ENDPOINT: u8 = 31;

/// What the device calls the endpoint with this device context index.
pub(crate) fn endpoint_address(index: u8) -> EndpointAddress {
    let direction = if index & 1 == 0 || index == 1 { Direction::Out } else { Direction::In };
    EndpointAddress::new(index / 2, direction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_indices_alternate_between_directions() {
        let bytes = [1, 2, 3, 4, 31].map(|index| endpoint_address(index).byte());
        assert_eq!(bytes, [0x00, 0x01, 0x81, 0x02, 0x8f]);
    }

    #[test]
    fn slot_context_keeps_what_a_command_does_not_take_over() {
        let before = SlotContext([0x0830_1234, 0x0009_0000, 0, 2 << 27 | 5]);
        let input = SlotContext([0x2fff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff]);
        let after = before.configured_by(input);
        assert_eq!(after.0, [0x2e30_1234, 0xff09_0000, 0x0003_0000, 2 << 27 | 5]);
        assert_eq!((after.route(), after.root_port()), (0x01234, 9));
    }
}
