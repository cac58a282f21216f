//! Plain 64-bit ELF: `vmlinux` of Linux, and whatever takes a zero page as Linux does.
//! Linux/x86 boot protocol, "64-bit Boot Protocol".

use std::sync::Arc;

use linux_loader::bootparam::setup_header;

use super::elf::{Class, Elf};
use super::entry::Entry;
use super::error::BootError;
use super::piece::Piece;
use super::source::Source;
use super::{Format, Given, Limits, layout, zero_page};

/// An ELF file has no setup header; this is what a boot loader of protocol 2.15 would have found in it.
const BOOT_FLAG: u16 = 0xaa55;
const MAGIC: u32 = u32::from_le_bytes(*b"HdrS");
const VERSION: u16 = 0x20f;
const CMDLINE_SIZE: u32 = 2047;

struct Elf64 {
    elf: Elf,
    entry: u64,
}

/// A 64-bit ELF file; a 32-bit one that gets here has nobody to say how it is entered.
pub(super) fn detect(file: &Source) -> Result<Option<Box<dyn Format + Send>>, BootError> {
    let Some(elf) = Elf::read(file)? else { return Ok(None) };
    if elf.class == Class::Bits32 {
        return Err(file.unusable("it is a 32-bit ELF file with neither a PVH note nor a multiboot header"));
    }
    let entry = elf.physical_entry(file)?;
    Ok(Some(Box::new(Elf64 { elf, entry })))
}

impl Format for Elf64 {
    fn name(&self) -> String {
        "64-bit ELF".into()
    }

    fn kernel(&self, file: &Arc<Source>) -> Vec<Piece> {
        self.elf.pieces(file)
    }

    fn limits(&self) -> Limits {
        Limits { memory_end: self.elf.memory_end(), initrd_end: u64::MAX, cmdline: CMDLINE_SIZE.into() }
    }

    fn hand_over(&self, given: &Given<'_>) -> (Vec<Piece>, Entry) {
        let entry = Entry { rsi: layout::ZERO_PAGE.start, ..Entry::long(self.entry) };
        let header = setup_header {
            boot_flag: BOOT_FLAG,
            header: MAGIC,
            version: VERSION,
            cmdline_size: CMDLINE_SIZE,
            ..Default::default()
        };
        let mut pieces = entry.pieces();
        pieces.extend(zero_page::pieces(header, given));
        (pieces, entry)
    }
}
