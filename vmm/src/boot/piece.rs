use std::io::{Seek as _, SeekFrom};
use std::sync::Arc;

use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};

use super::error::BootError;
use super::source::Source;
use crate::machine::plan::Range;

/// The name of the kernel's own pieces.
pub(super) const KERNEL: &str = "kernel";

/// Whether somebody has used the guest's memory before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ram {
    /// All zero, and best left untouched where zero is wanted.
    Fresh,
    /// Full of what ran before a reset.
    Used,
}

/// A part of guest memory as the kernel finds it.
#[derive(Clone, Debug)]
pub struct Piece {
    /// What it is.
    pub name: &'static str,
    /// Its first address.
    pub start: u64,
    /// What it has in it.
    pub content: Content,
}

/// What a [`Piece`] has in it.
#[derive(Clone, Debug)]
pub enum Content {
    /// Made by us.
    Bytes(Vec<u8>),
    /// A part of a file of the user's.
    File(Part),
    /// So many zeros.
    Zeros(u64),
}

/// A part of a file.
#[derive(Clone, Debug)]
pub struct Part {
    source: Arc<Source>,
    range: Range,
}

impl Piece {
    /// A piece made by us.
    pub(super) const fn bytes(name: &'static str, start: u64, bytes: Vec<u8>) -> Self {
        Self { name, start, content: Content::Bytes(bytes) }
    }

    /// The bytes `range` of the file `source`.
    pub(super) fn file(name: &'static str, start: u64, source: &Arc<Source>, range: Range) -> Self {
        let part = Part { source: Arc::clone(source), range };
        Self { name, start, content: Content::File(part) }
    }

    /// `text`, and the NUL that ends it.
    pub(super) fn text(name: &'static str, start: u64, text: &str) -> Self {
        Self::bytes(name, start, text.bytes().chain([0]).collect())
    }

    /// Where it lies. The end of a piece that a hostile file describes is cut at the end of the address space.
    #[must_use]
    pub fn range(&self) -> Range {
        let len = match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(part) => part.range.len,
            Content::Zeros(len) => *len,
        };
        Range::new(self.start, len.min(u64::MAX - self.start))
    }

    pub(super) fn write(&self, memory: &GuestMemoryMmap, ram: Ram) -> Result<(), BootError> {
        let at = GuestAddress(self.start);
        let failed = |source| BootError::Write { name: self.name, source };
        match &self.content {
            Content::Bytes(bytes) => memory.write_slice(bytes, at).map_err(failed),
            Content::File(part) => part.copy(memory, at),
            Content::Zeros(_) if ram == Ram::Fresh => Ok(()),
            Content::Zeros(len) => zero(memory, Range::new(self.start, *len)).map_err(failed),
        }
    }
}

impl Part {
    /// Straight from the page cache into guest memory.
    fn copy(&self, memory: &GuestMemoryMmap, at: GuestAddress) -> Result<(), BootError> {
        let mut file = self.source.file();
        file.seek(SeekFrom::Start(self.range.start)).map_err(|error| self.source.failed(error))?;
        memory
            .read_exact_volatile_from(at, &mut file, self.range.len as usize)
            .map_err(|error| self.source.failed(std::io::Error::other(error)))
    }
}

fn zero(memory: &GuestMemoryMmap, range: Range) -> Result<(), vm_memory::GuestMemoryError> {
    static ZEROS: [u8; 0x1_0000] = [0; 0x1_0000];
    let mut at = range.start;
    while at < range.end() {
        let count = (range.end() - at).min(ZEROS.len() as u64);
        memory.write_slice(ZEROS.get(..count as usize).unwrap_or_default(), GuestAddress(at))?;
        at += count;
    }
    Ok(())
}
