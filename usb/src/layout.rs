//! Descriptors from a few facts: the bytes of a device at each speed. USB 2.0, 9.6; USB 3.2, 9.6.

#[cfg(test)]
mod tests;

use crate::{Descriptors, EndpointAddress, Speed, descriptor};

/// `idVendor` of all devices here: QEMU's, as the machine is QEMU's microvm.
const VENDOR: u16 = 0x46f4;
/// Release number, 0.1 in binary-coded decimal.
const RELEASE: u16 = 0x0001;
const MANUFACTURER: &str = "Tinderbox";

/// Class, subclass and protocol of a device or an interface.
pub(crate) type Class = [u8; 3];

/// A device whose interfaces say what it is.
pub(crate) const BY_INTERFACE: Class = [0, 0, 0];

/// What a device is, whatever its speed.
pub(crate) struct Model<'a> {
    /// `idProduct`.
    pub(crate) product: u16,
    pub(crate) class: Class,
    /// What a person calls it.
    pub(crate) name: &'a str,
    /// Empty for a device without a serial number.
    pub(crate) serial: &'a str,
    pub(crate) wakes: Wakes,
    /// What precedes the interfaces in the configuration, as an interface association.
    pub(crate) preface: &'a [u8],
    pub(crate) interfaces: &'a [Interface<'a>],
}

/// Whether a device can wake a suspended port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wakes {
    Yes,
    No,
}

/// An interface, or an alternate setting of one.
pub(crate) struct Interface<'a> {
    pub(crate) number: u8,
    pub(crate) setting: u8,
    pub(crate) class: Class,
    /// The class's own descriptors, between those of the interface and of its endpoints.
    pub(crate) extra: &'a [u8],
    pub(crate) endpoints: &'a [Endpoint<'a>],
}

/// An endpoint.
pub(crate) struct Endpoint<'a> {
    pub(crate) address: EndpointAddress,
    pub(crate) transfers: Transfers,
    /// The class's own descriptors, behind that of the endpoint.
    pub(crate) extra: &'a [u8],
}

/// How an endpoint transfers.
#[derive(Clone, Copy)]
pub(crate) enum Transfers {
    /// Packets as large as the speed allows.
    Bulk,
    /// Packets of at most `packet` bytes, asked for every `2^interval` microframes of 125 µs.
    Interrupt { packet: u16, interval: u8 },
}

/// The descriptors of `model` at `speed`.
pub(crate) fn lay_out(model: &Model<'_>, speed: Speed) -> Descriptors {
    let mut strings = vec![MANUFACTURER.into(), model.name.into()];
    if !model.serial.is_empty() {
        strings.push(model.serial.into());
    }
    Descriptors {
        device: device(model, speed),
        configuration: configuration(model, speed),
        qualifier: (speed == Speed::High).then(|| qualifier(model)),
        bos: (speed == Speed::Super).then(binary_object_store),
        strings,
    }
}

/// USB 2.0, table 9-8.
fn device(model: &Model<'_>, speed: Speed) -> [u8; 18] {
    let [class, subclass, protocol] = model.class;
    // A power of two at SuperSpeed.
    let (version, packet) = match speed {
        Speed::Low => (0x0200_u16, 8),
        Speed::Full | Speed::High => (0x0200, 64),
        Speed::Super => (0x0300, 9),
    };
    let ([usb0, usb1], [v0, v1]) = (version.to_le_bytes(), VENDOR.to_le_bytes());
    let ([p0, p1], [r0, r1]) = (model.product.to_le_bytes(), RELEASE.to_le_bytes());
    let serial = if model.serial.is_empty() { 0 } else { 3 };
    [
        18,
        descriptor::DEVICE,
        usb0,
        usb1,
        class,
        subclass,
        protocol,
        packet,
        v0,
        v1,
        p0,
        p1,
        r0,
        r1,
        1,
        2,
        serial,
        1, // configurations
    ]
}

/// The same device at full speed. USB 2.0, table 9-9.
fn qualifier(model: &Model<'_>) -> [u8; 10] {
    let [class, subclass, protocol] = model.class;
    [10, descriptor::DEVICE_QUALIFIER, 0x00, 0x02, class, subclass, protocol, 64, 1, 0]
}

/// USB 2.0, table 9-10, and all that follows it.
fn configuration(model: &Model<'_>, speed: Speed) -> Vec<u8> {
    const SELF_POWERED: u8 = 0xc0;
    const REMOTE_WAKEUP: u8 = 0x20;
    const LEN: usize = 9;
    let parts: Vec<u8> = model.interfaces.iter().flat_map(|part| interface(part, speed)).collect();
    let [len0, len1] = ((LEN + model.preface.len() + parts.len()) as u16).to_le_bytes();
    let interfaces = model.interfaces.iter().filter(|interface| interface.setting == 0).count() as u8;
    let wakeup = if model.wakes == Wakes::Yes { REMOTE_WAKEUP } else { 0 };
    let mut bytes =
        vec![LEN as u8, descriptor::CONFIGURATION, len0, len1, interfaces, 1, 0, SELF_POWERED | wakeup, 0];
    bytes.extend(model.preface);
    bytes.extend(parts);
    bytes
}

/// USB 2.0, table 9-12.
fn interface(part: &Interface<'_>, speed: Speed) -> Vec<u8> {
    let [class, subclass, protocol] = part.class;
    let endpoints = part.endpoints.len() as u8;
    let mut bytes =
        vec![9, descriptor::INTERFACE, part.number, part.setting, endpoints, class, subclass, protocol, 0];
    bytes.extend(part.extra);
    bytes.extend(part.endpoints.iter().flat_map(|part| endpoint(part, speed)));
    bytes
}

/// USB 2.0, table 9-13; at SuperSpeed with its companion, USB 3.2, table 9-28.
fn endpoint(part: &Endpoint<'_>, speed: Speed) -> Vec<u8> {
    let (kind, packet, interval) = part.transfers.encode(speed);
    let [packet0, packet1] = packet.to_le_bytes();
    let mut bytes = vec![7, descriptor::ENDPOINT, part.address.byte(), kind, packet0, packet1, interval];
    if speed == Speed::Super {
        let (burst, per_interval) = part.transfers.companion();
        let [bytes0, bytes1] = per_interval.to_le_bytes();
        bytes.extend([6, descriptor::SUPERSPEED_ENDPOINT_COMPANION, burst, 0, bytes0, bytes1]);
    }
    bytes.extend(part.extra);
    bytes
}

impl Transfers {
    /// `bmAttributes`, `wMaxPacketSize` and `bInterval`.
    fn encode(self, speed: Speed) -> (u8, u16, u8) {
        const BULK: u8 = 2;
        const INTERRUPT: u8 = 3;
        match (self, speed) {
            (Self::Bulk, Speed::Low | Speed::Full) => (BULK, 64, 0),
            (Self::Bulk, Speed::High) => (BULK, 512, 0),
            (Self::Bulk, Speed::Super) => (BULK, 1024, 0),
            // In frames of 1 ms below high speed.
            (Self::Interrupt { packet, interval }, Speed::Low | Speed::Full) => {
                (INTERRUPT, packet, 1_u8.checked_shl(interval.saturating_sub(3).into()).unwrap_or(u8::MAX))
            }
            (Self::Interrupt { packet, interval }, _) => (INTERRUPT, packet, interval + 1),
        }
    }

    /// `bMaxBurst` and `wBytesPerInterval`.
    const fn companion(self) -> (u8, u16) {
        match self {
            Self::Bulk => (15, 0),
            Self::Interrupt { packet, .. } => (0, packet),
        }
    }
}

/// The capabilities that a SuperSpeed device must tell: USB 2.0 extension and SuperSpeed. USB 3.2, 9.6.2.
fn binary_object_store() -> Vec<u8> {
    const DEVICE_CAPABILITY: u8 = 16;
    const LINK_POWER_MANAGEMENT: u8 = 0x02;
    /// Full, high and SuperSpeed; everything works from full speed on.
    const SPEEDS: [u8; 3] = [0x0e, 0, 1];
    /// Microseconds to leave U1 and U2: the longest there are.
    const EXITS: [u8; 3] = [0x0a, 0xff, 0x07];
    let store = [5, descriptor::BOS, 22, 0, 2];
    let extension = [7, DEVICE_CAPABILITY, 2, LINK_POWER_MANAGEMENT, 0, 0, 0];
    let superspeed = [&[10, DEVICE_CAPABILITY, 3, 0], SPEEDS.as_slice(), &EXITS].concat();
    [store.as_slice(), &extension, &superspeed].concat()
}
