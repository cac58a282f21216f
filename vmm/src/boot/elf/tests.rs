use super::*;

#[test]
fn note_is_found_behind_another_of_the_same_name() {
    let note = crate::boot::testing::pvh_note(0x1234);
    assert_eq!(find_note(&note, b"Xen\0", 18), Some(&0x1234_u32.to_le_bytes()[..]));
    assert_eq!(find_note(&note, b"Xen\0", 6), Some(&b"gener"[..]));
    assert_eq!(find_note(&note, b"GNU\0", 18), None);
}

#[test]
fn note_that_ends_in_the_middle_is_none() {
    let note = crate::boot::testing::pvh_note(0x1234);
    for len in 0..note.len() {
        assert_eq!(find_note(&note[..len], b"Xen\0", 18), None, "{len}");
    }
    assert_eq!(find_note(&[0xff; 12], b"Xen\0", 18), None);
}
