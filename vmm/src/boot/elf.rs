//! ELF executables of both classes: what of a file goes where. ELF 1.2, "Program Loading".

use std::sync::Arc;

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::error::BootError;
use super::piece::{Content, KERNEL, Piece};
use super::source::Source;
use crate::machine::plan::Range;

const MAGIC: &[u8] = b"\x7fELF";
const LITTLE_ENDIAN: u8 = 1;
const MACHINE_386: u16 = 3;
const MACHINE_X86_64: u16 = 62;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
/// Notes are short; what a file says beyond that is not read.
const NOTES_MAX: u64 = 1 << 20;

/// Width of the file's addresses, and of the code's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Bits32,
    Bits64,
}

/// An executable.
#[derive(Clone, Debug)]
pub(super) struct Elf {
    pub(super) class: Class,
    entry: u64,
    headers: Vec<Header>,
}

/// A program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    kind: u32,
    offset: u64,
    virtual_address: u64,
    physical_address: u64,
    file_len: u64,
    memory_len: u64,
}

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FileHeader<Address> {
    ident: [u8; 16],
    kind: U16,
    machine: U16,
    version: U32,
    entry: Address,
    program_headers: Address,
    section_headers: Address,
    flags: U32,
    header_len: U16,
    program_header_len: U16,
    program_header_count: U16,
}

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header32 {
    kind: U32,
    offset: U32,
    virtual_address: U32,
    physical_address: U32,
    file_len: U32,
    memory_len: U32,
    flags: U32,
    align: U32,
}

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header64 {
    kind: U32,
    flags: U32,
    offset: U64,
    virtual_address: U64,
    physical_address: U64,
    file_len: U64,
    memory_len: U64,
    align: U64,
}

impl From<&Header32> for Header {
    fn from(header: &Header32) -> Self {
        Self {
            kind: header.kind.get(),
            offset: header.offset.get().into(),
            virtual_address: header.virtual_address.get().into(),
            physical_address: header.physical_address.get().into(),
            file_len: header.file_len.get().into(),
            memory_len: header.memory_len.get().into(),
        }
    }
}

impl From<&Header64> for Header {
    fn from(header: &Header64) -> Self {
        Self {
            kind: header.kind.get(),
            offset: header.offset.get(),
            virtual_address: header.virtual_address.get(),
            physical_address: header.physical_address.get(),
            file_len: header.file_len.get(),
            memory_len: header.memory_len.get(),
        }
    }
}

impl Elf {
    /// The executable in `file`, if there is one.
    pub(super) fn read(file: &Source) -> Result<Option<Self>, BootError> {
        let head = file.head(64)?;
        let Some([class, data]) = head.strip_prefix(MAGIC).and_then(|ident| ident.first_chunk()) else {
            return Ok(None);
        };
        match (class, *data) {
            (1, LITTLE_ENDIAN) => Self::parse::<U32, Header32>(file, &head, Class::Bits32).map(Some),
            (2, LITTLE_ENDIAN) => Self::parse::<U64, Header64>(file, &head, Class::Bits64).map(Some),
            _ => Err(file.unusable("it is an ELF file for another processor")),
        }
    }

    fn parse<Address, Wire>(file: &Source, head: &[u8], class: Class) -> Result<Self, BootError>
    where
        Address: FromBytes + Immutable + KnownLayout + Unaligned + Copy + Into<u64>,
        Wire: FromBytes + Immutable + KnownLayout + Unaligned,
        for<'a> Header: From<&'a Wire>,
    {
        let broken = || file.unusable("its ELF header is broken");
        let (header, _) = FileHeader::<Address>::ref_from_prefix(head).map_err(|_| broken())?;
        if ![MACHINE_386, MACHINE_X86_64].contains(&header.machine.get()) {
            return Err(file.unusable("it is an ELF file for another processor"));
        }
        if usize::from(header.program_header_len.get()) != size_of::<Wire>() {
            return Err(broken());
        }
        let len = u64::from(header.program_header_count.get()) * size_of::<Wire>() as u64;
        let bytes = file.read(Range::new(header.program_headers.into(), len))?;
        let headers = <[Wire]>::ref_from_bytes(&bytes).map_err(|_| broken())?;
        let elf =
            Self { class, entry: header.entry.into(), headers: headers.iter().map(Into::into).collect() };
        elf.loaded().try_for_each(|segment| file.check(segment.in_file()))?;
        Ok(elf)
    }

    fn loaded(&self) -> impl Iterator<Item = &Header> {
        self.headers.iter().filter(|header| header.kind == PT_LOAD && header.memory_len > 0)
    }

    /// The segments, each with the zeros that follow it.
    pub(super) fn pieces(&self, file: &Arc<Source>) -> Vec<Piece> {
        self.loaded().flat_map(|segment| segment.pieces(file)).collect()
    }

    /// Where the highest segment ends.
    pub(super) fn memory_end(&self) -> u64 {
        let end = |segment: &Header| segment.physical_address.saturating_add(segment.memory_len);
        self.loaded().map(end).max().unwrap_or_default()
    }

    /// The physical address of the entry point, which some linkers give as a virtual one.
    pub(super) fn physical_entry(&self, file: &Source) -> Result<u64, BootError> {
        let physical = |segment: &Header| {
            self.entry.checked_sub(segment.physical_address).filter(|offset| *offset < segment.memory_len)
        };
        if self.loaded().any(|segment| physical(segment).is_some()) {
            return Ok(self.entry);
        }
        let translate = |segment: &Header| {
            let offset = self.entry.checked_sub(segment.virtual_address)?;
            (offset < segment.memory_len).then(|| segment.physical_address.checked_add(offset))?
        };
        let entry = self.loaded().find_map(translate);
        entry.ok_or_else(|| file.unusable("its entry point is outside of what is loaded"))
    }

    /// The description of the first note of that name and type.
    pub(super) fn note(&self, file: &Source, name: &[u8], kind: u32) -> Result<Option<Vec<u8>>, BootError> {
        for header in self.headers.iter().filter(|header| header.kind == PT_NOTE) {
            let notes = header.in_file();
            let notes = file.read(Range::new(notes.start, notes.len.min(NOTES_MAX)))?;
            if let Some(found) = find_note(&notes, name, kind) {
                return Ok(Some(found.to_vec()));
            }
        }
        Ok(None)
    }
}

impl Header {
    /// Zeros are not in the file, so a segment has no more there than in memory.
    fn in_file(&self) -> Range {
        Range::new(self.offset, self.file_len.min(u64::MAX - self.offset))
    }

    fn pieces(&self, file: &Arc<Source>) -> impl Iterator<Item = Piece> {
        let copied = self.file_len.min(self.memory_len);
        let part = Piece::file(KERNEL, self.physical_address, file, Range::new(self.offset, copied));
        let zeros = Piece {
            name: KERNEL,
            start: self.physical_address.saturating_add(copied),
            content: Content::Zeros(self.memory_len - copied),
        };
        [part, zeros].into_iter().filter(|piece| piece.range().len > 0)
    }
}

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct NoteHeader {
    name_len: U32,
    description_len: U32,
    kind: U32,
}

/// Walks notes, each of which is padded to 4 bytes.
fn find_note<'a>(mut notes: &'a [u8], name: &[u8], kind: u32) -> Option<&'a [u8]> {
    loop {
        let (header, rest) = NoteHeader::ref_from_prefix(notes).ok()?;
        let (note_name, rest) = padded(rest, header.name_len.get())?;
        let (description, rest) = padded(rest, header.description_len.get())?;
        if header.kind.get() == kind && note_name == name {
            return Some(description);
        }
        notes = rest;
    }
}

/// The first `len` bytes, and what follows their padding. The last padding may be missing.
fn padded(bytes: &[u8], len: u32) -> Option<(&[u8], &[u8])> {
    let len = len as usize;
    let field = bytes.get(..len)?;
    Some((field, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

#[cfg(test)]
mod tests;
