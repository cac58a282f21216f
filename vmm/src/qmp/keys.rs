//! `send-key`: keys by QEMU's names for them, as usages of USB keyboards.

use std::time::Duration;

use serde_json::{Value, json};

use super::commands::Machine;
use super::input::missing;
use super::protocol::{Arguments, QmpError};
use crate::machine::hands::Chord;

/// The command's name.
pub(super) const NAME: &str = "send-key";

/// How long keys are held if nothing is said, in milliseconds.
const HOLD: u64 = 100;
/// Keys that may be pressed together.
const MOST_KEYS: usize = 8;

/// Has all keys pressed, held for a while and released; what was sent before comes first.
pub(super) fn send(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let keys = arguments.list("keys")?;
    let hold = arguments.optional_number("hold-time")?.unwrap_or(HOLD);
    std::mem::take(arguments).finish()?;
    let usages = keys.iter().map(usage).collect::<Result<Vec<_>, _>>()?;
    if !(1..=MOST_KEYS).contains(&usages.len()) {
        return Err(QmpError::generic("send-key takes 1 to 8 keys"));
    }
    let chord = Chord { usages, hold: Duration::from_millis(hold) };
    machine.facts().hands.type_chord(chord).map_err(missing)?;
    Ok(json!({}))
}

/// The usage of a `KeyValue`.
pub(super) fn usage(key: &Value) -> Result<u8, QmpError> {
    let text = |name| key.get(name).and_then(Value::as_str);
    match (text("type"), text("data"), key.get("data").and_then(Value::as_u64)) {
        (Some("qcode"), Some(name), _) => find(name)
            .ok_or_else(|| QmpError::generic(format!("Parameter 'data' does not accept value '{name}'"))),
        (Some("number"), _, Some(number)) => by_number(number)
            .ok_or_else(|| QmpError::generic(format!("Parameter 'data' does not accept value '{number}'"))),
        _ => Err(QmpError::generic("a key is of type 'qcode' or 'number', with its name or number as data")),
    }
}

/// By the PC's scan code (set 1), with bit 7 for those that follow 0xE0.
fn by_number(number: u64) -> Option<u8> {
    const ROWS: [(u8, &str); 4] =
        [(0x02, "1234567890-="), (0x10, "qwertyuiop[]"), (0x1e, "asdfghjkl;'`"), (0x2c, "zxcvbnm,./")];
    const OTHERS: &[(u8, u8)] = &[
        (0x01, 0x29),
        (0x0e, 0x2a),
        (0x0f, 0x2b),
        (0x1c, 0x28),
        (0x1d, 0xe0),
        (0x2a, 0xe1),
        (0x2b, 0x31),
        (0x36, 0xe5),
        (0x38, 0xe2),
        (0x39, 0x2c),
        (0x3a, 0x39),
        (0x57, 0x44),
        (0x58, 0x45),
        (0x9d, 0xe4),
        (0xb8, 0xe6),
        (0xc7, 0x4a),
        (0xc8, 0x52),
        (0xc9, 0x4b),
        (0xcb, 0x50),
        (0xcd, 0x4f),
        (0xcf, 0x4d),
        (0xd0, 0x51),
        (0xd1, 0x4e),
        (0xd2, 0x49),
        (0xd3, 0x4c),
        (0xdb, 0xe3),
        (0xdc, 0xe7),
        (0xdd, 0x65),
    ];
    let number = u8::try_from(number).ok()?;
    if let 0x3b..=0x44 = number {
        return Some(number - 0x3b + 0x3a); // F1 to F10
    }
    let row =
        ROWS.iter().find_map(|(first, row)| row.as_bytes().get(usize::from(number.checked_sub(*first)?)));
    match row {
        Some(symbol) => of_symbol(*symbol),
        None => OTHERS.iter().find(|(known, _)| *known == number).map(|(_, usage)| *usage),
    }
}

/// The key with this symbol on a keyboard of the United States.
fn of_symbol(symbol: u8) -> Option<u8> {
    const SYMBOLS: &[(u8, &str)] = &[
        (b'-', "minus"),
        (b'=', "equal"),
        (b'[', "bracket_left"),
        (b']', "bracket_right"),
        (b';', "semicolon"),
        (b'\'', "apostrophe"),
        (b'`', "grave_accent"),
        (b',', "comma"),
        (b'.', "dot"),
        (b'/', "slash"),
    ];
    match SYMBOLS.iter().find(|(known, _)| *known == symbol) {
        Some((_, name)) => find(name),
        None => find(str::from_utf8(&[symbol]).ok()?),
    }
}

/// Letters and digits have usages in a row, the other keys are in a table.
fn find(name: &str) -> Option<u8> {
    match name.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 0x04),
        b"0" => Some(0x27),
        [digit @ b'1'..=b'9'] => Some(digit - b'1' + 0x1e),
        _ => OTHERS.iter().find(|(known, _)| *known == name).map(|(_, usage)| *usage),
    }
}

/// QEMU's `QKeyCode`, and *HID Usage Tables*, 10.
const OTHERS: &[(&str, u8)] = &[
    ("ret", 0x28),
    ("esc", 0x29),
    ("backspace", 0x2a),
    ("tab", 0x2b),
    ("spc", 0x2c),
    ("minus", 0x2d),
    ("equal", 0x2e),
    ("bracket_left", 0x2f),
    ("bracket_right", 0x30),
    ("backslash", 0x31),
    ("semicolon", 0x33),
    ("apostrophe", 0x34),
    ("grave_accent", 0x35),
    ("comma", 0x36),
    ("dot", 0x37),
    ("slash", 0x38),
    ("caps_lock", 0x39),
    ("f1", 0x3a),
    ("f2", 0x3b),
    ("f3", 0x3c),
    ("f4", 0x3d),
    ("f5", 0x3e),
    ("f6", 0x3f),
    ("f7", 0x40),
    ("f8", 0x41),
    ("f9", 0x42),
    ("f10", 0x43),
    ("f11", 0x44),
    ("f12", 0x45),
    ("print", 0x46),
    ("sysrq", 0x46),
    ("scroll_lock", 0x47),
    ("pause", 0x48),
    ("insert", 0x49),
    ("home", 0x4a),
    ("pgup", 0x4b),
    ("delete", 0x4c),
    ("end", 0x4d),
    ("pgdn", 0x4e),
    ("right", 0x4f),
    ("left", 0x50),
    ("down", 0x51),
    ("up", 0x52),
    ("num_lock", 0x53),
    ("kp_divide", 0x54),
    ("kp_multiply", 0x55),
    ("kp_subtract", 0x56),
    ("kp_add", 0x57),
    ("kp_enter", 0x58),
    ("kp_1", 0x59),
    ("kp_2", 0x5a),
    ("kp_3", 0x5b),
    ("kp_4", 0x5c),
    ("kp_5", 0x5d),
    ("kp_6", 0x5e),
    ("kp_7", 0x5f),
    ("kp_8", 0x60),
    ("kp_9", 0x61),
    ("kp_0", 0x62),
    ("kp_decimal", 0x63),
    ("less", 0x64),
    ("menu", 0x65),
    ("ctrl", 0xe0),
    ("shift", 0xe1),
    ("alt", 0xe2),
    ("meta_l", 0xe3),
    ("ctrl_r", 0xe4),
    ("shift_r", 0xe5),
    ("alt_r", 0xe6),
    ("meta_r", 0xe7),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_usages_of_the_standard() {
        let usages = ["a", "z", "1", "9", "0", "ret", "f12", "ctrl", "meta_r"].map(find);
        let expected = [0x04, 0x1d, 0x1e, 0x26, 0x27, 0x28, 0x45, 0xe0, 0xe7].map(Some);
        assert_eq!(usages, expected);
        assert_eq!([find("A"), find(""), find("enter")], [None; 3]);
    }

    #[test]
    fn numbers_are_scan_codes() {
        let usages = [0x02, 0x0b, 0x10, 0x1e, 0x28, 0x2c, 0x35, 0x1c, 0x3b, 0x44, 0xc8].map(by_number);
        let names = ["1", "0", "q", "a", "apostrophe", "z", "slash", "ret", "f1", "f10", "up"].map(find);
        assert_eq!(usages, names);
        assert_eq!([by_number(0), by_number(0x7f), by_number(0x1_0002)], [None; 3]);
    }
}
