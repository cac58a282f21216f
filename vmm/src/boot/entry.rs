//! How vCPU 0 starts, and the descriptors and page tables that it starts with.

use super::layout;
use super::piece::Piece;
use crate::machine::plan::{GIB, MIB, Range};

/// Selector of the code segment that every entry point starts with; the data segment follows. Linux insists on both.
pub const CODE_SELECTOR: u16 = 0x10;
/// Selector of the data segment.
pub const DATA_SELECTOR: u16 = 0x18;

/// The state in which vCPU 0 starts; interrupts are off, and registers that are not named are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The processor's mode.
    pub mode: Mode,
    /// The first instruction.
    pub rip: u64,
    /// What the protocol passes in EAX.
    pub rax: u64,
    /// What the protocol passes in EBX.
    pub rbx: u64,
    /// What the protocol passes in RSI.
    pub rsi: u64,
    /// The descriptor table.
    pub gdt: Range,
}

/// The mode of an entry point. All segments begin at 0 and have no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// 32 bits, no paging.
    Protected,
    /// 64 bits; the page tables map the first 4 GiB one to one.
    Long {
        /// The PML4.
        page_tables: u64,
    },
}

impl Entry {
    /// At `rip` with 32 bits.
    pub(super) fn protected(rip: u64) -> Self {
        Self { mode: Mode::Protected, rip, rax: 0, rbx: 0, rsi: 0, gdt: GDT }
    }

    /// At `rip` with 64 bits.
    pub(super) fn long(rip: u64) -> Self {
        Self { mode: Mode::Long { page_tables: layout::PAGE_TABLES.start }, ..Self::protected(rip) }
    }

    /// What the processor needs in memory in this mode.
    pub(super) fn pieces(&self) -> Vec<Piece> {
        let gdt = Piece::bytes("GDT", layout::GDT.start, quads(&gdt(self.mode)));
        let tables = matches!(self.mode, Mode::Long { .. })
            .then(|| Piece::bytes("page tables", layout::PAGE_TABLES.start, quads(&page_tables())));
        [gdt].into_iter().chain(tables).collect()
    }
}

const DESCRIPTORS: usize = 4;
const GDT: Range = Range::new(layout::GDT.start, DESCRIPTORS as u64 * 8);

/// Two empty descriptors, code and data, present, accessed, to the end of memory. Intel SDM 3A, 3.4.5.
const fn gdt(mode: Mode) -> [u64; DESCRIPTORS] {
    const CODE: u64 = 0x0000_9b00_0000_ffff; // execute, read
    const DATA: u64 = 0x0000_9300_0000_ffff; // read, write
    const LIMIT: u64 = 0x008f << 48; // 4 KiB units, upper limit bits
    const DEFAULT_32: u64 = 1 << 54;
    const LONG: u64 = 1 << 53;
    let code_size = match mode {
        Mode::Protected => DEFAULT_32,
        Mode::Long { .. } => LONG,
    };
    [0, 0, CODE | LIMIT | code_size, DATA | LIMIT | DEFAULT_32]
}

/// PML4, PDPT and page directories with pages of 2 MiB, which every 64-bit CPU has. Intel SDM 3A, 4.5.
fn page_tables() -> Vec<u64> {
    const PRESENT_WRITABLE: u64 = 0b11;
    const LARGE: u64 = 1 << 7;
    const ENTRIES: usize = 512;
    const GIBS: u64 = 4;
    let table = |n: u64| (layout::PAGE_TABLES.start + n * 0x1000) | PRESENT_WRITABLE;
    let mut entries = vec![table(1)];
    entries.resize(ENTRIES, 0);
    entries.extend((0..GIBS).map(|gib| table(2 + gib)));
    entries.resize(2 * ENTRIES, 0);
    let pages = (0..GIBS * GIB).step_by(2 * MIB as usize);
    entries.extend(pages.map(|page| page | PRESENT_WRITABLE | LARGE));
    entries
}

fn quads(entries: &[u64]) -> Vec<u8> {
    entries.iter().flat_map(|entry| entry.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_tables_map_every_page_to_itself_and_fill_their_place() {
        let tables = page_tables();
        assert_eq!(tables.len() as u64 * 8, layout::PAGE_TABLES.len);
        assert_eq!((tables[0], tables[1]), (0x9003, 0));
        assert_eq!(tables[512..517], [0xa003, 0xb003, 0xc003, 0xd003, 0]);
        assert_eq!((tables[1024], tables[1025]), (0x83, 0x20_0083));
        assert_eq!(tables.last(), Some(&0xffe0_0083));
    }

    #[test]
    fn descriptors_are_those_of_the_boot_protocols() {
        assert_eq!(gdt(Mode::Protected), [0, 0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff]);
        assert_eq!(gdt(Mode::Long { page_tables: 0 })[2], 0x00af_9b00_0000_ffff);
    }
}
