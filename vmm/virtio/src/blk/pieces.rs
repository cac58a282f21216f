//! Discards and zeroes: requests about pieces of the disk, without data. virtio 1.2, 5.2.6.

use block::{Backend, Error, Room, SECTOR};
use zerocopy::FromBytes as _;

use super::request::Request;
use super::spec::{Kind, Piece, UNMAP};

/// Most sectors of a piece: what a host writes in a blink if it has no better way to make zeroes.
pub(super) const MAX_SECTORS: u32 = 256 << 11;
/// Most pieces of a request.
pub(super) const MAX_PIECES: u32 = 16;

/// What to do with a piece.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Discard,
    Zero(Room),
}

/// A piece, and what to do with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    deed: Deed,
    sector: u64,
    sectors: u32,
}

impl Change {
    /// Carries it out. The backend says whether the piece is on the disk.
    pub(super) fn apply(&self, backend: &dyn Backend) -> Result<(), Error> {
        let len = u64::from(self.sectors) * SECTOR;
        let sectors = backend.geometry().sectors;
        let beyond = Error::OutOfRange { offset: u64::MAX, len, sectors };
        let offset = self.sector.checked_mul(SECTOR).filter(|_| self.sectors <= MAX_SECTORS).ok_or(beyond)?;
        match self.deed {
            Deed::Discard => backend.discard(offset, len),
            Deed::Zero(room) => backend.write_zeroes(offset, len, room),
        }
    }
}

/// The pieces of `request`; none if it is not made as the standard wants.
pub(super) fn parse(request: &Request<'_>) -> Option<Vec<Change>> {
    let mut bytes = [0; MAX_PIECES as usize * size_of::<Piece>()];
    let len = request.out.copy_to(&mut bytes);
    if len as u64 != request.out.len() || len == 0 || !len.is_multiple_of(size_of::<Piece>()) {
        return None;
    }
    let pieces = bytes.get(..len)?.chunks_exact(size_of::<Piece>());
    pieces.map(|piece| change(request.kind, &Piece::read_from_bytes(piece).ok()?)).collect()
}

fn change(kind: Kind, piece: &Piece) -> Option<Change> {
    let deed = match (kind, piece.flags.get()) {
        (Kind::DISCARD, 0) => Deed::Discard,
        (Kind::WRITE_ZEROES, 0) => Deed::Zero(Room::Keep),
        (Kind::WRITE_ZEROES, UNMAP) => Deed::Zero(Room::Free),
        _ => return None,
    };
    Some(Change { deed, sector: piece.sector.get(), sectors: piece.num_sectors.get() })
}
