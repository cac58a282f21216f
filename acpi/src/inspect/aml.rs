//! The name space that AML declares: devices, names and methods. ACPI 6.5, section 20.2.
//!
//! Methods are listed and not entered. Only the first of two objects of one name counts.

use std::fmt;

use super::bytes::Bytes;

/// Scopes and packages nest no deeper than this.
const MAX_DEPTH: u32 = 32;

/// AML that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmlError {
    /// The end came in the middle of a term.
    #[error("AML ends in the middle of a term")]
    Truncated,
    /// A byte that no term known here begins with.
    #[error("AML has opcode {0:#04x} outside a method, which is not understood")]
    Opcode(u8),
    /// Too many scopes or packages in each other.
    #[error("AML nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// What a term declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A device.
    Device,
    /// A value with a name.
    Name(Value),
    /// A method and how many arguments it takes.
    Method(u8),
    /// An operation region.
    Region,
    /// Anything else with a name.
    Other,
}

/// Data outside a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Up to 64 bits.
    Integer(u64),
    /// Text.
    Text(String),
    /// Bytes, such as resource descriptors.
    Buffer(Vec<u8>),
    /// Several values.
    Package(Vec<Value>),
    /// Another object.
    Path(String),
}

/// Something with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its absolute name, such as `\_SB.COM1._CRS`, without the underscores that fill up a segment.
    pub path: String,
    /// What it is.
    pub kind: Kind,
}

/// All objects in the order of their declaration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    objects: Vec<Object>,
}

impl Namespace {
    /// Reads the AML of a table, that is what follows its header.
    ///
    /// # Errors
    /// The bytes are no AML, or have operators outside a method.
    pub fn read(aml: &[u8]) -> Result<Self, AmlError> {
        let mut namespace = Self::default();
        namespace.terms(Bytes::new(aml), "\\", 0)?;
        Ok(namespace)
    }

    /// All objects.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The devices' names.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        let devices = self.objects.iter().filter(|object| object.kind == Kind::Device);
        devices.map(|device| device.path.as_str())
    }

    /// What the object of this absolute name is.
    pub fn kind(&self, path: &str) -> Option<&Kind> {
        self.objects.iter().find(|object| object.path == path).map(|object| &object.kind)
    }

    /// The value named `name` inside `scope`.
    pub fn value(&self, scope: &str, name: &str) -> Option<&Value> {
        match self.kind(&join(scope, name))? {
            Kind::Name(value) => Some(value),
            _ => None,
        }
    }

    fn terms(&mut self, mut bytes: Bytes<'_>, scope: &str, depth: u32) -> Result<(), AmlError> {
        if depth > MAX_DEPTH {
            return Err(AmlError::TooDeep);
        }
        while let Some(op) = bytes.u8() {
            match op {
                0x08 => {
                    let path = name(&mut bytes, scope)?;
                    let value = value(&mut bytes, scope, depth)?;
                    self.add(path, Kind::Name(value));
                }
                0x10 => {
                    let mut body = package(&mut bytes)?;
                    let path = name(&mut body, scope)?;
                    self.terms(body, &path, depth + 1)?;
                }
                0x14 => {
                    let mut body = package(&mut bytes)?;
                    let path = name(&mut body, scope)?;
                    let flags = body.u8().ok_or(AmlError::Truncated)?;
                    self.add(path, Kind::Method(flags & 0x7));
                }
                0x5b => self.extended(&mut bytes, scope, depth)?,
                op => return Err(AmlError::Opcode(op)),
            }
        }
        Ok(())
    }

    /// Terms of two bytes. ACPI 6.5, 20.2.5.2.
    fn extended(&mut self, bytes: &mut Bytes<'_>, scope: &str, depth: u32) -> Result<(), AmlError> {
        match bytes.u8().ok_or(AmlError::Truncated)? {
            0x01 => {
                let path = name(bytes, scope)?;
                bytes.u8().ok_or(AmlError::Truncated)?; // SyncFlags of a mutex
                self.add(path, Kind::Other);
            }
            0x80 => {
                let path = name(bytes, scope)?;
                bytes.u8().ok_or(AmlError::Truncated)?; // address space
                value(bytes, scope, depth)?;
                value(bytes, scope, depth)?;
                self.add(path, Kind::Region);
            }
            0x81 => drop(package(bytes)?), // fields have no scope of their own and are of no interest
            0x82 => {
                let mut body = package(bytes)?;
                let path = name(&mut body, scope)?;
                self.add(path.clone(), Kind::Device);
                self.terms(body, &path, depth + 1)?;
            }
            op => return Err(AmlError::Opcode(op)),
        }
        Ok(())
    }

    fn add(&mut self, path: String, kind: Kind) {
        self.objects.push(Object { path, kind });
    }
}

/// `name` inside `scope`.
fn join(scope: &str, name: &str) -> String {
    if scope.ends_with('\\') { format!("{scope}{name}") } else { format!("{scope}.{name}") }
}

/// The inside of a term that carries its length. ACPI 6.5, 20.2.4.
fn package<'a>(bytes: &mut Bytes<'a>) -> Result<Bytes<'a>, AmlError> {
    let before = bytes.len();
    let lead = bytes.u8().ok_or(AmlError::Truncated)?;
    let following = usize::from(lead >> 6);
    let rest = bytes.number(following).ok_or(AmlError::Truncated)? as usize;
    let len = if following == 0 { usize::from(lead & 0x3f) } else { rest << 4 | usize::from(lead & 0xf) };
    let body = len.checked_sub(before - bytes.len()).ok_or(AmlError::Truncated)?;
    bytes.take(body).map(Bytes::new).ok_or(AmlError::Truncated)
}

/// A name string made absolute. ACPI 6.5, 20.2.2.
fn name(bytes: &mut Bytes<'_>, scope: &str) -> Result<String, AmlError> {
    let mut path = scope.to_owned();
    loop {
        match bytes.peek().ok_or(AmlError::Truncated)? {
            b'\\' => path = "\\".into(),
            b'^' => path.truncate(path.rfind('.').unwrap_or(1)),
            _ => break,
        }
        bytes.u8();
    }
    for _ in 0..segments(bytes)? {
        path = join(&path, segment(bytes)?.as_str());
    }
    Ok(path)
}

/// How many segments follow.
fn segments(bytes: &mut Bytes<'_>) -> Result<u8, AmlError> {
    let prefix = bytes.peek().ok_or(AmlError::Truncated)?;
    let count = match prefix {
        0x00 => Some(0),
        0x2e => Some(2),
        0x2f => None,
        _ => return Ok(1),
    };
    bytes.u8();
    count.or_else(|| bytes.u8()).ok_or(AmlError::Truncated)
}

fn segment(bytes: &mut Bytes<'_>) -> Result<String, AmlError> {
    let name = bytes.array::<4>().ok_or(AmlError::Truncated)?;
    let is_name = |&c: &u8| c == b'_' || c.is_ascii_uppercase() || c.is_ascii_digit();
    if let Some(&odd) = name.iter().find(|c| !is_name(c)) {
        return Err(AmlError::Opcode(odd));
    }
    let text: String = name.iter().map(|&c| char::from(c)).collect();
    Ok(text.get(..1).unwrap_or_default().to_owned() + text.get(1..).unwrap_or_default().trim_end_matches('_'))
}

/// A constant. ACPI 6.5, 20.2.3.
fn value(bytes: &mut Bytes<'_>, scope: &str, depth: u32) -> Result<Value, AmlError> {
    if depth > MAX_DEPTH {
        return Err(AmlError::TooDeep);
    }
    let start = *bytes;
    let integer = |len, bytes: &mut Bytes<'_>| bytes.number(len).map(Value::Integer);
    let found = match bytes.u8().ok_or(AmlError::Truncated)? {
        0x00 => Some(Value::Integer(0)),
        0x01 => Some(Value::Integer(1)),
        0xff => Some(Value::Integer(u64::MAX)),
        0x0a => integer(1, bytes),
        0x0b => integer(2, bytes),
        0x0c => integer(4, bytes),
        0x0e => integer(8, bytes),
        0x0d => bytes.text().map(|text| Value::Text(text.into())),
        0x11 => Some(buffer(package(bytes)?, scope, depth)?),
        0x12 => {
            let mut body = package(bytes)?;
            body.u8().ok_or(AmlError::Truncated)?; // number of elements
            Some(elements(body, scope, depth)?)
        }
        0x13 => {
            let mut body = package(bytes)?;
            value(&mut body, scope, depth + 1)?; // number of elements
            Some(elements(body, scope, depth)?)
        }
        b'\\' | b'^' | b'_' | b'A'..=b'Z' | 0x2e | 0x2f => {
            *bytes = start;
            Some(Value::Path(name(bytes, scope)?))
        }
        op => return Err(AmlError::Opcode(op)),
    };
    found.ok_or(AmlError::Truncated)
}

/// A buffer and the zeroes that its size adds; sizes beyond what a table can hold are cut.
fn buffer(mut body: Bytes<'_>, scope: &str, depth: u32) -> Result<Value, AmlError> {
    let Value::Integer(size) = value(&mut body, scope, depth + 1)? else { return Err(AmlError::Truncated) };
    let mut content = body.take(body.len()).unwrap_or_default().to_vec();
    content.resize(content.len().max(size.min(0x1_0000) as usize), 0);
    Ok(Value::Buffer(content))
}

fn elements(mut body: Bytes<'_>, scope: &str, depth: u32) -> Result<Value, AmlError> {
    let mut elements = Vec::new();
    while !body.is_empty() {
        elements.push(value(&mut body, scope, depth + 1)?);
    }
    Ok(Value::Package(elements))
}

impl Value {
    /// The integer, if it is one.
    pub fn integer(&self) -> Option<u64> {
        if let Self::Integer(integer) = self { Some(*integer) } else { None }
    }

    /// The id of a `_HID` or `_CID`: text, or a compressed EISA id written out. ACPI 6.5, 6.1.5.
    pub fn hardware_id(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Integer(id) => u32::try_from(*id).ok().map(eisa_id),
            _ => None,
        }
    }
}

/// Three letters of 5 bits and four hexadecimal digits, big-endian. ACPI 6.5, 19.3.4.
fn eisa_id(id: u32) -> String {
    let id = id.swap_bytes();
    let letter = |shift: u32| char::from(b'@' + (id >> shift & 0x1f) as u8);
    format!("{}{}{}{:04X}", letter(26), letter(21), letter(16), id & 0xffff)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(integer) => write!(f, "{integer:#x}"),
            Self::Text(text) => write!(f, "\"{}\"", text.escape_default()),
            Self::Buffer(bytes) => write!(f, "buffer of {} bytes", bytes.len()),
            Self::Package(values) if values.len() > 8 => write!(f, "package of {}", values.len()),
            Self::Package(values) => {
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                write!(f, "{{{}}}", values.join(", "))
            }
            Self::Path(path) => f.write_str(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{Method, ONE, Package, Path, Return};
    use crate::table::Dsdt;
    use crate::{Describe, OemIds, Scope};
    use rstest::rstest;

    struct Board;

    impl Describe for Board {
        fn describe(&self, scope: &mut Scope) {
            scope.device(b"COM_", |dev| {
                dev.eisa_hid("PNP0501");
                dev.uid(&7u16);
                dev.crs(|crs| crs.io(0x3f8, 8));
                dev.add(&Method::new("_STA".into(), 2, false, vec![&Return::new(&ONE)]));
                dev.device(b"SUB0", |sub| sub.name(b"LIST", &Package::new(vec![&1u8, &Path::new("_SB_")])));
            });
        }
    }

    fn board() -> Namespace {
        let dsdt = Dsdt { devices: vec![&Board], soft_off_type: 5 };
        let table = crate::Definition::encode(&dsdt, &OemIds::default());
        Namespace::read(&table.bytes()[36..]).unwrap()
    }

    #[test]
    fn namespace_lists_devices_with_absolute_names() {
        assert_eq!(board().devices().collect::<Vec<_>>(), [r"\_SB.COM", r"\_SB.COM.SUB0"]);
    }

    #[test]
    fn namespace_gives_values_and_methods() {
        let board = board();
        assert_eq!(board.value(r"\_SB.COM", "_HID").unwrap().hardware_id().unwrap(), "PNP0501");
        assert_eq!(board.value(r"\_SB.COM", "_UID"), Some(&Value::Integer(7)));
        assert_eq!(board.kind(r"\_SB.COM._STA"), Some(&Kind::Method(2)));
        assert_eq!(board.value("\\", "_S5").unwrap().to_string(), "{0x5, 0x0, 0x0, 0x0}");
        assert_eq!(board.value(r"\_SB.COM.SUB0", "LIST").unwrap().to_string(), r"{0x1, \_SB.COM.SUB0._SB}");
    }

    #[rstest]
    #[case::length_beyond_the_end(&[0x5b, 0x82, 0x3f, b'A'], AmlError::Truncated)]
    #[case::length_below_itself(&[0x10, 0x40, 0x00], AmlError::Truncated)]
    #[case::operator(&[0xa0], AmlError::Opcode(0xa0))]
    #[case::name_in_lower_case(b"\x08name\0", AmlError::Opcode(b'n'))]
    fn namespace_of_garbage_is_an_error(#[case] aml: &[u8], #[case] error: AmlError) {
        assert_eq!(Namespace::read(aml), Err(error));
    }

    #[test]
    fn namespace_without_end_of_nesting_is_an_error() {
        let mut aml = vec![];
        for _ in 0..40 {
            let len = aml.len() + 3;
            let mut outer = vec![0x10, 0x40 | (len & 0xf) as u8, (len >> 4) as u8, 0];
            outer.append(&mut aml);
            aml = outer;
        }
        assert_eq!(Namespace::read(&aml), Err(AmlError::TooDeep));
    }
}
