//! INQUIRY, its pages, mode pages, and units that are not there. SPC-4, 6.6, 7.5 and 7.8.

use rstest::rstest;

use super::*;

fn page(rig: &mut Rig, page: u8) -> Vec<u8> {
    rig.reads(&[0x12, 1, page, 0, 255, 0])
}

#[test]
fn inquiry_says_what_the_unit_is() {
    let disk = Rig::disk().reads(&[0x12, 0, 0, 0, 36, 0]);
    assert_eq!(disk[..8], [0x00, 0x00, 0x06, 0x12, 91, 0, 0, 0x02]);
    assert_eq!(&disk[8..], b"TINDERBXHARDDISK        0.1 ");
    let drive = Rig::cd_rom().reads(&[0x12, 0, 0, 0, 36, 0]);
    assert_eq!((drive[0], drive[1], &drive[16..22]), (0x05, 0x80, b"CD-ROM".as_slice()));
}

#[test]
fn inquiry_is_cut_to_its_allocation_length() {
    let mut rig = Rig::disk();
    assert_eq!(rig.reads(&[0x12, 0, 0, 0, 5, 0]).len(), 5);
    assert_eq!(rig.reads(&[0x12, 0, 0, 1, 0, 0]).len(), 96);
    rig.does(&[0x12, 0, 0, 0, 0, 0]);
}

#[test]
fn pages_that_are_listed_are_there_and_no_others() {
    let mut rig = Rig::disk();
    let listed = page(&mut rig, 0x00);
    assert_eq!(listed, [0, 0, 0, 6, 0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2]);
    for code in 0..=255 {
        if listed[4..].contains(&code) {
            let body = page(&mut rig, code);
            assert_eq!((body[1], usize::from(body[3])), (code, body.len() - 4));
        } else {
            assert_eq!(rig.fails(&[0x12, 1, code, 0, 255, 0]), Sense::INVALID_FIELD);
        }
    }
    assert_eq!(page(&mut Rig::cd_rom(), 0x00), [5, 0, 0, 3, 0x00, 0x80, 0x83]);
}

#[test]
fn serial_is_in_two_pages() {
    let mut rig = Rig::disk();
    assert_eq!(&page(&mut rig, 0x80)[4..], b"S-42");
    let identification = page(&mut rig, 0x83);
    assert_eq!(identification[4..8], [0x02, 0x01, 0, 28]);
    assert_eq!(&identification[8..], b"TINDERBXHARDDISK        S-42");
}

#[test]
fn block_pages_say_that_nothing_rotates_and_blocks_can_be_unmapped() {
    let mut rig = Rig::disk();
    let limits = page(&mut rig, 0xb0);
    assert_eq!((limits.len(), limits[4]), (64, 1));
    assert_eq!(limits[20..32], [0, 8, 0, 0, 0, 0, 0, 64, 0, 0, 0, 1]);
    assert_eq!(limits[36..44], [0, 0, 0, 0, 0, 8, 0, 0]);
    assert_eq!(page(&mut rig, 0xb1)[..6], [0, 0xb1, 0, 60, 0, 1]);
    assert_eq!(page(&mut rig, 0xb2), [0, 0xb2, 0, 4, 0, 0xe0, 2, 0]);
}

#[test]
fn page_code_without_evpd_is_refused() {
    assert_eq!(Rig::disk().fails(&[0x12, 0, 0x80, 0, 36, 0]), Sense::INVALID_FIELD);
}

#[test]
fn serial_must_be_short_and_printable() {
    assert!("x".repeat(36).parse::<crate::Serial>().is_ok());
    assert!("x".repeat(37).parse::<crate::Serial>().is_err());
    assert!("tab\t".parse::<crate::Serial>().is_err());
}

#[test]
fn mode_sense_has_header_descriptor_and_pages() {
    let mut rig = Rig::disk();
    let short = rig.reads(&[0x1a, 0, 0x08, 0, 255, 0]);
    assert_eq!(short[..4], [31, 0, 0x10, 8]);
    assert_eq!(short[4..12], [0, 0, 0, 64, 0, 0, 2, 0]);
    assert_eq!(short[12..15], [0x08, 18, 0x04]); // caching page: WCE
    let long = rig.reads(&[0x5a, 8, 0x08, 0, 0, 0, 0, 0, 255, 0]);
    assert_eq!(long[..8], [0, 26, 0, 0x10, 0, 0, 0, 0]);
    assert_eq!(long[8..11], [0x08, 18, 0x04]);
}

#[test]
fn mode_sense_of_all_pages_comes_in_ascending_order() {
    let all = Rig::disk().reads(&[0x1a, 8, 0x3f, 0, 255, 0]);
    let mut codes = Vec::new();
    let mut rest = &all[4..];
    while let [code, len, after @ ..] = rest {
        codes.push(*code);
        rest = &after[usize::from(*len)..];
    }
    assert_eq!(codes, [0x01, 0x08, 0x0a, 0x1c]);
    assert_eq!(usize::from(all[0]), all.len() - 1);
}

#[test]
fn nothing_in_a_mode_page_can_be_changed_or_saved() {
    let mut rig = Rig::disk();
    let changeable = rig.reads(&[0x1a, 8, 0x48, 0, 255, 0]);
    assert!(changeable[6..].iter().all(|byte| *byte == 0));
    assert_eq!(rig.fails(&[0x1a, 8, 0xc8, 0, 255, 0]), Sense::NO_SAVED_PARAMETERS);
}

#[rstest]
#[case::page(&[0x1a, 0, 0x02, 0, 255, 0])]
#[case::subpage(&[0x1a, 0, 0x08, 1, 255, 0])]
fn unknown_mode_pages_are_refused(#[case] cdb: &[u8]) {
    assert_eq!(Rig::disk().fails(cdb), Sense::INVALID_FIELD);
}

#[test]
fn unit_that_is_not_there_says_so() {
    let mut rig = Rig::disk();
    let mut sense = [0; 18];
    let mut inquiry = [0; 36];
    let mut task = rig.target.begin(Lun(1), &[0x12, 0, 0, 0, 36, 0]);
    task.read(&[VolatileSlice::from(&mut inquiry[..])]);
    assert_eq!(inquiry[0], 0x7f);
    assert_eq!(rig.target.begin(Lun(1), &[0; 6]).finish().sense, Some(Sense::NO_SUCH_UNIT));
    rig.target.begin(Lun(1), &[3, 0, 0, 0, 18, 0]).read(&[VolatileSlice::from(&mut sense[..])]);
    assert_eq!((sense[2], sense[12]), (5, 0x25));
}

#[test]
fn report_luns_lists_the_units() {
    let mut rig = Rig::disk();
    let unit = || Unit::new(Kind::CdRom, Loading::Removable, crate::Serial::default());
    rig.target = Target::new(vec![unit(), unit()]);
    let all = [0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    assert_eq!(rig.reads(&[0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]), all);
    assert_eq!(rig.reads(&[0xa0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0]), [0; 8]);
    assert_eq!(rig.fails(&[0xa0, 0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0]), Sense::INVALID_FIELD);
}

#[test]
fn luns_have_peripheral_and_flat_addresses() {
    assert_eq!(Lun::decode([0, 5, 0, 0, 0, 0, 0, 0]), Some(Lun(5)));
    assert_eq!(Lun::decode([0x41, 5, 0, 0, 0, 0, 0, 0]), Some(Lun(0x105)));
    assert_eq!(Lun::decode([1, 5, 0, 0, 0, 0, 0, 0]), None);
    assert_eq!(Lun::decode([0, 5, 0, 1, 0, 0, 0, 0]), None);
    assert_eq!(Lun(3).encode(), [0, 3, 0, 0, 0, 0, 0, 0]);
}
