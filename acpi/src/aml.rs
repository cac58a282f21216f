//! AML as devices write it: a scope of devices, a device of named objects. ACPI 6.5, section 20.2.

mod resources;
#[cfg(test)]
mod tests;

use acpi_tables::Aml;
use acpi_tables::aml as objects;

pub use resources::Resources;

/// Something that can tell the operating system about itself.
pub trait Describe {
    /// Adds its devices to `scope`, which is `\_SB`.
    fn describe(&self, scope: &mut Scope);
}

/// A name of four characters: letters, digits, underscores, padded with underscores. ACPI 6.5, 20.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameSeg([u8; 4]);

impl NameSeg {
    /// Two letters and a two-digit decimal number, such as `VR07`. `number` is below 100.
    pub fn numbered(prefix: [u8; 2], number: u8) -> Self {
        let [a, b] = prefix;
        Self([a, b, b'0' + number / 10 % 10, b'0' + number % 10])
    }

    /// A letter and a number of three hexadecimal digits, such as `C0FE`. `number` is below 4096.
    pub fn hexadecimal(prefix: u8, number: u16) -> Self {
        let digit = |shift: u32| HEXADECIMAL[usize::from(number >> shift & 0xf)];
        Self([prefix, digit(8), digit(4), digit(0)])
    }
}

const HEXADECIMAL: [u8; 16] = *b"0123456789ABCDEF";

impl From<&[u8; 4]> for NameSeg {
    fn from(name: &[u8; 4]) -> Self {
        Self(*name)
    }
}

impl Aml for NameSeg {
    fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
        sink.vec(&self.0);
    }
}

/// A list of AML terms: the inside of `\_SB` or of another name space object.
#[derive(Debug, Default)]
pub struct Scope {
    terms: Vec<u8>,
}

impl Scope {
    /// A scope with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds any AML object.
    pub fn add(&mut self, object: &dyn Aml) {
        object.to_aml_bytes(&mut self.terms);
    }

    /// Adds a named object. ACPI 6.5, 20.2.5.1.
    pub fn name(&mut self, name: impl Into<NameSeg>, object: &dyn Aml) {
        self.terms.push(NAME_OP);
        self.add(&name.into());
        self.add(object);
    }

    /// Adds a device. ACPI 6.5, 20.2.5.2.
    pub fn device(&mut self, name: impl Into<NameSeg>, describe: impl FnOnce(&mut Device)) {
        let mut device = Device { terms: Self::new() };
        device.terms.add(&name.into());
        describe(&mut device);
        self.package(&DEVICE_OP, &device.terms.terms);
    }

    /// Adds an opcode whose body carries its own length.
    fn package(&mut self, op: &[u8], body: &[u8]) {
        self.terms.extend_from_slice(op);
        self.terms.extend_from_slice(&package_length(body.len()));
        self.terms.extend_from_slice(body);
    }

    /// Adds `Scope(path) { inner }`, where `path` is an encoded name string. ACPI 6.5, 20.2.5.1.
    pub(crate) fn scope(&mut self, path: &[u8], inner: &Scope) {
        self.package(&[SCOPE_OP], &[path, &inner.terms].concat());
    }

    /// The AML of all terms.
    pub fn bytes(&self) -> &[u8] {
        &self.terms
    }
}

/// The terms, as the inside of something else.
impl Aml for Scope {
    fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
        sink.vec(&self.terms);
    }
}

/// A device and the objects that identify it, in the order in which they are called. ACPI 6.5, section 6.
#[derive(Debug)]
pub struct Device {
    terms: Scope,
}

impl Device {
    /// `_HID` as text, for ids with a four-letter vendor such as `ACPI0013`. ACPI 6.5, 6.1.5.
    pub fn hid(&mut self, id: &'static str) {
        self.name(b"_HID", &id);
    }

    /// `_HID` as a compressed EISA id, for ids of three letters and four hex digits such as `PNP0501`. ACPI 6.5, 6.1.5.
    pub fn eisa_hid(&mut self, id: &'static str) {
        self.name(b"_HID", &objects::EISAName::new(id));
    }

    /// `_UID`, an integer or a string. ACPI 6.5, 6.1.12.
    pub fn uid(&mut self, id: &dyn Aml) {
        self.name(b"_UID", id);
    }

    /// `_STA`: bit 0 present, 1 decoding, 2 shown in user interfaces, 3 working. ACPI 6.5, 6.3.7.
    pub fn sta(&mut self, status: u8) {
        self.name(b"_STA", &status);
    }

    /// `_CCA` of a device whose bus-master accesses are cache coherent. ACPI 6.5, 6.2.17.
    pub fn coherent(&mut self) {
        self.name(b"_CCA", &objects::ONE);
    }

    /// `_CRS`, the ports, memory and interrupts the device uses. ACPI 6.5, 6.2.2.
    pub fn crs(&mut self, resources: impl FnOnce(Resources) -> Resources) {
        self.name(b"_CRS", &resources(Resources::new()));
    }

    /// Adds a named object.
    pub fn name(&mut self, name: impl Into<NameSeg>, object: &dyn Aml) {
        self.terms.name(name, object);
    }

    /// Adds any AML object.
    pub fn add(&mut self, object: &dyn Aml) {
        self.terms.add(object);
    }

    /// Adds a child. Children come last: SeaBIOS' parser forgets the parent behind them.
    pub fn device(&mut self, name: impl Into<NameSeg>, describe: impl FnOnce(&mut Device)) {
        self.terms.device(name, describe);
    }
}

// Opcodes of ACPI 6.5, 20.3.
const NAME_OP: u8 = 0x08;
const SCOPE_OP: u8 = 0x10;
const DEVICE_OP: [u8; 2] = [0x5b, 0x82];

/// The shortest PkgLength of a body of `len` bytes. It counts itself: one byte holds 6 bits, else the first of two to four
/// bytes holds the low 4 bits and how many follow. ACPI 6.5, 20.2.4.
///
/// acpi_tables keeps its own to itself, and cannot express `Scope(\)`, whose path has no name segment.
fn package_length(len: usize) -> Vec<u8> {
    if len + 1 < 1 << 6 {
        return vec![(len + 1) as u8];
    }
    let following = match len {
        len if len + 2 < 1 << 12 => 1,
        len if len + 3 < 1 << 20 => 2,
        _ => 3,
    };
    let total = len + 1 + following;
    let lead = (following as u8) << 6 | (total & 0xf) as u8;
    let rest = (0..following).map(|byte| (total >> (4 + 8 * byte)) as u8);
    std::iter::once(lead).chain(rest).collect()
}
