//! What direct boot puts below 1 MiB: the one list of its addresses.
//!
//! ```text
//!  0x00000 - 0x00fff   nothing: a null pointer stays one
//!  0x01000 - 0x01fff   GDT
//!  0x02000 - 0x06fff   start info of PVH and multiboot with what it points to
//!  0x07000 - 0x07fff   zero page of Linux
//!  0x08000 - 0x0dfff   page tables: 4 GiB, one to one
//!  0x0e000 - 0x7ffff   free: GRUB as a multiboot kernel goes here
//!  0x80000 - 0x8ffff   command line
//!  0x90000 - 0x9fbff   free
//!  0xc0000 - 0xcffff   SMBIOS: the structures, if there are any
//!  0xe0000 - 0xeffff   ACPI: the root pointer where it is searched for, then the tables
//!  0xf0000 - 0xf001f   the entry point of SMBIOS where it is searched for
//!  0xf0020 - 0xfffdf   without ACPI: the MP pointer where it is searched for, then the table
//!  0xfffe0 - 0xfffff   code for who jumps to the reset vector
//! ```

use crate::machine::plan::{MIB, Range};

/// The segment descriptors that the CPU starts with.
pub(super) const GDT: Range = Range::new(0x1000, 0x1000);
/// What PVH and multiboot tell: a structure, and the lists it points to.
pub(super) const START_INFO: Range = Range::new(0x2000, 0x5000);
/// What Linux is told.
pub(super) const ZERO_PAGE: Range = Range::new(0x7000, 0x1000);
/// PML4, PDPT and four page directories.
pub(super) const PAGE_TABLES: Range = Range::new(0x8000, 0x6000);
/// The command line.
pub(super) const CMDLINE: Range = Range::new(0x8_0000, 0x1_0000);
/// The longest command line, which leaves room for the kernel's name before it and the NUL.
pub(super) const CMDLINE_MAX: u64 = 0x8000;
/// The structures of SMBIOS, in memory that the map calls reserved.
pub(super) const SMBIOS: Range = Range::new(0xc_0000, 0x1_0000);
/// RSDP and tables, in memory that the map calls reserved. ACPI 6.5, 5.2.5.1.
pub(super) const ACPI: Range = Range::new(0xe_0000, 0x1_0000);
/// Where a guest without EFI looks for the structures. DSP0134 3.0, 5.2.2.
pub(super) const SMBIOS_ENTRY: Range = Range::new(0xf_0000, 0x20);
/// Floating pointer and table of a machine without ACPI. MP 1.4, chapter 4.
pub(super) const MP_TABLE: Range = Range::new(0xf_0020, 0xffc0);
/// The last 32 bytes of the first MiB; the reset vector is in their middle.
pub(super) const RESET_VECTOR: Range = Range::new(0xf_ffe0, 0x20);

const _: () = assert!(RESET_VECTOR.end() == MIB);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_places_overlap() {
        let places = [
            GDT,
            START_INFO,
            ZERO_PAGE,
            PAGE_TABLES,
            CMDLINE,
            SMBIOS,
            ACPI,
            SMBIOS_ENTRY,
            MP_TABLE,
            RESET_VECTOR,
        ];
        assert!(places.windows(2).all(|pair| pair[0].end() <= pair[1].start));
    }
}
