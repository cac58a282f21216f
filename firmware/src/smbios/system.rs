//! System Information, type 1. DSP0134 3.0, 7.2.

use zerocopy::{Immutable, IntoBytes};

use super::structure::{HEADER, Strings, Writer};
use super::{Text, Uuid};

const KIND: u8 = 1;

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Area {
    manufacturer: u8,
    product: u8,
    version: u8,
    serial: u8,
    uuid: [u8; 16],
    wake_up_type: u8,
    sku: u8,
    family: u8,
}
const _: () = assert!(HEADER + size_of::<Area>() == 0x1b);

/// 7.2.2.
const POWER_SWITCH: u8 = 6;

/// The machine as a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// Who made it.
    pub manufacturer: Text,
    /// What it is called.
    pub product: Text,
    /// Its version.
    pub version: Text,
    /// Its serial number.
    pub serial: Text,
    /// Its number in a catalogue.
    pub sku: Text,
    /// The family of products it belongs to.
    pub family: Text,
}

impl Default for System {
    fn default() -> Self {
        Self {
            manufacturer: Text::literal("Tinderbox"),
            product: Text::literal("microvm"),
            version: Text::default(),
            serial: Text::default(),
            sku: Text::default(),
            family: Text::default(),
        }
    }
}

impl System {
    /// All zeros stand for a machine without UUID (7.2.1).
    pub(super) fn append(&self, uuid: Option<Uuid>, writer: &mut Writer) {
        let mut strings = Strings::default();
        let area = Area {
            manufacturer: strings.add(&self.manufacturer),
            product: strings.add(&self.product),
            version: strings.add(&self.version),
            serial: strings.add(&self.serial),
            uuid: uuid.map_or([0; 16], Uuid::wire),
            wake_up_type: POWER_SWITCH,
            sku: strings.add(&self.sku),
            family: strings.add(&self.family),
        };
        writer.append(KIND, 0, &area, &strings);
    }
}
