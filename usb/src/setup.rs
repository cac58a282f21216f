//! The eight bytes that begin a control transfer.

use crate::Direction;

/// Who defines a request. USB 2.0, table 9-2, bits 6:5 of `bmRequestType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// USB itself.
    Standard,
    /// The class of the device or interface.
    Class,
    /// The maker.
    Vendor,
    /// Nobody yet.
    Reserved,
}

/// Whom a request is for. USB 2.0, table 9-2, bits 4:0 of `bmRequestType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// The device.
    Device,
    /// The interface in the low byte of `wIndex`.
    Interface,
    /// The endpoint in the low byte of `wIndex`.
    Endpoint,
    /// Something else: of a hub, the port in `wIndex`.
    Other,
    /// Nobody yet.
    Reserved,
}

/// A request: the setup packet. USB 2.0, 9.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// `bmRequestType`: direction, kind, recipient.
    pub request_type: u8,
    /// `bRequest`.
    pub request: u8,
    /// `wValue`.
    pub value: u16,
    /// `wIndex`.
    pub index: u16,
    /// `wLength`: bytes of the data stage, at most.
    pub length: u16,
}

impl Setup {
    /// The setup packet in these bytes.
    #[must_use]
    pub const fn from_bytes([request_type, request, v0, v1, i0, i1, l0, l1]: [u8; 8]) -> Self {
        let (value, index) = (u16::from_le_bytes([v0, v1]), u16::from_le_bytes([i0, i1]));
        Self { request_type, request, value, index, length: u16::from_le_bytes([l0, l1]) }
    }

    /// The bytes of the setup packet.
    #[must_use]
    pub const fn bytes(self) -> [u8; 8] {
        let ([v0, v1], [i0, i1]) = (self.value.to_le_bytes(), self.index.to_le_bytes());
        let [l0, l1] = self.length.to_le_bytes();
        [self.request_type, self.request, v0, v1, i0, i1, l0, l1]
    }

    /// Which way the data stage goes.
    #[must_use]
    pub const fn direction(self) -> Direction {
        if self.request_type & 0x80 == 0 { Direction::Out } else { Direction::In }
    }

    /// Who defines the request.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self.request_type >> 5 & 3 {
            0 => Kind::Standard,
            1 => Kind::Class,
            2 => Kind::Vendor,
            _ => Kind::Reserved,
        }
    }

    /// Whom it is for.
    #[must_use]
    pub const fn recipient(self) -> Recipient {
        match self.request_type & 0x1f {
            0 => Recipient::Device,
            1 => Recipient::Interface,
            2 => Recipient::Endpoint,
            3 => Recipient::Other,
            _ => Recipient::Reserved,
        }
    }

    /// Direction, kind, recipient and request at once, for `match`: `bmRequestType << 8 | bRequest`.
    #[must_use]
    pub const fn code(self) -> u16 {
        u16::from_be_bytes([self.request_type, self.request])
    }
}

/// `bRequest` of the standard requests. USB 2.0, table 9-4; USB 3.2, table 9-5.
pub mod request {
    /// State of device, interface or endpoint.
    pub const GET_STATUS: u8 = 0;
    /// Switches a feature off.
    pub const CLEAR_FEATURE: u8 = 1;
    /// Switches a feature on.
    pub const SET_FEATURE: u8 = 3;
    /// Gives the device its address; the controller's own.
    pub const SET_ADDRESS: u8 = 5;
    /// Reads a descriptor.
    pub const GET_DESCRIPTOR: u8 = 6;
    /// Writes a descriptor.
    pub const SET_DESCRIPTOR: u8 = 7;
    /// Which configuration is in use.
    pub const GET_CONFIGURATION: u8 = 8;
    /// Takes a configuration into use.
    pub const SET_CONFIGURATION: u8 = 9;
    /// Which alternate setting an interface has.
    pub const GET_INTERFACE: u8 = 10;
    /// Gives an interface an alternate setting.
    pub const SET_INTERFACE: u8 = 11;
    /// Reads an isochronous endpoint's frame.
    pub const SYNCH_FRAME: u8 = 12;
    /// Exit latencies of links that sleep.
    pub const SET_SEL: u8 = 48;
    /// Delay of isochronous packets.
    pub const SET_ISOCH_DELAY: u8 = 49;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setup_decodes_get_descriptor() {
        let setup = Setup::from_bytes([0x80, 6, 0x00, 0x01, 0x09, 0x04, 0x12, 0x00]);
        let expected = Setup { request_type: 0x80, request: 6, value: 0x0100, index: 0x0409, length: 18 };
        assert_eq!(setup, expected);
        let parts = (setup.direction(), setup.kind(), setup.recipient(), setup.code());
        assert_eq!(parts, (Direction::In, Kind::Standard, Recipient::Device, 0x8006));
    }

    #[test]
    fn setup_bytes_round_trip() {
        let bytes = [0x21, 0x09, 0x34, 0x12, 0x78, 0x56, 0xbc, 0x9a];
        assert_eq!(Setup::from_bytes(bytes).bytes(), bytes);
        let setup = Setup::from_bytes(bytes);
        assert_eq!((setup.kind(), setup.recipient()), (Kind::Class, Recipient::Interface));
    }
}
