//! Entries of `etc/table-loader` as bytes: 128 each, little-endian, what is not used is zero.

use zerocopy::little_endian::U32;
use zerocopy::{Immutable, IntoBytes};

use super::{BlobId, Command, Loader};

const ENTRY_LEN: usize = 128;

// Command codes.
const ALLOCATE: U32 = U32::new(1);
const ADD_POINTER: U32 = U32::new(2);
const ADD_CHECKSUM: U32 = U32::new(3);

/// A file's name, closed by at least one NUL.
type FileName = [u8; 56];

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Allocate {
    command: U32,
    file: FileName,
    align: U32,
    zone: u8,
    reserved: [u8; 63],
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct AddPointer {
    command: U32,
    dest: FileName,
    src: FileName,
    offset: U32,
    size: u8,
    reserved: [u8; 7],
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct AddChecksum {
    command: U32,
    file: FileName,
    offset: U32,
    start: U32,
    length: U32,
    reserved: [u8; 56],
}

const _: () = assert!(size_of::<Allocate>() == ENTRY_LEN);
const _: () = assert!(size_of::<AddPointer>() == ENTRY_LEN);
const _: () = assert!(size_of::<AddChecksum>() == ENTRY_LEN);

impl Loader {
    /// One command as an entry.
    pub(super) fn encode(&self, command: &Command) -> Vec<u8> {
        match command {
            Command::Allocate { blob, align, zone } => Allocate {
                command: ALLOCATE,
                file: self.file_name(*blob),
                align: U32::new(*align),
                zone: *zone as u8,
                reserved: [0; 63],
            }
            .as_bytes()
            .to_vec(),
            Command::AddPointer { field, width, source } => AddPointer {
                command: ADD_POINTER,
                dest: self.file_name(field.blob),
                src: self.file_name(*source),
                offset: U32::new(field.offset as u32),
                size: *width as u8,
                reserved: [0; 7],
            }
            .as_bytes()
            .to_vec(),
            Command::AddChecksum { field, range } => AddChecksum {
                command: ADD_CHECKSUM,
                file: self.file_name(field.blob),
                offset: U32::new(field.offset as u32),
                start: U32::new(range.start as u32),
                length: U32::new(range.len() as u32),
                reserved: [0; 56],
            }
            .as_bytes()
            .to_vec(),
        }
    }

    fn file_name(&self, blob: BlobId) -> FileName {
        let mut field = [0; size_of::<FileName>()];
        let name = self.blobs[blob.0].name.as_bytes();
        field[..name.len()].copy_from_slice(name);
        field
    }
}
