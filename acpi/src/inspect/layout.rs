//! Where the fields of each table are: one description that shows tables and that finds what should be zero.

mod affinity;
mod tables;

use std::fmt;
use std::ops::RangeInclusive;

use super::bytes::{Bytes, number_at};

/// A table as the standard prints it.
struct Layout {
    signature: &'static str,
    title: &'static str,
    revisions: RangeInclusive<u8>,
    fields: &'static [Spec],
    tail: Tail,
}

/// A field: where it begins, and what it is.
struct Spec(usize, &'static str, Form);

#[derive(Clone, Copy)]
enum Form {
    /// A number of that many bytes.
    Number(usize),
    /// A number of that many bytes, in which only these bits are defined.
    Bits(usize, u64),
    /// That many bytes, all zero.
    Reserved(usize),
    /// A generic address structure. ACPI 6.5, 5.2.3.2.
    Address,
    /// ASCII of that many bytes.
    Text(usize),
    /// Text up to a NUL.
    Name,
}

/// What follows the fields of a table.
enum Tail {
    /// Nothing.
    None,
    /// Parts of one kind, back to back, from an offset on.
    Records(usize, Record),
    /// Parts that begin with a byte of type and one of length, from an offset on.
    Typed(usize, &'static [(u8, Record)]),
    /// Parts that begin with two bytes of type, two reserved and four of length, from an offset on. They may be longer than
    /// their fields.
    Long(usize, &'static [(u8, Record)]),
    /// Bytes without a structure.
    Opaque,
}

/// A part of a table.
struct Record {
    name: &'static str,
    len: usize,
    fields: &'static [Spec],
}

/// A field with what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the standard, in lower case.
    pub name: &'static str,
    /// Its contents.
    pub value: FieldValue,
    /// Bits that are set and should not be.
    pub undefined: u64,
}

/// The contents of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// A number and how many bytes it has.
    Number(u64, usize),
    /// A register: address space, width in bits, address.
    Address(u8, u8, u64),
    /// Text.
    Text(String),
}

/// The fields that stand together: those of the table itself, or of one structure in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is; empty for the table itself.
    pub name: &'static str,
    /// Its fields in the order of their offsets.
    pub fields: Vec<Field>,
}

impl Part {
    /// The number in the field of that name.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.fields.iter().find(|field| field.name == name).and_then(|field| match field.value {
            FieldValue::Number(number, _) | FieldValue::Address(_, _, number) => Some(number),
            FieldValue::Text(_) => None,
        })
    }

    /// The text in the field of that name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.name == name).and_then(|field| match &field.value {
            FieldValue::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

/// The full name of the table with this signature.
pub fn title(signature: &str) -> &'static str {
    layout(signature).map_or("unknown table", |layout| layout.title)
}

/// The revisions of the table with this signature that are known here.
pub(super) fn revisions(signature: &str) -> Option<RangeInclusive<u8>> {
    layout(signature).map(|layout| layout.revisions.clone())
}

fn layout(signature: &str) -> Option<&'static Layout> {
    tables::LAYOUTS.iter().find(|layout| layout.signature == signature)
}

/// The fields of a table with its header, or of an RSDP. `None` if it ends too early or holds a structure of no known type.
pub fn decode(table: &[u8]) -> Option<Vec<Part>> {
    if table.starts_with(b"RSD PTR ") {
        return Some(vec![part("", &tables::RSDP, table)?]);
    }
    let signature = std::str::from_utf8(table.get(..4)?).ok()?;
    let mut fields = part("", &tables::HEADER, table)?;
    let Some(layout) = layout(signature) else { return Some(vec![fields]) };
    fields.fields.extend(part("", layout.fields, table)?.fields);
    let mut parts = vec![fields];
    match &layout.tail {
        Tail::None if table.len() != end(layout.fields) => return None,
        Tail::None | Tail::Opaque => {}
        Tail::Records(at, record) => {
            let records = table.get(*at..)?.chunks(record.len);
            parts.extend(
                records.map(|bytes| part(record.name, record.fields, bytes)).collect::<Option<Vec<_>>>()?,
            );
        }
        Tail::Typed(at, records) => parts.extend(typed(table.get(*at..)?, records)?),
        Tail::Long(at, records) => parts.extend(long(table.get(*at..)?, records)?),
    }
    Some(parts)
}

/// Where the last field ends; fields stand in ascending order.
fn end(fields: &[Spec]) -> usize {
    fields.last().map_or(super::check::HEADER_LEN, |Spec(at, _, form)| {
        at + match form {
            Form::Number(len) | Form::Bits(len, _) | Form::Reserved(len) | Form::Text(len) => *len,
            Form::Address => 12,
            Form::Name => 0,
        }
    })
}

fn typed(tail: &[u8], records: &[(u8, Record)]) -> Option<Vec<Part>> {
    let mut bytes = Bytes::new(tail);
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let mut head = bytes;
        let (kind, len) = (head.u8()?, usize::from(head.u8()?));
        let (_, record) = records.iter().find(|(id, _)| *id == kind)?;
        let body = bytes.take(len).filter(|_| len == record.len)?;
        parts.push(part(record.name, record.fields, body)?);
    }
    Some(parts)
}

fn long(tail: &[u8], records: &[(u8, Record)]) -> Option<Vec<Part>> {
    let mut bytes = Bytes::new(tail);
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let mut head = bytes;
        let (kind, _reserved, len) = (head.number(2)?, head.number(2)?, head.u32()?);
        let (_, record) = records.iter().find(|(id, _)| u64::from(*id) == kind)?;
        let body = bytes.take(len as usize).filter(|body| body.len() >= record.len)?;
        parts.push(part(record.name, record.fields, body)?);
    }
    Some(parts)
}

fn part(name: &'static str, specs: &[Spec], bytes: &[u8]) -> Option<Part> {
    let fields = specs.iter().map(|spec| field(spec, bytes)).collect::<Option<_>>()?;
    Some(Part { name, fields })
}

fn field(Spec(at, name, form): &Spec, bytes: &[u8]) -> Option<Field> {
    let number = |len| number_at(bytes, *at, len);
    let (value, undefined) = match *form {
        Form::Number(len) => (FieldValue::Number(number(len)?, len), 0),
        Form::Bits(len, defined) => (FieldValue::Number(number(len)?, len), number(len)? & !defined),
        Form::Reserved(len) => {
            let any = bytes.get(*at..at + len)?.iter().fold(0, |any, byte| any | byte);
            (FieldValue::Number(any.into(), 1), any.into())
        }
        Form::Address => {
            let (space, width) = (number_at(bytes, *at, 1)?, number_at(bytes, at + 1, 1)?);
            (FieldValue::Address(space as u8, width as u8, number_at(bytes, at + 4, 8)?), 0)
        }
        Form::Text(len) => {
            let text = bytes.get(*at..at + len)?;
            (FieldValue::Text(text.escape_ascii().to_string()), 0)
        }
        Form::Name => (FieldValue::Text(Bytes::new(bytes.get(*at..)?).text()?.into()), 0),
    };
    Some(Field { name, value, undefined })
}

impl Field {
    /// Whether there is nothing to see: a reserved field as it should be.
    pub fn is_silent(&self) -> bool {
        self.name == tables::RESERVED && self.undefined == 0
    }
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number, len) => write!(f, "{number:#0width$x}", width = 2 + 2 * len),
            Self::Address(_, 0, _) => f.write_str("none"),
            Self::Address(0, width, address) => write!(f, "memory {address:#010x}, {width} bits"),
            Self::Address(1, width, address) => write!(f, "port {address:#06x}, {width} bits"),
            Self::Address(space, width, address) => {
                write!(f, "address space {space}, {address:#x}, {width} bits")
            }
            Self::Text(text) => write!(f, "\"{text}\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Madt;
    use crate::table::madt::{Cpu, IoApic};
    use crate::{Definition as _, OemIds};

    fn madt() -> Vec<u8> {
        let madt = Madt {
            local_apic: 0xfee0_0000,
            cpus: [0, 300].map(|apic_id| Cpu { apic_id, present: true }).to_vec(),
            io_apics: vec![IoApic { id: 1, address: 0xfec1_0000, gsi_base: 24 }],
            ..Madt::default()
        };
        madt.encode(&OemIds::default()).bytes().to_vec()
    }

    #[test]
    fn decode_gives_table_and_structures_in_order() {
        let parts = decode(&madt()).unwrap();

        let names: Vec<_> = parts.iter().map(|part| part.name).collect();
        assert_eq!(
            names,
            ["", "processor local APIC", "processor local x2APIC", "I/O APIC", "local x2APIC NMI"]
        );
        assert_eq!(parts[0].number("local APIC address"), Some(0xfee0_0000));
        assert_eq!(parts[2].number("x2APIC id"), Some(300));
        assert_eq!(parts[3].number("GSI base"), Some(24));
    }

    #[test]
    fn decode_structure_of_unknown_type_or_length_is_nothing() {
        for (at, byte) in [(44, 0x7f), (45, 7), (45, 0)] {
            let mut table = madt();
            table[at] = byte;
            assert_eq!(decode(&table), None, "{byte} at {at}");
        }
    }

    #[test]
    fn decode_reserved_bits_that_are_set_are_undefined() {
        let mut table = madt();
        table[40] = 3;
        let parts = decode(&table).unwrap();
        let flags = parts[0].fields.iter().find(|field| field.name == "flags").unwrap();
        assert_eq!(flags.undefined, 2);
    }

    #[test]
    fn value_is_printed_in_the_width_of_its_field() {
        assert_eq!(FieldValue::Number(5, 2).to_string(), "0x0005");
        assert_eq!(FieldValue::Address(1, 8, 0x3f8).to_string(), "port 0x03f8, 8 bits");
        assert_eq!(FieldValue::Address(0, 0, 0).to_string(), "none");
    }
}
