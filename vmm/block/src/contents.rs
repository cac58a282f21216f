//! A disk whose bytes are in memory, and stay as they are.

use vm_memory::VolatileSlice;

use crate::backend::total;
use crate::{Access, Backend, Error, Geometry, SECTOR};

/// A read-only disk made of bytes.
pub struct Contents(Vec<u8>);

impl Contents {
    /// The disk of `bytes`, to which zeroes are added up to a whole sector.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>) -> Self {
        bytes.resize(bytes.len().next_multiple_of(SECTOR as usize), 0);
        Self(bytes)
    }
}

impl Backend for Contents {
    fn geometry(&self) -> Geometry {
        let sectors = self.0.len() as u64 / SECTOR;
        Geometry { sectors, block_size: SECTOR as u32, access: Access::ReadOnly }
    }

    fn read(&self, offset: u64, to: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.geometry().check(offset, total(to))?;
        let mut rest = self.0.get(offset as usize..).unwrap_or_default();
        for slice in to {
            slice.copy_from(rest.get(..slice.len()).unwrap_or_default());
            rest = rest.get(slice.len()..).unwrap_or_default();
        }
        Ok(())
    }

    fn write(&self, _offset: u64, _from: &[VolatileSlice<'_>]) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(()) // nothing can be pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Room;

    #[test]
    fn bytes_are_read_in_pieces_and_nothing_changes_them() {
        let disk = Contents::new((0..1000_u32).map(|n| n as u8).collect());
        assert_eq!(disk.geometry().sectors, 2);
        let (mut head, mut tail) = ([0xee; 100], [0xee; 412]);
        let mut slices = [VolatileSlice::from(&mut head[..]), VolatileSlice::from(&mut tail[..])];
        disk.read(512, &slices).unwrap();
        assert!(matches!(disk.read(1024, &slices), Err(Error::OutOfRange { .. })));
        assert!(matches!(disk.write(0, &slices), Err(Error::ReadOnly)));
        assert!(matches!(disk.write_zeroes(0, 512, Room::Free), Err(Error::ReadOnly)));
        assert!(matches!(disk.discard(0, 512), Err(Error::ReadOnly)));
        slices.reverse();
        disk.read(0, &slices).unwrap();
        assert_eq!((tail[..3].to_vec(), head[99]), (vec![0, 1, 2], 511_u32 as u8));
    }

    #[test]
    fn last_sector_is_filled_with_zeroes() {
        let disk = Contents::new(vec![7; 513]);
        let mut sector = [0xee; 512];
        disk.read(512, &[VolatileSlice::from(&mut sector[..])]).unwrap();
        assert_eq!((sector[0], sector[1..].iter().all(|&byte| byte == 0)), (7, true));
    }
}
