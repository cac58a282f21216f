//! BIOS Information, type 0. DSP0134 3.0, 7.1.

use zerocopy::byteorder::little_endian::{U16, U64};
use zerocopy::{Immutable, IntoBytes};

use super::Text;
use super::structure::{HEADER, Strings, Writer};

const KIND: u8 = 0;

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Area {
    vendor: u8,
    version: u8,
    start_segment: U16,
    release_date: u8,
    rom_size: u8,
    characteristics: U64,
    characteristics_extension: [u8; 2],
    major: u8,
    minor: u8,
    controller_major: u8,
    controller_minor: u8,
}
const _: () = assert!(HEADER + size_of::<Area>() == 0x18);

/// BIOS characteristics: they are not given. 7.1.1, bit 3.
const NOT_SUPPORTED: u64 = 1 << 3;
/// Second extension byte, 7.1.2.2.
const TARGETED_CONTENT_DISTRIBUTION: u8 = 1 << 2;
const UEFI: u8 = 1 << 3;
const VIRTUAL_MACHINE: u8 = 1 << 4;
/// No embedded controller, or none that can be updated.
const NO_CONTROLLER: u8 = 0xff;

/// The firmware, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bios {
    /// Who made it.
    pub vendor: Text,
    /// Its version.
    pub version: Text,
    /// When it was made, as mm/dd/yyyy.
    pub date: Text,
    /// Major and minor release.
    pub release: Option<(u8, u8)>,
    /// It is UEFI.
    pub uefi: bool,
}

impl Bios {
    /// For a machine that starts without firmware.
    #[must_use]
    pub fn ours() -> Self {
        Self { vendor: Text::literal("Tinderbox"), ..Self::default() }
    }

    pub(super) fn append(&self, writer: &mut Writer) {
        let mut strings = Strings::default();
        let uefi = if self.uefi { UEFI } else { 0 };
        let (major, minor) = self.release.unwrap_or((0, 0));
        let area = Area {
            vendor: strings.add(&self.vendor),
            version: strings.add(&self.version),
            start_segment: if self.uefi { 0 } else { 0xe000 }.into(),
            release_date: strings.add(&self.date),
            rom_size: 1, // 128 KiB, in units of 64 KiB less one
            characteristics: NOT_SUPPORTED.into(),
            characteristics_extension: [0, TARGETED_CONTENT_DISTRIBUTION | VIRTUAL_MACHINE | uefi],
            major,
            minor,
            controller_major: NO_CONTROLLER,
            controller_minor: NO_CONTROLLER,
        };
        writer.append(KIND, 0, &area, &strings);
    }
}
