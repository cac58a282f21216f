//! Reading what a function of the host's is like, and making a configuration space like it.

use pcie::{Bar, BarKind, ConfigSpace, Identity, MsixLayout};

use crate::HostFunction;
use crate::host::CONFIG_REGION;

/// Why a function cannot be shown to a guest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LayoutError {
    /// Messages are the only interrupts that are passed on.
    #[error("it has no MSI-X capability, and other interrupts are not passed on")]
    NoMsix,
    /// Ours are in one.
    #[error("its MSI-X table and pending bits are in two BARs, or in none that there is")]
    SplitMsix,
    /// A BAR of no legal size.
    #[error("its BAR {0} has {1:#x} bytes")]
    BarSize(usize, u64),
    /// A bridge.
    #[error("it is a bridge")]
    Bridge,
}

// Offsets in configuration space. PCIe 5.0, 7.5.1.
const VENDOR_ID: u64 = 0x00;
const REVISION_ID: u64 = 0x08;
const HEADER_TYPE: u64 = 0x0e;
const BAR0: u64 = 0x10;
const SUBSYSTEM: u64 = 0x2c;
const CAPABILITIES: u64 = 0x34;
/// Capability ID of MSI-X. PCIe 5.0, 7.7.2.
const MSIX: u8 = 0x11;

/// Makes the configuration space that the guest sees.
///
/// # Errors
/// The function has a part that cannot be shown, or lacks one that is needed.
pub(crate) fn config_space(host: &dyn HostFunction) -> Result<ConfigSpace, LayoutError> {
    let [header] = read(host, HEADER_TYPE);
    if header & 0x7f != 0 {
        return Err(LayoutError::Bridge);
    }
    let bars = bars(host)?;
    let msix = msix(host).ok_or(LayoutError::NoMsix)?;
    let fits = |layout: &MsixLayout| {
        let bar = bars.iter().find(|(index, _)| *index == layout.bar);
        let table_end = u64::from(layout.table) + 16 * u64::from(layout.vectors);
        let pending_end = u64::from(layout.pending) + u64::from(layout.vectors).div_ceil(64) * 8;
        bar.is_some_and(|(_, bar)| table_end.max(pending_end) <= bar.size)
    };
    let msix = msix.filter(fits).ok_or(LayoutError::SplitMsix)?;
    let config = bars
        .into_iter()
        .fold(ConfigSpace::endpoint(identity(host)), |config, (index, bar)| config.bar(index, bar));
    Ok(config.power_management().express().msix(msix).build())
}

fn read<const N: usize>(host: &dyn HostFunction, offset: u64) -> [u8; N] {
    let mut bytes = [0xff; N];
    host.read(CONFIG_REGION, offset, &mut bytes);
    bytes
}

fn identity(host: &dyn HostFunction) -> Identity {
    let word = |offset| u16::from_le_bytes(read(host, offset));
    let [revision, interface, subclass, class] = read(host, REVISION_ID);
    Identity {
        vendor: word(VENDOR_ID),
        device: word(VENDOR_ID + 2),
        revision,
        class: [class, subclass, interface],
        subsystem: [word(SUBSYSTEM), word(SUBSYSTEM + 2)],
    }
}

/// The memory BARs with their numbers. PCIe 5.0, 7.5.1.2.1.
fn bars(host: &dyn HostFunction) -> Result<Vec<(usize, Bar)>, LayoutError> {
    let mut bars = Vec::new();
    let mut index = 0;
    while index < 6 {
        let register = u32::from_le_bytes(read(host, BAR0 + 4 * index as u64));
        let size = host.region_len(index as u32);
        let (is_port, is_wide, prefetchable) = (register & 1 != 0, register & 6 == 4, register & 8 != 0);
        let kind = match (is_wide, prefetchable) {
            (false, _) => BarKind::Memory32,
            (true, false) => BarKind::Memory64,
            (true, true) => BarKind::Prefetchable64,
        };
        let most = if is_wide { 1 << 40 } else { 1 << 31 };
        if size != 0 && !is_port {
            if !size.is_power_of_two() || !(16..=most).contains(&size) || is_wide && index == 5 {
                return Err(LayoutError::BarSize(index, size));
            }
            bars.push((index, Bar { size, kind }));
        }
        index += if is_wide && !is_port { 2 } else { 1 };
    }
    Ok(bars)
}

/// The MSI-X capability, if there is one; `Some(None)` if table and pending bits are not in one BAR.
fn msix(host: &dyn HostFunction) -> Option<Option<MsixLayout>> {
    let [mut at] = read(host, CAPABILITIES);
    // There is room for 48 capabilities, and a list may run in a circle.
    for _ in 0..48 {
        at &= 0xfc;
        if at < 0x40 {
            return None;
        }
        let [id, next] = read(host, at.into());
        if id == MSIX {
            return Some(msix_at(host, at.into()));
        }
        at = next;
    }
    None
}

fn msix_at(host: &dyn HostFunction, at: u64) -> Option<MsixLayout> {
    let control = u16::from_le_bytes(read(host, at + 2));
    let table = u32::from_le_bytes(read(host, at + 4));
    let pending = u32::from_le_bytes(read(host, at + 8));
    let layout = MsixLayout {
        vectors: (control & 0x7ff) + 1,
        bar: (table & 7) as usize,
        table: table & !7,
        pending: pending & !7,
    };
    (table & 7 == pending & 7).then_some(layout)
}

/// How many messages the function sends.
pub(crate) fn vectors(host: &dyn HostFunction) -> u16 {
    msix(host).flatten().map_or(0, |layout| layout.vectors)
}
