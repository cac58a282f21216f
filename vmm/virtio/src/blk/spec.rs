//! virtio block device: names and numbers from virtio 1.2, 5.2, nothing else.

use virtio_bindings::bindings::virtio_blk as bits;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Features;

/// Device type.
pub(super) const ID: u32 = virtio_bindings::virtio_ids::VIRTIO_ID_BLOCK;

/// What is always offered: each bit here makes a field of [`Config`] valid, except FLUSH, which is a request.
pub(super) const FEATURES: Features = Features::bits(&[
    bits::VIRTIO_BLK_F_SEG_MAX,
    bits::VIRTIO_BLK_F_GEOMETRY,
    bits::VIRTIO_BLK_F_BLK_SIZE,
    bits::VIRTIO_BLK_F_FLUSH,
    bits::VIRTIO_BLK_F_TOPOLOGY,
    bits::VIRTIO_BLK_F_CONFIG_WCE,
]);
/// Requests of a disk that can be written.
pub(super) const WRITABLE: Features =
    Features::bits(&[bits::VIRTIO_BLK_F_DISCARD, bits::VIRTIO_BLK_F_WRITE_ZEROES]);
/// There are several queues.
pub(super) const MULTI_QUEUE: Features = Features::bits(&[bits::VIRTIO_BLK_F_MQ]);
/// The driver can flush, and so cope with a cache that holds its writes back.
pub(super) const FLUSH: Features = Features::bits(&[bits::VIRTIO_BLK_F_FLUSH]);
/// The disk cannot be written.
pub(super) const READ_ONLY: Features = Features::bits(&[bits::VIRTIO_BLK_F_RO]);

/// Bytes of the identity string.
pub(super) const ID_BYTES: usize = bits::VIRTIO_BLK_ID_BYTES as usize;

/// Configuration space. virtio 1.2, 5.2.4.
#[derive(Clone, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Config {
    /// Size in sectors of 512 bytes.
    pub(super) capacity: U64,
    /// Not offered.
    pub(super) size_max: U32,
    /// Most data segments in a request.
    pub(super) seg_max: U32,
    pub(super) cylinders: U16,
    pub(super) heads: u8,
    pub(super) sectors: u8,
    /// Logical block in bytes.
    pub(super) blk_size: U32,
    /// Logical blocks per physical block, as a power of two.
    pub(super) physical_block_exp: u8,
    /// First aligned logical block.
    pub(super) alignment_offset: u8,
    /// Suggested smallest transfer, in logical blocks.
    pub(super) min_io_size: U16,
    /// Suggested largest transfer, in logical blocks; 0: none.
    pub(super) opt_io_size: U32,
    /// 1: writes may stay in a cache until a flush. The driver may change it.
    pub(super) writeback: u8,
    pub(super) unused: u8,
    pub(super) num_queues: U16,
    /// Most sectors in a piece to discard.
    pub(super) max_discard_sectors: U32,
    /// Most pieces in a request to discard.
    pub(super) max_discard_seg: U32,
    /// Pieces to discard begin and end best at multiples of this.
    pub(super) discard_sector_alignment: U32,
    pub(super) max_write_zeroes_sectors: U32,
    pub(super) max_write_zeroes_seg: U32,
    /// 1: zeroes may be stored as nothing.
    pub(super) write_zeroes_may_unmap: u8,
    pub(super) unused1: [u8; 3],
}

/// Byte offset of [`Config::writeback`].
pub(super) const WRITEBACK: usize = std::mem::offset_of!(Config, writeback);

/// What every request begins with. virtio 1.2, 5.2.6.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Header {
    pub(super) kind: U32,
    pub(super) reserved: U32,
    /// First sector of a transfer.
    pub(super) sector: U64,
}

/// A piece of the disk to discard, or to fill with zeroes. virtio 1.2, 5.2.6.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Piece {
    /// First sector.
    pub(super) sector: U64,
    pub(super) num_sectors: U32,
    pub(super) flags: U32,
}

/// The flag of a [`Piece`] that zeroes may be stored as nothing.
pub(super) const UNMAP: u32 = 1;

/// Bytes of a [`Header`].
pub(super) const HEADER_LEN: usize = size_of::<Header>();

/// What a request asks for. Guests choose this number, so it is no Rust enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind(pub(super) u32);

impl Kind {
    /// Read.
    pub(super) const IN: Self = Self(bits::VIRTIO_BLK_T_IN);
    /// Write.
    pub(super) const OUT: Self = Self(bits::VIRTIO_BLK_T_OUT);
    /// Make writes durable.
    pub(super) const FLUSH: Self = Self(bits::VIRTIO_BLK_T_FLUSH);
    /// Read the identity string.
    pub(super) const GET_ID: Self = Self(bits::VIRTIO_BLK_T_GET_ID);
    /// Forget pieces of the disk.
    pub(super) const DISCARD: Self = Self(bits::VIRTIO_BLK_T_DISCARD);
    /// Fill pieces of the disk with zeroes.
    pub(super) const WRITE_ZEROES: Self = Self(bits::VIRTIO_BLK_T_WRITE_ZEROES);
}

/// How a request ended: its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Status {
    /// Done.
    Ok = bits::VIRTIO_BLK_S_OK as u8,
    /// Failed.
    IoErr = bits::VIRTIO_BLK_S_IOERR as u8,
    /// Unknown to this device.
    Unsupp = bits::VIRTIO_BLK_S_UNSUPP as u8,
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn config_fields_are_where_the_standard_puts_them() {
        let offsets = [
            (offset_of!(Config, capacity), 0x00),
            (offset_of!(Config, size_max), 0x08),
            (offset_of!(Config, seg_max), 0x0c),
            (offset_of!(Config, cylinders), 0x10),
            (offset_of!(Config, heads), 0x12),
            (offset_of!(Config, sectors), 0x13),
            (offset_of!(Config, blk_size), 0x14),
            (offset_of!(Config, physical_block_exp), 0x18),
            (offset_of!(Config, alignment_offset), 0x19),
            (offset_of!(Config, min_io_size), 0x1a),
            (offset_of!(Config, opt_io_size), 0x1c),
            (offset_of!(Config, writeback), 0x20),
            (offset_of!(Config, num_queues), 0x22),
            (offset_of!(Config, max_discard_sectors), 0x24),
            (offset_of!(Config, max_discard_seg), 0x28),
            (offset_of!(Config, discard_sector_alignment), 0x2c),
            (offset_of!(Config, max_write_zeroes_sectors), 0x30),
            (offset_of!(Config, max_write_zeroes_seg), 0x34),
            (offset_of!(Config, write_zeroes_may_unmap), 0x38),
            (size_of::<Config>(), 0x3c),
            (offset_of!(Piece, num_sectors), 8),
            (offset_of!(Piece, flags), 12),
            (size_of::<Piece>(), 16),
        ];
        offsets.iter().for_each(|(ours, standard)| assert_eq!(ours, standard));
    }

    #[test]
    fn numbers_are_those_of_the_standard() {
        assert_eq!(ID, 2);
        assert_eq!(FEATURES, Features::bits(&[2, 4, 6, 9, 10, 11]));
        assert_eq!((FLUSH, READ_ONLY), (Features::bits(&[9]), Features::bits(&[5])));
        assert_eq!((WRITABLE, MULTI_QUEUE), (Features::bits(&[13, 14]), Features::bits(&[12])));
        assert_eq!([Kind::IN.0, Kind::OUT.0, Kind::FLUSH.0, Kind::GET_ID.0], [0, 1, 4, 8]);
        assert_eq!([Kind::DISCARD.0, Kind::WRITE_ZEROES.0], [11, 13]);
        assert_eq!([Status::Ok as u8, Status::IoErr as u8, Status::Unsupp as u8], [0, 1, 2]);
        assert_eq!((HEADER_LEN, ID_BYTES), (16, 20));
    }
}
