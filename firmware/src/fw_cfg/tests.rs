//! A scripted driver on a bus, and what the ports do. Transfers and hostile guests are in the modules below.

mod dma;
mod hostile;

use std::sync::{Arc, Mutex};

use bus::Bus;
use rstest::rstest;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use super::{Contents, FwCfg, Item, PORTS};

/// Guest memory: two regions that touch, a hole, and a region above 4 GiB.
const REGIONS: [(u64, usize); 3] = [(0, 0x2000), (0x2000, 0x20_0000), (HIGH, 0x1000)];
const LOW_END: u64 = 0x20_2000;
const HIGH: u64 = 0x1_0000_0000;

struct Rig {
    bus: Bus,
    memory: GuestMemoryMmap,
}

impl Rig {
    fn new(contents: Contents) -> Self {
        let regions = REGIONS.map(|(start, len)| (GuestAddress(start), len));
        let memory = GuestMemoryMmap::from_ranges(&regions).unwrap();
        let device = Arc::new(Mutex::new(FwCfg::new(contents, memory.clone())));
        let mut bus = Bus::new();
        bus.insert("fw_cfg", PORTS.start, PORTS.end - PORTS.start, device).unwrap();
        Self { bus, memory }
    }

    fn read<const N: usize>(&self, port: u64) -> [u8; N] {
        let mut data = [0x55; N];
        self.bus.read(port, &mut data);
        data
    }

    fn select(&self, key: u16) {
        self.bus.write(0x510, &key.to_le_bytes());
    }

    /// The next bytes of the selected item, through the data port.
    fn next<const N: usize>(&self) -> [u8; N] {
        std::array::from_fn(|_| self.read::<1>(0x511)[0])
    }

    fn item<const N: usize>(&self, key: u16) -> [u8; N] {
        self.select(key);
        self.next()
    }

    /// Looks `name` up in the directory, as drivers do: selector and size.
    fn find(&self, name: &str) -> Option<(u16, u32)> {
        let count = u32::from_be_bytes(self.item(0x19));
        (0..count).find_map(|_| {
            let slot: [u8; 64] = self.next();
            let len = slot[8..].iter().position(|&byte| byte == 0).unwrap();
            let size = u32::from_be_bytes(slot[..4].try_into().unwrap());
            let select = u16::from_be_bytes(slot[4..6].try_into().unwrap());
            (&slot[8..8 + len] == name.as_bytes()).then_some((select, size))
        })
    }

    fn memory(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.memory.read_slice(&mut bytes, GuestAddress(at)).unwrap();
        bytes
    }

    fn set_memory(&self, at: u64, bytes: &[u8]) {
        self.memory.write_slice(bytes, GuestAddress(at)).unwrap();
    }
}

fn rig() -> Rig {
    Rig::new(Contents::new())
}

fn rig_with_file(name: &str, data: &[u8]) -> Rig {
    let mut contents = Contents::new();
    contents.file(name, data).unwrap();
    Rig::new(contents)
}

#[test]
fn signature_is_selected_at_power_on() {
    assert_eq!(rig().next(), *b"QEMU");
}

#[test]
fn id_announces_both_interfaces() {
    assert_eq!(rig().item(1), [3, 0, 0, 0]);
}

#[test]
fn selecting_is_the_way_back_to_the_first_byte() {
    let rig = rig();
    assert_eq!(rig.next(), *b"QE");
    assert_eq!(rig.next(), *b"MU");
    rig.select(0);
    assert_eq!(rig.next(), *b"QEMU");
}

#[test]
fn data_past_the_end_is_zero() {
    assert_eq!(rig().next(), *b"QEMU\0\0\0\0");
}

#[test]
fn selector_port_reads_data_too() {
    let rig = rig();
    assert_eq!(rig.read(0x510), *b"Q");
    assert_eq!(rig.read(0x511), *b"E");
}

#[test]
fn selector_read_as_a_word_is_zero_and_moves_nothing() {
    let rig = rig();
    assert_eq!(rig.read(0x510), [0, 0]);
    assert_eq!(rig.next(), *b"QEMU");
}

#[rstest]
#[case::absent_fixed_key(0x0006)]
#[case::absent_file(0x0020)]
#[case::beyond_the_slots(0x0040)]
#[case::highest_index(0x3fff)]
#[case::absent_local_key(0x8000)]
#[case::local_twin_of_the_signature(0x8001)]
#[case::everything_set(0xffff)]
fn keys_without_data_read_as_zeros(#[case] key: u16) {
    assert_eq!(rig().item(key), [0; 8]);
}

#[test]
fn write_channel_bit_is_ignored() {
    assert_eq!(rig().item(0x4000), *b"QEMU");
}

#[rstest]
#[case(Item::Uuid(*b"0123456789abcdef"), 0x0002, b"0123456789abcdef")]
#[case(Item::RamSize(0x1_8000_0000), 0x0003, &[0, 0, 0, 0x80, 1, 0, 0, 0])]
#[case(Item::Nographic(true), 0x0004, &[1, 0])]
#[case(Item::Nographic(false), 0x0004, &[0, 0])]
#[case(Item::BootCpus(0x0104), 0x0005, &[4, 1])]
#[case(Item::KernelAddr(0x10_0000), 0x0007, &[0, 0, 0x10, 0])]
#[case(Item::KernelSize(1), 0x0008, &[1, 0, 0, 0])]
#[case(Item::InitrdAddr(2), 0x000a, &[2, 0, 0, 0])]
#[case(Item::InitrdSize(3), 0x000b, &[3, 0, 0, 0])]
#[case(Item::BootMenu(true), 0x000e, &[1, 0])]
#[case(Item::MaxCpus(288), 0x000f, &[0x20, 1])]
#[case(Item::KernelEntry(4), 0x0010, &[4, 0, 0, 0])]
#[case(Item::KernelData(b"kernel".to_vec()), 0x0011, b"kernel")]
#[case(Item::InitrdData(b"initrd".to_vec()), 0x0012, b"initrd")]
#[case(Item::CmdlineAddr(5), 0x0013, &[5, 0, 0, 0])]
#[case(Item::CmdlineSize(6), 0x0014, &[6, 0, 0, 0])]
#[case(Item::CmdlineData(b"quiet\0".to_vec()), 0x0015, b"quiet\0")]
#[case(Item::SetupAddr(7), 0x0016, &[7, 0, 0, 0])]
#[case(Item::SetupSize(8), 0x0017, &[8, 0, 0, 0])]
#[case(Item::SetupData(b"setup".to_vec()), 0x0018, b"setup")]
#[case(Item::Irq0Override(true), 0x8002, &[1, 0, 0, 0])]
fn items_stand_under_their_keys_little_endian(#[case] item: Item, #[case] key: u16, #[case] bytes: &[u8]) {
    let mut contents = Contents::new();
    contents.item(item);
    let read: [u8; 32] = Rig::new(contents).item(key);
    assert_eq!(&read[..bytes.len()], bytes);
    assert!(read[bytes.len()..].iter().all(|&byte| byte == 0));
}

#[test]
fn qboot_may_read_the_processor_count_as_four_bytes() {
    let mut contents = Contents::new();
    contents.item(Item::BootCpus(4));
    assert_eq!(Rig::new(contents).item(5), 4_u32.to_le_bytes());
}

#[test]
fn directory_is_sorted_numbered_big_endian_and_of_fixed_size() {
    let mut contents = Contents::new();
    contents.file("etc/e820", [0; 20]).unwrap();
    contents.file("bootorder", []).unwrap();
    contents.file("etc/acpi/tables", vec![0; 0x1_2345]).unwrap();
    let directory: [u8; 2052] = Rig::new(contents).item(0x19);

    let mut expected = vec![0, 0, 0, 3];
    let files =
        [("bootorder", [0, 0, 0, 0]), ("etc/acpi/tables", [0, 1, 0x23, 0x45]), ("etc/e820", [0, 0, 0, 20])];
    for (select, (name, size)) in (0x20_u8..).zip(files) {
        expected.extend(size);
        expected.extend([0, select, 0, 0]);
        expected.extend(name.bytes().chain(std::iter::repeat(0)).take(56));
    }
    expected.resize(2052, 0);
    assert_eq!(directory.as_slice(), expected);
}

#[test]
fn directory_is_there_without_files() {
    let directory: [u8; 2053] = rig().item(0x19);
    assert_eq!(directory, [0; 2053]);
}

#[test]
fn file_is_read_through_the_directory() {
    let rig = rig_with_file("opt/greeting", b"hello");
    let (select, size) = rig.find("opt/greeting").unwrap();
    assert_eq!((rig.item(select), size), (*b"hello\0", 5));
}

#[test]
fn all_file_slots_can_be_used() {
    let mut contents = Contents::new();
    for n in 0..32_u8 {
        contents.file(format!("opt/{n:02}"), [n]).unwrap();
    }
    let rig = Rig::new(contents);
    assert_eq!(rig.find("opt/31"), Some((0x3f, 1)));
    assert_eq!(rig.item(0x3f), [31]);
}

#[rstest]
#[case(0x514, "QEMU")]
#[case(0x518, " CFG")]
fn dma_address_reads_as_the_signature(#[case] port: u64, #[case] text: &str) {
    assert_eq!(&rig().read::<4>(port), text.as_bytes());
}

#[test]
fn dma_signature_is_readable_in_any_width_at_any_offset() {
    let rig = rig();
    assert_eq!(rig.read(0x514), *b"QEMU CFG");
    assert_eq!(rig.read(0x517), *b"U ");
    assert_eq!(rig.read(0x515), *b"EMU ");
    assert_eq!(rig.read(0x51b), *b"G");
}

#[rstest]
#[case::word_from_data(0x511, 2)]
#[case::dword_from_selector(0x510, 4)]
#[case::qword_from_selector(0x510, 8)]
#[case::hole_byte(0x512, 1)]
#[case::hole_word(0x512, 2)]
#[case::hole_into_dma(0x513, 2)]
#[case::hole_dword(0x512, 4)]
#[case::past_the_end(0x51a, 4)]
fn reads_of_an_illegal_width_give_all_ones_and_move_nothing(#[case] port: u64, #[case] len: usize) {
    let rig = rig();
    let mut data = [0x55; 8];
    rig.bus.read(port, &mut data[..len]);
    assert_eq!(data[..len], [0xff; 8][..len]);
    assert_eq!(rig.next(), *b"QEMU");
}

#[rstest]
#[case::byte_to_selector(0x510, &[1])]
#[case::byte_to_data(0x511, &[1])]
#[case::word_to_data(0x511, &[1, 0])]
#[case::dword_to_selector(0x510, &[1, 0, 0, 0])]
#[case::qword_to_selector(0x510, &[1, 0, 0, 0, 0, 0, 0, 0])]
#[case::hole(0x512, &[1, 0])]
#[case::hole_into_dma(0x513, &[1, 0])]
fn writes_of_an_illegal_width_change_nothing(#[case] port: u64, #[case] bytes: &[u8]) {
    let rig = rig();
    rig.read::<1>(0x511);
    rig.bus.write(port, bytes);
    assert_eq!(rig.next(), *b"EMU\0");
}

#[test]
fn reset_selects_the_signature_again() {
    let rig = rig();
    rig.select(1);
    rig.next::<2>();
    rig.bus.reset();
    assert_eq!(rig.next(), *b"QEMU");
}
