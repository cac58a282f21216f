//! Where the guest stops for GDB.

use std::collections::{BTreeMap, BTreeSet};

use gdbstub::target::ext::breakpoints::WatchKind;

use crate::kvm::{AccessKind, DebugExit, HARDWARE_STOPS, HardwareStop};

/// INT3.
pub(super) const BREAKPOINT: u8 = 0xcc;
/// The debug exception.
const DB: u32 = 1;
/// The breakpoint exception.
const BP: u32 = 3;
/// DR6: a single step (Intel SDM 3B, 18.2.3).
const BS: u64 = 1 << 14;

/// All stops that GDB asked for.
#[derive(Debug, Default)]
pub(super) struct Stops {
    /// Linear addresses of breakpoints.
    pub(super) software: BTreeSet<u64>,
    /// What the processor is to watch.
    pub(super) hardware: Vec<HardwareStop>,
    /// What it does watch while the guest runs.
    watched: Vec<HardwareStop>,
    /// The byte that each breakpoint instruction stands for, by linear address, while the guest runs.
    planted: BTreeMap<u64, u8>,
}

/// One byte is enough to stop at an instruction.
pub(super) fn execution(address: u64) -> HardwareStop {
    HardwareStop { address, len: 1, kind: AccessKind::Execute }
}

/// What a stop means to GDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A step is done.
    Step,
    /// A breakpoint instruction of GDB's.
    Software,
    /// A breakpoint instruction of the guest's own.
    Guest,
    /// An address that the processor watches.
    Hardware(HardwareStop),
}

impl Stops {
    /// Adds a stop of the processor's; false if it cannot watch that.
    pub(super) fn add(&mut self, stop: HardwareStop) -> bool {
        let fits = matches!(stop.len, 1 | 2 | 4 | 8) && stop.address.is_multiple_of(stop.len);
        if !fits || self.hardware.len() == HARDWARE_STOPS {
            return false;
        }
        self.hardware.push(stop);
        true
    }

    /// Takes a stop of the processor's away; false if there is none.
    pub(super) fn remove(&mut self, stop: HardwareStop) -> bool {
        let place = self.hardware.iter().position(|known| *known == stop);
        place.map(|place| self.hardware.remove(place)).is_some()
    }

    /// What the processor watches from now on. Where it has room left it watches breakpoints, too: that works in code
    /// that is still to be loaded, and in every KVM.
    pub(super) fn watch(&mut self) -> &[HardwareStop] {
        let breakpoints = self.software.iter().map(|address| execution(*address));
        self.watched = self.hardware.iter().copied().chain(breakpoints).take(HARDWARE_STOPS).collect();
        &self.watched
    }

    /// The breakpoints that need an instruction in memory.
    pub(super) fn unwatched(&self) -> impl Iterator<Item = u64> {
        self.software.iter().copied().filter(|address| !self.watched.contains(&execution(*address)))
    }

    /// An instruction at `address` stands for `byte`.
    pub(super) fn plant(&mut self, address: u64, byte: u8) {
        self.planted.insert(address, byte);
    }

    /// The bytes for which instructions stand, to be put back.
    pub(super) fn uproot(&mut self) -> BTreeMap<u64, u8> {
        std::mem::take(&mut self.planted)
    }

    /// What a vCPU's stop means, while the instructions are in place.
    pub(super) fn meaning(&self, exit: &DebugExit) -> Meaning {
        let hit = (0..).zip(&self.watched).find(|(n, _)| exit.dr6 & (1 << n) != 0);
        match (exit.exception, hit) {
            (BP, _) if self.planted.contains_key(&exit.pc) => Meaning::Software,
            (BP, _) => Meaning::Guest,
            (DB, Some((_, stop)))
                if stop.kind == AccessKind::Execute && self.software.contains(&stop.address) =>
            {
                Meaning::Software
            }
            (DB, Some((_, stop))) if exit.dr6 & BS == 0 || stop.kind != AccessKind::Execute => {
                Meaning::Hardware(*stop)
            }
            _ => Meaning::Step,
        }
    }
}

/// What GDB asks to be watched: reads alone the processor cannot tell from writes.
pub(super) fn access(kind: WatchKind) -> AccessKind {
    match kind {
        WatchKind::Write => AccessKind::Write,
        WatchKind::Read | WatchKind::ReadWrite => AccessKind::ReadWrite,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(address: u64, len: u64) -> HardwareStop {
        HardwareStop { address, len, kind: AccessKind::Write }
    }

    #[test]
    fn processor_watches_four_aligned_addresses() {
        let mut stops = Stops::default();
        assert!(!stops.add(stop(0x1001, 4)) && !stops.add(stop(0x1000, 3)) && !stops.add(stop(0, 0)));
        assert!((0..4).all(|n| stops.add(stop(8 * n, 8))));
        assert!(!stops.add(stop(0x100, 1)));
        assert!(stops.remove(stop(8, 8)) && !stops.remove(stop(8, 8)));
        assert!(stops.add(stop(0x100, 1)));
    }

    #[test]
    fn breakpoint_of_the_guest_is_told_from_one_of_gdbs() {
        let mut stops = Stops::default();
        stops.plant(0x7c00, 0x90);
        let exit = |pc| DebugExit { exception: BP, pc, dr6: 0 };
        assert_eq!(stops.meaning(&exit(0x7c00)), Meaning::Software);
        assert_eq!(stops.meaning(&exit(0x7c01)), Meaning::Guest);
    }

    #[test]
    fn breakpoints_take_what_room_the_processor_has_left() {
        let mut stops = Stops::default();
        stops.add(stop(0x10, 1));
        stops.software.extend([1, 2, 3, 4]);
        assert_eq!(stops.watch(), [stop(0x10, 1), execution(1), execution(2), execution(3)]);
        assert_eq!(stops.unwatched().collect::<Vec<_>>(), [4]);
        assert_eq!(stops.meaning(&DebugExit { exception: DB, pc: 2, dr6: 4 }), Meaning::Software);
    }

    #[test]
    fn dr6_tells_a_step_from_an_address() {
        let mut stops = Stops::default();
        stops.add(stop(0x10, 1));
        stops.add(stop(0x20, 1));
        stops.watch();
        let exit = |dr6| DebugExit { exception: DB, pc: 0, dr6 };
        assert_eq!(stops.meaning(&exit(BS)), Meaning::Step);
        assert_eq!(stops.meaning(&exit(2)), Meaning::Hardware(stop(0x20, 1)));
        assert_eq!(stops.meaning(&exit(4)), Meaning::Step);
    }
}
