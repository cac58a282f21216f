//! Who a unit is: INQUIRY and its vital product data. SPC-4, 6.6 and 7.8.

use std::str::FromStr;

use crate::cdb::Cdb;
use crate::medium::Medium;
use crate::provisioning::{MAX_BLOCKS, MAX_DESCRIPTORS};
use crate::sense::Sense;
use crate::spec::{NO_UNIT, vpd};
use crate::unit::Kind;

/// T10 vendor identification, product identification and revision: 8, 16 and 4 characters.
const VENDOR: &[u8; 8] = b"TINDERBX";
const DISK: &[u8; 16] = b"HARDDISK        ";
const CD_ROM: &[u8; 16] = b"CD-ROM          ";
const REVISION: &[u8; 4] = b"0.1 ";
/// Longest serial that a page can hold beside vendor and product; ATA disks have 20 characters.
const SERIAL_MAX: usize = 36;

/// A unit's serial number: up to 36 printable ASCII characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serial(String);

/// This cannot be a serial.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("serial \"{0}\" must be at most 36 printable ASCII characters")]
pub struct BadSerial(String);

impl FromStr for Serial {
    type Err = BadSerial;

    fn from_str(text: &str) -> Result<Self, BadSerial> {
        let printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if printable && text.len() <= SERIAL_MAX {
            Ok(Self(text.into()))
        } else {
            Err(BadSerial(text.into()))
        }
    }
}

/// What INQUIRY tells.
pub(crate) struct Identity<'u> {
    pub(crate) kind: Kind,
    pub(crate) removable: bool,
    pub(crate) serial: &'u Serial,
}

/// The reply to INQUIRY.
pub(crate) fn inquire(cdb: &Cdb, identity: &Identity<'_>, medium: Option<&Medium>) -> Result<Vec<u8>, Sense> {
    const EVPD: u8 = 0x01;
    let page = cdb.byte(2);
    let mut reply = match (cdb.has(1, EVPD), page) {
        (true, page) => identity.vital_product_data(page, medium)?,
        (false, 0) => identity.standard(),
        (false, _) => return Err(Sense::INVALID_FIELD),
    };
    reply.truncate(cdb.number(3, 2) as usize);
    Ok(reply)
}

/// The reply to INQUIRY of a logical unit that is not there. SPC-4, 6.6.2.
pub(crate) fn inquire_nothing(cdb: &Cdb) -> Vec<u8> {
    let mut reply = vec![NO_UNIT, 0, SPC_4, RESPONSE_FORMAT, 36 - 5];
    reply.resize(36, 0);
    reply.truncate(cdb.number(3, 2) as usize);
    reply
}

/// VERSION: SPC-4.
const SPC_4: u8 = 0x06;
/// RESPONSE DATA FORMAT as since SPC-2, and hierarchical addressing (HISUP) as REPORT LUNS uses it.
const RESPONSE_FORMAT: u8 = 0x12;
/// CMDQUE: several commands at a time.
const COMMAND_QUEUING: u8 = 0x02;

impl Identity<'_> {
    fn standard(&self) -> Vec<u8> {
        const REMOVABLE: u8 = 0x80;
        /// Bytes with the version descriptors; those beyond the last are zero.
        const LEN: usize = 96;
        let removable = if self.removable { REMOVABLE } else { 0 };
        let mut reply = vec![self.kind.device_type(), removable, SPC_4, RESPONSE_FORMAT, LEN as u8 - 5];
        reply.extend([0, 0, COMMAND_QUEUING]);
        reply.extend(VENDOR);
        reply.extend(self.product());
        reply.extend(REVISION);
        reply.resize(58, 0);
        reply.extend(self.standards().map(u16::to_be_bytes).concat());
        reply.resize(LEN, 0);
        reply
    }

    const fn product(&self) -> &'static [u8; 16] {
        match self.kind {
            Kind::Disk => DISK,
            Kind::CdRom => CD_ROM,
        }
    }

    /// Version descriptors: SAM-5, SPC-4, and SBC-3 or MMC-6. SPC-4, table 142.
    const fn standards(&self) -> [u16; 3] {
        let commands = match self.kind {
            Kind::Disk => 0x04c0,
            Kind::CdRom => 0x04e0,
        };
        [0x00a0, 0x0460, commands]
    }

    /// The page, behind its header.
    fn vital_product_data(&self, page: u8, medium: Option<&Medium>) -> Result<Vec<u8>, Sense> {
        let is_disk = self.kind == Kind::Disk;
        let body = match page {
            vpd::SUPPORTED => self.pages(),
            vpd::UNIT_SERIAL_NUMBER if self.has_serial() => self.serial.0.clone().into_bytes(),
            vpd::DEVICE_IDENTIFICATION => self.device_identification(),
            vpd::BLOCK_LIMITS if is_disk => block_limits(medium),
            vpd::BLOCK_DEVICE_CHARACTERISTICS if is_disk => characteristics(),
            vpd::LOGICAL_BLOCK_PROVISIONING if is_disk => vec![0, UNMAP_AND_WRITE_SAME, THIN, 0],
            _ => return Err(Sense::INVALID_FIELD),
        };
        let [high, low] = (body.len() as u16).to_be_bytes();
        let mut reply = vec![self.kind.device_type(), page, high, low];
        reply.extend(body);
        Ok(reply)
    }

    const fn has_serial(&self) -> bool {
        !self.serial.0.is_empty()
    }

    /// The pages that there are, in ascending order.
    fn pages(&self) -> Vec<u8> {
        let mut pages = vec![vpd::SUPPORTED];
        if self.has_serial() {
            pages.push(vpd::UNIT_SERIAL_NUMBER);
        }
        pages.push(vpd::DEVICE_IDENTIFICATION);
        if self.kind == Kind::Disk {
            let blocks =
                [vpd::BLOCK_LIMITS, vpd::BLOCK_DEVICE_CHARACTERISTICS, vpd::LOGICAL_BLOCK_PROVISIONING];
            pages.extend(blocks);
        }
        pages
    }

    /// One designator: vendor, product and serial as text. Without a serial none is unique, so that there is none.
    fn device_identification(&self) -> Vec<u8> {
        const ASCII: u8 = 0x02;
        const T10_VENDOR_ID: u8 = 0x01;
        if !self.has_serial() {
            return Vec::new();
        }
        let text = [VENDOR.as_slice(), self.product(), self.serial.0.as_bytes()].concat();
        let mut designator = vec![ASCII, T10_VENDOR_ID, 0, text.len() as u8];
        designator.extend(text);
        designator
    }
}

/// LBPU, LBPWS and LBPWS10, and a provisioning type that promises no storage. SBC-3, 6.5.4.
const UNMAP_AND_WRITE_SAME: u8 = 0xe0;
const THIN: u8 = 0x02;

/// Block limits page: transfers of any length, best in physical blocks; limits of UNMAP and WRITE SAME. SBC-3, 6.5.3.
fn block_limits(medium: Option<&Medium>) -> Vec<u8> {
    let granularity = medium.map_or(1, |medium| 1_u16 << medium.physical_exponent());
    const WRITE_SAME_NON_ZERO: u8 = 0x01;
    let mut body = vec![WRITE_SAME_NON_ZERO, 0];
    body.extend(granularity.to_be_bytes());
    body.resize(16, 0);
    body.extend([MAX_BLOCKS, MAX_DESCRIPTORS, granularity.into(), 0].map(u32::to_be_bytes).concat());
    body.extend(u64::from(MAX_BLOCKS).to_be_bytes());
    body.resize(60, 0);
    body
}

/// Block device characteristics page: nothing rotates. SBC-3, 6.5.2.
fn characteristics() -> Vec<u8> {
    const NON_ROTATING: u16 = 1;
    let mut body = NON_ROTATING.to_be_bytes().to_vec();
    body.resize(60, 0);
    body
}
