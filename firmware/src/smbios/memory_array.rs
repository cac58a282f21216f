//! Physical Memory Array, type 16. DSP0134 3.0, 7.17.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes};

use super::structure::{HEADER, NO_ERROR_INFORMATION, Strings, Writer, handle};

const KIND: u8 = 16;

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Area {
    location: u8,
    usage: u8,
    error_correction: u8,
    max_capacity: U32,
    error_information: U16,
    devices: U16,
    extended_max_capacity: U64,
}
const _: () = assert!(HEADER + size_of::<Area>() == 0x17);

/// 7.17.1.
const OTHER: u8 = 1;
/// 7.17.2.
const SYSTEM_MEMORY: u8 = 3;
/// 7.17.3; some guests check that a server has it.
const MULTI_BIT_ECC: u8 = 6;
/// From here on, in KiB, the extended field has the capacity, in bytes.
const EXTENDED: u32 = 0x8000_0000;

/// The only array's handle.
pub(super) fn the_handle() -> u16 {
    handle(KIND, 0)
}

/// One array of `devices` devices with `size` bytes together.
pub(super) fn append(size: u64, devices: usize, writer: &mut Writer) {
    let (capacity, extended) = match u32::try_from(size >> 10) {
        Ok(kib) if kib < EXTENDED => (kib, 0),
        _ => (EXTENDED, size),
    };
    let area = Area {
        location: OTHER,
        usage: SYSTEM_MEMORY,
        error_correction: MULTI_BIT_ECC,
        max_capacity: capacity.into(),
        error_information: NO_ERROR_INFORMATION.into(),
        devices: (devices as u16).into(), // see memory_device::MAX_DEVICES
        extended_max_capacity: extended.into(),
    };
    writer.append(KIND, 0, &area, &Strings::default());
}
