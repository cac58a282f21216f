//! One request of a driver, taken apart. virtio 1.2, 5.2.6.

use zerocopy::FromBytes;

use super::spec::{HEADER_LEN, Header, Kind, Status};
use crate::{Broken, Buffers, Chain};

/// A request: what, where, and the guest's buffers for it.
#[derive(Debug)]
pub(super) struct Request<'m> {
    pub(super) kind: Kind,
    /// First sector; any number at all.
    pub(super) sector: u64,
    /// Data from the driver.
    pub(super) out: Buffers<'m>,
    /// Room for data to the driver.
    pub(super) room: Buffers<'m>,
    pub(super) reply: Reply<'m>,
}

/// Where the answer to a request goes.
#[derive(Debug)]
pub(super) struct Reply<'m> {
    status: Buffers<'m>,
    /// Bytes of room before it.
    room_len: u64,
}

impl<'m> Request<'m> {
    /// Takes header and status byte off the ends of a chain, however it is cut into descriptors.
    ///
    /// # Errors
    /// There is no room for a header, or for a status: nothing could be reported in the request.
    pub(super) fn parse(chain: Chain<'m>) -> Result<Self, Broken> {
        let Chain { readable: mut header_bytes, writable: mut room } = chain;
        let out = header_bytes.split_off(HEADER_LEN as u64).ok_or(Broken::Short)?;
        let status_at = room.len().checked_sub(1).ok_or(Broken::Short)?;
        let status = room.split_off(status_at).ok_or(Broken::Short)?;
        let header = read_header(&header_bytes);
        let reply = Reply { status, room_len: room.len() };
        Ok(Self { kind: Kind(header.kind.get()), sector: header.sector.get(), out, room, reply })
    }
}

impl Reply<'_> {
    /// Writes the status; returns how many bytes of the writable part are filled from its start, `written` being those
    /// of the data.
    pub(super) fn finish(&self, status: Status, written: u64) -> u32 {
        let status_len = self.status.copy_from(&[status as u8]) as u64;
        // The status counts only if there is no gap before it. virtio 1.2, 2.7.8.2.
        let filled = if written == self.room_len { written + status_len } else { written };
        filled as u32 // a chain is below 4 GiB
    }
}

/// Copies the header out once: the guest may change it while we look.
fn read_header(bytes: &Buffers<'_>) -> Header {
    let mut copy = [0; HEADER_LEN];
    bytes.copy_to(&mut copy);
    Header::read_from_bytes(&copy).unwrap_or_default()
}
