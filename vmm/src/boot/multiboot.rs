//! Multiboot 1: flat 32-bit test kernels and unikernel loaders. Multiboot 0.6.96, 3.1 to 3.3.

use std::sync::Arc;

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::elf::Elf;
use super::entry::Entry;
use super::error::BootError;
use super::piece::{Content, KERNEL, Piece};
use super::source::Source;
use super::{Format, Given, Limits, layout};
use crate::machine::plan::{E820Plan, MIB, Range};

const HEADER_MAGIC: u32 = 0x1bad_b002;
const LOADER_MAGIC: u64 = 0x2bad_b002;
/// The header lies in the first 8 KiB, on a multiple of 4.
const SEARCHED: u64 = 8192;

/// Modules start at pages. They do anyway.
const ALIGN_MODULES: u32 = 1 << 0;
/// The kernel wants the memory fields. It gets them anyway.
const MEMORY_INFO: u32 = 1 << 1;
/// The kernel wants a video mode. The machine has no display, of which the information structure says nothing.
const VIDEO_MODE: u32 = 1 << 2;
/// The header itself says what goes where.
const ADDRESSES: u32 = 1 << 16;
/// A kernel that asks for more of these is not to be started.
const REQUIREMENTS: u32 = 0xffff;

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: U32,
    flags: U32,
    checksum: U32,
}

/// Follows the header if it has [`ADDRESSES`].
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
struct Addresses {
    header: U32,
    load: U32,
    load_end: U32,
    bss_end: U32,
    entry: U32,
}

struct Multiboot {
    image: Image,
    entry: u64,
}

enum Image {
    Elf(Elf),
    Flat { start: u64, in_file: Range, zeros: u64 },
}

/// A file with a multiboot header.
pub(super) fn detect(file: &Source) -> Result<Option<Box<dyn Format + Send>>, BootError> {
    let head = file.head(SEARCHED)?;
    let Some((offset, header, rest)) = find_header(&head) else { return Ok(None) };
    let flags = header.flags.get();
    if flags & REQUIREMENTS & !(ALIGN_MODULES | MEMORY_INFO | VIDEO_MODE) != 0 {
        return Err(file.unusable("its multiboot header asks for what no version of the standard has"));
    }
    let kernel = if flags & ADDRESSES != 0 {
        flat(file, offset, rest)?
    } else {
        let elf = Elf::read(file)?;
        let elf =
            elf.ok_or_else(|| file.unusable("its multiboot header has no addresses, and it is no ELF file"))?;
        Multiboot { entry: elf.physical_entry(file)?, image: Image::Elf(elf) }
    };
    Ok(Some(Box::new(kernel)))
}

/// The header, its offset, and what follows it.
fn find_header(head: &[u8]) -> Option<(u64, &Header, &[u8])> {
    (0..head.len()).step_by(4).find_map(|offset| {
        let (header, rest) = Header::ref_from_prefix(head.get(offset..)?).ok()?;
        let sum = header.magic.get().wrapping_add(header.flags.get()).wrapping_add(header.checksum.get());
        (header.magic.get() == HEADER_MAGIC && sum == 0).then_some((offset as u64, header, rest))
    })
}

/// An image whose header says what goes where. Multiboot 3.1.3.
fn flat(file: &Source, header_offset: u64, rest: &[u8]) -> Result<Multiboot, BootError> {
    let contradiction = || file.unusable("the addresses in its multiboot header contradict each other");
    let (addresses, _) = Addresses::ref_from_prefix(rest).map_err(|_| contradiction())?;
    let [header, load, load_end, bss_end, entry] =
        [addresses.header, addresses.load, addresses.load_end, addresses.bss_end, addresses.entry]
            .map(|address| u64::from(address.get()));
    let offset = header.checked_sub(load).and_then(|before| header_offset.checked_sub(before));
    let offset = offset.ok_or_else(contradiction)?;
    let load_end = if load_end == 0 { load + file.len().saturating_sub(offset) } else { load_end };
    let bss_end = if bss_end == 0 { load_end } else { bss_end };
    let len = load_end.checked_sub(load).ok_or_else(contradiction)?;
    let zeros = bss_end.checked_sub(load_end).ok_or_else(contradiction)?;
    let in_file = Range::new(offset, len);
    file.check(in_file)?;
    Ok(Multiboot { image: Image::Flat { start: load, in_file, zeros }, entry })
}

/// The information structure up to the boot loader's name. Multiboot 3.3.
#[derive(IntoBytes, Immutable, Default)]
#[repr(C)]
struct Info {
    flags: U32,
    lower_kib: U32,
    upper_kib: U32,
    boot_device: U32,
    cmdline: U32,
    modules_count: U32,
    modules: U32,
    symbols: [U32; 4],
    map_len: U32,
    map: U32,
    drives_len: U32,
    drives: U32,
    config_table: U32,
    loader_name: U32,
    tail: [U32; 12], // APM, VBE and framebuffer, of which there is none
}
const _: () = assert!(size_of::<Info>() == 116);

impl Info {
    const HAS_MEMORY: u32 = 1 << 0;
    const HAS_CMDLINE: u32 = 1 << 2;
    const HAS_MODULES: u32 = 1 << 3;
    const HAS_MAP: u32 = 1 << 6;
    const HAS_LOADER_NAME: u32 = 1 << 9;
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct ModuleEntry {
    start: U32,
    end: U32,
    text: U32,
    reserved: U32,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct MapEntry {
    size: U32, // of what follows
    address: U64,
    len: U64,
    kind: U32,
}
const _: () = assert!(size_of::<MapEntry>() == 24);

impl From<&E820Plan> for MapEntry {
    fn from(entry: &E820Plan) -> Self {
        Self {
            size: (size_of::<Self>() as u32 - 4).into(),
            address: entry.range.start.into(),
            len: entry.range.len.into(),
            kind: entry.kind().into(),
        }
    }
}

/// The information structure with everything that it points to, except the command line.
fn info(given: &Given<'_>) -> Vec<u8> {
    let map: Vec<u8> = given.map.iter().flat_map(|entry| MapEntry::from(entry).as_bytes().to_vec()).collect();
    let mut place = Place::new(size_of::<Info>());
    let map_at = place.add(&map);
    let name_at = place.add(b"tinderbox\0");
    let modules = given.initrd.as_ref().map(|initrd| {
        let text = place.add(&[initrd.path.as_bytes(), b"\0"].concat());
        let entry = ModuleEntry {
            start: (initrd.at.start as u32).into(),
            end: (initrd.at.end() as u32).into(),
            text,
            reserved: 0.into(),
        };
        place.add(entry.as_bytes())
    });
    let has_modules = modules.map_or(0, |_| Info::HAS_MODULES);
    let (lower_kib, upper_kib) = memory_kib(given.map);
    let info = Info {
        flags: (Info::HAS_MEMORY | Info::HAS_CMDLINE | Info::HAS_MAP | Info::HAS_LOADER_NAME | has_modules)
            .into(),
        lower_kib,
        upper_kib,
        cmdline: (layout::CMDLINE.start as u32).into(),
        modules_count: u32::from(modules.is_some()).into(),
        modules: modules.unwrap_or_default(),
        map_len: (map.len() as u32).into(),
        map: map_at,
        loader_name: name_at,
        ..Default::default()
    };
    [info.as_bytes(), &place.bytes].concat()
}

/// What follows the information structure, and where.
struct Place {
    first: u64,
    bytes: Vec<u8>,
}

impl Place {
    fn new(offset: usize) -> Self {
        Self { first: layout::START_INFO.start + offset as u64, bytes: Vec::new() }
    }

    /// Adds `bytes`, padded to a multiple of 4, and says where they are.
    fn add(&mut self, bytes: &[u8]) -> U32 {
        let at = self.first + self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        (at as u32).into()
    }
}

/// KiB of RAM from 0, and from 1 MiB.
fn memory_kib(map: &[E820Plan]) -> (U32, U32) {
    let kib = |start| {
        let found = map.iter().find(|entry| entry.ram && entry.range.start == start);
        (found.map_or(0, |entry| entry.range.len >> 10) as u32).into()
    };
    (kib(0), kib(MIB))
}

impl Format for Multiboot {
    fn name(&self) -> String {
        let image = match self.image {
            Image::Elf(_) => "ELF",
            Image::Flat { .. } => "flat",
        };
        format!("multiboot, {image}")
    }

    fn kernel(&self, file: &Arc<Source>) -> Vec<Piece> {
        match &self.image {
            Image::Elf(elf) => elf.pieces(file),
            Image::Flat { start, in_file, zeros } => {
                let bss = start + in_file.len;
                let zeros = Piece { name: KERNEL, start: bss, content: Content::Zeros(*zeros) };
                vec![Piece::file(KERNEL, *start, file, *in_file), zeros]
            }
        }
    }

    fn limits(&self) -> Limits {
        let memory_end = match &self.image {
            Image::Elf(elf) => elf.memory_end(),
            Image::Flat { start, in_file, zeros } => start + in_file.len + zeros,
        };
        Limits { memory_end, initrd_end: u64::MAX, cmdline: u64::MAX }
    }

    fn hand_over(&self, given: &Given<'_>) -> (Vec<Piece>, Entry) {
        let entry =
            Entry { rax: LOADER_MAGIC, rbx: layout::START_INFO.start, ..Entry::protected(self.entry) };
        // The first word is the kernel's name, as for any program.
        let cmdline = [given.path.as_str(), given.cmdline].join(" ");
        let mut pieces = entry.pieces();
        pieces.push(Piece::bytes("multiboot information", layout::START_INFO.start, info(given)));
        pieces.push(Piece::text("command line", layout::CMDLINE.start, cmdline.trim_end()));
        (pieces, entry)
    }
}
