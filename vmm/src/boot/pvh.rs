//! ELF with a PVH note: `vmlinux` of Linux, BSDs and unikernels. Xen's "x86/HVM direct boot ABI", version 1.

use std::sync::Arc;

use linux_loader::loader::elf::start_info::{
    XEN_HVM_START_MAGIC_VALUE, hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info,
};
use vm_memory::ByteValued;

use super::elf::Elf;
use super::entry::Entry;
use super::error::BootError;
use super::handover::Offer;
use super::piece::Piece;
use super::source::Source;
use super::{Format, Given, Limits, layout};

const NOTE_NAME: &[u8] = b"Xen\0";
/// XEN_ELFNOTE_PHYS32_ENTRY.
const NOTE_ENTRY: u32 = 18;
/// What Linux takes by any way of booting; the ABI has no limit.
const CMDLINE_MAX: u64 = 4095;

struct Pvh {
    elf: Elf,
    entry: u32,
}

/// An ELF file with the note that says where it is entered.
pub(super) fn detect(file: &Source) -> Result<Option<Box<dyn Format + Send>>, BootError> {
    let Some(elf) = Elf::read(file)? else { return Ok(None) };
    let Some(note) = elf.note(file, NOTE_NAME, NOTE_ENTRY)? else { return Ok(None) };
    // Four bytes or eight, of an address below 4 GiB.
    let entry = note.first_chunk().map(|address| u32::from_le_bytes(*address));
    let entry = entry.ok_or_else(|| file.unusable("its PVH note has no entry point"))?;
    Ok(Some(Box::new(Pvh { elf, entry })))
}

/// Addresses in the start info's place.
struct Places {
    memory_map: u64,
    modules: u64,
}

impl Places {
    fn new(given: &Given<'_>) -> Self {
        let memory_map = layout::START_INFO.start + size_of::<hvm_start_info>() as u64;
        Self { memory_map, modules: memory_map + size_of_val(&*memory_map_of(given)) as u64 }
    }
}

fn memory_map_of(given: &Given<'_>) -> Vec<hvm_memmap_table_entry> {
    let entry = |entry: &crate::machine::plan::E820Plan| hvm_memmap_table_entry {
        addr: entry.range.start,
        size: entry.range.len,
        type_: entry.kind(),
        reserved: 0,
    };
    given.map.iter().map(entry).collect()
}

fn start_info(given: &Given<'_>) -> Vec<u8> {
    let (places, map) = (Places::new(given), memory_map_of(given));
    let module = given.initrd.as_ref().map(|initrd| hvm_modlist_entry {
        paddr: initrd.at.start,
        size: initrd.at.len,
        ..Default::default()
    });
    let info = hvm_start_info {
        magic: XEN_HVM_START_MAGIC_VALUE,
        version: 1,
        flags: 0,
        nr_modules: module.is_some().into(),
        modlist_paddr: module.map_or(0, |_| places.modules),
        cmdline_paddr: layout::CMDLINE.start,
        rsdp_paddr: given.rsdp.unwrap_or_default(),
        memmap_paddr: places.memory_map,
        memmap_entries: map.len() as u32,
        reserved: 0,
    };
    let mut bytes = info.as_slice().to_vec();
    bytes.extend(map.iter().flat_map(ByteValued::as_slice));
    bytes.extend(module.iter().flat_map(ByteValued::as_slice));
    bytes
}

impl Format for Pvh {
    fn name(&self) -> String {
        "ELF with PVH note".into()
    }

    fn kernel(&self, file: &Arc<Source>) -> Vec<Piece> {
        self.elf.pieces(file)
    }

    fn limits(&self) -> Limits {
        Limits { memory_end: self.elf.memory_end(), initrd_end: u64::MAX, cmdline: CMDLINE_MAX }
    }

    fn hand_over(&self, given: &Given<'_>) -> (Vec<Piece>, Entry) {
        let entry = Entry { rbx: layout::START_INFO.start, ..Entry::protected(self.entry.into()) };
        let mut pieces = entry.pieces();
        pieces.push(Piece::bytes("start info", layout::START_INFO.start, start_info(given)));
        pieces.push(Piece::text("command line", layout::CMDLINE.start, given.cmdline));
        (pieces, entry)
    }

    fn offer(&self, file: &Arc<Source>, _: &Given<'_>) -> Result<Option<Offer>, BootError> {
        Offer::pvh(file, self.entry, self.elf.pieces(file)).map(Some)
    }
}
