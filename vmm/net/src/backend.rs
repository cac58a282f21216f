//! What every backend can do.

use std::io;
use std::os::fd::BorrowedFd;

/// Bytes of the header before each frame: `struct virtio_net_hdr_v1`. virtio 1.2, 5.1.6.
pub const HEADER_LEN: usize = 12;

/// The longest packet: a header, an Ethernet header with a tag, and the longest IP datagram.
pub const MAX_PACKET: usize = HEADER_LEN + 18 + 65535;

/// What may be left to the receiver of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// Checksums.
    pub checksum: bool,
    /// TCP over IPv4 in segments.
    pub tso4: bool,
    /// TCP over IPv6 in segments.
    pub tso6: bool,
    /// TCP segments with congestion marks.
    pub ecn: bool,
    /// UDP datagrams in fragments.
    pub ufo: bool,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Done,
    /// There is no room; try again after the next event.
    Later,
}

/// The host's end of a wire. The contract is on the [crate's page](crate).
pub trait Backend: Send {
    /// Becomes readable when there may be packets, or room for them, where there was none.
    fn events(&self) -> Option<BorrowedFd<'_>>;

    /// Whether packets may have offloads in both directions.
    fn has_offloads(&self) -> bool {
        false
    }

    /// Says what the guest can do with packets that it gets.
    fn set_offloads(&mut self, _offloads: Offloads) {}

    /// Says whether the device uses it: of several that are one wire, it may use some. It does at first, and neither receives nor
    /// sends while it does not.
    fn set_used(&mut self, _used: bool) {}

    /// Whether somebody is at the other end, as far as that is known.
    fn is_up(&self) -> bool {
        true
    }

    /// Puts the next packet into `packet`, of which [`MAX_PACKET`] bytes are enough; returns its length.
    ///
    /// # Errors
    /// The other end is gone.
    fn receive(&mut self, packet: &mut [u8]) -> io::Result<Option<usize>>;

    /// Sends `packet`. One that nobody could send is dropped without a word.
    ///
    /// # Errors
    /// The other end is gone.
    fn send(&mut self, packet: &[u8]) -> io::Result<Sent>;
}
