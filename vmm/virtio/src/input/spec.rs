//! virtio input device: names and numbers from virtio 1.2, 5.8, and of Linux's events, nothing else.

use virtio_bindings::virtio_ids::VIRTIO_ID_INPUT;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Device type.
pub(super) const ID: u32 = VIRTIO_ID_INPUT;

/// Queue of events to the driver; the other one is of what the driver has for the device.
pub(super) const EVENTS: u16 = 0;
/// How many queues.
pub(super) const QUEUES: u16 = 2;

/// What the driver can ask for by [`Config::select`]. virtio 1.2, 5.8.4.
pub(super) mod select {
    pub(in super::super) const NAME: u8 = 1;
    pub(in super::super) const IDS: u8 = 3;
    /// Which codes there are of the type of event that `subsel` names.
    pub(in super::super) const CODES: u8 = 0x11;
    /// The extent of the axis that `subsel` names.
    pub(in super::super) const AXIS: u8 = 0x12;
}

/// Configuration space. virtio 1.2, 5.8.4.
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Config {
    /// What the driver asks for.
    pub(super) select: u8,
    /// Of what.
    pub(super) subsel: u8,
    /// Bytes of the answer.
    pub(super) size: u8,
    reserved: [u8; 5],
    /// The answer.
    pub(super) data: [u8; 128],
}

impl Default for Config {
    fn default() -> Self {
        Self { select: 0, subsel: 0, size: 0, reserved: [0; 5], data: [0; 128] }
    }
}

/// By which the driver tells devices apart.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Ids {
    pub(super) bus: U16,
    pub(super) vendor: U16,
    pub(super) product: U16,
    pub(super) version: U16,
}

/// The extent of an axis.
#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Axis {
    pub(super) min: U32,
    pub(super) max: U32,
    pub(super) fuzz: U32,
    pub(super) flat: U32,
    pub(super) resolution: U32,
}

/// Something happened. virtio 1.2, 5.8.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Event {
    pub(super) kind: U16,
    pub(super) code: U16,
    pub(super) value: U32,
}

/// The end of what belongs together.
pub(super) const REPORT: Event = Event { kind: U16::ZERO, code: U16::ZERO, value: U32::ZERO };

/// Types of events. Linux, `include/uapi/linux/input-event-codes.h`, as all that follows.
pub(super) mod kind {
    pub(in super::super) const KEY: u8 = 0x01;
    pub(in super::super) const RELATIVE: u8 = 0x02;
    pub(in super::super) const ABSOLUTE: u8 = 0x03;
    /// The driver shall repeat keys that are held.
    pub(in super::super) const REPEAT: u8 = 0x14;
}

/// Axes, and the wheel.
pub(super) mod axis {
    pub(in super::super) const X: u16 = 0;
    pub(in super::super) const Y: u16 = 1;
    pub(in super::super) const WHEEL: u16 = 8;
}

/// The left button; the right and the middle one follow.
pub(super) const LEFT: u16 = 0x110;

/// A device that is made up.
pub(super) const BUS_VIRTUAL: u16 = 0x06;

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn layouts_and_numbers_are_those_of_the_standard() {
        assert_eq!(ID, 18);
        assert_eq!((offset_of!(Config, size), offset_of!(Config, data), size_of::<Config>()), (2, 8, 136));
        assert_eq!((size_of::<Ids>(), size_of::<Axis>(), size_of::<Event>()), (8, 20, 8));
    }
}
