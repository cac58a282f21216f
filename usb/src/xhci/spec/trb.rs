//! Transfer Request Blocks: the 16 bytes that rings are made of. xHCI 1.2, 6.4.

use super::Code;

/// Bytes of a TRB.
pub(crate) const LEN: u64 = 16;

/// Types of TRBs. xHCI 1.2, table 6-91.
pub(crate) mod kind {
    pub(crate) const NORMAL: u8 = 1;
    pub(crate) const SETUP_STAGE: u8 = 2;
    pub(crate) const DATA_STAGE: u8 = 3;
    pub(crate) const STATUS_STAGE: u8 = 4;
    pub(crate) const ISOCH: u8 = 5;
    pub(crate) const LINK: u8 = 6;
    pub(crate) const EVENT_DATA: u8 = 7;
    pub(crate) const NO_OP: u8 = 8;
    pub(crate) const ENABLE_SLOT: u8 = 9;
    pub(crate) const DISABLE_SLOT: u8 = 10;
    pub(crate) const ADDRESS_DEVICE: u8 = 11;
    pub(crate) const CONFIGURE_ENDPOINT: u8 = 12;
    pub(crate) const EVALUATE_CONTEXT: u8 = 13;
    pub(crate) const RESET_ENDPOINT: u8 = 14;
    pub(crate) const STOP_ENDPOINT: u8 = 15;
    pub(crate) const SET_TR_DEQUEUE: u8 = 16;
    pub(crate) const RESET_DEVICE: u8 = 17;
    pub(crate) const NEGOTIATE_BANDWIDTH: u8 = 19;
    pub(crate) const SET_LATENCY_TOLERANCE: u8 = 20;
    pub(crate) const GET_PORT_BANDWIDTH: u8 = 21;
    pub(crate) const FORCE_HEADER: u8 = 22;
    pub(crate) const NO_OP_COMMAND: u8 = 23;
    pub(crate) const TRANSFER_EVENT: u8 = 32;
    pub(crate) const COMMAND_COMPLETION: u8 = 33;
    pub(crate) const PORT_STATUS_CHANGE: u8 = 34;
    pub(crate) const HOST_CONTROLLER: u8 = 37;
    pub(crate) const MFINDEX_WRAP: u8 = 39;
}

const CYCLE: u32 = 1;
const TOGGLE_CYCLE: u32 = 1 << 1;
const INTERRUPT_ON_SHORT: u32 = 1 << 2;
const CHAIN: u32 = 1 << 4;
const INTERRUPT_ON_COMPLETION: u32 = 1 << 5;
const IMMEDIATE_DATA: u32 = 1 << 6;
const BIT_9: u32 = 1 << 9;
const DIRECTION_IN: u32 = 1 << 16;
const START_ASAP: u32 = 1 << 31;

/// A TRB as the guest wrote it. Which views make sense depends on its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trb {
    pub(crate) parameter: u64,
    pub(crate) status: u32,
    pub(crate) control: u32,
}

impl Trb {
    /// The TRB in four little-endian words.
    pub(crate) const fn from_words([p0, p1, status, control]: [u32; 4]) -> Self {
        Self { parameter: p0 as u64 | (p1 as u64) << 32, status, control }
    }

    pub(crate) const fn kind(self) -> u8 {
        (self.control >> 10) as u8 & 0x3f
    }

    pub(crate) const fn cycle(self) -> bool {
        self.control & CYCLE != 0
    }

    /// Link: the other end has the other cycle state.
    pub(crate) const fn toggles_cycle(self) -> bool {
        self.control & TOGGLE_CYCLE != 0
    }

    /// The next TRB belongs to the same transfer.
    pub(crate) const fn chained(self) -> bool {
        self.control & CHAIN != 0
    }

    pub(crate) const fn interrupts_on_completion(self) -> bool {
        self.control & INTERRUPT_ON_COMPLETION != 0
    }

    pub(crate) const fn interrupts_on_short(self) -> bool {
        self.control & INTERRUPT_ON_SHORT != 0
    }

    /// The parameter is the data.
    pub(crate) const fn has_immediate_data(self) -> bool {
        self.control & IMMEDIATE_DATA != 0
    }

    /// BEI: its event interrupts nobody.
    pub(crate) const fn blocks_interrupt(self) -> bool {
        matches!(self.kind(), kind::NORMAL | kind::ISOCH | kind::EVENT_DATA) && self.control & BIT_9 != 0
    }

    /// Data stage: from device to host.
    pub(crate) const fn is_in(self) -> bool {
        self.control & DIRECTION_IN != 0
    }

    /// Bytes of its buffer. xHCI 1.2, 6.4.1.
    pub(crate) const fn len(self) -> u32 {
        match self.kind() {
            kind::NORMAL | kind::DATA_STAGE | kind::ISOCH => self.status & 0x1_ffff,
            _ => 0,
        }
    }

    /// The interrupter its event is for.
    pub(crate) const fn interrupter(self) -> usize {
        (self.status >> 22) as usize
    }

    /// Isochronous: as soon as possible, else in [`frame`](Self::frame).
    pub(crate) const fn starts_asap(self) -> bool {
        self.control & START_ASAP != 0
    }

    /// Isochronous: the frame to start in, 11 bits.
    pub(crate) const fn frame(self) -> u32 {
        self.control >> 20 & 0x7ff
    }

    /// Command: the slot it is for.
    pub(crate) const fn slot(self) -> u8 {
        (self.control >> 24) as u8
    }

    /// Command: the endpoint it is for, by device context index.
    pub(crate) const fn endpoint(self) -> u8 {
        (self.control >> 16) as u8 & 0x1f
    }

    /// Address Device: BSR. Configure Endpoint: DC. Reset Endpoint: TSP.
    pub(crate) const fn flag(self) -> bool {
        self.control & BIT_9 != 0
    }
}

/// An event, before the ring gives it a cycle bit. xHCI 1.2, 6.4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) trb: Trb,
    /// It does not interrupt, BEI.
    pub(crate) silent: bool,
}

impl Event {
    fn new(kind: u8, parameter: u64, code: Code, status: u32, control: u32) -> Self {
        let status = (code as u32) << 24 | status & 0xff_ffff;
        Self { trb: Trb { parameter, status, control: control | u32::from(kind) << 10 }, silent: false }
    }

    /// xHCI 1.2, 6.4.2.1. `left`: bytes not transferred.
    pub(crate) fn transfer(slot: u8, endpoint: u8, pointer: u64, code: Code, left: u32) -> Self {
        let control = u32::from(slot) << 24 | u32::from(endpoint) << 16;
        Self::new(kind::TRANSFER_EVENT, pointer, code, left, control)
    }

    /// Marks a transfer event as that of an Event Data TRB: ED.
    pub(crate) fn with_event_data(mut self) -> Self {
        self.trb.control |= 1 << 2;
        self
    }

    /// xHCI 1.2, 6.4.2.2.
    pub(crate) fn command(pointer: u64, code: Code, slot: u8) -> Self {
        Self::new(kind::COMMAND_COMPLETION, pointer, code, 0, u32::from(slot) << 24)
    }

    /// xHCI 1.2, 6.4.2.3. `port`: from 1.
    pub(crate) fn port(port: u8) -> Self {
        Self::new(kind::PORT_STATUS_CHANGE, u64::from(port) << 24, Code::Success, 0, 0)
    }

    /// xHCI 1.2, 6.4.2.6.
    pub(crate) fn ring_full() -> Self {
        Self::new(kind::HOST_CONTROLLER, 0, Code::EventRingFull, 0, 0)
    }

    /// xHCI 1.2, 6.4.2.8.
    pub(crate) fn wrap() -> Self {
        Self::new(kind::MFINDEX_WRAP, 0, Code::Success, 0, 0)
    }

    /// The four words for a ring whose producer has this cycle state.
    pub(crate) fn words(self, cycle: bool) -> [u32; 4] {
        let Trb { parameter, status, control } = self.trb;
        [parameter as u32, (parameter >> 32) as u32, status, control & !CYCLE | u32::from(cycle)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_laid_out_as_the_standard_draws_them() {
        let transfer = Event::transfer(3, 5, 0x1_2345_6780, Code::ShortPacket, 0x1ff).with_event_data();
        assert_eq!(transfer.words(true), [0x2345_6780, 1, 0x0d00_01ff, 0x0305_8005]);
        assert_eq!(Event::command(0x40, Code::NoSlots, 0).words(true), [0x40, 0, 0x0900_0000, 0x8401]);
        assert_eq!(Event::port(9).words(false), [0x0900_0000, 0, 0x0100_0000, 0x8800]);
        assert_eq!(Event::ring_full().words(false), [0, 0, 0x1500_0000, 0x9400]);
        assert_eq!(Event::wrap().words(true), [0, 0, 0x0100_0000, 0x9c01]);
    }

    #[test]
    fn isochronous_fields_do_not_overlap() {
        let trb = Trb::from_words([0, 0, 0, 0x8000_0000 | 0x155 << 20 | 5 << 10]);
        assert!(trb.starts_asap());
        assert_eq!((trb.frame(), trb.kind()), (0x155, kind::ISOCH));
    }
}
