use vm_memory::{Bytes as _, GuestAddress};

use super::super::testing::{Bench, bytes, bzimage, elf64, multiboot_header, pvh_note};
use super::*;

fn items(bench: &Bench) -> Vec<Item> {
    bench.hand_over().unwrap().items
}

fn refusal(bench: &Bench) -> String {
    bench.shorten(bench.hand_over().unwrap_err())
}

fn setup<'a>(items: &'a [Item]) -> &'a [u8] {
    let data = |item: &'a Item| if let Item::SetupData(data) = item { Some(data.as_slice()) } else { None };
    items.iter().find_map(data).unwrap()
}

fn initrd_address(bench: &Bench) -> u32 {
    let address = |item: &Item| if let Item::InitrdAddr(address) = item { Some(*address) } else { None };
    items(bench).iter().find_map(address).unwrap()
}

#[test]
fn bzimage_is_split_behind_its_setup_sectors() {
    let items = items(&Bench::new(&bzimage(&[])).cmdline("console=ttyS0"));

    for item in [
        Item::SetupAddr(0x1_0000),
        Item::SetupSize(1024),
        Item::KernelAddr(0x10_0000),
        Item::KernelSize(512),
        Item::KernelData(vec![0x90; 512]),
        Item::CmdlineAddr(0x2_0000),
        Item::CmdlineSize(14),
        Item::CmdlineData(b"console=ttyS0\0".to_vec()),
    ] {
        assert!(items.contains(&item), "{item:x?}");
    }
    assert!(!items.iter().any(|item| matches!(item, Item::InitrdSize(_) | Item::KernelEntry(_))));
}

#[test]
fn setup_sectors_of_zero_mean_four() {
    let mut kernel = bzimage(&[(0x1f1, &[0])]);
    kernel.resize(5 * 512 + 512, 0);

    assert!(items(&Bench::new(&kernel)).contains(&Item::SetupSize(2560)));
}

#[test]
fn signatures_behind_the_kernel_go_with_it() {
    let mut kernel = bzimage(&[]);
    kernel.extend(*b"signature");

    assert!(items(&Bench::new(&kernel)).contains(&Item::KernelSize(521)));
}

#[test]
fn header_is_patched_in_firmwares_copy() {
    let kernel = bzimage(&[]);
    let items = items(&Bench::new(&kernel).initrd(5000).cmdline("vga=791"));
    let setup = setup(&items);

    let mut expected = kernel[..1024].to_vec();
    expected[0x1fa..0x1fc].copy_from_slice(&791_u16.to_le_bytes()); // vid_mode
    expected[0x210..0x212].copy_from_slice(&[0xb0, 0x81]); // type_of_loader, loadflags
    expected[0x218..0x21c].copy_from_slice(&0x03ff_e000_u32.to_le_bytes()); // ramdisk_image
    expected[0x21c..0x220].copy_from_slice(&5000_u32.to_le_bytes()); // ramdisk_size
    expected[0x224..0x226].copy_from_slice(&0xfe00_u16.to_le_bytes()); // heap_end_ptr
    expected[0x228..0x22c].copy_from_slice(&0x2_0000_u32.to_le_bytes()); // cmd_line_ptr
    assert_eq!(setup, expected);
}

#[test]
fn code_behind_a_short_header_is_left_alone() {
    // The jump of boot protocol 2.02 goes to 0x22c; what follows there is code.
    let kernel = bzimage(&[(0x201, &[0x2a]), (0x206, &[2, 2]), (0x22c, &[0xfa; 0x40])]);

    assert_eq!(setup(&items(&Bench::new(&kernel)))[0x22c..0x26c], [0xfa; 0x40]);
}

#[test]
fn initrd_lies_as_high_as_it_may() {
    let address = |changes: &[(usize, &[u8])]| initrd_address(&Bench::new(&bzimage(changes)).initrd(4095));
    let limit: (usize, &[u8]) = (0x22c, &[0xff, 0xff, 0xff, 0x02]);

    assert_eq!(address(&[]), 0x03ff_f000, "the end of RAM");
    assert_eq!(address(&[limit]), 0x02ff_f000, "the kernel's limit");
    assert_eq!(address(&[limit, (0x236, &[3])]), 0x03ff_f000, "XLF_CAN_BE_LOADED_ABOVE_4G lifts it");
    assert_eq!(address(&[limit, (0x236, &[3]), (0x206, &[0x0b])]), 0x02ff_f000, "a flag of 2.12");
}

#[test]
fn initrd_leaves_room_for_what_firmware_keeps() {
    // The kernel takes 24 MiB, firmware may move the initrd down by one.
    let bench = |len: usize| Bench::new(&bzimage(&[])).initrd(len);

    assert_eq!(initrd_address(&bench(39 << 20)), 25 << 20);
    assert_eq!(
        refusal(&bench((39 << 20) + 1)),
        "--initrd: initrd has 40894465 bytes, beside this kernel there is room for 40894464, see --memory"
    );
}

#[test]
fn kernel_file_larger_than_memory_is_refused_unread() {
    let bench = Bench::new(&bzimage(&[]));
    std::fs::OpenOptions::new().write(true).open(bench.path("vmkernel")).unwrap().set_len(1 << 42).unwrap();

    assert_eq!(
        refusal(&bench),
        "--kernel: vmkernel starts in memory up to 4194305M, this machine has 64M there, see --memory"
    );
}

#[test]
fn setup_that_would_run_into_the_command_line_is_refused() {
    let mut kernel = bzimage(&[(0x1f1, &[127])]);
    kernel.resize(130 * 512, 0);

    assert_eq!(
        refusal(&Bench::new(&kernel)),
        "--kernel: vmkernel cannot be started: its real-mode part is larger than 63 KiB"
    );
}

#[test]
fn kernel_cut_short_is_refused() {
    let message = "--kernel: vmkernel is cut short: it has 1500 bytes, its headers speak of 1536";
    assert_eq!(refusal(&Bench::new(&bzimage(&[])[..1500])), message);
}

#[test]
fn pvh_kernel_goes_to_memory_and_has_no_data_item() {
    let kernel = elf64(0x100_0000, &[(0x100_0000, b"code", 16)], &pvh_note(0x100_0440));
    let handover = Bench::new(&kernel).initrd(4096).cmdline("console=ttyS0").hand_over().unwrap();

    assert_eq!(handover.format(), HandoverFormat::Pvh);
    for item in [
        Item::KernelEntry(0x100_0440),
        Item::KernelAddr(0x100_0000),
        Item::KernelSize(16),
        Item::SetupAddr(0x1_0000),
        Item::SetupSize(kernel.len() as u32),
        Item::SetupData(kernel),
        Item::CmdlineSize(14),
        Item::InitrdAddr(0x03ff_f000),
    ] {
        assert!(handover.items.contains(&item), "{item:x?}");
    }
    assert!(!handover.items.iter().any(|item| matches!(item, Item::KernelData(_))));
}

#[test]
fn pvh_kernel_is_in_memory_again_after_a_reset() {
    let kernel = elf64(0x100_0000, &[(0x100_0000, b"code", 16)], &pvh_note(0x100_0440));
    let handover = Bench::new(&kernel).hand_over().unwrap();
    let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 64 << 20)]).unwrap();
    memory.write_slice(&[0xee; 32], GuestAddress(0x100_0000)).unwrap();

    handover.write(&memory, Ram::Used).unwrap();

    let mut expected = b"code".to_vec();
    expected.resize(16, 0);
    expected.resize(32, 0xee);
    assert_eq!(bytes(&memory, 0x100_0000, 32), expected);
}

#[test]
fn segments_where_firmware_is_are_refused() {
    let kernel = elf64(0xf_0000, &[(0xf_0000, b"code", 16)], &pvh_note(0xf_0000));
    let message = refusal(&Bench::new(&kernel));
    assert!(
        message.ends_with("wants to be at 0x00000f0000-0x00000f0003, where firmware must be"),
        "{message}"
    );
}

#[test]
fn formats_of_direct_boot_alone_are_refused() {
    let elf = elf64(0x100_0000, &[(0x100_0000, b"code", 16)], b"");
    let message = refusal(&Bench::new(&elf));
    assert!(message.ends_with("that no firmware starts, leave --firmware away"), "{message}");
    let mut flat = multiboot_header(0x1_0000, &[0x10_0000, 0x10_0000, 0, 0, 0x10_0020]);
    flat.resize(64, 0);
    let message = refusal(&Bench::new(&flat));
    assert!(message.ends_with("that no firmware starts, leave --firmware away"), "{message}");
}

#[test]
fn option_rom_is_offered_as_a_file_and_boots_first() {
    let mut handover =
        Bench::new(&bzimage(&[])).hand_over().unwrap().with_option_rom(Some(vec![0x55, 0xaa, 1]));
    let mut contents = Contents::new();

    assert_eq!(handover.boot_device().unwrap().to_string(), "/rom@genroms/linuxboot.bin");
    handover.offer(&mut contents).unwrap();
    assert_eq!(contents.files().collect::<Vec<_>>(), [("genroms/linuxboot.bin", 3)]);
}

#[test]
fn firmware_without_option_rom_boots_from_no_rom() {
    let mut handover = Bench::new(&bzimage(&[])).hand_over().unwrap();
    let mut contents = Contents::new();

    assert_eq!(handover.boot_device(), None);
    handover.offer(&mut contents).unwrap();
    assert_eq!(contents.files().count(), 0);
}
