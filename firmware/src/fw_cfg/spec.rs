//! Names and layouts from the fw_cfg specification, and nothing else.

use bitfield_struct::bitfield;
use zerocopy::byteorder::{BE, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// First port of the device.
pub const PORT_BASE: u64 = 0x510;
/// Length of the port range that ACPI declares; the device leaves offsets 2 and 3 unanswered.
pub const PORT_COUNT: u64 = 0x0c;

/// Offset of the selector: 16-bit writes. Byte reads are the data port's.
pub const SELECTOR: u64 = 0x0;
/// Offset of the data port: byte reads.
pub const DATA: u64 = 0x1;
/// Offset of the high half of the DMA address: 32-bit writes. Reads show [`DMA_SIGNATURE`].
pub const DMA_HIGH: u64 = 0x4;
/// Offset of the low half of the DMA address: a 32-bit write starts the transfer.
pub const DMA_LOW: u64 = 0x8;

/// What key 0 holds.
pub const SIGNATURE: [u8; 4] = *b"QEMU";
/// What reading the DMA address shows, in memory order.
pub const DMA_SIGNATURE: [u8; 8] = *b"QEMU CFG";

/// Bit of [`Key::ID`]: selector and data port are there.
pub const ID_TRADITIONAL: u32 = 1 << 0;
/// Bit of [`Key::ID`]: the DMA interface is there.
pub const ID_DMA: u32 = 1 << 1;

/// First selector of a file.
pub const FILE_FIRST: u16 = 0x20;
/// Files that the directory has room for.
pub const FILE_SLOTS: usize = 32;
/// Bytes for a file's name, its NUL included.
pub const FILE_NAME_SIZE: usize = 56;

/// What a guest selects: an index, in one of two name spaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(u16);

impl Key {
    /// Four bytes, [`SIGNATURE`].
    pub const SIGNATURE: Self = Self(0x0000);
    /// u32, [`ID_TRADITIONAL`] and [`ID_DMA`].
    pub const ID: Self = Self(0x0001);
    /// 16 bytes, the machine's UUID as RFC 4122 prints it.
    pub const UUID: Self = Self(0x0002);
    /// u64, bytes of RAM.
    pub const RAM_SIZE: Self = Self(0x0003);
    /// u16, 1 if there is no graphics.
    pub const NOGRAPHIC: Self = Self(0x0004);
    /// u16, processors present at boot.
    pub const NB_CPUS: Self = Self(0x0005);
    /// u32, where the protected-mode part of the kernel goes.
    pub const KERNEL_ADDR: Self = Self(0x0007);
    /// u32, its length.
    pub const KERNEL_SIZE: Self = Self(0x0008);
    /// u32, where the initial RAM disk goes.
    pub const INITRD_ADDR: Self = Self(0x000a);
    /// u32, its length.
    pub const INITRD_SIZE: Self = Self(0x000b);
    /// u16, 1 if a boot menu was asked for.
    pub const BOOT_MENU: Self = Self(0x000e);
    /// u16, processors there may be.
    pub const MAX_CPUS: Self = Self(0x000f);
    /// u32, the PVH entry point.
    pub const KERNEL_ENTRY: Self = Self(0x0010);
    /// The protected-mode part of the kernel.
    pub const KERNEL_DATA: Self = Self(0x0011);
    /// The initial RAM disk.
    pub const INITRD_DATA: Self = Self(0x0012);
    /// u32, where the command line goes.
    pub const CMDLINE_ADDR: Self = Self(0x0013);
    /// u32, its length with the NUL.
    pub const CMDLINE_SIZE: Self = Self(0x0014);
    /// The command line with its NUL.
    pub const CMDLINE_DATA: Self = Self(0x0015);
    /// u32, where the real-mode part of the kernel goes.
    pub const SETUP_ADDR: Self = Self(0x0016);
    /// u32, its length.
    pub const SETUP_SIZE: Self = Self(0x0017);
    /// The real-mode part of the kernel.
    pub const SETUP_DATA: Self = Self(0x0018);
    /// The file directory.
    pub const FILE_DIR: Self = Self(0x0019);
    /// u32, 1 if ISA interrupt 0 arrives at input 2 of the IOAPIC.
    pub const IRQ0_OVERRIDE: Self = Self(0x8002);

    /// Once asked for writing through the data port; ignored since.
    const WRITE_CHANNEL: u16 = 1 << 14;

    /// The key that a guest means by `selector`.
    #[must_use]
    pub const fn from_selector(selector: u16) -> Self {
        Self(selector & !Self::WRITE_CHANNEL)
    }
}

/// First word of a DMA descriptor.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct DmaControl {
    /// Set by the device: the transfer failed.
    pub error: bool,
    /// From the item to guest memory.
    pub read: bool,
    /// Advance the offset.
    pub skip: bool,
    /// Select `key` first.
    pub select: bool,
    /// From guest memory to the item.
    pub write: bool,
    #[bits(11)]
    __: u16,
    /// What `select` selects.
    pub key: u16,
}

/// What the DMA address points at; big-endian, at any alignment.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct DmaDescriptor {
    /// A [`DmaControl`]; the device stores 0 or [`DmaControl::error`] here when it is done.
    pub control: U32<BE>,
    /// Bytes to move or skip.
    pub length: U32<BE>,
    /// Where in guest memory the buffer starts.
    pub address: U64<BE>,
}
const _: () = assert!(size_of::<DmaDescriptor>() == 16);

/// One file in the directory.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct DirEntry {
    /// Bytes in the file.
    pub size: U32<BE>,
    /// Its key.
    pub select: U16<BE>,
    /// Zero.
    pub reserved: U16<BE>,
    /// Padded with NULs, at least one.
    pub name: [u8; FILE_NAME_SIZE],
}
const _: () = assert!(size_of::<DirEntry>() == 64);

/// The file directory: always all slots, the unused ones zero.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Directory {
    /// Slots in use.
    pub count: U32<BE>,
    /// Sorted by name, selectors counting up from [`FILE_FIRST`].
    pub entries: [DirEntry; FILE_SLOTS],
}
const _: () = assert!(size_of::<Directory>() == 2052);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bits_stand_where_the_specification_puts_them() {
        let bits = |control: DmaControl| control.into_bits();
        assert_eq!(bits(DmaControl::new().with_error(true)), 1 << 0);
        assert_eq!(bits(DmaControl::new().with_read(true)), 1 << 1);
        assert_eq!(bits(DmaControl::new().with_skip(true)), 1 << 2);
        assert_eq!(bits(DmaControl::new().with_select(true)), 1 << 3);
        assert_eq!(bits(DmaControl::new().with_write(true)), 1 << 4);
        assert_eq!(bits(DmaControl::new().with_key(0x8002)), 0x8002 << 16);
    }

    #[test]
    fn write_channel_bit_does_not_change_the_key() {
        assert_eq!(Key::from_selector(0x4019), Key::FILE_DIR);
        assert_eq!(Key::from_selector(0xc002), Key::IRQ0_OVERRIDE);
        assert_ne!(Key::from_selector(0x0002), Key::IRQ0_OVERRIDE);
    }
}
