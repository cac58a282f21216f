//! A device of the host's, passed through to the guest.
//!
//! ```text
//!  controller's worker ── control, transfer ──► HostDevice ── request, submit ──► dyn Transport ──► the host's USB stack
//!          ▲                                        ▲                                  │
//!          └────────────── Waker ◄──────────────────┴── answer, completion ◄───────────┘
//! ```
//!
//! Nothing here waits: what was begun is answered with [`Outcome::Nak`] until the transport has it. Requests that change what
//! the host knows of the device (configuration, alternate setting, a cleared halt) go to the host as such.
//!
//! Left out: isochronous endpoints. A bus reset ends what is under way, and does not reset the host's device.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::{Data, Direction, EndpointAddress, Outcome, Setup, Speed, UsbDevice, Waker};

/// Most bytes of a transfer that are under way at a time.
const CHUNK: usize = 256 << 10;

/// What goes to endpoint 0, as the host has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A request of the device's own, with the bytes of its OUT data stage.
    Control(Setup, Vec<u8>),
    /// SET_CONFIGURATION.
    Configure(u8),
    /// SET_INTERFACE.
    SetInterface {
        /// The interface.
        number: u8,
        /// Its alternate setting.
        setting: u8,
    },
    /// CLEAR_FEATURE(ENDPOINT_HALT).
    ClearHalt(EndpointAddress),
}

/// A transfer on another endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// Up to so many bytes come, or the rest of a last packet more.
    In(usize),
    /// These bytes go.
    Out(Vec<u8>),
}

/// Why a transfer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device refused.
    Stall,
    /// The device does not answer, or is not there any more.
    Gone,
}

/// What came of a transfer: the bytes, if it was IN.
pub type Completion = Result<Vec<u8>, Fault>;

/// The host's end. One request, and one transfer on each endpoint, are under way at a time. No call waits for the device.
pub trait Transport: Send {
    /// How fast the device talks.
    fn speed(&self) -> Speed;
    /// Whom to wake when something completes.
    fn connect(&mut self, waker: Waker);
    /// Begins a request.
    fn request(&mut self, request: Request);
    /// What came of the request, once.
    fn answer(&mut self) -> Option<Completion>;
    /// Begins a transfer.
    fn submit(&mut self, endpoint: EndpointAddress, load: Load);
    /// What came of the transfer, once.
    fn completion(&mut self, endpoint: EndpointAddress) -> Option<Completion>;
    /// Gives up the transfer, or (endpoint 0) does not want to know the answer.
    fn cancel(&mut self, endpoint: EndpointAddress);
}

/// The device as the controller sees it.
pub struct HostDevice {
    transport: Box<dyn Transport>,
    state: State,
}

/// What a bus reset forgets.
#[derive(Default)]
struct State {
    /// The request under way.
    request: Option<Setup>,
    /// Transfers under way, each with the bytes that it moves at most.
    transfers: BTreeMap<EndpointAddress, usize>,
    /// What came and had no room.
    rest: BTreeMap<EndpointAddress, Vec<u8>>,
}

impl HostDevice {
    /// The device behind `transport`.
    #[must_use]
    pub fn new(transport: Box<dyn Transport>) -> Self {
        Self { transport, state: State::default() }
    }

    fn transfer_in(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Outcome {
        loop {
            if let Some(rest) = self.state.rest.remove(&endpoint) {
                self.put(endpoint, &rest, data);
            }
            if data.left() == 0 {
                return Outcome::Done;
            }
            let Some(&wanted) = self.state.transfers.get(&endpoint) else {
                return self.submit(endpoint, data.left().min(CHUNK), Load::In);
            };
            let Some(completion) = self.transport.completion(endpoint) else { return Outcome::Nak };
            self.state.transfers.remove(&endpoint);
            match completion {
                Ok(bytes) => {
                    self.put(endpoint, &bytes, data);
                    if bytes.len() < wanted {
                        return Outcome::Done; // a short packet
                    }
                }
                Err(fault) => return outcome(fault),
            }
        }
    }

    /// Moves what there is room for, and keeps what is left.
    fn put(&mut self, endpoint: EndpointAddress, bytes: &[u8], data: &mut Data<'_>) {
        let moved = data.put(bytes);
        if let Some(rest) = bytes.get(moved..).filter(|rest| !rest.is_empty()) {
            self.state.rest.insert(endpoint, rest.to_vec());
        }
    }

    /// The bytes stay with the controller until the device has them.
    fn transfer_out(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Outcome {
        if let Some(&sent) = self.state.transfers.get(&endpoint) {
            let Some(completion) = self.transport.completion(endpoint) else { return Outcome::Nak };
            self.state.transfers.remove(&endpoint);
            if let Err(fault) = completion {
                return outcome(fault);
            }
            data.advance(sent);
            if data.left() == 0 {
                return Outcome::Done;
            }
        }
        let bytes = bytes_of(data, data.left().min(CHUNK));
        self.submit(endpoint, bytes.len(), |_| Load::Out(bytes))
    }

    fn submit(&mut self, endpoint: EndpointAddress, len: usize, load: impl FnOnce(usize) -> Load) -> Outcome {
        self.state.transfers.insert(endpoint, len);
        self.transport.submit(endpoint, load(len));
        Outcome::Nak
    }
}

impl UsbDevice for HostDevice {
    fn speed(&self) -> Speed {
        self.transport.speed()
    }

    fn attach(&mut self, waker: Waker) {
        self.transport.connect(waker);
    }

    fn reset(&mut self) {
        let State { request, transfers, rest: _ } = std::mem::take(&mut self.state);
        if request.is_some() {
            self.transport.cancel(EndpointAddress::new(0, Direction::Out));
        }
        transfers.into_keys().for_each(|endpoint| self.transport.cancel(endpoint));
    }

    fn control(&mut self, setup: Setup, data: &mut Data<'_>) -> Outcome {
        if self.state.request != Some(setup) {
            self.state.request = Some(setup);
            let request = request(setup, bytes_of(data, data.left()));
            if matches!(request, Request::SetInterface { .. } | Request::Configure(_)) {
                self.state.rest.clear();
            }
            self.transport.request(request);
            return Outcome::Nak;
        }
        let Some(answer) = self.transport.answer() else { return Outcome::Nak };
        self.state.request = None;
        match answer {
            Ok(bytes) => {
                data.put(&bytes);
                Outcome::Done
            }
            Err(fault) => outcome(fault),
        }
    }

    fn transfer(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Outcome {
        match endpoint.direction() {
            Direction::In => self.transfer_in(endpoint, data),
            Direction::Out => self.transfer_out(endpoint, data),
        }
    }

    fn cancel(&mut self, endpoint: EndpointAddress) {
        if endpoint.number() == 0 {
            self.state.request = None;
        } else {
            self.state.transfers.remove(&endpoint);
            self.state.rest.remove(&endpoint);
        }
        self.transport.cancel(endpoint);
    }
}

/// The request as the host has to know it. USB 2.0, 9.4.
fn request(setup: Setup, bytes: Vec<u8>) -> Request {
    const SET_CONFIGURATION: u16 = 0x0009;
    const SET_INTERFACE: u16 = 0x010b;
    const CLEAR_ENDPOINT_FEATURE: u16 = 0x0201;
    const ENDPOINT_HALT: u16 = 0;
    let ([value, _], [index, _]) = (setup.value.to_le_bytes(), setup.index.to_le_bytes());
    match setup.code() {
        SET_CONFIGURATION => Request::Configure(value),
        SET_INTERFACE => Request::SetInterface { number: index, setting: value },
        CLEAR_ENDPOINT_FEATURE if setup.value == ENDPOINT_HALT && index & 0xf != 0 => {
            Request::ClearHalt(EndpointAddress::from_byte(index))
        }
        _ => Request::Control(setup, bytes),
    }
}

const fn outcome(fault: Fault) -> Outcome {
    match fault {
        Fault::Stall => Outcome::Stall,
        Fault::Gone => Outcome::Gone,
    }
}

/// A copy of the next bytes of an OUT window, which stay there.
fn bytes_of(data: &Data<'_>, len: usize) -> Vec<u8> {
    if data.direction() == Direction::In {
        return Vec::new();
    }
    let mut bytes = vec![0; len];
    let mut rest = bytes.as_mut_slice();
    for piece in data.unmoved(len) {
        let copied = piece.copy_to(rest);
        rest = rest.get_mut(copied..).unwrap_or_default();
    }
    bytes
}
