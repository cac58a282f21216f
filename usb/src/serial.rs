//! A serial port: the abstract control model of *CDC PSTN 1.2*, `ttyACM0` to Linux.
//!
//! ```text
//!  guest ── bulk OUT ──► ┌─────────┐
//!                        │ Chardev │ ── events ──► Watch, a thread ──► Waker: pipes that said NAK are asked again
//!  guest ◄── bulk IN ─── └─────────┘
//! ```
//!
//! While the other end has no room the guest waits, and so loses nothing. The line has no speed: coding and control lines are kept and told, and change nothing. The notification endpoint, which the
//! model asks for, has nothing to tell.

#[cfg(test)]
mod tests;
mod watch;

use std::io;
use std::sync::Arc;

use chardev::Chardev;

use crate::layout::{self, Endpoint, Interface, Model, Transfers, Wakes};
use crate::{
    Answer, Data, Descriptors, Direction, EndpointAddress, Outcome, Setup, Speed, Standard, UsbDevice, Waker,
};
use watch::{News, Watch};

const IN: EndpointAddress = EndpointAddress::new(1, Direction::In);
const OUT: EndpointAddress = EndpointAddress::new(2, Direction::Out);
const NOTIFY: EndpointAddress = EndpointAddress::new(3, Direction::In);

/// Bytes that move at once.
const CHUNK: usize = 4096;

/// Class requests, as [`Setup::code`]. CDC PSTN 1.2, 6.3.
mod code {
    pub(super) const SET_LINE_CODING: u16 = 0x2120;
    pub(super) const GET_LINE_CODING: u16 = 0xa121;
    pub(super) const SET_CONTROL_LINE_STATE: u16 = 0x2122;
    pub(super) const SEND_BREAK: u16 = 0x2123;
}

/// 115200 bits a second, one stop bit, no parity, 8 data bits. CDC PSTN 1.2, table 17.
const LINE_CODING: [u8; 7] = [0x00, 0xc2, 0x01, 0x00, 0, 0, 8];

/// A serial port.
pub struct Serial {
    // Fixed.
    descriptors: Descriptors,
    stream: Box<dyn Chardev>,
    news: Arc<News>,
    _watch: Option<Watch>,
    // Volatile.
    state: State,
}

struct State {
    standard: Standard,
    coding: [u8; 7],
}

impl Default for State {
    fn default() -> Self {
        Self { standard: Standard::default(), coding: LINE_CODING }
    }
}

impl Serial {
    /// A port whose other end is `stream`.
    ///
    /// # Errors
    /// The host has no more descriptors or threads.
    pub fn new(stream: Box<dyn Chardev>) -> io::Result<Self> {
        let news = Arc::new(News::default());
        let watch = stream.events().map(|events| Watch::start(events, Arc::clone(&news))).transpose()?;
        Ok(Self { descriptors: describe(), stream, news, _watch: watch, state: State::default() })
    }

    fn class_request(&mut self, setup: Setup, data: &mut Data<'_>) -> Outcome {
        match setup.code() {
            code::SET_LINE_CODING => self.set_coding(data),
            code::GET_LINE_CODING => {
                let len = usize::from(setup.length).min(LINE_CODING.len());
                data.put(self.state.coding.get(..len).unwrap_or_default());
                Outcome::Done
            }
            code::SET_CONTROL_LINE_STATE | code::SEND_BREAK => Outcome::Done,
            _ => Outcome::Stall,
        }
    }

    fn set_coding(&mut self, data: &mut Data<'_>) -> Outcome {
        let mut coding = LINE_CODING;
        if data.take(&mut coding) != LINE_CODING.len() {
            return Outcome::Stall;
        }
        self.state.coding = coding;
        Outcome::Done
    }

    /// From the guest, as much as there is room for.
    fn receive(&mut self, data: &mut Data<'_>) -> Outcome {
        while data.left() > 0 {
            let chunk = data.peek(CHUNK);
            let passed = self.stream.write(&chunk);
            data.advance(passed);
            if passed < chunk.len() {
                return Outcome::Nak;
            }
        }
        Outcome::Done
    }

    /// To the guest, what there is.
    fn send(&mut self, data: &mut Data<'_>) -> Outcome {
        let mut chunk = [0; CHUNK];
        let room = data.left().min(CHUNK);
        let len = self.stream.read(chunk.get_mut(..room).unwrap_or_default());
        data.put(chunk.get(..len).unwrap_or_default());
        if len > 0 { Outcome::Done } else { Outcome::Nak }
    }
}

impl UsbDevice for Serial {
    fn speed(&self) -> Speed {
        Speed::High
    }

    fn attach(&mut self, waker: Waker) {
        self.news.connect(waker);
        self.reset();
    }

    fn reset(&mut self) {
        self.state = State::default();
    }

    fn control(&mut self, setup: Setup, data: &mut Data<'_>) -> Outcome {
        match self.state.standard.control(&self.descriptors, Speed::High, setup, data) {
            Answer::Final(outcome) => outcome,
            Answer::Changed(_) => Outcome::Done,
            Answer::NotStandard => self.class_request(setup, data),
        }
    }

    fn transfer(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Outcome {
        if !self.state.standard.configured() || self.state.standard.halted(endpoint) {
            return Outcome::Stall;
        }
        if self.news.take() {
            self.stream.look();
        }
        match endpoint {
            IN => self.send(data),
            OUT => self.receive(data),
            NOTIFY => Outcome::Nak,
            _ => Outcome::Stall,
        }
    }
}

fn describe() -> Descriptors {
    const COMMUNICATIONS: [u8; 3] = [0x02, 0x02, 0x01]; // abstract control model, AT commands
    const DATA: [u8; 3] = [0x0a, 0, 0];
    /// An association of interfaces 0 and 1. USB 3.2, 9.6.4.
    const ASSOCIATION: [u8; 8] = [8, 11, 0, 2, 0x02, 0x02, 0x01, 0];
    /// Header (CDC 1.2), call management (none), abstract control (line coding and state, breaks), union of interface 0 with 1.
    const FUNCTIONS: [u8; 19] =
        [5, 0x24, 0, 0x20, 0x01, 5, 0x24, 1, 0, 1, 4, 0x24, 2, 0x06, 5, 0x24, 6, 0, 1];
    let bulk = |address| Endpoint { address, transfers: Transfers::Bulk, extra: &[] };
    let notify =
        Endpoint { address: NOTIFY, transfers: Transfers::Interrupt { packet: 8, interval: 8 }, extra: &[] };
    let (control, data) = ([notify], [bulk(IN), bulk(OUT)]);
    let model = Model {
        product: 0x0005,
        class: [0xef, 0x02, 0x01], // interface associations
        name: "USB serial port",
        serial: "",
        wakes: Wakes::No,
        preface: &ASSOCIATION,
        interfaces: &[
            Interface {
                number: 0,
                setting: 0,
                class: COMMUNICATIONS,
                extra: &FUNCTIONS,
                endpoints: &control,
            },
            Interface { number: 1, setting: 0, class: DATA, extra: &[], endpoints: &data },
        ],
    };
    layout::lay_out(&model, Speed::High)
}
