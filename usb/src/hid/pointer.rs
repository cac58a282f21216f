//! The boot mouse, which moves, and the tablet, which has a place. HID 1.11, appendix B.2.

use super::reports::{Report, Reports, Room};
use super::{Form, Hid, descriptors};

const MOUSE: Form = Form {
    product: 0x0003,
    name: "USB mouse",
    boot: [1, 2],
    report_descriptor: descriptors::MOUSE,
    packet: 4,
    boot_packet: 3,
};
const TABLET: Form = Form {
    product: 0x0004,
    name: "USB tablet",
    boot: [0, 0],
    report_descriptor: descriptors::TABLET,
    packet: 6,
    boot_packet: 6,
};

/// The hand on a mouse.
pub struct Mouse {
    reports: Reports,
    buttons: u8,
}

impl Mouse {
    /// A mouse, and the device to plug in.
    #[must_use]
    pub fn new() -> (Self, Hid) {
        let reports = Reports::new(vec![0; 4]);
        (Self { reports: reports.clone(), buttons: 0 }, Hid::new(MOUSE, reports))
    }

    /// Moves it, and its wheel. -128 counts as -127.
    pub fn shift(&self, x: i8, y: i8, wheel: i8) {
        let movement = [x, y, wheel].map(|step| step.max(-127) as u8);
        self.reports.push([&[self.buttons], movement.as_slice()].concat(), add);
    }

    /// Holds exactly these buttons down: bit 0 left, 1 right, 2 middle.
    pub fn hold(&mut self, buttons: u8) {
        self.buttons = buttons & 0x07;
        self.shift(0, 0, 0);
    }
}

/// Two movements with the same buttons are one, as long as it fits. Without room the rest of the way is lost.
fn add(last: &Report, new: &Report, room: Room) -> Option<Report> {
    let ([old_buttons, old @ ..], [buttons, new @ ..]) = (last.as_slice(), new.as_slice()) else {
        return None;
    };
    let sums: Vec<_> = old.iter().zip(new).map(|(a, b)| i16::from(*a as i8) + i16::from(*b as i8)).collect();
    let fits = old_buttons == buttons && sums.iter().all(|sum| (-127..=127).contains(sum));
    (fits || room == Room::None).then(|| {
        let bytes = sums.iter().map(|sum| (*sum).clamp(-127, 127) as i8 as u8);
        std::iter::once(*buttons).chain(bytes).collect()
    })
}

/// The pen on a tablet.
pub struct Tablet {
    reports: Reports,
    buttons: u8,
    place: (u16, u16),
}

impl Tablet {
    /// The largest coordinate.
    pub const MAX: u16 = 0x7fff;

    /// A tablet, and the device to plug in.
    #[must_use]
    pub fn new() -> (Self, Hid) {
        let reports = Reports::new(vec![0; 6]);
        (Self { reports: reports.clone(), buttons: 0, place: (0, 0) }, Hid::new(TABLET, reports))
    }

    /// Moves the pen to a place, each coordinate at most [`MAX`](Self::MAX).
    pub fn point(&mut self, x: u16, y: u16) {
        self.place = (x.min(Self::MAX), y.min(Self::MAX));
        self.report(0);
    }

    /// Holds exactly these buttons down: bit 0 left, 1 right, 2 middle.
    pub fn hold(&mut self, buttons: u8) {
        self.buttons = buttons & 0x07;
        self.report(0);
    }

    /// Turns the wheel. -128 counts as -127.
    pub fn turn(&self, wheel: i8) {
        self.report(wheel.max(-127));
    }

    fn report(&self, wheel: i8) {
        let (x, y) = self.place;
        let ([x0, x1], [y0, y1]) = (x.to_le_bytes(), y.to_le_bytes());
        self.reports.push(vec![self.buttons, x0, x1, y0, y1, wheel as u8], replace);
    }
}

/// A place that is left before anybody looked does not matter; a button or a turn of the wheel does.
fn replace(last: &Report, new: &Report, room: Room) -> Option<Report> {
    let still = last.first() == new.first() && [last, new].iter().all(|report| report.last() == Some(&0));
    (still || room == Room::None).then(|| new.clone())
}
