use vm_memory::{Bytes as _, GuestAddress};

use super::super::testing::{
    Bench, bytes, bzimage, elf32, elf64, memory, multiboot_header, pvh_note, text_at, u32_at, u64_at,
};
use super::super::{Mode, Ram};
use crate::machine::plan::MIB;

const ZERO_PAGE: u64 = 0x7000;
const LONG: Mode = Mode::Long { page_tables: 0x8000 };

#[test]
fn bzimage_starts_with_64_bits_behind_its_first_sector() {
    let boot = Bench::new(&bzimage(&[])).boot().unwrap();
    let entry = boot.entry();
    assert_eq!((entry.mode, entry.rip, entry.rsi), (LONG, 0x100_0200, ZERO_PAGE));
    assert_eq!(bytes(&memory(&boot), 0x100_0000, 512), [0x90; 512]);
}

#[test]
fn bzimage_without_64_bit_entry_starts_with_32_bits() {
    let boot = Bench::new(&bzimage(&[(0x236, &[0])])).boot().unwrap();
    assert_eq!((boot.entry().mode, boot.entry().rip), (Mode::Protected, 0x100_0000));
    assert_eq!(u32_at(&memory(&boot), ZERO_PAGE + 0x214), 0x100_0000, "code32_start");
}

#[test]
fn old_bzimage_goes_to_where_its_code_starts() {
    let boot = Bench::new(&bzimage(&[(0x206, &[3, 2])])).boot().unwrap();
    assert_eq!((boot.entry().mode, boot.entry().rip), (Mode::Protected, 0x10_0000));
}

#[test]
fn zero_page_has_header_map_tables_initrd_and_command_line() {
    let bench = Bench::new(&bzimage(&[])).initrd(5000).cmdline("console=ttyS0 quiet");
    let memory = memory(&bench.boot().unwrap());
    assert_eq!(bytes(&memory, ZERO_PAGE + 0x202, 6), *b"HdrS\x0f\x02");
    assert_eq!(bytes(&memory, ZERO_PAGE + 0x210, 1), [0xff], "loader");
    assert_eq!(text_at(&memory, u32_at(&memory, ZERO_PAGE + 0x228).into()), "console=ttyS0 quiet");
    let initrd = 64 * MIB - 2 * 0x1000;
    assert_eq!(
        (u32_at(&memory, ZERO_PAGE + 0x218), u32_at(&memory, ZERO_PAGE + 0x21c)),
        (initrd as u32, 5000)
    );
    assert_eq!(bytes(&memory, initrd, 5001), [vec![0x1d; 5000], vec![0]].concat());
    assert_eq!(bytes(&memory, u64_at(&memory, ZERO_PAGE + 0x70), 8), *b"RSD PTR ");
    assert_eq!(bytes(&memory, ZERO_PAGE + 0x1e8, 1), [4], "map entries");
    let third = [u64_at(&memory, ZERO_PAGE + 0x2d0 + 40), u64_at(&memory, ZERO_PAGE + 0x2d0 + 48)];
    assert_eq!((third, u32_at(&memory, ZERO_PAGE + 0x2d0 + 56)), ([MIB, 63 * MIB], 1));
}

#[test]
fn code_behind_a_short_header_does_not_reach_the_zero_page() {
    let short = bzimage(&[(0x201, &[0x40]), (0x242, &[0xcc; 32])]);
    let memory = memory(&Bench::new(&short).boot().unwrap());
    assert_eq!(bytes(&memory, ZERO_PAGE + 0x242, 32), [0; 32]);
}

#[test]
fn initrd_stays_below_what_the_kernel_can_reach() {
    let limited = bzimage(&[(0x22c, &0x2ff_ffff_u32.to_le_bytes())]);
    let memory = memory(&Bench::new(&limited).initrd(4096).boot().unwrap());
    assert_eq!(u32_at(&memory, ZERO_PAGE + 0x218), 0x2ff_f000);
}

#[test]
fn root_pointer_lies_where_it_is_searched_for_and_sums_to_zero() {
    let memory = memory(&Bench::new(&bzimage(&[])).boot().unwrap());
    let root = bytes(&memory, 0xe_0000, 36);
    assert!(root.starts_with(b"RSD PTR "));
    assert_eq!(root.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)), 0);
    assert_eq!(bytes(&memory, u64_at(&memory, 0xe_0018), 4), *b"XSDT");
}

#[test]
fn pvh_kernel_starts_with_32_bits_and_its_start_info() {
    let kernel = elf64(0x20_0000, &[(0x20_0000, b"code", 4)], &pvh_note(0x20_0002));
    let boot = Bench::new(&kernel).initrd(100).cmdline("quiet").boot().unwrap();
    let entry = boot.entry();
    assert_eq!((entry.mode, entry.rip, entry.rbx), (Mode::Protected, 0x20_0002, 0x2000));
    let memory = memory(&boot);
    assert_eq!((u32_at(&memory, 0x2000), u32_at(&memory, 0x2004)), (0x336e_c578, 1));
    assert_eq!(text_at(&memory, u64_at(&memory, 0x2018)), "quiet");
    assert_eq!(bytes(&memory, u64_at(&memory, 0x2020), 8), *b"RSD PTR ");
    let module = u64_at(&memory, 0x2010);
    assert_eq!(
        (u32_at(&memory, 0x200c), u64_at(&memory, module), u64_at(&memory, module + 8)),
        (1, 0x3ff_f000, 100)
    );
    let map = u64_at(&memory, 0x2028);
    assert_eq!((u32_at(&memory, 0x2030), u64_at(&memory, map + 24)), (4, 0x9_fc00));
    assert_eq!(u32_at(&memory, map + 24 + 16), 2, "reserved");
}

#[test]
fn pvh_kernel_without_initrd_has_no_modules() {
    let kernel = elf64(0x20_0000, &[(0x20_0000, b"code", 4)], &pvh_note(0x20_0000));
    let memory = memory(&Bench::new(&kernel).boot().unwrap());
    assert_eq!((u32_at(&memory, 0x200c), u64_at(&memory, 0x2010)), (0, 0));
}

#[test]
fn plain_elf_starts_with_64_bits_and_a_zero_page() {
    let kernel = elf64(0x20_0001, &[(0x20_0000, b"code", 4)], b"");
    let boot = Bench::new(&kernel).cmdline("quiet").boot().unwrap();
    assert_eq!((boot.entry().mode, boot.entry().rip, boot.entry().rsi), (LONG, 0x20_0001, ZERO_PAGE));
    let memory = memory(&boot);
    assert_eq!(
        (u32_at(&memory, ZERO_PAGE + 0x202), u32_at(&memory, ZERO_PAGE + 0x228)),
        (0x5372_6448, 0x8_0000)
    );
}

#[test]
fn virtual_entry_point_becomes_a_physical_one() {
    let kernel = elf64(0xffff_8000_0020_0003, &[(0x20_0000, b"code", 4)], b"");
    assert_eq!(Bench::new(&kernel).boot().unwrap().entry().rip, 0x20_0003);
}

#[test]
fn memory_behind_a_segment_is_zeroed_at_a_reset() {
    let kernel = elf64(0x20_0000, &[(0x20_0000, b"code", 0x2_0000)], b"");
    let boot = Bench::new(&kernel).boot().unwrap();
    let memory = memory(&boot);
    memory.write_slice(&[0xaa; 0x2_0001], GuestAddress(0x20_0000)).unwrap();
    boot.write(&memory, Ram::Used).unwrap();
    assert_eq!(bytes(&memory, 0x20_0000, 8), *b"code\0\0\0\0");
    assert_eq!(bytes(&memory, 0x21_fffe, 3), [0, 0, 0xaa]);
}

#[test]
fn flat_multiboot_kernel_goes_where_its_header_says() {
    let header = multiboot_header(0x1_0002, &[0x10_0008, 0x10_0000, 0x10_0030, 0x10_1000, 0x10_0028]);
    let mut kernel = b"12345678".to_vec();
    kernel.extend(header);
    kernel.resize(0x40, 0x90);
    let boot = Bench::new(&kernel).initrd(10).cmdline("one two").boot().unwrap();
    let entry = boot.entry();
    assert_eq!((entry.mode, entry.rip), (Mode::Protected, 0x10_0028));
    assert_eq!((entry.rax, entry.rbx), (0x2bad_b002, 0x2000));
    let memory = memory(&boot);
    assert_eq!(bytes(&memory, 0x10_0000, 0x32), [&kernel[..0x30], &[0, 0]].concat());
    assert_eq!(u32_at(&memory, 0x2000), 0x24d, "flags");
    assert_eq!((u32_at(&memory, 0x2004), u32_at(&memory, 0x2008)), (639, 63 << 10));
    assert!(text_at(&memory, u32_at(&memory, 0x2010).into()).ends_with("/vmkernel one two"));
    let module = u64::from(u32_at(&memory, 0x2018));
    assert_eq!((u32_at(&memory, module), u32_at(&memory, module + 4)), (0x3ff_f000, 0x3ff_f00a));
    assert!(text_at(&memory, u32_at(&memory, module + 8).into()).ends_with("/initrd"));
    let map = u64::from(u32_at(&memory, 0x2030));
    assert_eq!(
        (u32_at(&memory, 0x202c), u32_at(&memory, map), u64_at(&memory, map + 12)),
        (96, 20, 0x9_fc00)
    );
}

#[test]
fn multiboot_kernel_may_be_a_32_bit_elf_file() {
    let kernel = elf32(0x10_0010, (0x10_0000, &multiboot_header(0, &[]), 0x1000));
    let boot = Bench::new(&kernel).boot().unwrap();
    assert_eq!((boot.entry().mode, boot.entry().rip), (Mode::Protected, 0x10_0010));
    assert_eq!(boot.format(), "multiboot, ELF");
}

#[test]
fn multiboot_header_of_a_64_bit_elf_file_decides_how_it_is_entered() {
    let kernel = elf64(0x10_0000, &[(0x10_0000, &multiboot_header(0, &[]), 0x1000)], b"");
    assert_eq!(Bench::new(&kernel).boot().unwrap().entry().mode, Mode::Protected);
}
