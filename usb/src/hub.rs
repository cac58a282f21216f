//! A hub of four ports. USB 2.0, 11.
//!
//! It is a high-speed hub for high-speed devices, so that its transaction translator has nothing to do. The controller finds
//! the devices behind it through [`UsbDevice::downstream`].

mod port;
#[cfg(test)]
mod tests;

use crate::layout::{self, Endpoint, Interface, Model, Transfers, Wakes};
use crate::{
    Answer, Data, Descriptors, Direction, EndpointAddress, Outcome, Setup, Speed, Standard, UsbDevice, Waker,
};
use port::Port;

/// Ports of every hub here.
pub(crate) const PORTS: u8 = 4;
/// The status change endpoint.
const CHANGES: EndpointAddress = EndpointAddress::new(1, Direction::In);

/// `bDescriptorType` of the hub descriptor. USB 2.0, table 11-13.
const HUB: u8 = 0x29;

/// Class requests, as [`Setup::code`]. USB 2.0, table 11-15.
mod code {
    pub(super) const GET_HUB_DESCRIPTOR: u16 = 0xa006;
    pub(super) const GET_HUB_STATUS: u16 = 0xa000;
    pub(super) const SET_HUB_FEATURE: u16 = 0x2003;
    pub(super) const CLEAR_HUB_FEATURE: u16 = 0x2001;
    pub(super) const GET_PORT_STATUS: u16 = 0xa300;
    pub(super) const SET_PORT_FEATURE: u16 = 0x2303;
    pub(super) const CLEAR_PORT_FEATURE: u16 = 0x2301;
    pub(super) const CLEAR_TT_BUFFER: u16 = 0x2308;
    pub(super) const RESET_TT: u16 = 0x2309;
    pub(super) const STOP_TT: u16 = 0x230b;
}

/// A hub, and what is plugged into it.
pub struct Hub {
    // Fixed.
    descriptors: Descriptors,
    waker: Waker,
    ports: [Port; PORTS as usize],
    // Volatile, besides the ports' own.
    standard: Standard,
}

/// This device cannot be behind a hub.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlugError {
    /// It is too fast, or too slow, for one of high speed.
    #[error("a hub here takes devices of high speed, not of {0:?} speed")]
    Speed(Speed),
    /// No port is free.
    #[error("all {PORTS} ports of the hub are taken")]
    Full,
    /// The port is taken.
    #[error("port {0} of the hub is taken")]
    Taken(u8),
    /// There is no such port.
    #[error("the hub has ports 1 to {PORTS}, not {0}")]
    NoPort(u8),
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl Hub {
    /// A hub with nothing behind it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            descriptors: describe(),
            waker: Waker::unconnected(),
            ports: Default::default(),
            standard: Standard::default(),
        }
    }

    /// Plugs a device into the first free port; returns its number, from 1.
    ///
    /// # Errors
    /// No port is free, or the device does not talk at high speed.
    pub fn plug(&mut self, device: Box<dyn UsbDevice>) -> Result<u8, PlugError> {
        let free = self.ports.iter().zip(1..).find(|(port, _)| port.is_free()).map(|(_, number)| number);
        match free {
            None if device.speed() == Speed::High => Err(PlugError::Full),
            number => {
                let number = number.unwrap_or_default();
                self.plug_into(number, device).map(|()| number)
            }
        }
    }

    /// Plugs a device into port `number`, from 1.
    ///
    /// # Errors
    /// The port is taken or not there, or the device does not talk at high speed.
    pub fn plug_into(&mut self, number: u8, device: Box<dyn UsbDevice>) -> Result<(), PlugError> {
        if device.speed() != Speed::High {
            return Err(PlugError::Speed(device.speed()));
        }
        let waker = self.waker.clone();
        let port = self.port(number.into()).ok_or(PlugError::NoPort(number))?;
        if !port.is_free() {
            return Err(PlugError::Taken(number));
        }
        port.plug(device, &waker);
        self.waker.wake();
        Ok(())
    }

    /// The hub in port `number`, if one is plugged in there.
    pub fn hub_in(&mut self, number: u8) -> Option<&mut Self> {
        self.port(number.into())?.device()?.as_hub()
    }

    /// Pulls the device out of port `number`, from 1.
    pub fn unplug(&mut self, number: u8) -> Option<Box<dyn UsbDevice>> {
        let device = self.port(number.into())?.unplug();
        self.waker.wake();
        device
    }

    /// The port that a request's `wIndex` means.
    fn port(&mut self, index: u16) -> Option<&mut Port> {
        let at = usize::from(index & 0xff).checked_sub(1)?;
        self.ports.get_mut(at)
    }

    fn class_request(&mut self, setup: Setup, data: &mut Data<'_>) -> Outcome {
        match setup.code() {
            code::GET_HUB_DESCRIPTOR => {
                let descriptor = hub_descriptor();
                data.put(descriptor.get(..setup.length.into()).unwrap_or(&descriptor));
                Outcome::Done
            }
            code::GET_HUB_STATUS => {
                data.put(&[0; 4]); // powered, no over-current
                Outcome::Done
            }
            code::SET_HUB_FEATURE | code::CLEAR_HUB_FEATURE if setup.value <= 1 => Outcome::Done,
            code::CLEAR_TT_BUFFER | code::RESET_TT | code::STOP_TT => Outcome::Done,
            _ => self.port_request(setup, data),
        }
    }

    fn port_request(&mut self, setup: Setup, data: &mut Data<'_>) -> Outcome {
        self.ports.iter_mut().for_each(Port::hear);
        let Some(port) = self.port(setup.index) else { return Outcome::Stall };
        let known = match setup.code() {
            code::GET_PORT_STATUS => {
                data.put(&port.status());
                true
            }
            code::SET_PORT_FEATURE => port.set(setup.value),
            code::CLEAR_PORT_FEATURE => port.clear(setup.value),
            _ => false,
        };
        self.waker.wake();
        if known { Outcome::Done } else { Outcome::Stall }
    }

    /// Bit n: port n changed. USB 2.0, 11.12.4.
    fn changes(&self) -> u8 {
        self.ports.iter().zip(1..).fold(0, |bits, (port, number)| bits | u8::from(port.changed()) << number)
    }
}

impl UsbDevice for Hub {
    fn speed(&self) -> Speed {
        Speed::High
    }

    fn attach(&mut self, waker: Waker) {
        self.waker = waker;
        self.ports.iter_mut().for_each(|port| port.attach(&self.waker));
        self.reset();
    }

    fn reset(&mut self) {
        self.standard = Standard::default();
        self.ports.iter_mut().for_each(Port::power_off);
    }

    fn control(&mut self, setup: Setup, data: &mut Data<'_>) -> Outcome {
        match self.standard.control(&self.descriptors, Speed::High, setup, data) {
            Answer::Final(outcome) => outcome,
            Answer::Changed(_) => Outcome::Done,
            Answer::NotStandard => self.class_request(setup, data),
        }
    }

    fn transfer(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Outcome {
        if endpoint != CHANGES || !self.standard.configured() || self.standard.halted(endpoint) {
            return Outcome::Stall;
        }
        self.ports.iter_mut().for_each(Port::hear);
        match self.changes() {
            0 => Outcome::Nak,
            changes => data.put_packet(&[changes]),
        }
    }

    fn signals_wakeup(&self) -> bool {
        self.standard.remote_wakeup() && self.ports.iter().any(|port| port.changed() || port.is_woken())
    }

    fn downstream(&mut self, port: u8) -> Option<&mut dyn UsbDevice> {
        self.port(port.into())?.enabled()
    }

    fn as_hub(&mut self) -> Option<&mut Hub> {
        Some(self)
    }
}

/// USB 2.0, table 11-13: each port has its own power switch, nothing is watched for over-current, all devices can be removed.
fn hub_descriptor() -> [u8; 9] {
    const INDIVIDUAL_POWER_NO_OVER_CURRENT: u8 = 0x11;
    const POWER_GOOD: u8 = 1; // in 2 ms
    [9, HUB, PORTS, INDIVIDUAL_POWER_NO_OVER_CURRENT, 0, POWER_GOOD, 0, 0, 0xff]
}

fn describe() -> Descriptors {
    const CLASS: u8 = 0x09;
    const SINGLE_TRANSACTION_TRANSLATOR: u8 = 1;
    let changes = Endpoint {
        address: CHANGES,
        transfers: Transfers::Interrupt { packet: 1, interval: 11 },
        extra: &[],
    };
    let interface =
        Interface { number: 0, setting: 0, class: [CLASS, 0, 0], extra: &[], endpoints: &[changes] };
    let model = Model {
        product: 0x0006,
        class: [CLASS, 0, SINGLE_TRANSACTION_TRANSLATOR],
        name: "USB hub",
        serial: "",
        wakes: Wakes::Yes,
        preface: &[],
        interfaces: &[interface],
    };
    layout::lay_out(&model, Speed::High)
}
