//! Names and numbers of *eXtensible Host Controller Interface for Universal Serial Bus*, revision 1.2.

pub(crate) mod context;
pub(crate) mod port;
pub(crate) mod registers;
pub(crate) mod trb;

/// Why a command or transfer ended. xHCI 1.2, table 6-90.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    Success = 1,
    /// The device did not answer.
    TransactionError = 4,
    Babble = 3,
    /// A TRB that makes no sense.
    TrbError = 5,
    Stall = 6,
    NoSlots = 9,
    SlotNotEnabled = 11,
    EndpointNotEnabled = 12,
    ShortPacket = 13,
    /// Nothing to send to an isochronous endpoint.
    RingUnderrun = 14,
    /// No room for what an isochronous endpoint sends.
    RingOverrun = 15,
    /// A context that makes no sense.
    Parameter = 17,
    /// Not in this state of slot or endpoint.
    ContextState = 19,
    EventRingFull = 21,
    /// An isochronous transfer came too late.
    MissedService = 23,
    CommandRingStopped = 24,
    /// Stop Endpoint caught a transfer in the middle.
    Stopped = 26,
}
