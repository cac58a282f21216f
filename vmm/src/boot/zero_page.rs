//! What Linux is told: the zero page (`struct boot_params`) and the command line. Linux/x86 boot protocol, "Zero Page".

use linux_loader::bootparam::{boot_e820_entry, boot_params, setup_header};
use vm_memory::ByteValued as _;

use super::piece::Piece;
use super::{Given, layout};
use crate::machine::plan::E820Plan;

/// A boot loader without a number of its own.
const LOADER_UNDEFINED: u8 = 0xff;

/// The zero page around `header`, and the command line that it points to.
pub(super) fn pieces(mut header: setup_header, given: &Given<'_>) -> Vec<Piece> {
    header.type_of_loader = LOADER_UNDEFINED;
    header.cmd_line_ptr = layout::CMDLINE.start as u32;
    if let Some(initrd) = &given.initrd {
        // An initrd lies below 4 GiB.
        header.ramdisk_image = initrd.at.start as u32;
        header.ramdisk_size = initrd.at.len as u32;
    }
    let mut page = boot_params {
        hdr: header,
        acpi_rsdp_addr: given.rsdp.unwrap_or_default(),
        e820_entries: given.map.len() as u8,
        ..Default::default()
    };
    for (entry, range) in page.e820_table.iter_mut().zip(given.map) {
        *entry = e820_entry(range);
    }
    vec![
        Piece::bytes("zero page", layout::ZERO_PAGE.start, page.as_slice().to_vec()),
        Piece::text("command line", layout::CMDLINE.start, given.cmdline),
    ]
}

const fn e820_entry(entry: &E820Plan) -> boot_e820_entry {
    boot_e820_entry { addr: entry.range.start, size: entry.range.len, r#type: entry.kind() }
}
