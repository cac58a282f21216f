//! Transfers.

use rstest::rstest;

use super::{HIGH, LOW_END, Rig, rig, rig_with_file};
use crate::fw_cfg::Contents;

const ERROR: u32 = 1 << 0;
const READ: u32 = 1 << 1;
const SKIP: u32 = 1 << 2;
const SELECT: u32 = 1 << 3;
const WRITE: u32 = 1 << 4;
/// Selects the signature, first.
const SIGNATURE: u32 = SELECT;
/// Selects the only file, first.
const FILE: u32 = 0x20 << 16 | SELECT;

/// Where the descriptor is, where it matters not.
const AT: u64 = 0x1000;
/// Where the buffer is, where it matters not.
const TO: u64 = 0x1800;

fn descriptor(control: u32, len: u32, address: u64) -> Vec<u8> {
    [&control.to_be_bytes()[..], &len.to_be_bytes(), &address.to_be_bytes()].concat()
}

impl Rig {
    /// Starts a transfer by the descriptor at `at`.
    fn start(&self, at: u64) {
        self.bus.write(0x514, &((at >> 32) as u32).to_be_bytes());
        self.bus.write(0x518, &(at as u32).to_be_bytes());
    }

    /// A transfer; the control word afterwards.
    fn transfer_at(&self, at: u64, control: u32, len: u32, address: u64) -> u32 {
        self.set_memory(at, &descriptor(control, len, address));
        self.start(at);
        u32::from_be_bytes(self.memory(at, 4).try_into().unwrap())
    }

    fn transfer(&self, control: u32, len: u32, address: u64) -> u32 {
        self.transfer_at(AT, control, len, address)
    }
}

#[test]
fn read_copies_the_item_and_clears_control() {
    let rig = rig();
    assert_eq!(rig.transfer(SIGNATURE | READ, 4, TO), 0);
    assert_eq!(rig.memory(TO, 5), b"QEMU\0");
}

#[test]
fn read_continues_where_the_data_port_stopped() {
    let rig = rig();
    rig.next::<1>();
    rig.transfer(READ, 2, TO);
    assert_eq!(rig.memory(TO, 2), b"EM");
    assert_eq!(rig.next(), *b"U");
}

#[test]
fn short_reads_add_up() {
    let rig = rig_with_file("opt/text", b"one two");
    rig.transfer(FILE | READ, 3, TO);
    rig.transfer(READ, 4, TO + 3);
    assert_eq!(rig.memory(TO, 7), b"one two");
}

#[test]
fn over_long_read_is_filled_with_zeros() {
    let rig = rig();
    rig.set_memory(TO, &[0xaa; 16]);
    assert_eq!(rig.transfer(SIGNATURE | READ, 12, TO), 0);
    assert_eq!(rig.memory(TO, 16), b"QEMU\0\0\0\0\0\0\0\0\xaa\xaa\xaa\xaa");
}

#[rstest]
#[case::absent(0x0006)]
#[case::invalid(0x0040)]
#[case::absent_local(0x8004)]
fn read_of_a_key_without_data_is_all_zeros_and_no_error(#[case] key: u32) {
    let rig = rig();
    rig.set_memory(TO, &[0xaa; 4]);
    assert_eq!(rig.transfer(key << 16 | SELECT | READ, 3, TO), 0);
    assert_eq!(rig.memory(TO, 4), [0, 0, 0, 0xaa]);
}

#[test]
fn read_after_the_end_is_all_zeros() {
    let rig = rig();
    rig.next::<4>();
    rig.set_memory(TO, &[0xaa; 2]);
    assert_eq!(rig.transfer(READ, 2, TO), 0);
    assert_eq!(rig.memory(TO, 2), [0, 0]);
}

#[test]
fn select_alone_selects() {
    let rig = rig();
    assert_eq!(rig.transfer(1 << 16 | SELECT, 0, 0), 0);
    assert_eq!(rig.next(), [3, 0, 0, 0]);
}

#[test]
fn select_rewinds_the_selected_item() {
    let rig = rig();
    rig.next::<3>();
    rig.transfer(SIGNATURE, 0, 0);
    assert_eq!(rig.next(), *b"QEMU");
}

#[test]
fn key_without_select_bit_is_ignored() {
    let rig = rig();
    rig.transfer(1 << 16 | READ, 4, TO);
    assert_eq!(rig.memory(TO, 4), b"QEMU");
}

#[test]
fn skip_moves_the_offset_and_touches_no_memory() {
    let rig = rig();
    assert_eq!(rig.transfer(SKIP, 2, u64::MAX), 0, "the address means nothing");
    assert_eq!(rig.next(), *b"MU");
}

#[test]
fn skip_past_the_end_is_no_error_and_stays_there() {
    let rig = rig();
    assert_eq!(rig.transfer(SKIP, u32::MAX, 0), 0);
    assert_eq!(rig.transfer(SKIP, u32::MAX, 0), 0);
    assert_eq!(rig.next(), [0]);
}

#[test]
fn control_without_an_operation_moves_nothing() {
    let rig = rig();
    assert_eq!(rig.transfer(0, u32::MAX, u64::MAX), 0);
    assert_eq!(rig.next(), *b"QEMU");
}

#[test]
fn read_goes_before_write_and_skip() {
    let rig = rig();
    assert_eq!(rig.transfer(READ | WRITE | SKIP, 1, TO), 0);
    assert_eq!(rig.memory(TO, 1), b"Q");
    assert_eq!(rig.next(), *b"EMU");
}

#[test]
fn write_goes_before_skip() {
    let rig = rig();
    assert_eq!(rig.transfer(WRITE | SKIP, 1, TO), ERROR);
    assert_eq!(rig.next(), *b"QEMU");
}

#[test]
fn error_and_reserved_bits_from_the_guest_are_ignored() {
    let rig = rig();
    assert_eq!(rig.transfer(READ | ERROR | 0xffe0, 4, TO), 0);
    assert_eq!(rig.memory(TO, 4), b"QEMU");
}

#[test]
fn zero_length_needs_no_valid_address() {
    let rig = rig();
    assert_eq!(rig.transfer(READ, 0, u64::MAX), 0);
    assert_eq!(rig.transfer(WRITE, 0, u64::MAX), 0);
}

#[test]
fn address_register_is_zero_after_a_transfer() {
    let rig = rig();
    assert_eq!(rig.transfer_at(HIGH, READ, 1, TO), 0);
    rig.set_memory(AT, &descriptor(READ, 1, TO));
    rig.bus.write(0x518, &(AT as u32).to_be_bytes());
    assert_eq!(rig.memory(TO, 1), b"E", "the low half alone means an address below 4 GiB");
}

#[test]
fn high_half_alone_starts_nothing() {
    let rig = rig();
    rig.set_memory(0, &descriptor(READ, 1, TO));
    rig.bus.write(0x514, &[0; 4]);
    assert_eq!(rig.next(), *b"Q");
}

#[test]
fn whole_address_may_be_written_at_once() {
    let rig = rig();
    rig.set_memory(HIGH + 8, &descriptor(READ, 1, TO));
    rig.bus.write(0x514, &(HIGH + 8).to_be_bytes());
    assert_eq!(rig.memory(HIGH + 8, 4), [0; 4]);
    assert_eq!(rig.memory(TO, 1), b"Q");
}

#[rstest]
#[case::byte(0x518, &[0])]
#[case::word(0x518, &[0, 0])]
#[case::unaligned(0x516, &[0, 0, 0, 0])]
#[case::qword_at_low(0x518, &[0; 8])]
fn address_written_in_an_illegal_width_starts_nothing(#[case] port: u64, #[case] bytes: &[u8]) {
    let rig = rig();
    rig.set_memory(0, &descriptor(READ, 1, TO));
    rig.bus.write(port, bytes);
    assert_eq!(rig.next(), *b"Q");
}

#[test]
fn reset_forgets_the_high_half() {
    let rig = rig();
    rig.set_memory(AT, &descriptor(READ, 1, TO));
    rig.bus.write(0x514, &1_u32.to_be_bytes());
    rig.bus.reset();
    rig.bus.write(0x518, &(AT as u32).to_be_bytes());
    assert_eq!(rig.memory(TO, 1), b"Q");
}

#[test]
fn descriptor_and_buffer_may_be_unaligned_and_cross_regions() {
    let rig = rig();
    assert_eq!(rig.transfer_at(0x2000 - 7, READ, 4, 0x1234), 0);
    assert_eq!(rig.transfer(SIGNATURE | READ, 4, 0x2000 - 1), 0);
    assert_eq!(rig.memory(0x2000 - 1, 4), b"QEMU");
}

#[test]
fn control_is_stored_last_when_the_buffer_covers_the_descriptor() {
    let rig = rig();
    assert_eq!(rig.transfer(READ, 16, AT), 0);
    assert_eq!(rig.memory(AT, 16), [0; 16], "signature, overwritten by control");
    assert_eq!(rig.transfer(SIGNATURE | READ, 4, AT + 8), 0);
    assert_eq!(rig.memory(AT + 8, 4), b"QEMU");
}

#[test]
fn megabyte_is_read_whole() {
    let data: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect();
    let rig = rig_with_file("etc/fdt", &data);
    assert_eq!(rig.transfer(FILE | READ, 1 << 20, 0x1fff), 0);
    assert!(rig.memory(0x1fff, 1 << 20) == data);
}

#[test]
fn long_tail_of_zeros_ends_where_the_guest_said() {
    let rig = rig();
    rig.set_memory(TO, &vec![0xaa; 0x10_0000]);
    assert_eq!(rig.transfer(READ, 0x2_0005, TO), 0);
    let memory = rig.memory(TO, 0x2_0006);
    assert!(memory[4..0x2_0005].iter().all(|&byte| byte == 0));
    assert_eq!(memory[0x2_0005], 0xaa);
}

#[rstest]
#[case::in_the_hole(LOW_END, 1)]
#[case::into_the_hole(LOW_END - 2, 4)]
#[case::after_the_data(LOW_END - 4, 8)]
#[case::across_the_hole(0, u32::MAX)]
#[case::behind_memory(HIGH + 0xfff, 2)]
#[case::around_the_end_of_addresses(u64::MAX - 1, 4)]
#[case::everything(0, u32::MAX)]
fn buffer_outside_memory_is_an_error_and_nothing_moves(#[case] address: u64, #[case] len: u32) {
    let rig = rig();
    rig.set_memory(LOW_END - 4, &[0xaa; 4]);
    rig.set_memory(HIGH + 0xffc, &[0xaa; 4]);
    assert_eq!(rig.transfer(READ, len, address), ERROR);
    assert_eq!(rig.memory(LOW_END - 4, 4), [0xaa; 4]);
    assert_eq!(rig.memory(HIGH + 0xffc, 4), [0xaa; 4]);
    assert_eq!(rig.next(), *b"QEMU");
}

#[test]
fn descriptor_cut_off_by_the_end_of_memory_gets_the_error_bit() {
    let rig = rig();
    rig.set_memory(LOW_END - 8, &descriptor(READ, 4, TO)[..8]);
    rig.start(LOW_END - 8);
    assert_eq!(rig.memory(LOW_END - 8, 4), ERROR.to_be_bytes());
    assert_eq!(rig.next(), *b"QEMU");
}

#[rstest]
#[case::hole(LOW_END)]
#[case::control_cut_off(LOW_END - 2)]
#[case::behind_memory(HIGH + 0x1000)]
#[case::end_of_addresses(u64::MAX - 7)]
fn descriptor_outside_memory_is_ignored(#[case] at: u64) {
    let rig = rig();
    rig.set_memory(LOW_END - 2, &[0xaa; 2]);
    rig.start(at);
    assert_eq!(rig.memory(LOW_END - 2, 2), [0xaa; 2]);
    assert_eq!(rig.next(), *b"QEMU");
}

fn rig_with_writable_file() -> Rig {
    let mut contents = Contents::new();
    contents.writable_file("etc/ramfb", *b"abcdefgh").unwrap();
    let rig = Rig::new(contents);
    rig.set_memory(TO, b"0123456789");
    rig
}

#[test]
fn write_replaces_bytes_of_a_writable_file() {
    let rig = rig_with_writable_file();
    assert_eq!(rig.transfer(FILE | SKIP, 2, 0), 0);
    assert_eq!(rig.transfer(WRITE, 3, TO), 0);
    assert_eq!(rig.next(), *b"fgh\0");
    assert_eq!(rig.item(0x20), *b"ab012fgh");
}

#[test]
fn write_up_to_the_last_byte_is_allowed() {
    let rig = rig_with_writable_file();
    assert_eq!(rig.transfer(FILE | WRITE, 8, TO), 0);
    assert_eq!(rig.item(0x20), *b"01234567\0");
}

#[test]
fn write_past_the_end_is_an_error_and_stores_nothing() {
    let rig = rig_with_writable_file();
    assert_eq!(rig.transfer(FILE | WRITE, 9, TO), ERROR);
    assert_eq!(rig.transfer(FILE | SKIP, 100, 0), 0);
    assert_eq!(rig.transfer(WRITE, 1, TO), ERROR, "at the end");
    assert_eq!(rig.item(0x20), *b"abcdefgh\0");
}

#[test]
fn write_from_outside_memory_is_an_error_and_stores_nothing() {
    let rig = rig_with_writable_file();
    assert_eq!(rig.transfer(FILE | WRITE, 4, LOW_END - 2), ERROR);
    assert_eq!(rig.item(0x20), *b"abcdefgh");
}

#[rstest]
#[case::signature(SIGNATURE)]
#[case::directory(0x19 << 16 | SELECT)]
#[case::absent(0x21 << 16 | SELECT)]
#[case::invalid(0x40 << 16 | SELECT)]
fn write_to_anything_else_is_an_error(#[case] select: u32) {
    let rig = rig_with_writable_file();
    assert_eq!(rig.transfer(select | WRITE, 1, TO), ERROR);
    assert_eq!(rig.item(0), *b"QEMU");
}

#[test]
fn write_to_a_read_only_file_is_an_error() {
    let rig = rig_with_file("etc/e820", b"map");
    assert_eq!(rig.transfer(FILE | WRITE, 1, TO), ERROR);
    assert_eq!(rig.item(0x20), *b"map");
}

#[test]
fn reset_restores_what_the_guest_wrote_over() {
    let rig = rig_with_writable_file();
    rig.transfer(FILE | WRITE, 8, TO);
    rig.bus.reset();
    assert_eq!(rig.item(0x20), *b"abcdefgh");
}

#[test]
fn seabios_walks_the_directory_and_reads_a_file() {
    let mut contents = Contents::new();
    contents.file("bootorder", *b"HALT\0").unwrap();
    contents.file("etc/e820", *b"twenty bytes or more").unwrap();
    let rig = Rig::new(contents);

    rig.transfer(0x19 << 16 | SELECT | READ, 4, TO);
    assert_eq!(rig.memory(TO, 4), 2_u32.to_be_bytes());
    rig.transfer(READ, 64, TO);
    rig.transfer(READ, 64, TO);
    assert_eq!(rig.memory(TO + 8, 9), b"etc/e820\0");
    rig.select(u16::from_be_bytes(rig.memory(TO + 4, 2).try_into().unwrap()));
    rig.transfer(READ, 20, TO);
    assert_eq!(rig.memory(TO, 20), b"twenty bytes or more");
}
