//! What only CD-ROM drives know: contents, features, events. MMC-6.

use crate::cdb::Cdb;
use crate::medium::Medium;
use crate::sense::Sense;
use crate::spec::{LEAD_OUT, PROFILE_CD_ROM, PROFILE_DVD_ROM, PROFILE_NONE, feature};

/// Blocks of the largest CD, 80 minutes of 75 frames a second: a larger disc is a DVD.
const CD_BLOCKS: u64 = 80 * 60 * 75;
/// ADR and CONTROL of a track of data that may be copied not. MMC-6, table 482.
const DATA_TRACK: u8 = 0x14;

/// A reply of `body` behind its length, cut to the allocation length.
fn with_len_16(body: Vec<u8>, allocation_len: u64) -> Vec<u8> {
    let mut reply = (body.len() as u16).to_be_bytes().to_vec();
    reply.extend(body);
    reply.truncate(allocation_len as usize);
    reply
}

/// READ TOC/PMA/ATIP: one session with one track of data. MMC-6, 6.25.
pub(crate) fn read_toc(cdb: &Cdb, medium: &Medium) -> Result<Vec<u8>, Sense> {
    const FORMATTED: u8 = 0;
    const SESSIONS: u8 = 1;
    let address = Address::of(cdb.has(1, 0x02));
    // Old drivers put the format into the control byte. SFF-8020i, 10.8.20.
    let format = match cdb.byte(2) & 0x0f {
        0 => cdb.byte(9) >> 6,
        format => format,
    };
    let mut body = vec![1, 1]; // first and last track, or session
    match format {
        FORMATTED => body.extend(tracks(cdb.byte(6), address, medium.blocks())?),
        SESSIONS => body.extend(track(1, address, 0)),
        _ => return Err(Sense::INVALID_FIELD),
    }
    Ok(with_len_16(body, cdb.number(7, 2)))
}

/// The tracks from number `first` on.
fn tracks(first: u8, address: Address, blocks: u64) -> Result<Vec<u8>, Sense> {
    let data = match first {
        0 | 1 => track(1, address, 0).to_vec(),
        LEAD_OUT => Vec::new(),
        _ => return Err(Sense::INVALID_FIELD),
    };
    Ok([data, track(LEAD_OUT, address, blocks).to_vec()].concat())
}

fn track(number: u8, address: Address, block: u64) -> [u8; 8] {
    let [a, b, c, d] = address.encode(block);
    [0, DATA_TRACK, number, 0, a, b, c, d]
}

/// How a table of contents names blocks.
#[derive(Clone, Copy)]
enum Address {
    Block,
    /// Minutes, seconds and frames.
    Time,
}

impl Address {
    const fn of(time: bool) -> Self {
        if time { Self::Time } else { Self::Block }
    }

    fn encode(self, block: u64) -> [u8; 4] {
        const FRAMES: u64 = 75;
        /// Block 0 is two seconds into the disc.
        const LEAD_IN: u64 = 2 * FRAMES;
        let frame = block.saturating_add(LEAD_IN);
        match self {
            Self::Block => u32::try_from(block).unwrap_or(u32::MAX).to_be_bytes(),
            Self::Time => {
                let minutes = (frame / FRAMES / 60).min(255);
                [0, minutes as u8, (frame / FRAMES % 60) as u8, (frame % FRAMES) as u8]
            }
        }
    }
}

/// READ DISC INFORMATION: a finished disc of one session. MMC-6, 6.21.
pub(crate) fn read_disc_information(cdb: &Cdb) -> Result<Vec<u8>, Sense> {
    const STANDARD: u8 = 0;
    const COMPLETE: u8 = 0x0e;
    const UNRESTRICTED: u8 = 0x20;
    if cdb.byte(1) & 0x07 != STANDARD {
        return Err(Sense::INVALID_FIELD);
    }
    // First track, sessions, first and last track of the last session: one of each.
    let mut body = vec![COMPLETE, 1, 1, 1, 1, UNRESTRICTED];
    body.resize(32, 0);
    Ok(with_len_16(body, cdb.number(7, 2)))
}

/// MECHANISM STATUS: idle, no changer. MMC-6, 6.10.
pub(crate) fn mechanism_status(cdb: &Cdb) -> Vec<u8> {
    let mut reply = vec![0; 8];
    reply.truncate(cdb.number(8, 2) as usize);
    reply
}

/// The profile that a disc has. MMC-6, 5.3.1.
fn profile(medium: Option<&Medium>) -> u16 {
    match medium.map(Medium::blocks) {
        None => PROFILE_NONE,
        Some(blocks) if blocks <= CD_BLOCKS => PROFILE_CD_ROM,
        Some(_) => PROFILE_DVD_ROM,
    }
}

/// GET CONFIGURATION: the features of a drive. MMC-6, 6.6.
pub(crate) fn get_configuration(cdb: &Cdb, medium: Option<&Medium>) -> Result<Vec<u8>, Sense> {
    const ALL: u8 = 0;
    const CURRENT: u8 = 1;
    const ONE: u8 = 2;
    let first = cdb.number(2, 2) as u16;
    let current = profile(medium);
    let wanted = |feature: &&Feature| match cdb.byte(1) & 0x03 {
        ALL => feature.code >= first,
        CURRENT => feature.code >= first && feature.current,
        _ => feature.code == first,
    };
    if cdb.byte(1) & 0x03 > ONE {
        return Err(Sense::INVALID_FIELD);
    }
    let features: Vec<u8> = features(current).iter().filter(wanted).flat_map(Feature::encode).collect();
    // DATA LENGTH counts what follows it: 4 bytes of header and the features.
    let mut reply = (features.len() as u32 + 4).to_be_bytes().to_vec();
    reply.extend([0, 0]);
    reply.extend(current.to_be_bytes());
    reply.extend(features);
    reply.truncate(cdb.number(7, 2) as usize);
    Ok(reply)
}

/// Something a drive can do. MMC-6, 5.2.
struct Feature {
    code: u16,
    version: u8,
    persistent: bool,
    current: bool,
    data: Vec<u8>,
}

impl Feature {
    fn encode(&self) -> Vec<u8> {
        let [high, low] = self.code.to_be_bytes();
        let flags = self.version << 2 | u8::from(self.persistent) << 1 | u8::from(self.current);
        let mut bytes = vec![high, low, flags, self.data.len() as u8];
        bytes.extend(&self.data);
        bytes
    }
}

/// All features, in ascending order.
fn features(current: u16) -> [Feature; 6] {
    const SCSI: u32 = 1;
    const DEVICE_BUSY_EVENTS: u8 = 0x01;
    /// A tray that locks, is unlocked at first, ejects and loads.
    const TRAY: u8 = 0x39;
    let always = |code, version, data| Feature { code, version, persistent: true, current: true, data };
    let while_in = |code, version, profiles: &[u16], data| Feature {
        code,
        version,
        persistent: false,
        current: profiles.contains(&current),
        data,
    };
    let profiles = [PROFILE_DVD_ROM, PROFILE_CD_ROM].map(|profile| {
        let [high, low] = profile.to_be_bytes();
        [high, low, u8::from(profile == current), 0]
    });
    let core = [SCSI.to_be_bytes(), [DEVICE_BUSY_EVENTS, 0, 0, 0]].concat();
    let random = [2048_u32.to_be_bytes(), [0, 1, 0, 0]].concat(); // block length, blocks at a time
    [
        always(feature::PROFILE_LIST, 0, profiles.concat()),
        always(feature::CORE, 2, core),
        always(feature::REMOVABLE_MEDIUM, 2, vec![TRAY, 0, 0, 0]),
        while_in(feature::RANDOM_READABLE, 0, &[PROFILE_CD_ROM, PROFILE_DVD_ROM], random),
        while_in(feature::CD_READ, 2, &[PROFILE_CD_ROM], vec![0; 4]),
        while_in(feature::DVD_READ, 0, &[PROFILE_DVD_ROM], vec![]),
    ]
}

/// What happened to the medium since GET EVENT STATUS NOTIFICATION was last asked. MMC-6, table 276.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum MediaEvent {
    /// Nothing.
    #[default]
    None = 0,
    /// The drive wants to open, which it may not by itself.
    EjectRequest = 1,
    /// One came.
    New = 2,
    /// It went.
    Removed = 3,
}

/// Class of events about the medium, of which alone there are some.
const MEDIA_CLASS: u8 = 4;

/// Whether GET EVENT STATUS NOTIFICATION asks about the medium. MMC-6, 6.7.
///
/// # Errors
/// It asks to be told later, which no drive does.
pub(crate) fn wants_media_event(cdb: &Cdb) -> Result<bool, Sense> {
    const POLLED: u8 = 0x01;
    if !cdb.has(1, POLLED) {
        return Err(Sense::INVALID_FIELD);
    }
    Ok(cdb.has(4, 1 << MEDIA_CLASS))
}

/// The reply to GET EVENT STATUS NOTIFICATION; without an event none of the classes asked for is known.
pub(crate) fn event_status(cdb: &Cdb, event: Option<(MediaEvent, MediaStatus)>) -> Vec<u8> {
    const NO_EVENT_AVAILABLE: u8 = 0x80;
    let supported = 1 << MEDIA_CLASS;
    let body = match event {
        Some((event, status)) => vec![MEDIA_CLASS, supported, event as u8, status.bits(), 0, 0],
        None => vec![NO_EVENT_AVAILABLE, supported],
    };
    // EVENT DATA LENGTH counts what follows the header of four bytes.
    let mut reply = (body.len() as u16 - 2).to_be_bytes().to_vec();
    reply.extend(body);
    reply.truncate(cdb.number(7, 2) as usize);
    reply
}

/// Where the medium is.
#[derive(Clone, Copy)]
pub(crate) struct MediaStatus {
    pub(crate) tray_open: bool,
    pub(crate) present: bool,
}

impl MediaStatus {
    const fn bits(self) -> u8 {
        self.tray_open as u8 | (self.present as u8) << 1
    }
}
