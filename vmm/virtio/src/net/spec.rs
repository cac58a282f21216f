//! virtio network device: names and numbers from virtio 1.2, 5.1, nothing else.

use net::Offloads;
use virtio_bindings::bindings::virtio_net as bits;
use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Features;

/// Device type.
pub(super) const ID: u32 = virtio_bindings::virtio_ids::VIRTIO_ID_NET;

/// What is always offered.
pub(super) const FEATURES: Features = Features::bits(&[
    bits::VIRTIO_NET_F_MAC,
    bits::VIRTIO_NET_F_MRG_RXBUF,
    bits::VIRTIO_NET_F_STATUS,
    bits::VIRTIO_NET_F_CTRL_VQ,
    bits::VIRTIO_NET_F_CTRL_RX,
    bits::VIRTIO_NET_F_CTRL_VLAN,
    bits::VIRTIO_NET_F_CTRL_MAC_ADDR,
]);
/// What is offered where the backend understands headers: packets whose checksums and segments are left to the receiver.
pub(super) const OFFLOADS: Features = Features::bits(&[
    bits::VIRTIO_NET_F_CSUM,
    bits::VIRTIO_NET_F_GUEST_CSUM,
    bits::VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
    bits::VIRTIO_NET_F_GUEST_TSO4,
    bits::VIRTIO_NET_F_GUEST_TSO6,
    bits::VIRTIO_NET_F_GUEST_ECN,
    bits::VIRTIO_NET_F_GUEST_UFO,
    bits::VIRTIO_NET_F_HOST_TSO4,
    bits::VIRTIO_NET_F_HOST_TSO6,
    bits::VIRTIO_NET_F_HOST_ECN,
    bits::VIRTIO_NET_F_HOST_UFO,
]);
/// There is a longest datagram.
pub(super) const MTU: Features = Features::bits(&[bits::VIRTIO_NET_F_MTU]);
/// There are several pairs of queues.
pub(crate) const MULTIQUEUE: Features = Features::bits(&[bits::VIRTIO_NET_F_MQ]);
/// The driver joins buffers for long packets.
pub(super) const MERGEABLE: Features = Features::bits(&[bits::VIRTIO_NET_F_MRG_RXBUF]);

/// Of [`Config::status`]: packets come and go.
pub(super) const LINK_UP: u16 = bits::VIRTIO_NET_S_LINK_UP as u16;

/// Byte offset of the number of buffers in a packet's header.
pub(super) const NUM_BUFFERS: usize = 10;

/// Configuration space. virtio 1.2, 5.1.4.
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Config {
    pub(super) mac: [u8; 6],
    pub(super) status: U16,
    pub(super) max_virtqueue_pairs: U16,
    pub(super) mtu: U16,
}

/// What a driver that accepted `features`, or has this set of offloads, can do with packets that it gets.
pub(super) const fn guest_offloads(features: Features) -> Offloads {
    const fn has(features: Features, bit: u32) -> bool {
        features.contains(Features::bits(&[bit]))
    }
    Offloads {
        checksum: has(features, bits::VIRTIO_NET_F_GUEST_CSUM),
        tso4: has(features, bits::VIRTIO_NET_F_GUEST_TSO4),
        tso6: has(features, bits::VIRTIO_NET_F_GUEST_TSO6),
        ecn: has(features, bits::VIRTIO_NET_F_GUEST_ECN),
        ufo: has(features, bits::VIRTIO_NET_F_GUEST_UFO),
    }
}

/// A command of the control queue: class and command. Guests choose them. virtio 1.2, 5.1.6.5.
pub(super) mod command {
    use virtio_bindings::bindings::virtio_net as bits;

    pub(in super::super) const RX: u8 = bits::VIRTIO_NET_CTRL_RX as u8;
    pub(in super::super) const RX_LAST: u8 = bits::VIRTIO_NET_CTRL_RX_NOBCAST as u8;
    pub(in super::super) const MAC: u8 = bits::VIRTIO_NET_CTRL_MAC as u8;
    pub(in super::super) const MAC_TABLE_SET: u8 = bits::VIRTIO_NET_CTRL_MAC_TABLE_SET as u8;
    pub(in super::super) const MAC_ADDR_SET: u8 = bits::VIRTIO_NET_CTRL_MAC_ADDR_SET as u8;
    pub(in super::super) const VLAN: u8 = bits::VIRTIO_NET_CTRL_VLAN as u8;
    pub(in super::super) const VLAN_LAST: u8 = bits::VIRTIO_NET_CTRL_VLAN_DEL as u8;
    pub(in super::super) const QUEUES: u8 = bits::VIRTIO_NET_CTRL_MQ as u8;
    pub(in super::super) const QUEUES_SET: u8 = bits::VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET as u8;
    pub(in super::super) const OFFLOADS: u8 = bits::VIRTIO_NET_CTRL_GUEST_OFFLOADS as u8;
    pub(in super::super) const OFFLOADS_SET: u8 = bits::VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET as u8;

    /// The command was carried out.
    pub(in super::super) const OK: u8 = bits::VIRTIO_NET_OK as u8;
    /// It was not.
    pub(in super::super) const ERR: u8 = bits::VIRTIO_NET_ERR as u8;
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn numbers_are_those_of_the_standard() {
        assert_eq!(ID, 1);
        assert_eq!(FEATURES, Features::bits(&[5, 15, 16, 17, 18, 19, 23]));
        assert_eq!(OFFLOADS, Features::bits(&[0, 1, 2, 7, 8, 9, 10, 11, 12, 13, 14]));
        assert_eq!((MTU, LINK_UP), (Features::bits(&[3]), 1));
        assert_eq!((MULTIQUEUE, command::QUEUES, command::QUEUES_SET), (Features::bits(&[22]), 4, 0));
        assert_eq!([command::RX, command::MAC, command::VLAN, command::OFFLOADS], [0, 1, 2, 5]);
        assert_eq!([command::RX_LAST, command::VLAN_LAST, command::OFFLOADS_SET], [5, 1, 0]);
        assert_eq!([command::MAC_TABLE_SET, command::MAC_ADDR_SET, command::OK, command::ERR], [0, 1, 0, 1]);
    }

    #[test]
    fn config_fields_are_where_the_standard_puts_them() {
        assert_eq!((offset_of!(Config, status), offset_of!(Config, max_virtqueue_pairs)), (6, 8));
        assert_eq!((offset_of!(Config, mtu), size_of::<Config>()), (10, 12));
    }
}
