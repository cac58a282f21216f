//! virtio console device: names and numbers from virtio 1.2, 5.3, nothing else.

use virtio_bindings::virtio_ids::VIRTIO_ID_CONSOLE;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Features;

/// Device type.
pub(super) const ID: u32 = VIRTIO_ID_CONSOLE;

/// There are control queues, and perhaps several ports.
pub(super) const MULTIPORT: Features = Features::bits(&[1]);

/// Queue of messages to the driver.
pub(super) const CONTROL_RECEIVE: u16 = 2;
/// Queue of messages from the driver.
pub(super) const CONTROL_TRANSMIT: u16 = 3;

/// The port whose queue this is, if it is none of the control's. virtio 1.2, 5.3.2.
pub(super) const fn port(queue: u16) -> usize {
    match queue {
        0 | 1 => 0,
        _ => (queue / 2) as usize - 1,
    }
}

/// The queue of data to the driver of a port.
pub(super) const fn receive_queue(port: u32) -> u16 {
    if port == 0 { 0 } else { 2 * (port as u16 + 1) }
}

/// Configuration space. virtio 1.2, 5.3.4.
#[derive(Clone, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Config {
    /// Not offered.
    pub(super) cols: U16,
    /// Not offered.
    pub(super) rows: U16,
    pub(super) max_nr_ports: U32,
    /// Not offered.
    pub(super) emerg_wr: U32,
}

/// Bytes of a message without its text.
pub(super) const MESSAGE_LEN: usize = size_of::<Message>();

/// A message of the control queues. virtio 1.2, 5.3.6.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Message {
    /// The port.
    pub(super) id: U32,
    pub(super) event: U16,
    pub(super) value: U16,
}

/// What messages are about.
pub(super) mod event {
    /// From the driver: it has read the configuration.
    pub(in super::super) const DEVICE_READY: u16 = 0;
    /// There is a port.
    pub(in super::super) const DEVICE_ADD: u16 = 1;
    /// From the driver: it has the port.
    pub(in super::super) const PORT_READY: u16 = 3;
    /// The port is a console.
    pub(in super::super) const CONSOLE_PORT: u16 = 4;
    /// From either side: somebody is there, or not any more.
    pub(in super::super) const PORT_OPEN: u16 = 6;
    /// The port has a name, which follows.
    pub(in super::super) const PORT_NAME: u16 = 7;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_belong_to_ports_as_the_standard_says() {
        assert_eq!([0, 1, 4, 5, 6, 7, 62, 63].map(port), [0, 0, 1, 1, 2, 2, 30, 30]);
        assert_eq!([0, 1, 2, 30].map(receive_queue), [0, 4, 6, 62]);
        assert_eq!((ID, MESSAGE_LEN, size_of::<Config>()), (3, 8, 12));
    }
}
