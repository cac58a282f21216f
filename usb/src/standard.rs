//! Chapter 9: the requests that all devices answer alike.

#[cfg(test)]
mod tests;

use crate::{Data, Direction, EndpointAddress, Kind, Outcome, Recipient, Setup, Speed, request};

/// `bDescriptorType`. USB 2.0, table 9-5; USB 3.2, table 9-6.
pub mod descriptor {
    /// The device.
    pub const DEVICE: u8 = 1;
    /// A configuration, with the descriptors of its interfaces and endpoints.
    pub const CONFIGURATION: u8 = 2;
    /// A text.
    pub const STRING: u8 = 3;
    /// An interface or an alternate setting of one.
    pub const INTERFACE: u8 = 4;
    /// An endpoint.
    pub const ENDPOINT: u8 = 5;
    /// What the device would be at the other one of full and high speed.
    pub const DEVICE_QUALIFIER: u8 = 6;
    /// The configuration at that speed.
    pub const OTHER_SPEED_CONFIGURATION: u8 = 7;
    /// Binary device object store.
    pub const BOS: u8 = 15;
    /// What an endpoint adds at SuperSpeed.
    pub const SUPERSPEED_ENDPOINT_COMPANION: u8 = 48;
}

/// Standard features. USB 2.0, table 9-6; USB 3.2, table 9-7.
mod feature {
    /// Endpoint: it stalls.
    pub(super) const ENDPOINT_HALT: u16 = 0;
    /// Interface, at SuperSpeed: it is suspended.
    pub(super) const FUNCTION_SUSPEND: u16 = 0;
    /// Device, below SuperSpeed: it may wake a suspended port.
    pub(super) const DEVICE_REMOTE_WAKEUP: u16 = 1;
    /// Device, at SuperSpeed: link power states.
    pub(super) const U1_ENABLE: u16 = 48;
    pub(super) const LTM_ENABLE: u16 = 50;
}

/// Most interfaces in a configuration that [`Standard`] keeps alternate settings for.
const MAX_INTERFACES: usize = 32;

/// What a device says about itself, as the bytes that the standard lays out. A device of several speeds has several of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptors {
    /// The device descriptor. USB 2.0, 9.6.1.
    pub device: [u8; 18],
    /// The one configuration: its descriptor and all that belong to it, `wTotalLength` bytes. USB 2.0, 9.6.3.
    pub configuration: Vec<u8>,
    /// The device qualifier of a high-speed device that also knows full speed. USB 2.0, 9.6.2.
    pub qualifier: Option<[u8; 10]>,
    /// The binary device object store, which SuperSpeed needs. USB 3.2, 9.6.2.
    pub bos: Option<Vec<u8>>,
    /// The texts with index 1, 2 and so on, in U.S. English; up to 126 UTF-16 units of each are used. USB 2.0, 9.6.7.
    pub strings: Vec<String>,
}

impl Descriptors {
    /// The descriptor of this type and index, if there is one.
    #[must_use]
    pub fn find(&self, kind: u8, index: u8) -> Option<Vec<u8>> {
        match (kind, index) {
            (descriptor::DEVICE, 0) => Some(self.device.to_vec()),
            (descriptor::CONFIGURATION, 0) => Some(self.configuration.clone()),
            (descriptor::DEVICE_QUALIFIER, 0) => self.qualifier.map(Vec::from),
            (descriptor::BOS, 0) => self.bos.clone(),
            (descriptor::STRING, 0) if !self.strings.is_empty() => {
                Some(vec![4, descriptor::STRING, 0x09, 0x04])
            }
            (descriptor::STRING, 1..) => self.strings.get(usize::from(index) - 1).map(|text| string(text)),
            _ => None,
        }
    }

    /// `bConfigurationValue` and `bmAttributes`.
    fn configuration_value(&self) -> u8 {
        self.configuration.get(5).copied().unwrap_or(1)
    }

    fn self_powered(&self) -> bool {
        self.configuration.get(7).is_some_and(|attributes| attributes & 0x40 != 0)
    }

    /// The descriptors of the configuration, one after the other; ends at the first that is malformed.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.configuration.as_slice();
        std::iter::from_fn(move || {
            let len = usize::from(*rest.first()?).max(2);
            let (part, later) = rest.split_at_checked(len)?;
            rest = later;
            Some(part)
        })
    }

    fn has_setting(&self, interface: u8, setting: u8) -> bool {
        self.parts().any(
            |part| matches!(part, [_, descriptor::INTERFACE, i, s, ..] if (*i, *s) == (interface, setting)),
        )
    }

    fn has_endpoint(&self, endpoint: EndpointAddress) -> bool {
        endpoint.number() == 0
            || self
                .parts()
                .any(|part| matches!(part, [_, descriptor::ENDPOINT, at, ..] if *at == endpoint.byte()))
    }
}

/// The string descriptor of `text`.
fn string(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().take(126).flat_map(u16::to_le_bytes).collect();
    [&[units.len() as u8 + 2, descriptor::STRING], units.as_slice()].concat()
}

/// What a standard request changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The configuration, to this value; 0 is none. All alternate settings are 0 again, no endpoint is halted.
    Configuration(u8),
    /// An interface's alternate setting. Its endpoints start over.
    Interface {
        /// Which interface.
        interface: u8,
        /// Which setting.
        setting: u8,
    },
    /// The driver cleared this endpoint's halt; its data toggle or sequence starts over, whether it was halted or not.
    HaltCleared(EndpointAddress),
}

/// What [`Standard::control`] made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Answer the controller so.
    Final(Outcome),
    /// Done, and the device may want to know.
    Changed(Change),
    /// Not a standard request, or one to an interface that only its class defines (GET_DESCRIPTOR): the device's own.
    NotStandard,
}

/// The state that standard requests read and write. Reset is assignment of [`Standard::default`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standard {
    configuration: u8,
    settings: [u8; MAX_INTERFACES],
    halted_in: u16,
    halted_out: u16,
    remote_wakeup: bool,
    link_features: u8,
}

impl Standard {
    /// Whether the driver took the configuration into use: only then endpoints other than 0 answer. USB 2.0, 9.1.1.5.
    #[must_use]
    pub fn configured(&self) -> bool {
        self.configuration != 0
    }

    /// The alternate setting of `interface`.
    #[must_use]
    pub fn setting(&self, interface: u8) -> u8 {
        self.settings.get(usize::from(interface)).copied().unwrap_or(0)
    }

    /// Whether the driver allowed the device to wake a suspended port.
    #[must_use]
    pub fn remote_wakeup(&self) -> bool {
        self.remote_wakeup
    }

    /// Whether `endpoint` has to answer [`Outcome::Stall`].
    #[must_use]
    pub fn halted(&self, endpoint: EndpointAddress) -> bool {
        let halted = if endpoint.direction() == Direction::In { self.halted_in } else { self.halted_out };
        halted >> endpoint.number() & 1 != 0
    }

    /// Halts `endpoint` until the driver clears it; the answer to give, [`Outcome::Stall`].
    pub fn halt(&mut self, endpoint: EndpointAddress) -> Outcome {
        self.set_halted(endpoint, true);
        Outcome::Stall
    }

    /// Clears a halt from the device's own side, as some classes' resets do.
    pub fn clear_halt(&mut self, endpoint: EndpointAddress) {
        self.set_halted(endpoint, false);
    }

    fn set_halted(&mut self, endpoint: EndpointAddress, halted: bool) {
        let (bit, map) = match endpoint.direction() {
            Direction::In => (1 << endpoint.number(), &mut self.halted_in),
            Direction::Out => (1 << endpoint.number(), &mut self.halted_out),
        };
        *map = if halted { *map | bit } else { *map & !bit };
    }

    /// Answers `setup` if it is a standard request, for a device that is what `descriptors` say and talks at `speed`.
    pub fn control(
        &mut self,
        descriptors: &Descriptors,
        speed: Speed,
        setup: Setup,
        data: &mut Data<'_>,
    ) -> Answer {
        match (setup.kind(), setup.recipient()) {
            (Kind::Standard, Recipient::Device) => self.device(descriptors, speed, setup, data),
            (Kind::Standard, Recipient::Interface) => self.interface(descriptors, speed, setup, data),
            (Kind::Standard, Recipient::Endpoint) => self.endpoint(descriptors, setup, data),
            _ => Answer::NotStandard,
        }
    }

    fn device(
        &mut self,
        descriptors: &Descriptors,
        speed: Speed,
        setup: Setup,
        data: &mut Data<'_>,
    ) -> Answer {
        match (setup.direction(), setup.request) {
            (Direction::In, request::GET_STATUS) => put(&self.device_status(descriptors), setup, data),
            (Direction::In, request::GET_DESCRIPTOR) => {
                let [index, kind] = setup.value.to_le_bytes();
                descriptors.find(kind, index).map_or(STALL, |bytes| put(&bytes, setup, data))
            }
            (Direction::In, request::GET_CONFIGURATION) => put(&[self.configuration], setup, data),
            (Direction::Out, request::SET_CONFIGURATION) => self.configure(descriptors, setup.value),
            (Direction::Out, request::SET_FEATURE) => self.device_feature(speed, setup.value, true),
            (Direction::Out, request::CLEAR_FEATURE) => self.device_feature(speed, setup.value, false),
            (Direction::Out, request::SET_SEL) if speed == Speed::Super => DONE,
            (Direction::Out, request::SET_ISOCH_DELAY) if speed == Speed::Super => DONE,
            _ => STALL,
        }
    }

    /// USB 2.0, figure 9-4; USB 3.2, figure 9-4.
    fn device_status(&self, descriptors: &Descriptors) -> [u8; 2] {
        let powered = u8::from(descriptors.self_powered());
        [powered | u8::from(self.remote_wakeup) << 1 | self.link_features << 2, 0]
    }

    fn configure(&mut self, descriptors: &Descriptors, value: u16) -> Answer {
        if value != 0 && value != u16::from(descriptors.configuration_value()) {
            return STALL;
        }
        let configuration = value as u8;
        *self = Self { configuration, remote_wakeup: self.remote_wakeup, ..Self::default() };
        Answer::Changed(Change::Configuration(configuration))
    }

    fn device_feature(&mut self, speed: Speed, feature: u16, on: bool) -> Answer {
        match feature {
            feature::DEVICE_REMOTE_WAKEUP if speed != Speed::Super => self.remote_wakeup = on,
            feature::U1_ENABLE..=feature::LTM_ENABLE if speed == Speed::Super && self.configured() => {
                let bit = 1 << (feature - feature::U1_ENABLE);
                self.link_features = if on { self.link_features | bit } else { self.link_features & !bit };
            }
            _ => return STALL,
        }
        DONE
    }

    fn interface(
        &mut self,
        descriptors: &Descriptors,
        speed: Speed,
        setup: Setup,
        data: &mut Data<'_>,
    ) -> Answer {
        let interface = setup.index as u8;
        if setup.direction() == Direction::In && setup.request == request::GET_DESCRIPTOR {
            return Answer::NotStandard;
        }
        if !self.configured() || !descriptors.has_setting(interface, 0) {
            return STALL;
        }
        match (setup.direction(), setup.request) {
            (Direction::In, request::GET_STATUS) => put(&[0, 0], setup, data),
            (Direction::In, request::GET_INTERFACE) => put(&[self.setting(interface)], setup, data),
            (Direction::Out, request::SET_INTERFACE) => {
                self.set_interface(descriptors, interface, setup.value)
            }
            (Direction::Out, request::SET_FEATURE | request::CLEAR_FEATURE)
                if speed == Speed::Super && setup.value == feature::FUNCTION_SUSPEND =>
            {
                self.suspend(setup)
            }
            _ => STALL,
        }
    }

    fn set_interface(&mut self, descriptors: &Descriptors, interface: u8, setting: u16) -> Answer {
        let known = u8::try_from(setting).ok().filter(|&setting| descriptors.has_setting(interface, setting));
        match (known, self.settings.get_mut(usize::from(interface))) {
            (Some(setting), Some(slot)) => {
                *slot = setting;
                (self.halted_in, self.halted_out) = (0, 0);
                Answer::Changed(Change::Interface { interface, setting })
            }
            _ => STALL,
        }
    }

    /// The high byte of `wIndex` says how; bit 1 allows to wake. USB 3.2, 9.4.9.
    fn suspend(&mut self, setup: Setup) -> Answer {
        self.remote_wakeup = setup.request == request::SET_FEATURE && setup.index & 0x200 != 0;
        DONE
    }

    fn endpoint(&mut self, descriptors: &Descriptors, setup: Setup, data: &mut Data<'_>) -> Answer {
        let endpoint = EndpointAddress::from_byte(setup.index as u8);
        let reachable = endpoint.number() == 0 || self.configured();
        if !reachable || !descriptors.has_endpoint(endpoint) {
            return STALL;
        }
        match (setup.direction(), setup.request, setup.value) {
            (Direction::In, request::GET_STATUS, _) => {
                put(&[u8::from(self.halted(endpoint)), 0], setup, data)
            }
            (Direction::Out, request::SET_FEATURE, feature::ENDPOINT_HALT) if endpoint.number() != 0 => {
                self.halt(endpoint);
                DONE
            }
            (Direction::Out, request::CLEAR_FEATURE, feature::ENDPOINT_HALT) => {
                self.clear_halt(endpoint);
                Answer::Changed(Change::HaltCleared(endpoint))
            }
            _ => STALL,
        }
    }
}

const DONE: Answer = Answer::Final(Outcome::Done);
const STALL: Answer = Answer::Final(Outcome::Stall);

/// As much of `bytes` as was asked for.
fn put(bytes: &[u8], setup: Setup, data: &mut Data<'_>) -> Answer {
    let wanted = bytes.len().min(usize::from(setup.length));
    data.put(bytes.get(..wanted).unwrap_or_default());
    DONE
}
