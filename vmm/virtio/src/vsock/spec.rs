//! virtio socket device: names and numbers from virtio 1.2, 5.10, nothing else.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Device type.
pub(super) const ID: u32 = virtio_bindings::virtio_ids::VIRTIO_ID_VSOCK;

/// Queue of packets to the driver.
pub(super) const RECEIVE: u16 = 0;
/// Queue of packets from the driver.
pub(super) const TRANSMIT: u16 = 1;

/// The address of the host.
pub(super) const HOST_CID: u64 = 2;
/// A stream, the only type of socket here.
pub(super) const STREAM: u16 = 1;

/// What a packet is for. Guests choose this number.
pub(super) mod op {
    pub(in super::super) const REQUEST: u16 = 1;
    pub(in super::super) const RESPONSE: u16 = 2;
    pub(in super::super) const RST: u16 = 3;
    pub(in super::super) const SHUTDOWN: u16 = 4;
    pub(in super::super) const RW: u16 = 5;
    pub(in super::super) const CREDIT_UPDATE: u16 = 6;
    pub(in super::super) const CREDIT_REQUEST: u16 = 7;
}

/// Flags of [`op::SHUTDOWN`]: the sender receives no more, and sends no more.
pub(super) const SHUTDOWN_BOTH: u32 = 3;

/// Bytes of a [`Header`].
pub(super) const HEADER_LEN: usize = size_of::<Header>();

/// What every packet begins with. virtio 1.2, 5.10.6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Header {
    pub(super) src_cid: U64,
    pub(super) dst_cid: U64,
    pub(super) src_port: U32,
    pub(super) dst_port: U32,
    /// Bytes of data behind the header.
    pub(super) len: U32,
    pub(super) kind: U16,
    pub(super) op: U16,
    pub(super) flags: U32,
    /// Bytes that the sender has room for in all.
    pub(super) buf_alloc: U32,
    /// Bytes that it has taken out of there so far.
    pub(super) fwd_cnt: U32,
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn header_is_packed_as_the_standard_says() {
        let offsets = [
            offset_of!(Header, src_port),
            offset_of!(Header, len),
            offset_of!(Header, kind),
            offset_of!(Header, op),
            offset_of!(Header, flags),
            offset_of!(Header, buf_alloc),
            offset_of!(Header, fwd_cnt),
        ];
        assert_eq!((offsets, HEADER_LEN, ID), ([16, 24, 28, 30, 32, 36, 40], 44, 19));
    }
}
