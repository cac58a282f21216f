//! Memory Device, type 17. DSP0134 3.0, 7.18.

use zerocopy::byteorder::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes};

use super::structure::{HEADER, NO_ERROR_INFORMATION, Strings, Writer};
use super::{Text, memory_array};

const KIND: u8 = 17;

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Area {
    array: U16,
    error_information: U16,
    total_width: U16,
    data_width: U16,
    size: U16,
    form_factor: u8,
    set: u8,
    locator: u8,
    bank: u8,
    kind: u8,
    detail: U16,
    speed: U16,
    manufacturer: u8,
    serial: u8,
    asset: u8,
    part: u8,
    attributes: u8,
    extended_size: U32,
    configured_speed: U16,
    min_voltage: U16,
    max_voltage: U16,
    configured_voltage: U16,
}
const _: () = assert!(HEADER + size_of::<Area>() == 0x28);

const WIDTH_UNKNOWN: u16 = 0xffff;
/// 7.18.1.
const DIMM: u8 = 9;
/// 7.18.2.
const RAM: u8 = 7;
/// 7.18.3, bit 1.
const OTHER: u16 = 1 << 1;
/// From here on, in MiB, the extended field has the size.
const EXTENDED: u16 = 0x7fff;

const MIB: u64 = 1 << 20;
/// What a device holds unless there would be too many.
const USUAL_DEVICE: u64 = 16 << 30;
/// Devices that are described; more memory means larger ones.
const MAX_DEVICES: u64 = 64;

/// What is printed on a memory module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryDevice {
    /// What the device's number is appended to, after a space.
    pub locator_prefix: Text,
    /// The bank it is in.
    pub bank: Text,
    /// Who made it.
    pub manufacturer: Text,
    /// Its serial number.
    pub serial: Text,
    /// Its number in an inventory.
    pub asset: Text,
    /// Its number in a catalogue.
    pub part: Text,
    /// In MT/s; 0 if not known.
    pub speed: u16,
}

impl Default for MemoryDevice {
    fn default() -> Self {
        Self {
            locator_prefix: Text::literal("DIMM"),
            bank: Text::default(),
            manufacturer: Text::literal("Tinderbox"),
            serial: Text::default(),
            asset: Text::default(),
            part: Text::default(),
            speed: 0,
        }
    }
}

impl MemoryDevice {
    /// A structure for each of `sizes`, in bytes.
    pub(super) fn append(&self, sizes: &[u64], writer: &mut Writer) {
        for (n, &size) in sizes.iter().enumerate() {
            self.append_one(n, size, writer);
        }
    }

    fn append_one(&self, n: usize, bytes: u64, writer: &mut Writer) {
        let locator = self.locator_prefix.numbered(n);
        let (size, extended_size) = size(bytes);
        let mut strings = Strings::default();
        let area = Area {
            array: memory_array::the_handle().into(),
            error_information: NO_ERROR_INFORMATION.into(),
            total_width: WIDTH_UNKNOWN.into(),
            data_width: WIDTH_UNKNOWN.into(),
            size: size.into(),
            form_factor: DIMM,
            set: 0,
            locator: strings.add(&locator),
            bank: strings.add(&self.bank),
            kind: RAM,
            detail: OTHER.into(),
            speed: self.speed.into(),
            manufacturer: strings.add(&self.manufacturer),
            serial: strings.add(&self.serial),
            asset: strings.add(&self.asset),
            part: strings.add(&self.part),
            attributes: 0,
            extended_size: extended_size.into(),
            configured_speed: self.speed.into(),
            min_voltage: 0.into(),
            max_voltage: 0.into(),
            configured_voltage: 0.into(),
        };
        writer.append(KIND, n, &area, &strings);
    }
}

/// The sizes of the devices that make up `total` bytes: all alike but the last.
pub(super) fn divide(total: u64) -> Vec<u64> {
    let mut each = USUAL_DEVICE;
    while total.div_ceil(each) > MAX_DEVICES {
        each *= 2;
    }
    (0..total.div_ceil(each)).map(|n| each.min(total - n * each)).collect()
}

/// The size in MiB, in the old field and, if it has no room, in the extended one.
fn size(bytes: u64) -> (u16, u32) {
    let mib = bytes.div_ceil(MIB);
    match u16::try_from(mib) {
        Ok(mib) if mib < EXTENDED => (mib, 0),
        _ => (EXTENDED, u32::try_from(mib).unwrap_or(u32::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn memory_is_divided_into_16_gib_and_a_rest() {
        assert_eq!(divide(512 * MIB), [512 * MIB]);
        assert_eq!(divide(16 * GIB), [16 * GIB]);
        assert_eq!(divide(33 * GIB), [16 * GIB, 16 * GIB, GIB]);
        assert!(divide(0).is_empty());
    }

    #[test]
    fn much_memory_makes_large_devices_not_many() {
        assert_eq!(divide(1 << 40).len(), 64);
        assert_eq!(divide((1 << 40) + MIB), [vec![32 * GIB; 32], vec![MIB]].concat());
        assert_eq!(divide(1 << 46).len(), 64);
    }

    #[test]
    fn size_of_32_gib_is_in_the_extended_field() {
        assert_eq!(size(512 * MIB), (512, 0));
        assert_eq!(size(32 * GIB - 2 * MIB), (0x7ffe, 0));
        assert_eq!(size(32 * GIB), (0x7fff, 32 << 10));
    }
}
