//! The bytes of a transfer.

use vm_memory::VolatileSlice;

use crate::Outcome;

/// Which way bytes go, as the host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the host to the device.
    Out,
    /// From the device to the host.
    In,
}

/// A window of a transfer's data: pieces of guest memory in order, of which a beginning has been moved.
///
/// The controller chooses the window (a bounded number of pieces), so nothing here grows with what a guest asks for. The guest
/// may change the bytes at any time: read a structure once, with [`take`](Self::take), then look at the copy.
#[derive(Debug)]
pub struct Data<'m> {
    direction: Direction,
    pieces: &'m [VolatileSlice<'m>],
    len: usize,
    moved: usize,
}

impl<'m> Data<'m> {
    /// A window of these pieces, nothing moved yet.
    #[must_use]
    pub fn new(direction: Direction, pieces: &'m [VolatileSlice<'m>]) -> Self {
        Self { direction, pieces, len: pieces.iter().map(VolatileSlice::len).sum(), moved: 0 }
    }

    /// A window without bytes, as a request without a data stage has.
    #[must_use]
    pub fn none(direction: Direction) -> Self {
        Self { direction, pieces: &[], len: 0, moved: 0 }
    }

    /// Which way it goes.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Bytes of the window.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the window has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes moved so far.
    #[must_use]
    pub fn moved(&self) -> usize {
        self.moved
    }

    /// Bytes not moved yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.len - self.moved
    }

    /// IN: moves `bytes` to the host, as many as there is room for; returns how many. Nothing moves in an OUT window.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        if self.direction == Direction::Out {
            return 0;
        }
        let mut rest = bytes;
        for piece in self.unmoved(bytes.len()) {
            let (now, later) = rest.split_at(rest.len().min(piece.len()));
            piece.copy_from(now);
            rest = later;
        }
        self.advance(bytes.len() - rest.len());
        bytes.len() - rest.len()
    }

    /// IN: moves one packet that must fit, as a report of an interrupt endpoint: [`Outcome::Babble`] if it does not.
    pub fn put_packet(&mut self, packet: &[u8]) -> Outcome {
        if self.put(packet) == packet.len() { Outcome::Done } else { Outcome::Babble }
    }

    /// OUT: moves bytes from the host into `to`, as many as there are; returns how many. Nothing moves in an IN window.
    pub fn take(&mut self, to: &mut [u8]) -> usize {
        if self.direction == Direction::In {
            return 0;
        }
        let len = to.len();
        let mut rest = to;
        for piece in self.unmoved(len) {
            let copied = piece.copy_to(rest);
            rest = rest.get_mut(copied..).unwrap_or_default();
        }
        let taken = len - rest.len();
        self.advance(taken);
        taken
    }

    /// OUT: a copy of the next `len` bytes (fewer at the end), which stay where they are. Say [`advance`](Self::advance) when they
    /// have moved.
    #[must_use]
    pub fn peek(&self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in self.unmoved(len) {
            let start = bytes.len();
            bytes.resize(start + piece.len(), 0);
            piece.copy_to(bytes.get_mut(start..).unwrap_or_default());
        }
        bytes
    }

    /// The next `len` bytes (fewer at the end) in place, for I/O straight on guest memory. Say [`advance`](Self::advance) when
    /// they have moved. There are at most as many slices as the window has pieces.
    pub fn unmoved(&self, len: usize) -> Vec<VolatileSlice<'m>> {
        let (mut skip, mut left) = (self.moved, len);
        let mut slices = Vec::new();
        for piece in self.pieces {
            let skipped = skip.min(piece.len());
            let wanted = left.min(piece.len() - skipped);
            skip -= skipped;
            left -= wanted;
            if wanted > 0 {
                slices.extend(piece.subslice(skipped, wanted));
            }
            if left == 0 {
                break;
            }
        }
        slices
    }

    /// Counts `len` more bytes as moved, up to the end.
    pub fn advance(&mut self, len: usize) {
        self.moved = self.moved.saturating_add(len).min(self.len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `memory` in pieces of 3, 0, 4 and the remaining bytes.
    fn pieces(memory: &mut [u8]) -> Vec<VolatileSlice<'_>> {
        let whole = VolatileSlice::from(memory);
        let rest = whole.len() - 7;
        [(0, 3), (3, 0), (3, 4), (7, rest)].map(|(at, len)| whole.subslice(at, len).unwrap()).to_vec()
    }

    #[test]
    fn put_crosses_pieces_and_stops_at_the_end() {
        let mut memory = [0; 10];
        let pieces = pieces(&mut memory);
        let mut data = Data::new(Direction::In, &pieces);
        assert_eq!((data.put(&[1, 2]), data.put(&[3, 4, 5, 6, 7, 8]), data.put(&[9, 10, 11])), (2, 6, 2));
        assert_eq!((data.moved(), data.left()), (10, 0));
        assert_eq!(memory, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn take_crosses_pieces_and_stops_at_the_end() {
        let mut memory = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let pieces = pieces(&mut memory);
        let mut data = Data::new(Direction::Out, &pieces);
        let (mut first, mut second) = ([0; 5], [0; 6]);
        assert_eq!((data.take(&mut first), data.take(&mut second)), (5, 4));
        assert_eq!((first, second), ([1, 2, 3, 4, 5], [6, 7, 8, 9, 0, 0]));
    }

    #[test]
    fn peek_copies_and_moves_nothing() {
        let mut memory = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let pieces = pieces(&mut memory);
        let mut data = Data::new(Direction::Out, &pieces);
        data.advance(2);
        assert_eq!((data.peek(4), data.peek(100).len(), data.left()), (vec![3, 4, 5, 6], 7, 7));
    }

    #[test]
    fn nothing_moves_against_the_direction() {
        let mut memory = [7; 8];
        let pieces = pieces(&mut memory);
        assert_eq!(Data::new(Direction::Out, &pieces).put(&[1]), 0);
        assert_eq!(Data::new(Direction::In, &pieces).take(&mut [0]), 0);
    }

    #[test]
    fn advance_stops_at_the_end() {
        let mut memory = [0; 8];
        let pieces = pieces(&mut memory);
        let mut data = Data::new(Direction::In, &pieces);
        data.advance(5);
        let lengths: Vec<_> = data.unmoved(usize::MAX).iter().map(VolatileSlice::len).collect();
        assert_eq!(lengths, [2, 1]);
        data.advance(usize::MAX);
        assert_eq!((data.left(), data.unmoved(1).len()), (0, 0));
    }
}
