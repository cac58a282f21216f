//! The boot keyboard. HID 1.11, appendix B.1.

use super::reports::{Report, Reports, Room};
use super::{Form, Hid, descriptors};

const FORM: Form = Form {
    product: 0x0002,
    name: "USB keyboard",
    boot: [1, 1],
    report_descriptor: descriptors::KEYBOARD,
    packet: 8,
    boot_packet: 8,
};
/// Keys that a report can tell at a time, besides modifiers.
const KEYS: usize = 6;
/// Usage that all keys have when more are pressed: ErrorRollOver. *HID Usage Tables*, 10.
const ROLL_OVER: u8 = 0x01;
/// Usages of the modifiers, left control to right GUI.
const MODIFIERS: std::ops::RangeInclusive<u8> = 0xe0..=0xe7;

/// The hands on a keyboard. Any thread may press keys.
pub struct Keyboard {
    reports: Reports,
    pressed: Vec<u8>,
}

/// The lamps that a driver lit. *HID Usage Tables*, 11.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leds(pub u8);

impl Keyboard {
    /// A keyboard, and the device to plug in.
    #[must_use]
    pub fn new() -> (Self, Hid) {
        let reports = Reports::new(encode(&[]));
        (Self { reports: reports.clone(), pressed: Vec::new() }, Hid::new(FORM, reports))
    }

    /// Presses the key with this usage (*HID Usage Tables*, 10: 0x04 is A, 0x28 is Enter, 0xE0 is left Control).
    pub fn press(&mut self, usage: u8) {
        if !self.pressed.contains(&usage) {
            self.pressed.push(usage);
            self.report();
        }
    }

    /// Releases it.
    pub fn release(&mut self, usage: u8) {
        if self.pressed.contains(&usage) {
            self.pressed.retain(|pressed| *pressed != usage);
            self.report();
        }
    }

    /// The lamps.
    #[must_use]
    pub fn leds(&self) -> Leds {
        Leds(self.reports.lamps())
    }

    fn report(&self) {
        self.reports.push(encode(&self.pressed), merge);
    }
}

/// A key that went down and up again is lost if nobody reads; the keys that are down now are not.
fn merge(_last: &Report, new: &Report, room: Room) -> Option<Report> {
    (room == Room::None).then(|| new.clone())
}

fn encode(pressed: &[u8]) -> Report {
    let modifiers = pressed.iter().filter(|usage| MODIFIERS.contains(usage));
    let modifiers = modifiers.fold(0, |bits, usage| bits | 1_u8 << (usage & 0x07));
    let mut keys: Vec<_> = pressed.iter().copied().filter(|usage| !MODIFIERS.contains(usage)).collect();
    if keys.len() > KEYS {
        keys.fill(ROLL_OVER);
    }
    keys.resize(KEYS, 0);
    [vec![modifiers, 0], keys].concat()
}
