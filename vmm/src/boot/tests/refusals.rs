use std::fs;

use super::super::testing::{Bench, bzimage, elf32, elf64, multiboot_header, pvh_note};
use crate::machine::plan::MIB;

fn refusal(kernel: &[u8]) -> String {
    Bench::new(kernel).refusal()
}

#[test]
fn file_that_is_no_kernel_is_refused() {
    let expected = "--kernel: vmkernel is no kernel: it is neither a bzImage, nor an ELF file with a PVH note or for \
                    64 bits, nor a multiboot image";
    assert_eq!(refusal(b""), expected);
    assert_eq!(refusal(b"\x7fEL"), expected);
    assert_eq!(refusal(&[0; 0x4000]), expected);
}

#[test]
fn path_that_is_no_file_is_refused() {
    let mut bench = Bench::new(b"");
    bench.kernel.path = bench.path("absent");
    assert_eq!(bench.refusal(), "--kernel: read absent");
    bench.kernel.path = "/dev/null".into();
    assert_eq!(bench.refusal(), "--kernel: /dev/null is no file");
    let mut bench = Bench::new(&bzimage(&[]));
    bench.kernel.initrd = Some(bench.path("."));
    assert_eq!(bench.refusal(), "--initrd: . is no file");
}

#[test]
fn truncated_kernels_are_refused() {
    let cut = |kernel: &[u8], len| refusal(&kernel[..len]);
    let message = |len, need| {
        format!("--kernel: vmkernel is cut short: it has {len} bytes, its headers speak of {need}")
    };
    assert_eq!(cut(&bzimage(&[]), 1500), message(1500, 1536));
    let elf = elf64(0x20_0000, &[(0x20_0000, b"code", 4)], b"");
    assert_eq!(cut(&elf, elf.len() - 1), message(123, 124));
    assert_eq!(cut(&elf, 100), message(100, 120));
    assert_eq!(cut(&elf, 40), "--kernel: vmkernel cannot be started: its ELF header is broken");
    let flat = multiboot_header(0x1_0000, &[0x10_0000, 0x10_0000, 0x10_0100, 0, 0x10_0000]);
    assert_eq!(refusal(&flat), message(32, 256));
}

#[test]
fn kernels_that_ask_for_what_there_is_not_are_refused() {
    let why = |kernel: &[u8]| {
        let message = refusal(kernel);
        message.strip_prefix("--kernel: vmkernel cannot be started: ").unwrap().to_owned()
    };
    assert!(why(&bzimage(&[(0x206, &[1, 2])])).starts_with("its boot protocol is older than 2.2"));
    assert!(why(&bzimage(&[(0x211, &[0])])).contains("zImage"));
    assert!(why(&elf32(0, (0x10_0000, b"code", 4))).starts_with("it is a 32-bit ELF file"));
    let mut arm = elf64(0x20_0000, &[(0x20_0000, b"code", 4)], b"");
    arm[18] = 183;
    assert_eq!(why(&arm), "it is an ELF file for another processor");
    let elsewhere = elf64(0x30_0000, &[(0x20_0000, b"code", 4)], b"");
    assert_eq!(why(&elsewhere), "its entry point is outside of what is loaded");
    let note = [4, 0, 0, 0, 2, 0, 0, 0, 18, 0, 0, 0, b'X', b'e', b'n', 0, 1, 2, 0, 0];
    let short_note = elf64(0x20_0000, &[(0x20_0000, b"code", 4)], &note);
    assert_eq!(why(&short_note), "its PVH note has no entry point");
    assert!(why(&multiboot_header(8, &[])).starts_with("its multiboot header asks for"));
    assert!(why(&multiboot_header(0, &[])).starts_with("its multiboot header has no addresses"));
    let reversed = multiboot_header(0x1_0000, &[0x10_0000, 0x10_0001, 0, 0, 0]);
    assert!(why(&reversed).starts_with("the addresses in its multiboot header contradict"));
}

#[test]
fn kernels_beyond_memory_are_refused() {
    let mut bench = Bench::new(&bzimage(&[]));
    bench.memory = 16 * MIB;
    let expected = "--kernel: vmkernel starts in memory up to 24M, this machine has 16M there, see --memory";
    assert_eq!(bench.refusal(), expected);
    let far = elf64(u64::MAX, &[(u64::MAX - 1, b"code", u64::MAX)], &pvh_note(0));
    assert!(refusal(&far).starts_with("--kernel: vmkernel starts in memory up to 17592186044416M"));
}

#[test]
fn kernel_in_the_way_of_what_it_is_told_is_refused() {
    let kernel = elf64(0x8000, &[(0x8000, b"code", 4)], b"");
    let expected = "--kernel: vmkernel wants to be at 0x0000008000-0x0000008003, where page tables must be";
    assert_eq!(refusal(&kernel), expected);
    let kernel = elf64(0xc_fffc, &[(0xc_fffc, b"code", 4)], b"");
    let expected = "--kernel: vmkernel wants to be at 0x00000cfffc-0x00000cffff, where SMBIOS must be";
    assert_eq!(refusal(&kernel), expected);
}

#[test]
fn initrd_that_does_not_fit_is_refused() {
    let mut bench = Bench::new(&bzimage(&[])).initrd(0);
    let path = bench.kernel.initrd.clone().unwrap();
    fs::File::create(path).unwrap().set_len(40 * MIB + 1).unwrap();
    let expected =
        "--initrd: initrd has 41943041 bytes, beside this kernel there is room for 41943040, see --memory";
    assert_eq!(bench.refusal(), expected);
    bench.memory = 65 * MIB;
    assert!(bench.boot().is_ok());
}

#[test]
fn command_line_that_is_too_long_is_refused() {
    let with = |len: usize| Bench::new(&bzimage(&[])).cmdline(&"x".repeat(len));
    assert!(with(255).boot().is_ok());
    assert_eq!(with(256).refusal(), "--cmdline has 256 bytes, this kernel takes 255 at most");
}

/// Whatever one byte of a header says, there is an answer.
#[test]
fn any_byte_of_a_header_may_be_anything() {
    let note = pvh_note(0x20_0000);
    let kernels = [
        bzimage(&[]),
        elf64(0x20_0000, &[(0x20_0000, b"code", 8)], &note),
        elf32(0x10_0010, (0x10_0000, &multiboot_header(0, &[]), 0x1000)),
        multiboot_header(0x1_0002, &[0x10_0000, 0x10_0000, 0x10_0018, 0x10_1000, 0x10_0000]),
    ];
    for kernel in &kernels {
        let bench = Bench::new(kernel).initrd(4096);
        for (offset, value) in (0..kernel.len().min(0x268)).flat_map(|offset| [(offset, 0), (offset, 0xff)]) {
            let mut changed = kernel.clone();
            changed[offset] = value;
            fs::write(&bench.kernel.path, changed).unwrap();
            let _ = bench.boot();
        }
    }
}
