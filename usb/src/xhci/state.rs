//! What the registers show: state that vCPUs and the worker share.
//!
//! It lies behind one lock, held for the arithmetic of a register or of an event and never during I/O. Everything else of the
//! controller (slots, endpoints, devices) is the worker's alone.

use std::time::Duration;

use super::interrupter::{Failure, Interrupter};
use super::memory::Memory;
use super::port::{Link, Port};
use super::ring::Ring;
use super::spec::registers::{Half, UsbCmd, UsbSts, crcr};
use super::spec::trb::Event;
use super::{Config, Interrupts};

/// A microframe, the unit of MFINDEX. xHCI 1.2, 4.14.2.
pub(crate) const MICROFRAME: Duration = Duration::from_micros(125);
/// Microframes after which MFINDEX wraps.
const MFINDEX_WRAP: u32 = 1 << 14;

/// The command ring as CRCR has it. xHCI 1.2, 5.4.5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommandRing {
    pub(crate) ring: Ring,
    /// CRR.
    pub(crate) running: bool,
    /// The driver wrote CS or CA, which the worker has to obey.
    pub(crate) stop: bool,
    /// What was written; the low half waits for the high one.
    written: u64,
}

/// All registers. Reset is assignment of [`State::new`].
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) command: UsbCmd,
    pub(crate) status: UsbSts,
    pub(crate) notifications: u32,
    pub(crate) command_ring: CommandRing,
    pub(crate) contexts: u64,
    pub(crate) config: u32,
    pub(crate) ports: Vec<Port>,
    pub(crate) interrupters: Vec<Interrupter>,
    /// When MFINDEX was 0.
    started: Duration,
    /// Wraps of MFINDEX that the driver was told of.
    wraps: u32,
    /// CSS was written, and nothing lost since.
    saved: bool,
    /// The level of the wire.
    line: bool,
}

impl State {
    /// Power-on state, without devices.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            command: UsbCmd::new(),
            status: UsbSts::new().with_halted(true),
            notifications: 0,
            command_ring: CommandRing::default(),
            contexts: 0,
            config: 0,
            ports: config.protocols().map(Port::new).collect(),
            interrupters: vec![Interrupter::default(); usize::from(config.interrupters)],
            started: Duration::ZERO,
            wraps: 0,
            saved: false,
            line: false,
        }
    }

    /// What a reset makes of this: power-on state, but the wire has the level that it has.
    pub(crate) fn reset(&mut self, config: &Config) {
        *self = Self { line: self.line, ..Self::new(config) };
    }

    /// RS, and nothing in its way.
    pub(crate) fn is_running(&self) -> bool {
        self.command.run() && !self.status.halted()
    }

    /// USBCMD. xHCI 1.2, 5.4.1. A reset, and what follows a stop, is the worker's.
    pub(crate) fn write_command(&mut self, value: u32, now: Duration) {
        let wanted = UsbCmd::from_bits(value);
        if self.command.reset() {
            return;
        }
        if wanted.reset() {
            self.command = self.command.with_reset(true).with_run(false);
            return;
        }
        let kept = self.command.into_bits() & !UsbCmd::STORED | value & UsbCmd::STORED;
        self.command = UsbCmd::from_bits(kept);
        if self.status.halted() {
            self.save_restore(wanted);
        }
        self.set_run(wanted.run(), now);
    }

    fn set_run(&mut self, run: bool, now: Duration) {
        if run && self.status.halted() && !self.status.controller_error() {
            self.status.set_halted(false);
            (self.started, self.wraps) = (now, 0);
        }
        self.command.set_run(run && !self.status.halted());
    }

    /// Between save and restore state stays where it is, unless a reset takes it. xHCI 1.2, 4.23.2.
    fn save_restore(&mut self, wanted: UsbCmd) {
        self.saved |= wanted.save();
        if wanted.restore() && !self.saved {
            self.status.set_restore_error(true);
        }
    }

    /// The worker has stopped everything after RS was cleared.
    pub(crate) fn halt(&mut self) {
        self.status.set_halted(true);
        self.command_ring.running = false;
    }

    /// Nothing goes any more until a reset.
    pub(crate) fn fail(&mut self, failure: Failure) {
        match failure {
            Failure::Table => self.status.set_controller_error(true),
            Failure::Memory => self.status.set_system_error(true),
        }
        self.command.set_run(false);
        self.halt();
    }

    /// CRCR. xHCI 1.2, 5.4.5.
    pub(crate) fn write_crcr(&mut self, half: Half, value: u32) {
        let ring = &mut self.command_ring;
        ring.written = half.replace(ring.written, value);
        if ring.running {
            ring.stop |= half == Half::Low && u64::from(value) & (crcr::STOP | crcr::ABORT) != 0;
        } else if half == Half::High {
            let dequeue = ring.written & crcr::POINTER;
            ring.ring = Ring { dequeue, cycle: ring.written & crcr::CYCLE != 0 };
        }
    }

    /// Reads as 0 but for CRR.
    pub(crate) fn crcr(&self) -> u64 {
        u64::from(self.command_ring.running) * crcr::RUNNING
    }

    /// MFINDEX. xHCI 1.2, 5.5.1.
    pub(crate) fn mfindex(&self, now: Duration) -> u32 {
        self.microframes(now) % MFINDEX_WRAP
    }

    fn microframes(&self, now: Duration) -> u32 {
        match self.is_running() {
            true => (now.saturating_sub(self.started).as_micros() / MICROFRAME.as_micros()) as u32,
            false => 0,
        }
    }

    /// Tells the driver that MFINDEX wrapped, if it wants to know; returns when to do it next. xHCI 1.2, 4.14.2.
    pub(crate) fn tell_wraps(&mut self, memory: &Memory, now: Duration) -> Option<Duration> {
        if !self.is_running() || !self.command.wrap_events() {
            return None;
        }
        let wraps = self.microframes(now) / MFINDEX_WRAP;
        if wraps > self.wraps {
            self.wraps = wraps;
            self.emit(memory, 0, Event::wrap());
        }
        Some(self.started + MICROFRAME * MFINDEX_WRAP * (wraps + 1))
    }

    /// Delivers an event to the driver. An interrupter that is not there stands for the first.
    pub(crate) fn emit(&mut self, memory: &Memory, interrupter: usize, event: Event) {
        let index = if interrupter < self.interrupters.len() { interrupter } else { 0 };
        let pushed = self.interrupters.get_mut(index).map(|i| i.push(memory, event));
        if let Some(Err(failure)) = pushed {
            self.fail(failure);
        }
    }

    /// Whether events for this interrupter have to wait.
    pub(crate) fn is_congested(&self, interrupter: usize) -> bool {
        self.interrupters
            .get(interrupter)
            .or(self.interrupters.first())
            .is_some_and(Interrupter::is_congested)
    }

    /// Delivers events that waited for room.
    pub(crate) fn flush(&mut self, memory: &Memory) {
        let flushed: Result<Vec<()>, _> = self.interrupters.iter_mut().map(|i| i.flush(memory)).collect();
        if let Err(failure) = flushed {
            self.fail(failure);
        }
    }

    /// Changes the port with this index, and tells the driver of each change bit that this sets.
    pub(crate) fn change_port(&mut self, memory: &Memory, index: usize, change: impl FnOnce(&mut Port)) {
        let Some(port) = self.ports.get_mut(index) else { return };
        let before = port.changes();
        change(port);
        if port.changes() & !before == 0 {
            return;
        }
        self.status.set_port_change(true);
        if self.is_running() {
            self.emit(memory, 0, Event::port(index as u8 + 1));
        }
    }

    /// Whether transfers reach the port with this index.
    pub(crate) fn link(&self, index: usize) -> Link {
        self.ports.get(index).map_or(Link::Down, Port::link)
    }

    /// Brings interrupts up to date; returns when to do it next.
    pub(crate) fn settle(&mut self, interrupts: &dyn Interrupts, now: Duration) -> Option<Duration> {
        let on = self.command.interrupts();
        for (index, interrupter) in (0..).zip(&mut self.interrupters) {
            if interrupter.settle(now) {
                self.status.set_event_interrupt(true);
            }
            if on && interrupter.asserts() && interrupts.send(index) {
                interrupter.acknowledge(now);
            }
        }
        // A wire is the first interrupter's alone. xHCI 1.2, 4.17.
        let level = on && self.interrupters.first().is_some_and(Interrupter::asserts);
        if level != std::mem::replace(&mut self.line, level) {
            interrupts.set_line(level);
        }
        self.interrupters.iter().filter_map(Interrupter::deadline).min()
    }
}
