//! Packets to the driver. virtio 1.2, 5.1.6.3 and 5.1.6.4.

use super::{Net, spec};
use crate::{Broken, Request, Requests};

impl Net {
    /// Delivers what the backend has, as far as the driver has room.
    pub(super) fn receive(&mut self, pair: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        while let Some(len) = self.next_packet(pair) {
            let Some(room) = self.collect(len, requests)? else { return Ok(()) };
            let used = fill(self.pairs.packet(pair, len), room);
            requests.complete_together(&used)?;
            self.pairs.delivered(pair);
        }
        Ok(())
    }

    /// The length of the packet in the buffer: one that waits there, or a fresh one.
    fn next_packet(&mut self, pair: u16) -> Option<usize> {
        let received = self.pairs.next_packet(pair, self.is_up());
        self.alive(received).flatten()
    }

    /// Takes requests with room for `len` bytes together; none if there are not enough. What could never be delivered is
    /// given up, and so is the room, which is empty then.
    fn collect<'m>(
        &mut self,
        len: usize,
        requests: &mut Requests<'m>,
    ) -> Result<Option<Vec<Request<'m>>>, Broken> {
        let most = if self.mergeable { requests.capacity() } else { 1 };
        let (mut taken, mut room) = (Vec::new(), 0);
        while room < len as u64 {
            if taken.len() == usize::from(most) {
                requests.put_back(most);
                return Ok(Some(Vec::new()));
            }
            let Some(request) = requests.next()? else {
                requests.put_back(taken.len() as u16);
                return Ok(None);
            };
            room += request.chain.writable.len();
            taken.push(request);
        }
        Ok(Some(taken))
    }
}

/// Spreads `packet` over `room`; returns the requests with the bytes in each.
fn fill<'m>(packet: &mut [u8], room: Vec<Request<'m>>) -> Vec<(Request<'m>, u32)> {
    let count = (room.len() as u16).to_le_bytes();
    if let Some(field) = packet.get_mut(spec::NUM_BUFFERS..spec::NUM_BUFFERS + count.len()) {
        field.copy_from_slice(&count);
    }
    let mut rest = &*packet;
    let mut part = |request: Request<'m>| {
        let copied = request.chain.writable.copy_from(rest);
        rest = rest.get(copied..).unwrap_or_default();
        (request, copied as u32)
    };
    room.into_iter().map(&mut part).collect()
}
