//! bzImage: what Linux distributions ship. Linux/x86 boot protocol, "The Real-Mode Kernel Header", "64-bit Boot Protocol".

use std::sync::Arc;

use linux_loader::bootparam::{LOADED_HIGH, XLF_CAN_BE_LOADED_ABOVE_4G, XLF_KERNEL_64, setup_header};
use vm_memory::ByteValued as _;

use super::entry::Entry;
use super::error::BootError;
use super::handover::Offer;
use super::piece::{KERNEL, Piece};
use super::source::Source;
use super::{Format, Given, Limits, layout, setup, zero_page};
use crate::machine::plan::Range;

pub(super) const HEADER: usize = 0x1f1;
/// The header ends this far from its first byte, plus what its jump skips.
const HEADER_JUMP_BASE: usize = 0x202 - HEADER;
const MAGIC: u32 = u32::from_le_bytes(*b"HdrS");
const SECTOR: u64 = 512;
/// From the first byte of the kernel to where it is entered with 64 bits.
const ENTRY_64: u64 = 0x200;

struct BzImage {
    header: setup_header,
    /// The kernel without its real mode part.
    payload: Range,
    /// Where it goes.
    start: u64,
}

/// Linux, if `file` is.
pub(super) fn detect(file: &Source) -> Result<Option<Box<dyn Format + Send>>, BootError> {
    let Some(header) = header(&file.head(0x1000)?) else { return Ok(None) };
    let version = header.version;
    if version < 0x202 || header.loadflags & LOADED_HIGH == 0 {
        return Err(file.unusable("its boot protocol is older than 2.2, or it is a zImage"));
    }
    let setup_sectors = if header.setup_sects == 0 { 4 } else { header.setup_sects };
    let offset = (u64::from(setup_sectors) + 1) * SECTOR;
    // Signatures follow what the header counts; before 2.4 it does not count.
    let len =
        if version >= 0x204 { u64::from(header.syssize) * 16 } else { file.len().saturating_sub(offset) };
    let payload = Range::new(offset, len);
    file.check(payload)?;
    // A header that ends before it has no preferred address.
    let preferred = if version >= 0x20a { header.pref_address } else { 0 };
    let start = if preferred != 0 { preferred } else { header.code32_start.into() };
    Ok(Some(Box::new(BzImage { header, payload, start })))
}

/// The header, without what is code behind it in older kernels.
fn header(head: &[u8]) -> Option<setup_header> {
    let mut bytes = [0; size_of::<setup_header>()];
    let len = header_len(head);
    bytes.get_mut(..len)?.copy_from_slice(head.get(HEADER..)?.get(..len)?);
    let header = setup_header::from_slice(&bytes).copied()?;
    (header.header == MAGIC).then_some(header)
}

/// How much of the header there is, by the jump over it.
fn header_len(head: &[u8]) -> usize {
    let skips = head.get(HEADER + 0x10).map_or(0, |skips| usize::from(*skips));
    (HEADER_JUMP_BASE + skips).min(size_of::<setup_header>()).min(head.len().saturating_sub(HEADER))
}

impl BzImage {
    const fn has_64_bit_entry(&self) -> bool {
        self.header.version >= 0x20c && self.header.xloadflags & XLF_KERNEL_64 != 0
    }

    const fn initrd_end(&self) -> u64 {
        match self.header.version {
            0x20c.. if self.header.xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G != 0 => u64::MAX,
            0x203.. => self.header.initrd_addr_max as u64 + 1,
            _ => 0x3800_0000,
        }
    }
}

impl Format for BzImage {
    fn name(&self) -> String {
        let (major, minor) = (self.header.version >> 8, self.header.version & 0xff);
        let bits = if self.has_64_bit_entry() { 64 } else { 32 };
        format!("bzImage, boot protocol {major}.{minor}, {bits} bits")
    }

    fn kernel(&self, file: &Arc<Source>) -> Vec<Piece> {
        vec![Piece::file(KERNEL, self.start, file, self.payload)]
    }

    fn limits(&self) -> Limits {
        let version = self.header.version;
        let init_size = if version >= 0x20a { u64::from(self.header.init_size) } else { 0 };
        Limits {
            memory_end: self.start.saturating_add(self.payload.len.max(init_size)),
            initrd_end: self.initrd_end(),
            cmdline: if version >= 0x206 { self.header.cmdline_size.into() } else { 255 },
        }
    }

    fn hand_over(&self, given: &Given<'_>) -> (Vec<Piece>, Entry) {
        let rsi = layout::ZERO_PAGE.start;
        let entry = if self.has_64_bit_entry() {
            Entry { rsi, ..Entry::long(self.start + ENTRY_64) }
        } else {
            Entry { rsi, ..Entry::protected(self.start) }
        };
        let header = setup_header { code32_start: self.start as u32, ..self.header };
        let mut pieces = entry.pieces();
        pieces.extend(zero_page::pieces(header, given));
        (pieces, entry)
    }

    fn offer(&self, file: &Arc<Source>, given: &Given<'_>) -> Result<Option<Offer>, BootError> {
        let mut setup = file.read(Range::new(0, self.payload.start))?;
        let len = header_len(&setup);
        setup::patch(&mut setup, len, self.header, given);
        // All that follows, with signatures that the header does not count, as QEMU has it.
        let rest = Range::new(self.payload.start, file.len() - self.payload.start);
        Offer::bzimage(file, setup, rest).map(Some)
    }
}
