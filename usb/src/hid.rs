//! Human interface devices: boot keyboard, boot mouse, absolute tablet. *Device Class Definition for HID 1.11*.
//!
//! ```text
//!  Keyboard, Mouse, Tablet (any thread) ──► Reports: at most 64 ──► interrupt IN, one report a transfer
//! ```
//!
//! Left out: reports repeated at the idle rate. The rate is kept and told, but reports come at changes alone, as if it were 0.

mod descriptors;
mod keyboard;
mod pointer;
mod reports;
#[cfg(test)]
mod tests;

use crate::layout::{self, BY_INTERFACE, Endpoint, Interface, Model, Transfers, Wakes};
use crate::{
    Answer, Change, Data, Descriptors, Direction, EndpointAddress, Outcome, Setup, Speed, Standard,
    UsbDevice, Waker,
};
pub use keyboard::{Keyboard, Leds};
pub use pointer::{Mouse, Tablet};
use reports::Reports;

/// The one endpoint besides control.
const IN: EndpointAddress = EndpointAddress::new(1, Direction::In);

/// Class requests and GET_DESCRIPTOR to an interface, as [`Setup::code`]. HID 1.11, 7.1 and 7.2.
mod code {
    pub(super) const GET_DESCRIPTOR: u16 = 0x8106;
    pub(super) const GET_REPORT: u16 = 0xa101;
    pub(super) const GET_IDLE: u16 = 0xa102;
    pub(super) const GET_PROTOCOL: u16 = 0xa103;
    pub(super) const SET_REPORT: u16 = 0x2109;
    pub(super) const SET_IDLE: u16 = 0x210a;
    pub(super) const SET_PROTOCOL: u16 = 0x210b;
}

/// `bDescriptorType` of the class's descriptors. HID 1.11, 7.1.
const HID: u8 = 0x21;
const REPORT: u8 = 0x22;

/// What tells one device from another.
#[derive(Clone, Copy)]
struct Form {
    product: u16,
    name: &'static str,
    /// Subclass and protocol of the interface: those of the boot devices, or none.
    boot: [u8; 2],
    report_descriptor: &'static [u8],
    /// Bytes of the longest report.
    packet: u16,
    /// Bytes of a report in the boot protocol.
    boot_packet: usize,
}

/// A keyboard, mouse or tablet.
pub struct Hid {
    // Fixed.
    form: Form,
    descriptors: Descriptors,
    reports: Reports,
    // Volatile.
    state: State,
}

/// What a bus reset forgets.
#[derive(Default)]
struct State {
    standard: Standard,
    /// The driver chose the boot protocol. The report protocol is the default. HID 1.11, 7.2.6.
    boot_protocol: bool,
    /// In units of 4 ms; 0: at changes alone.
    idle: u8,
}

impl Hid {
    fn new(form: Form, reports: Reports) -> Self {
        Self { form, descriptors: describe(&form), reports, state: State::default() }
    }

    /// The request of the class, or of the standard to the interface.
    fn class_request(&mut self, setup: Setup, data: &mut Data<'_>) -> Outcome {
        match setup.code() {
            code::GET_DESCRIPTOR => return self.class_descriptor(setup, data),
            code::GET_REPORT => put(self.cut(&self.reports.current()), setup, data),
            code::SET_REPORT => self.set_report(data),
            code::GET_IDLE => put(&[self.state.idle], setup, data),
            code::SET_IDLE => self.state.idle = setup.value.to_le_bytes()[1],
            code::GET_PROTOCOL if self.is_boot() => put(&[u8::from(!self.state.boot_protocol)], setup, data),
            code::SET_PROTOCOL if self.is_boot() => self.state.boot_protocol = setup.value == 0,
            _ => return Outcome::Stall,
        }
        Outcome::Done
    }

    fn class_descriptor(&self, setup: Setup, data: &mut Data<'_>) -> Outcome {
        let [_, kind] = setup.value.to_le_bytes();
        match kind {
            REPORT => put(self.form.report_descriptor, setup, data),
            HID => put(&hid_descriptor(&self.form), setup, data),
            _ => return Outcome::Stall,
        }
        Outcome::Done
    }

    /// Only keyboards have an output report: one byte of lamps.
    fn set_report(&self, data: &mut Data<'_>) {
        let mut lamps = [0];
        if data.take(&mut lamps) == 1 {
            let [lamps] = lamps;
            self.reports.set_lamps(lamps);
        }
    }

    const fn is_boot(&self) -> bool {
        let [subclass, _] = self.form.boot;
        subclass != 0
    }

    /// As much of a report as the protocol has.
    fn cut<'r>(&self, report: &'r [u8]) -> &'r [u8] {
        let len = if self.state.boot_protocol { self.form.boot_packet } else { report.len() };
        report.get(..len).unwrap_or(report)
    }
}

/// As much of `bytes` as was asked for.
fn put(bytes: &[u8], setup: Setup, data: &mut Data<'_>) {
    data.put(bytes.get(..setup.length.into()).unwrap_or(bytes));
}

impl UsbDevice for Hid {
    fn speed(&self) -> Speed {
        Speed::High
    }

    fn attach(&mut self, waker: Waker) {
        self.reports.connect(waker);
        self.reset();
    }

    fn reset(&mut self) {
        self.state = State::default();
        self.reports.clear();
    }

    fn control(&mut self, setup: Setup, data: &mut Data<'_>) -> Outcome {
        match self.state.standard.control(&self.descriptors, Speed::High, setup, data) {
            Answer::Final(outcome) => outcome,
            Answer::Changed(Change::HaltCleared(_)) => Outcome::Done,
            Answer::Changed(_) => {
                self.reports.clear();
                Outcome::Done
            }
            Answer::NotStandard => self.class_request(setup, data),
        }
    }

    fn transfer(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Outcome {
        let usable = self.state.standard.configured() && !self.state.standard.halted(endpoint);
        if endpoint != IN || !usable {
            return Outcome::Stall;
        }
        match self.reports.next() {
            Some(report) => data.put_packet(self.cut(&report)),
            None => Outcome::Nak,
        }
    }

    fn signals_wakeup(&self) -> bool {
        self.state.standard.remote_wakeup() && self.reports.wait()
    }
}

/// HID 1.11, 6.2.1: one report descriptor, no country.
fn hid_descriptor(form: &Form) -> [u8; 9] {
    let [len0, len1] = (form.report_descriptor.len() as u16).to_le_bytes();
    [9, HID, 0x11, 0x01, 0, 1, REPORT, len0, len1]
}

fn describe(form: &Form) -> Descriptors {
    const CLASS: u8 = 0x03;
    let [subclass, protocol] = form.boot;
    let reports = Endpoint {
        address: IN,
        transfers: Transfers::Interrupt { packet: form.packet, interval: 6 }, // 8 ms
        extra: &[],
    };
    let interface = Interface {
        number: 0,
        setting: 0,
        class: [CLASS, subclass, protocol],
        extra: &hid_descriptor(form),
        endpoints: &[reports],
    };
    let model = Model {
        product: form.product,
        class: BY_INTERFACE,
        name: form.name,
        serial: "",
        wakes: Wakes::Yes,
        preface: &[],
        interfaces: &[interface],
    };
    layout::lay_out(&model, Speed::High)
}
