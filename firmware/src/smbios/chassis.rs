//! System Enclosure or Chassis, type 3. DSP0134 3.0, 7.4.

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{Immutable, IntoBytes};

use super::Text;
use super::structure::{HEADER, Strings, Writer};

const KIND: u8 = 3;

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Area {
    manufacturer: u8,
    kind: u8,
    version: u8,
    serial: u8,
    asset: u8,
    boot_up_state: u8,
    power_supply_state: u8,
    thermal_state: u8,
    security_status: u8,
    oem_defined: U32,
    height: u8,
    power_cords: u8,
    contained_elements: u8,
    contained_element_len: u8,
    sku: u8,
}
const _: () = assert!(HEADER + size_of::<Area>() == 0x16);

/// 7.4.1: neither a desktop nor a rack.
const OTHER: u8 = 1;
/// 7.4.2.
const SAFE: u8 = 3;
/// 7.4.3.
const SECURITY_UNKNOWN: u8 = 2;

/// The case that the machine would be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chassis {
    /// Who made it.
    pub manufacturer: Text,
    /// Its version.
    pub version: Text,
    /// Its serial number.
    pub serial: Text,
    /// Its number in an inventory.
    pub asset: Text,
    /// Its number in a catalogue.
    pub sku: Text,
}

impl Default for Chassis {
    fn default() -> Self {
        Self {
            manufacturer: Text::literal("Tinderbox"),
            version: Text::default(),
            serial: Text::default(),
            asset: Text::default(),
            sku: Text::default(),
        }
    }
}

impl Chassis {
    pub(super) fn append(&self, writer: &mut Writer) {
        let mut strings = Strings::default();
        let area = Area {
            manufacturer: strings.add(&self.manufacturer),
            kind: OTHER,
            version: strings.add(&self.version),
            serial: strings.add(&self.serial),
            asset: strings.add(&self.asset),
            boot_up_state: SAFE,
            power_supply_state: SAFE,
            thermal_state: SAFE,
            security_status: SECURITY_UNKNOWN,
            oem_defined: 0.into(),
            height: 0,
            power_cords: 0,
            contained_elements: 0,
            contained_element_len: 0,
            sku: strings.add(&self.sku),
        };
        writer.append(KIND, 0, &area, &strings);
    }
}
