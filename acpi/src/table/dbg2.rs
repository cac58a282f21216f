//! Debug Port Table 2: where a kernel debugger may talk. Microsoft's specification of DBG2.

use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes};

use super::{Definition, OemIds, Table, TableHeader};

const REVISION: u8 = 0;

/// One 16550 behind I/O ports.
#[derive(Clone, Copy, Debug)]
pub struct Dbg2 {
    /// First I/O port.
    pub port: u16,
    /// How many ports.
    pub len: u32,
    /// The device's full name in the name space, such as `\_SB.COM1`.
    pub path: &'static str,
}

impl Definition for Dbg2 {
    fn encode(&self, ids: &OemIds) -> Table {
        let mut table = Table::new(*b"DBG2", REVISION, ids);
        table.append(Devices::ONE.as_bytes());
        table.append(DebugPort::new(self).as_bytes());
        table.append(self.path.as_bytes());
        table.append(&[0]);
        table
    }
}

/// What follows the header: where device information begins, and how many there are.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Devices {
    offset: U32,
    count: U32,
}

impl Devices {
    const ONE: Self =
        Self { offset: U32::new((size_of::<TableHeader>() + size_of::<Self>()) as u32), count: U32::new(1) };
}

/// Device information with one register range. Its name follows.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct DebugPort {
    revision: u8,
    length: U16,
    ranges: u8,
    path_length: U16,
    path_offset: U16,
    oem_data_length: U16,
    oem_data_offset: U16,
    port_type: U16,
    port_subtype: U16,
    reserved: U16,
    registers_offset: U16,
    sizes_offset: U16,
    registers: GAS,
    size: U32,
}

const _: () = assert!(size_of::<DebugPort>() == 38);

impl DebugPort {
    const SERIAL: U16 = U16::new(0x8000);
    const FULL_16550: U16 = U16::ZERO;

    fn new(port: &Dbg2) -> Self {
        let path_length = port.path.len() + 1;
        Self {
            revision: 0,
            length: U16::new((size_of::<Self>() + path_length) as u16),
            ranges: 1,
            path_length: U16::new(path_length as u16),
            path_offset: U16::new(size_of::<Self>() as u16),
            oem_data_length: U16::ZERO,
            oem_data_offset: U16::ZERO,
            port_type: Self::SERIAL,
            port_subtype: Self::FULL_16550,
            reserved: U16::ZERO,
            registers_offset: U16::new(std::mem::offset_of!(Self, registers) as u16),
            sizes_offset: U16::new(std::mem::offset_of!(Self, size) as u16),
            registers: GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, port.port.into()),
            size: U32::new(port.len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dbg2_device_is_followed_by_its_name() {
        let table = Dbg2 { port: 0x3f8, len: 8, path: "\\_SB.COM1" }.encode(&OemIds::default());

        assert_eq!(table.bytes()[..9], *b"DBG2\x5c\0\0\0\0");
        assert_eq!(table.bytes()[36..44], [44, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(table.bytes()[44..66], *b"\0\x30\0\x01\x0a\0\x26\0\0\0\0\0\0\x80\0\0\0\0\x16\0\x22\0");
        assert_eq!(table.bytes()[66..82], *b"\x01\x08\0\x01\xf8\x03\0\0\0\0\0\0\x08\0\0\0");
        assert_eq!(table.bytes()[82..], *b"\\_SB.COM1\0");
    }
}
