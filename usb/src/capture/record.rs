//! Bytes of a pcap file of link type 220, LINKTYPE_USB_LINUX_MMAPPED: records as Linux's usbmon lays them out
//! (`Documentation/usb/usbmon.rst`, struct `mon_bin_hdr`), little-endian throughout.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Direction, EndpointAddress, Outcome, Setup};

/// Most bytes of a transfer's data that a record keeps.
pub(super) const MAX_DATA: usize = 64 << 10;
/// Bytes before the data of a record.
const HEADER: usize = 64;

/// Magic for microseconds, version 2.4, no time zone, longest record, link type.
pub(super) const FILE_HEADER: [u8; 24] = {
    let [s0, s1, s2, s3] = ((HEADER + MAX_DATA) as u32).to_le_bytes();
    [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, s0, s1, s2, s3, 220, 0, 0, 0]
};

/// How an endpoint transfers, in usbmon's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum TransferType {
    Isochronous = 0,
    Interrupt = 1,
    Control = 2,
    Bulk = 3,
}

impl TransferType {
    /// The type in `bmAttributes` of an endpoint's descriptor. USB 2.0, table 9-13.
    pub(super) const fn of(attributes: u8) -> Self {
        match attributes & 3 {
            0 => Self::Control,
            1 => Self::Isochronous,
            2 => Self::Bulk,
            _ => Self::Interrupt,
        }
    }
}

/// Which end of a transfer a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Submission,
    Completion(Outcome),
}

impl Event {
    /// Whether the data are known at this end: those to the device at the beginning, those from it at the end.
    pub(super) fn carries(self, direction: Direction) -> bool {
        (self == Self::Submission) == (direction == Direction::Out)
    }

    const fn kind(self) -> u8 {
        match self {
            Self::Submission => b'S',
            Self::Completion(_) => b'C',
        }
    }

    /// Negative error numbers of Linux, as its drivers would see them.
    const fn status(self) -> i32 {
        const EINPROGRESS: i32 = -115;
        const EPIPE: i32 = -32;
        const EOVERFLOW: i32 = -75;
        const ESHUTDOWN: i32 = -108;
        match self {
            Self::Submission => EINPROGRESS,
            Self::Completion(Outcome::Done | Outcome::Nak) => 0,
            Self::Completion(Outcome::Stall) => EPIPE,
            Self::Completion(Outcome::Babble) => EOVERFLOW,
            Self::Completion(Outcome::Gone) => ESHUTDOWN,
        }
    }
}

/// One record.
pub(super) struct Record<'a> {
    pub(super) event: Event,
    pub(super) time: SystemTime,
    pub(super) transfer: TransferType,
    pub(super) endpoint: EndpointAddress,
    pub(super) device: u8,
    pub(super) setup: Option<Setup>,
    /// Bytes asked for, or moved.
    pub(super) len: usize,
    /// Those of them that are known now.
    pub(super) data: &'a [u8],
}

impl Record<'_> {
    /// The record of transfer number `id`, with pcap's header.
    pub(super) fn bytes(&self, id: u64) -> Vec<u8> {
        const BUS: u16 = 1;
        let time = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, micros) = (time.as_secs(), time.subsec_micros());
        let captured = (HEADER + self.data.len()) as u32;
        let whole = HEADER + self.data.len().max(if self.carries() { self.len } else { 0 });
        let mut bytes = Vec::with_capacity(16 + HEADER + self.data.len());
        for number in [seconds as u32, micros, captured, whole as u32] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(id.to_le_bytes());
        bytes.extend([self.event.kind(), self.transfer as u8, self.endpoint.byte(), self.device]);
        bytes.extend(BUS.to_le_bytes());
        bytes.extend([if self.setup.is_some() { 0 } else { b'-' }, self.data_flag()]);
        bytes.extend(seconds.to_le_bytes());
        bytes.extend(micros.to_le_bytes());
        bytes.extend(self.event.status().to_le_bytes());
        bytes.extend((self.len as u32).to_le_bytes());
        bytes.extend((self.data.len() as u32).to_le_bytes());
        bytes.extend(self.setup.map_or([0; 8], Setup::bytes));
        bytes.extend([0; 16]); // interval, start frame, transfer flags, isochronous descriptors
        bytes.extend(self.data);
        bytes
    }

    fn carries(&self) -> bool {
        self.event.carries(self.endpoint.direction())
    }

    /// 0 if there are data, else why not.
    fn data_flag(&self) -> u8 {
        match self.event {
            _ if self.carries() => 0,
            Event::Submission => b'<',
            Event::Completion(_) => b'>',
        }
    }
}
