//! What each type of device is over vhost-user: names and numbers from virtio 1.2, 5, nothing else.

use std::ops::Range;

use virtio_bindings::bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};
use virtio_bindings::bindings::{virtio_blk as blk, virtio_net as net};
use virtio_bindings::virtio_ids;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes};

use crate::Features;
use crate::net::Mac;

pub(super) const FS: u32 = virtio_ids::VIRTIO_ID_FS;
pub(super) const BLK_ID: u32 = virtio_ids::VIRTIO_ID_BLOCK;
pub(super) const NET_ID: u32 = virtio_ids::VIRTIO_ID_NET;

/// Of rings and transports, what the transports here can let a back end have.
pub(super) const RING: Features =
    Features::bits(&[VIRTIO_RING_F_INDIRECT_DESC, VIRTIO_RING_F_EVENT_IDX, VIRTIO_F_VERSION_1]);

/// Bytes of a file system's name.
pub const MAX_TAG: usize = 36;
/// One for urgent requests, one for the others.
pub(super) const FS_QUEUES: u16 = 2;

/// Configuration space of a file system. virtio 1.2, 5.11.4.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct FsConfig {
    tag: [u8; MAX_TAG],
    num_request_queues: U32,
}

impl FsConfig {
    pub(super) fn new(name: &str, request_queues: u16) -> Self {
        let mut tag = [0; MAX_TAG];
        tag.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        Self { tag, num_request_queues: u32::from(request_queues).into() }
    }
}

/// Of a disk, what changes nothing here. virtio 1.2, 5.2.3.
pub(super) const BLK_ONE_QUEUE: Features = Features::bits(&[
    blk::VIRTIO_BLK_F_SIZE_MAX,
    blk::VIRTIO_BLK_F_SEG_MAX,
    blk::VIRTIO_BLK_F_GEOMETRY,
    blk::VIRTIO_BLK_F_RO,
    blk::VIRTIO_BLK_F_BLK_SIZE,
    blk::VIRTIO_BLK_F_FLUSH,
    blk::VIRTIO_BLK_F_TOPOLOGY,
    blk::VIRTIO_BLK_F_CONFIG_WCE,
    blk::VIRTIO_BLK_F_DISCARD,
    blk::VIRTIO_BLK_F_WRITE_ZEROES,
]);
/// The same with several queues.
pub(super) const BLK: Features = BLK_ONE_QUEUE.union(Features::bits(&[blk::VIRTIO_BLK_F_MQ]));
/// Bytes of a disk's configuration space up to the limits of write-zeroes. virtio 1.2, 5.2.4.
pub(super) const BLK_CONFIG_LEN: u32 = 60;
/// Its `writeback`.
pub(super) const BLK_WRITEBACK: usize = 32;
/// Its `num_queues`.
pub(super) const BLK_QUEUES: Range<usize> = 34..36;

/// One to receive, one to transmit.
pub(super) const NET_QUEUES: u16 = 2;
/// Of a network interface, what needs no control queue: that would be ours to serve. virtio 1.2, 5.1.3.
pub(super) const NET: Features = Features::bits(&[
    net::VIRTIO_NET_F_CSUM,
    net::VIRTIO_NET_F_GUEST_CSUM,
    net::VIRTIO_NET_F_GUEST_TSO4,
    net::VIRTIO_NET_F_GUEST_TSO6,
    net::VIRTIO_NET_F_GUEST_ECN,
    net::VIRTIO_NET_F_GUEST_UFO,
    net::VIRTIO_NET_F_HOST_TSO4,
    net::VIRTIO_NET_F_HOST_TSO6,
    net::VIRTIO_NET_F_HOST_ECN,
    net::VIRTIO_NET_F_HOST_UFO,
    net::VIRTIO_NET_F_MRG_RXBUF,
]);
/// What the configuration space has, whatever the back end is.
pub(super) const NET_OWN: Features = Features::bits(&[net::VIRTIO_NET_F_MAC, net::VIRTIO_NET_F_STATUS]);
/// There is a longest datagram.
pub(super) const NET_MTU: Features = Features::bits(&[net::VIRTIO_NET_F_MTU]);

/// Configuration space of a network interface. virtio 1.2, 5.1.4.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct NetConfig {
    mac: [u8; 6],
    status: U16,
    max_virtqueue_pairs: U16,
    mtu: U16,
}

impl NetConfig {
    pub(super) fn new(Mac(mac): Mac, mtu: Option<u16>) -> Self {
        let status = (net::VIRTIO_NET_S_LINK_UP as u16).into();
        Self { mac, status, max_virtqueue_pairs: 1.into(), mtu: mtu.unwrap_or_default().into() }
    }
}
