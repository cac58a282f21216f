//! Bus numbers and addresses for a machine without firmware.

use std::ops::RangeInclusive;

use super::fabric::Fabric;
use super::{PortId, Slot};
use crate::config::{Bar, BarKind, Header};
use crate::root_port;

/// Windows of bridges come in units of 1 MiB. PCIe 5.0, 7.5.1.3.8.
const BRIDGE_UNIT: u64 = 1 << 20;

/// Addresses not given out yet.
struct Free {
    next: u64,
    last: u64,
}

impl Free {
    fn new(window: &RangeInclusive<u64>) -> Self {
        Self { next: *window.start(), last: *window.end() }
    }

    fn take(&mut self, size: u64) -> Option<u64> {
        let start = self.next.checked_next_multiple_of(size)?;
        let end = start.checked_add(size)?;
        (end - 1 <= self.last).then(|| {
            self.next = end;
            start
        })
    }

    /// Goes on at a boundary that a bridge's window may begin or end at; returns it.
    fn align(&mut self) -> u64 {
        self.next = self.next.checked_next_multiple_of(BRIDGE_UNIT).unwrap_or(u64::MAX);
        self.next
    }
}

impl Fabric {
    /// Numbers the buses, and gives each BAR its place: the root bus first, then one port after the other.
    pub(super) fn assign(&mut self) {
        let [low, high] = &self.windows;
        let mut free = [Free::new(low), Free::new(high)];
        self.place_bars(None, &mut free);
        for (port, bus) in self.ports().into_iter().zip(1..=u8::MAX) {
            let first = free.each_mut().map(Free::align);
            self.place_bars(Some(port), &mut free);
            let end = free.each_mut().map(Free::align);
            if let Some(plugged) = self.functions.get_mut(port.0) {
                root_port::open(plugged.config(), bus, first, end);
            }
        }
        self.decode();
    }

    fn ports(&mut self) -> Vec<PortId> {
        let bridge = |(index, is_bridge): (usize, bool)| is_bridge.then_some(PortId(index));
        let headers = self.functions.iter_mut().map(|f| f.config().header() == Header::Bridge);
        headers.enumerate().filter_map(bridge).collect()
    }

    /// Large BARs first, so that alignment leaves no gaps.
    fn place_bars(&mut self, port: Option<PortId>, free: &mut [Free; 2]) {
        let mut bars = Vec::new();
        for (index, plugged) in self.functions.iter_mut().enumerate() {
            if (Slot { port, ..plugged.slot }) == plugged.slot {
                let own = plugged.config().bars().iter().enumerate();
                bars.extend(own.filter_map(|(bar, spec)| spec.map(|spec| (index, bar, spec))));
            }
        }
        bars.sort_by_key(|(_, _, bar)| std::cmp::Reverse(bar.size));
        for (function, index, bar) in bars {
            let address = window(free, bar).take(bar.size);
            if let (Some(address), Some(plugged)) = (address, self.functions.get_mut(function)) {
                plugged.config().place_bar(index, address);
            }
        }
    }
}

/// Where a BAR goes that may be behind a bridge.
fn window(free: &mut [Free; 2], bar: Bar) -> &mut Free {
    let [low, high] = free;
    match bar.kind {
        BarKind::Memory32 | BarKind::Memory64 => low,
        BarKind::Prefetchable64 => high,
    }
}
