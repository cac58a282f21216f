//! Processor Information, type 4. DSP0134 3.0, 7.5.

use zerocopy::byteorder::little_endian::{U16, U64};
use zerocopy::{Immutable, IntoBytes};

use super::structure::{HEADER, Strings, Writer};
use super::{Hardware, Text, cache};

const KIND: u8 = 4;

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Area {
    socket: u8,
    kind: u8,
    family: u8,
    manufacturer: u8,
    id: U64,
    version: u8,
    voltage: u8,
    external_clock: U16,
    max_speed: U16,
    current_speed: U16,
    status: u8,
    upgrade: u8,
    caches: [U16; 3],
    serial: u8,
    asset: u8,
    part: u8,
    cores: u8,
    cores_enabled: u8,
    threads: u8,
    characteristics: U16,
    family2: U16,
    cores2: U16,
    cores_enabled2: U16,
    threads2: U16,
}
const _: () = assert!(HEADER + size_of::<Area>() == 0x30);

/// 7.5.1: a central processor.
const CENTRAL: u8 = 3;
/// 7.5.2 and 7.5.5: in no list.
const OTHER: u8 = 1;
/// 7.5, offset 18h: socket populated, processor enabled.
const POPULATED_AND_ENABLED: u8 = 0x41;

/// 7.5.9.
const CAPABLE_OF_64_BITS: u16 = 1 << 2;
const MULTI_CORE: u16 = 1 << 3;
const MULTI_THREAD: u16 = 1 << 4;
const EXECUTE_PROTECTION: u16 = 1 << 5;

/// What is printed on a processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processor {
    /// What the socket's number is appended to.
    pub socket_prefix: Text,
    /// Who made it.
    pub manufacturer: Text,
    /// What it is called.
    pub version: Text,
    /// Its serial number.
    pub serial: Text,
    /// Its number in an inventory.
    pub asset: Text,
    /// Its number in a catalogue.
    pub part: Text,
    /// The most it can run at, in MHz; 0 if not known.
    pub max_speed: u16,
    /// What it starts at, in MHz; 0 if not known.
    pub current_speed: u16,
    /// In place of [`Hardware::processor_id`].
    pub id: Option<u64>,
}

impl Default for Processor {
    fn default() -> Self {
        Self {
            socket_prefix: Text::literal("CPU"),
            manufacturer: Text::literal("Tinderbox"),
            version: Text::default(),
            serial: Text::default(),
            asset: Text::default(),
            part: Text::default(),
            max_speed: 0,
            current_speed: 0,
            id: None,
        }
    }
}

impl Processor {
    /// The structures of all sockets, and of the caches that they refer to.
    pub(super) fn append(&self, hardware: &Hardware, writer: &mut Writer) {
        for socket in 0..hardware.sockets {
            self.append_one(socket, hardware, writer);
            cache::append(socket, &hardware.caches, writer);
        }
    }

    fn append_one(&self, n: u8, hardware: &Hardware, writer: &mut Writer) {
        let threads = hardware.cores.saturating_mul(hardware.threads);
        let socket = self.socket_prefix.numbered(n.into());
        let mut strings = Strings::default();
        let area = Area {
            socket: strings.add(&socket),
            kind: CENTRAL,
            family: OTHER,
            manufacturer: strings.add(&self.manufacturer),
            id: self.id.unwrap_or(hardware.processor_id).into(),
            version: strings.add(&self.version),
            voltage: 0,
            external_clock: 0.into(),
            max_speed: self.max_speed.into(),
            current_speed: self.current_speed.into(),
            status: POPULATED_AND_ENABLED,
            upgrade: OTHER,
            caches: cache::handles(n, &hardware.caches).map(U16::new),
            serial: strings.add(&self.serial),
            asset: strings.add(&self.asset),
            part: strings.add(&self.part),
            cores: clipped(hardware.cores),
            cores_enabled: clipped(hardware.cores),
            threads: clipped(threads),
            characteristics: characteristics(hardware).into(),
            family2: u16::from(OTHER).into(),
            cores2: hardware.cores.into(),
            cores_enabled2: hardware.cores.into(),
            threads2: threads.into(),
        };
        writer.append(KIND, n.into(), &area, &strings);
    }
}

/// A count in the old, narrow field: 255 sends the reader to the wide one (7.5.6).
fn clipped(count: u16) -> u8 {
    count.min(255) as u8
}

fn characteristics(hardware: &Hardware) -> u16 {
    let cores = if hardware.cores > 1 { MULTI_CORE } else { 0 };
    let threads = if hardware.threads > 1 { MULTI_THREAD } else { 0 };
    CAPABLE_OF_64_BITS | EXECUTE_PROTECTION | cores | threads
}
