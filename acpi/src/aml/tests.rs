use acpi_tables::Aml;
use rstest::rstest;

use super::*;

fn aml(object: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    object.to_aml_bytes(&mut bytes);
    bytes
}

/// The descriptors alone: without buffer opcode and lengths in front, and the end tag behind.
fn descriptors(resources: Resources) -> Vec<u8> {
    let bytes = aml(&resources);
    assert_eq!(bytes[..4], [0x11, bytes.len() as u8 - 1, 0x0a, bytes.len() as u8 - 4]);
    assert_eq!(bytes[bytes.len() - 2..], [0x79, 0]);
    bytes[4..bytes.len() - 2].to_vec()
}

#[rstest]
#[case(0, &[0x01])]
#[case(62, &[0x3f])]
#[case(63, &[0x41, 0x04])]
#[case(0xffd, &[0x4f, 0xff])]
#[case(0xffe, &[0x81, 0x00, 0x01])]
#[case(0xf_fffc, &[0x8f, 0xff, 0xff])]
#[case(0xf_fffd, &[0xc1, 0x00, 0x00, 0x01])]
fn package_length_of_body_is_shortest_form(#[case] len: usize, #[case] encoded: &[u8]) {
    assert_eq!(package_length(len), encoded);
}

#[test]
fn numbered_name_has_two_decimal_digits() {
    assert_eq!(aml(&NameSeg::numbered(*b"VR", 7)), b"VR07");
    assert_eq!(aml(&NameSeg::numbered(*b"VR", 23)), b"VR23");
}

#[test]
fn hexadecimal_name_has_three_digits() {
    assert_eq!(aml(&NameSeg::hexadecimal(b'C', 0xfe)), b"C0FE");
    assert_eq!(aml(&NameSeg::hexadecimal(b'C', 0x123)), b"C123");
}

#[test]
fn device_wraps_its_objects_in_call_order() {
    let mut scope = Scope::new();
    scope.device(b"TEST", |dev| {
        dev.hid("ABCD0001");
        dev.uid(&7u8);
        dev.coherent();
    });

    let body = [b"TEST".as_slice(), b"\x08_HID\x0dABCD0001\0", b"\x08_UID\x0a\x07", b"\x08_CCA\x01"].concat();
    assert_eq!(scope.bytes(), [&[0x5b, 0x82, body.len() as u8 + 1], body.as_slice()].concat());
}

#[rstest]
#[case("PNP0501", [0x41, 0xd0, 0x05, 0x01])]
#[case("PNP0B00", [0x41, 0xd0, 0x0b, 0x00])]
#[case("PNP0D10", [0x41, 0xd0, 0x0d, 0x10])]
fn eisa_hid_is_compressed_to_a_dword(#[case] id: &'static str, #[case] dword: [u8; 4]) {
    let mut scope = Scope::new();
    scope.device(b"TEST", |dev| dev.eisa_hid(id));

    assert_eq!(scope.bytes()[7..], [b"\x08_HID\x0c".as_slice(), &dword].concat());
}

#[test]
fn child_device_follows_inside_its_parent() {
    let mut scope = Scope::new();
    scope.device(b"PARE", |dev| dev.device(b"CHIL", |_| ()));

    assert_eq!(scope.bytes(), b"\x5b\x82\x0cPARE\x5b\x82\x05CHIL");
}

#[test]
fn io_has_equal_ends_and_alignment() {
    assert_eq!(descriptors(Resources::new().io(0x510, 12)), [0x47, 1, 0x10, 5, 0x10, 5, 1, 12]);
    assert_eq!(descriptors(Resources::new().aligned_io(0x3f8, 8, 0)), [0x47, 1, 0xf8, 3, 0xf8, 3, 0, 8]);
}

#[test]
fn isa_irq_is_a_mask() {
    assert_eq!(descriptors(Resources::new().isa_irq(4)), [0x22, 0x10, 0x00]);
    assert_eq!(descriptors(Resources::new().isa_irq(8)), [0x22, 0x00, 0x01]);
}

#[test]
fn interrupt_trigger_is_bit_one() {
    assert_eq!(descriptors(Resources::new().interrupt(47)), [0x89, 6, 0, 0x01, 1, 47, 0, 0, 0]);
    assert_eq!(descriptors(Resources::new().edge_interrupt(9)), [0x89, 6, 0, 0x03, 1, 9, 0, 0, 0]);
}

#[test]
fn memory32_is_read_write() {
    let bytes = descriptors(Resources::new().memory32(0xfeb0_0e00, 0x200));
    assert_eq!(bytes, [0x86, 9, 0, 1, 0x00, 0x0e, 0xb0, 0xfe, 0x00, 0x02, 0, 0]);
}

#[test]
fn windows_are_fixed_at_both_ends() {
    let buses = descriptors(Resources::new().bus_numbers(0, 0xff));
    assert_eq!(buses, [0x88, 0x0d, 0, 2, 0x0c, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 1]);
    let low = descriptors(Resources::new().window32(0xc000_0000, 0xdfff_ffff));
    assert_eq!(low[..6], [0x87, 0x17, 0, 0, 0x0c, 1]);
    assert_eq!(low[22..], 0x2000_0000u32.to_le_bytes());
    let high = descriptors(Resources::new().window64(0xc0_0000_0000, 0xff_ffff_ffff));
    assert_eq!(high[..6], [0x8a, 0x2b, 0, 0, 0x0c, 1]);
    assert_eq!(high[38..], 0x40_0000_0000u64.to_le_bytes());
}
