//! The real-mode part of a bzImage, as a boot loader leaves it. Linux/x86 boot protocol, "The Real-Mode Kernel Header".

use linux_loader::bootparam::{CAN_USE_HEAP, setup_header};
use vm_memory::ByteValued as _;

use super::Given;
use super::bzimage::HEADER;
use super::handover::{CMDLINE_ADDR, SETUP_ADDR};

/// QEMU's number as a boot loader: firmware and kernels know its ways.
const LOADER_QEMU: u8 = 0xb0;

/// Fills `header`, which has `len` bytes in `setup`, with what the boot loader owes the kernel.
pub(super) fn patch(setup: &mut [u8], len: usize, header: setup_header, given: &Given<'_>) {
    let initrd = given.initrd.as_ref();
    let header = setup_header {
        type_of_loader: LOADER_QEMU,
        loadflags: header.loadflags | CAN_USE_HEAP,
        // Counted from setup's first sector, of which the stack takes the end ("Details of Header Fields").
        heap_end_ptr: (CMDLINE_ADDR - SETUP_ADDR - 0x200) as u16,
        cmd_line_ptr: CMDLINE_ADDR,
        // An initrd lies below 4 GiB.
        ramdisk_image: initrd.map_or(0, |initrd| initrd.at.start as u32),
        ramdisk_size: initrd.map_or(0, |initrd| initrd.at.len as u32),
        vid_mode: video_mode(given.cmdline).unwrap_or(header.vid_mode),
        ..header
    };
    let old = setup.iter_mut().skip(HEADER).take(len);
    old.zip(header.as_slice()).for_each(|(old, new)| *old = *new);
}

/// What `vga=` on the command line means, which is the boot loader's to read ("Special Command Line Options").
fn video_mode(cmdline: &str) -> Option<u16> {
    let value = cmdline.split_ascii_whitespace().find_map(|word| word.strip_prefix("vga="))?;
    match value {
        "normal" => Some(0xffff),
        "ext" => Some(0xfffe),
        "ask" => Some(0xfffd),
        _ => match value.strip_prefix("0x") {
            Some(digits) => u16::from_str_radix(digits, 16).ok(),
            None => value.parse().ok(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn video_mode_is_read_as_boot_loaders_do() {
        assert_eq!(video_mode("quiet vga=normal"), Some(0xffff));
        assert_eq!(video_mode("vga=ext"), Some(0xfffe));
        assert_eq!(video_mode("vga=ask"), Some(0xfffd));
        assert_eq!(video_mode("vga=791 quiet"), Some(791));
        assert_eq!(video_mode("vga=0x317"), Some(0x317));
        assert_eq!(video_mode("vga=high"), None);
        assert_eq!(video_mode("novga=1"), None);
    }
}
