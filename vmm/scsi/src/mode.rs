//! Mode parameters, of which none can be changed. SPC-4, 6.11 and 7.5; SBC-3, 6.4; MMC-6, 7.

use crate::cdb::Cdb;
use crate::medium::Medium;
use crate::sense::Sense;
use crate::spec::{mode_page, op};
use crate::unit::{Kind, WriteCache};

/// Which values of a page are asked for. SPC-4, table 152.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Control {
    /// What holds now, which is the default too.
    Current,
    /// A mask of what can be changed.
    Changeable,
}

/// The reply to MODE SENSE (6) and (10).
pub(crate) fn sense(
    cdb: &Cdb,
    kind: Kind,
    cache: WriteCache,
    medium: Option<&Medium>,
) -> Result<Vec<u8>, Sense> {
    const DISABLE_BLOCK_DESCRIPTORS: u8 = 0x08;
    let pages = pages(cdb, kind, cache)?;
    let descriptor = match medium {
        Some(medium) if kind == Kind::Disk && !cdb.has(1, DISABLE_BLOCK_DESCRIPTORS) => {
            block_descriptor(medium)
        }
        _ => Vec::new(),
    };
    let parameter = device_specific(kind, medium);
    let len = descriptor.len() + pages.len();
    let mut reply = if cdb.opcode() == op::MODE_SENSE_6 {
        // MODE DATA LENGTH counts what follows it.
        vec![(len + 3) as u8, 0, parameter, descriptor.len() as u8]
    } else {
        let [high, low] = (len as u16 + 6).to_be_bytes();
        vec![high, low, 0, parameter, 0, 0, 0, descriptor.len() as u8]
    };
    reply.extend(descriptor);
    reply.extend(pages);
    reply.truncate(allocation_len(cdb));
    Ok(reply)
}

fn allocation_len(cdb: &Cdb) -> usize {
    let len = if cdb.opcode() == op::MODE_SENSE_6 { cdb.number(4, 1) } else { cdb.number(7, 2) };
    len as usize
}

/// Write protection and, for disks, that FUA is honoured. SBC-3, 6.4.1.
fn device_specific(kind: Kind, medium: Option<&Medium>) -> u8 {
    const WP: u8 = 0x80;
    const DPOFUA: u8 = 0x10;
    match kind {
        Kind::CdRom => 0,
        Kind::Disk => DPOFUA | if medium.is_some_and(Medium::is_read_only) { WP } else { 0 },
    }
}

/// Short block descriptor: blocks, all ones for more than fit, and their length. SBC-3, 6.4.2.
fn block_descriptor(medium: &Medium) -> Vec<u8> {
    let blocks = u32::try_from(medium.blocks()).unwrap_or(u32::MAX);
    [blocks.to_be_bytes(), medium.block_len().to_be_bytes()].concat()
}

/// The pages asked for, in ascending order.
fn pages(cdb: &Cdb, kind: Kind, cache: WriteCache) -> Result<Vec<u8>, Sense> {
    const ALL_SUBPAGES: u8 = 0xff;
    let (page, subpage) = (cdb.byte(2) & 0x3f, cdb.byte(3));
    let control = match cdb.byte(2) >> 6 {
        0 | 2 => Control::Current,
        1 => Control::Changeable,
        _ => return Err(Sense::NO_SAVED_PARAMETERS),
    };
    if !matches!(subpage, 0 | ALL_SUBPAGES) {
        return Err(Sense::INVALID_FIELD);
    }
    let known = known(kind);
    let asked: Vec<_> =
        known.iter().filter(|(code, _)| matches!(page, mode_page::ALL) || page == *code).collect();
    if asked.is_empty() {
        return Err(Sense::INVALID_FIELD);
    }
    Ok(asked
        .into_iter()
        .flat_map(|(code, body)| encode(*code, as_cached(*code, body, cache), control))
        .collect())
}

/// Without a write-back cache nothing is enabled in the caching page.
fn as_cached(code: u8, body: &'static [u8], cache: WriteCache) -> &'static [u8] {
    match (code, cache) {
        (mode_page::CACHING, WriteCache::Through) => &[0; 18],
        _ => body,
    }
}

fn encode(code: u8, body: &[u8], control: Control) -> Vec<u8> {
    let mut page = vec![code, body.len() as u8];
    match control {
        Control::Current => page.extend(body),
        Control::Changeable => page.resize(2 + body.len(), 0),
    }
    page
}

/// A page code, and what stands behind the page's length.
type Page = (u8, &'static [u8]);

const fn known(kind: Kind) -> &'static [Page] {
    match kind {
        Kind::Disk => &[
            (mode_page::READ_WRITE_ERROR_RECOVERY, &[AWRE_ARRE, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            (mode_page::CACHING, &[WCE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            (mode_page::CONTROL, &[0, UNRESTRICTED_REORDERING, 0, 0, 0, 0, 0, 0, 0, 0]),
            (mode_page::INFORMATIONAL_EXCEPTIONS, &[DEXCPT, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ],
        Kind::CdRom => &[
            (mode_page::READ_WRITE_ERROR_RECOVERY, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            (mode_page::INFORMATIONAL_EXCEPTIONS, &[DEXCPT, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            (mode_page::CAPABILITIES, &CAPABILITIES),
        ],
    }
}

/// Flaws are mended without a word. SBC-3, 6.4.7.
const AWRE_ARRE: u8 = 0xc0;
/// Writes may stay in a cache until SYNCHRONIZE CACHE. SBC-3, 6.4.5.
const WCE: u8 = 0x04;
/// Commands may be done in any order. SPC-4, 7.5.8.
const UNRESTRICTED_REORDERING: u8 = 0x10;
/// No predictions of failure. SPC-4, 7.5.12.
const DEXCPT: u8 = 0x08;

/// C/DVD capabilities and mechanical status: a tray that reads everything, locks and ejects. MMC-3, 5.5.10, which MMC-6
/// calls legacy and every driver still reads.
const CAPABILITIES: [u8; 20] = {
    const READS_R_RW_DVD_ROM: u8 = 0x0b;
    const MULTI_SESSION_MODE_2: u8 = 0x70;
    const TRAY_EJECT_LOCK: u8 = 0x20 | 0x08 | 0x01;
    // 16 times the speed of a CD in kilobytes a second: an invention that programs like to see.
    const SPEED: [u8; 2] = 2822_u16.to_be_bytes();
    const BUFFER: [u8; 2] = 2048_u16.to_be_bytes();
    let ([a, b], [c, d]) = (SPEED, BUFFER);
    [
        READS_R_RW_DVD_ROM,
        0,
        MULTI_SESSION_MODE_2,
        0,
        TRAY_EJECT_LOCK,
        0,
        a,
        b,
        0,
        2,
        c,
        d,
        a,
        b,
        0,
        0,
        0,
        0,
        0,
        0,
    ]
};
