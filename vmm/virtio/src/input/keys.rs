//! Keys: what a usage of USB keyboards is called by Linux, whose names virtio takes.

/// Linux's codes of the usages from 0x04 to 0x65. *HID Usage Tables*, 10; `input-event-codes.h`.
#[rustfmt::skip]
const COMMON: [u8; 0x62] = [
    // a to z
    30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, 49, 24, 25, 16, 19, 31, 20, 22, 47, 17, 45, 21, 44,
    // 1 to 9, 0
    2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
    // Return, Escape, Backspace, Tab, Space, - = [ ] \ # ; ' ` , . /, Caps Lock
    28, 1, 14, 15, 57, 12, 13, 26, 27, 43, 43, 39, 40, 41, 51, 52, 53, 58,
    // F1 to F12
    59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 87, 88,
    // Print, Scroll Lock, Pause, Insert, Home, Page Up, Delete, End, Page Down, right, left, down, up
    99, 70, 119, 110, 102, 104, 111, 107, 109, 106, 105, 108, 103,
    // The keypad: Num Lock / * - + Enter, 1 to 9, 0 .
    69, 98, 55, 74, 78, 96, 79, 80, 81, 75, 76, 77, 71, 72, 73, 82, 83,
    // The key beside the left shift, the menu
    86, 127,
];

/// Those of the usages from 0xe0 to 0xe7: Control, Shift, Alt and Meta, left and right.
const MODIFIERS: [u8; 8] = [29, 42, 56, 125, 97, 54, 100, 126];

/// Linux's code of the key of this usage.
pub(super) fn code(usage: u8) -> Option<u16> {
    let (first, row): (u8, &[u8]) =
        if usage < 0xe0 { (0x04, COMMON.as_slice()) } else { (0xe0, MODIFIERS.as_slice()) };
    row.get(usize::from(usage.checked_sub(first)?)).map(|&code| code.into())
}

/// The codes of all keys.
pub(super) fn codes() -> impl Iterator<Item = u16> {
    COMMON.into_iter().chain(MODIFIERS).map(u16::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_names() {
        // Usages of: a, z, 1, 0, Return, /, Caps Lock, F1, F12, Print, up, Num Lock, Enter, 0 and . of the keypad, menu.
        let usages =
            [0x04, 0x1d, 0x1e, 0x27, 0x28, 0x38, 0x39, 0x3a, 0x45, 0x46, 0x52, 0x53, 0x58, 0x62, 0x63, 0x65];
        let codes = [30, 44, 2, 11, 28, 53, 58, 59, 88, 99, 103, 69, 96, 82, 83, 127];
        assert_eq!(usages.map(code), codes.map(Some));
        assert_eq!([0xe0, 0xe5, 0xe7].map(code), [Some(29), Some(54), Some(126)]);
    }

    #[test]
    fn what_is_no_key_has_no_code() {
        assert_eq!([0, 3, 0x66, 0xdf, 0xe8, 0xff].map(code), [None; 6]);
    }
}
