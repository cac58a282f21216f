//! `send-key`: keys by QEMU's names for them, as usages of USB keyboards.

use serde_json::{Value, json};

use super::commands::{Machine, refused};
use super::protocol::{Arguments, QmpError};
use crate::machine::remote::{Chord, Command};

/// The command's name.
pub(super) const NAME: &str = "send-key";

/// Presses all keys, then releases them. How long they are held is the guest's affair: it reads each change in its turn.
pub(super) fn send(machine: &mut dyn Machine, arguments: &mut Arguments) -> Result<Value, QmpError> {
    let keys = arguments.list("keys")?;
    arguments.ignore("hold-time");
    std::mem::take(arguments).finish()?;
    let usages = keys.iter().map(usage).collect::<Result<Vec<_>, _>>()?;
    let chord = Chord::new(&usages).ok_or_else(|| QmpError::generic("send-key takes 1 to 8 keys"))?;
    machine.call(Command::Press(chord)).map(|_| json!({})).map_err(refused)
}

/// The usage of a `KeyValue`.
fn usage(key: &Value) -> Result<u8, QmpError> {
    let member = |name| key.get(name).and_then(Value::as_str);
    match (member("type"), member("data")) {
        (Some("qcode"), Some(name)) => find(name)
            .ok_or_else(|| QmpError::generic(format!("Parameter 'data' does not accept value '{name}'"))),
        _ => Err(QmpError::generic("Parameter 'keys' takes keys of type 'qcode' alone")),
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
}
