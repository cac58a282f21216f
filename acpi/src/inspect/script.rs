//! The table-loader script followed as firmware follows it, from its bytes.

use std::collections::BTreeSet;

use super::bytes::{Bytes, number_at, sum};

/// Why firmware would give the script up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not whole entries.
    #[error("table-loader script has {0} bytes, not a multiple of 128")]
    Length(usize),
    /// A command that firmware does not know, or one cut short.
    #[error("table-loader entry {0} is no command")]
    Command(usize),
    /// A file that is not there, or was not allocated before.
    #[error("table-loader entry {0} names a file that it does not have")]
    File(usize),
    /// A field beyond its file.
    #[error("table-loader entry {0} is about bytes beyond the end of its file")]
    Range(usize),
    /// A pointer or checksum that an earlier entry declared: it would be added twice.
    #[error("table-loader entry {0} declares a field for the second time")]
    Twice(usize),
}

/// Files after the script ran: name, address, bytes.
pub type Linked = Vec<(String, u64, Vec<u8>)>;

/// Follows `script` over `files` (name and bytes), placing each file where `place` says.
///
/// # Errors
/// An entry does not fit the files.
pub fn link(
    script: &[u8],
    files: &[(&str, &[u8])],
    place: impl Fn(&str) -> u64,
) -> Result<Linked, LinkError> {
    if !script.len().is_multiple_of(ENTRY) {
        return Err(LinkError::Length(script.len()));
    }
    let mut linked = Linked::new();
    let mut declared = BTreeSet::new();
    for (n, entry) in script.chunks_exact(ENTRY).enumerate() {
        let command = Command::read(entry).ok_or(LinkError::Command(n))?;
        if command.field().is_some_and(|field| !declared.insert(field)) {
            return Err(LinkError::Twice(n));
        }
        command.follow(n, files, &place, &mut linked)?;
    }
    Ok(linked)
}

const ENTRY: usize = 128;
const NAME: usize = 56;

enum Command<'a> {
    Allocate { file: &'a str },
    AddPointer { file: &'a str, source: &'a str, at: usize, len: usize },
    AddChecksum { file: &'a str, at: usize, start: usize, len: usize },
}

impl<'a> Command<'a> {
    fn read(entry: &'a [u8]) -> Option<Self> {
        let mut bytes = Bytes::new(entry);
        let code = bytes.u32()?;
        let file = Bytes::new(bytes.take(NAME)?).text()?;
        let number = |bytes: &mut Bytes<'_>| bytes.u32().map(|number| number as usize);
        match code {
            1 => Some(Self::Allocate { file }),
            2 => {
                let source = Bytes::new(bytes.take(NAME)?).text()?;
                let at = number(&mut bytes)?;
                Some(Self::AddPointer { file, source, at, len: bytes.u8()?.into() })
            }
            3 => {
                let (at, start) = (number(&mut bytes)?, number(&mut bytes)?);
                Some(Self::AddChecksum { file, at, start, len: number(&mut bytes)? })
            }
            _ => None,
        }
    }

    /// File and place of what the command fills in.
    fn field(&self) -> Option<(&'a str, usize)> {
        match *self {
            Self::Allocate { .. } => None,
            Self::AddPointer { file, at, .. } | Self::AddChecksum { file, at, .. } => Some((file, at)),
        }
    }

    fn follow(
        &self,
        n: usize,
        files: &[(&str, &[u8])],
        place: &impl Fn(&str) -> u64,
        linked: &mut Linked,
    ) -> Result<(), LinkError> {
        match *self {
            Self::Allocate { file } => {
                let (_, bytes) = files.iter().find(|(name, _)| *name == file).ok_or(LinkError::File(n))?;
                linked.push((file.into(), place(file), bytes.to_vec()));
                Ok(())
            }
            Self::AddPointer { file, source, at, len } => {
                let base = find(linked, source).ok_or(LinkError::File(n))?.1;
                let bytes = &mut find(linked, file).ok_or(LinkError::File(n))?.2;
                add(bytes, at, len, base).ok_or(LinkError::Range(n))
            }
            Self::AddChecksum { file, at, start, len } => {
                let bytes = &mut find(linked, file).ok_or(LinkError::File(n))?.2;
                settle(bytes, at, start, len).ok_or(LinkError::Range(n))
            }
        }
    }
}

fn find<'a>(linked: &'a mut Linked, file: &str) -> Option<&'a mut (String, u64, Vec<u8>)> {
    linked.iter_mut().find(|(name, ..)| name == file)
}

/// Adds `base` to the number of `len` bytes at `at`.
fn add(bytes: &mut [u8], at: usize, len: usize, base: u64) -> Option<()> {
    let number = number_at(bytes, at, len)?.wrapping_add(base).to_le_bytes();
    bytes.get_mut(at..at.checked_add(len)?)?.copy_from_slice(number.get(..len)?);
    Some(())
}

/// Makes the sum of the range 0.
fn settle(bytes: &mut [u8], at: usize, start: usize, len: usize) -> Option<()> {
    let sum = sum(bytes.get(start..start.checked_add(len)?)?);
    let byte = bytes.get_mut(at)?;
    *byte = byte.wrapping_sub(sum);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Dsdt, Madt};
    use crate::{OemIds, TableSet};

    fn set() -> TableSet {
        let mut set = TableSet::new(OemIds::default());
        set.place(&Dsdt { devices: vec![], soft_off_type: 5 });
        set.list(&Madt::default());
        set
    }

    fn place(file: &str) -> u64 {
        if file == "etc/acpi/rsdp" { 0xf_0000 } else { 0x10_0000 }
    }

    #[test]
    fn script_leads_to_the_tables_that_are_resolved() {
        let (resolved, [rsdp, tables, script]) = (set().resolve(0x10_0000, 0xf_0000).unwrap(), set().files());

        let files = [(rsdp.name, rsdp.bytes.as_slice()), (tables.name, &tables.bytes)];
        let linked = link(&script.bytes, &files, place).unwrap();

        assert_eq!(linked[0], ("etc/acpi/rsdp".into(), 0xf_0000, resolved.rsdp));
        assert_eq!(linked[1], ("etc/acpi/tables".into(), 0x10_0000, resolved.tables));
    }

    #[test]
    fn script_that_does_not_fit_is_an_error() {
        let [rsdp, tables, script] = set().files();
        let mut unknown = script.bytes.clone();
        unknown[0] = 9;

        assert_eq!(link(&script.bytes[1..], &[], place), Err(LinkError::Length(script.bytes.len() - 1)));
        assert_eq!(link(&unknown, &[], place), Err(LinkError::Command(0)));
        assert_eq!(link(&script.bytes, &[], place), Err(LinkError::File(0)));
        let twice = [script.bytes.as_slice(), &script.bytes[script.bytes.len() - 128..]].concat();
        let whole = [(rsdp.name, rsdp.bytes.as_slice()), (tables.name, &tables.bytes)];
        assert_eq!(link(&twice, &whole, place), Err(LinkError::Twice(script.bytes.len() / 128)));
        let short = [(rsdp.name, rsdp.bytes.as_slice()), (tables.name, &tables.bytes[..40])];
        assert_eq!(link(&script.bytes, &short, place), Err(LinkError::Range(2)));
    }
}
