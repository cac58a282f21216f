//! One interrupter: an event ring, and when to tell the driver of it. xHCI 1.2, 4.17.

use std::collections::VecDeque;
use std::time::Duration;

use super::event_ring::{BadTable, EventRing};
use super::memory::{BadAddress, Memory};
use super::spec::registers::Half;
use super::spec::trb::Event;

/// Most events that wait for room in the ring. Endpoints pause while there is one, so no more come than one window of a
/// transfer causes.
const MAX_BACKLOG: usize = 1024;
/// IMOD after a reset: 1 ms. xHCI 1.2, 5.5.2.2.
const IMOD_RESET: u32 = 4000;

const IP: u32 = 1;
const IE: u32 = 1 << 1;
/// Event Handler Busy, in ERDP.
const EHB: u64 = 1 << 3;
/// Address in ERDP.
const DEQUEUE: u64 = !0xf;

/// Why a controller can no longer deliver events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A segment table that makes no sense.
    Table,
    /// An event ring that is not in memory.
    Memory,
}

/// An interrupter's volatile state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interrupter {
    enabled: bool,
    pending: bool,
    moderation: u32,
    table_size: u32,
    table: u64,
    /// ERDP but for EHB.
    dequeue: u64,
    /// EHB: the driver is at work already.
    busy: bool,
    ring: Option<EventRing>,
    /// The driver described another ring, which is read when the next event comes.
    ring_is_new: bool,
    /// There are events that want an interrupt; IPE in the standard.
    wants_interrupt: bool,
    /// When the next interrupt is allowed.
    ready_at: Duration,
    backlog: VecDeque<Event>,
    told_full: bool,
}

impl Default for Interrupter {
    fn default() -> Self {
        Self {
            enabled: false,
            pending: false,
            moderation: IMOD_RESET,
            table_size: 0,
            table: 0,
            dequeue: 0,
            busy: false,
            ring: None,
            ring_is_new: false,
            wants_interrupt: false,
            ready_at: Duration::ZERO,
            backlog: VecDeque::new(),
            told_full: false,
        }
    }
}

impl Interrupter {
    pub(crate) fn iman(&self) -> u32 {
        (u32::from(self.pending) * IP) | (u32::from(self.enabled) * IE)
    }

    pub(crate) fn write_iman(&mut self, value: u32, now: Duration) {
        self.enabled = value & IE != 0;
        if value & IP != 0 {
            self.acknowledge(now);
        }
    }

    pub(crate) fn imod(&self) -> u32 {
        self.moderation
    }

    pub(crate) fn write_imod(&mut self, value: u32) {
        self.moderation = value;
    }

    pub(crate) fn erstsz(&self) -> u32 {
        self.table_size
    }

    pub(crate) fn write_erstsz(&mut self, value: u32) {
        self.table_size = value & 0xffff;
    }

    pub(crate) fn erstba(&self) -> u64 {
        self.table
    }

    /// The ring is taken over with the high half, which drivers write last.
    pub(crate) fn write_erstba(&mut self, half: Half, value: u32) {
        self.table = half.replace(self.table, value) & !0x3f;
        if half == Half::High {
            self.ring_is_new = true;
        }
    }

    pub(crate) fn erdp(&self) -> u64 {
        self.dequeue | (u64::from(self.busy) * EHB)
    }

    /// The driver has come to another event, and may be done (EHB). xHCI 1.2, 5.5.2.3.3.
    pub(crate) fn write_erdp(&mut self, half: Half, value: u32) {
        let written = half.replace(self.dequeue, value);
        self.dequeue = written & !EHB;
        if half == Half::Low && written & EHB != 0 {
            self.busy = false;
        }
        let seen_all = |ring: &EventRing| ring.is_empty(self.dequeue & DEQUEUE);
        if self.backlog.is_empty() && self.ring.as_ref().is_some_and(seen_all) {
            self.wants_interrupt = false;
        }
    }

    /// Whether events wait for room.
    pub(crate) fn is_congested(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Delivers an event, or keeps it until there is room.
    pub(crate) fn push(&mut self, memory: &Memory, event: Event) -> Result<(), Failure> {
        if self.ring_is_new {
            self.load_ring(memory)?;
        }
        if self.ring.is_some() && self.backlog.len() < MAX_BACKLOG {
            self.backlog.push_back(event);
        }
        self.flush(memory)
    }

    /// Delivers what waits, as far as there is room. The last free TRB says that the ring is full. xHCI 1.2, 4.9.4.
    pub(crate) fn flush(&mut self, memory: &Memory) -> Result<(), Failure> {
        let Some(ring) = &mut self.ring else { return Ok(()) };
        let at = self.dequeue & DEQUEUE;
        while ring.room(at) > 1
            && let Some(event) = self.backlog.pop_front()
        {
            self.told_full = false;
            self.wants_interrupt |= !event.silent;
            ring.push(memory, event).map_err(|BadAddress| Failure::Memory)?;
        }
        if !self.backlog.is_empty() && ring.room(at) == 1 && !self.told_full {
            self.told_full = true;
            self.wants_interrupt = true;
            ring.push(memory, Event::ring_full()).map_err(|BadAddress| Failure::Memory)?;
        }
        Ok(())
    }

    /// A table of no entries switches the interrupter off.
    fn load_ring(&mut self, memory: &Memory) -> Result<(), Failure> {
        self.ring_is_new = false;
        self.backlog.clear();
        self.told_full = false;
        self.ring = match self.table_size {
            0 => None,
            entries => {
                let ring = EventRing::load(memory, self.table, entries);
                Some(ring.map_err(|BadTable| Failure::Table)?)
            }
        };
        Ok(())
    }

    /// Sets IP if it is time to; says whether it did. xHCI 1.2, 4.17.2.
    pub(crate) fn settle(&mut self, now: Duration) -> bool {
        let due = self.deadline().is_some_and(|at| at <= now);
        if due {
            self.pending = true;
            self.busy = true;
        }
        due
    }

    /// When IP will be set, if nothing happens until then.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        (self.wants_interrupt && !self.busy && !self.pending).then_some(self.ready_at)
    }

    /// Whether it interrupts, as far as it is concerned.
    pub(crate) fn asserts(&self) -> bool {
        self.pending && self.enabled
    }

    /// The interrupt has been seen or sent: IP goes, moderation begins.
    pub(crate) fn acknowledge(&mut self, now: Duration) {
        if self.pending {
            self.pending = false;
            self.ready_at = now + Duration::from_nanos(250) * (self.moderation & 0xffff);
        }
    }
}

#[cfg(test)]
mod tests {
    use vm_memory::{GuestAddress, GuestMemoryMmap};

    use super::*;

    const US: Duration = Duration::from_micros(1);

    /// An enabled interrupter with a ring of 16 TRBs at 0x1000, and moderation of 10 us.
    fn interrupter() -> (Memory, Interrupter) {
        let memory = Memory(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x1_0000)]).unwrap());
        memory.write(0x100, [0x1000, 0, 16, 0]).unwrap();
        let mut interrupter = Interrupter::default();
        interrupter.write_erstsz(1);
        interrupter.write_erdp(Half::Low, 0x1000);
        interrupter.write_erstba(Half::Low, 0x100);
        interrupter.write_erstba(Half::High, 0);
        interrupter.write_iman(IE, Duration::ZERO);
        interrupter.write_imod(40);
        (memory, interrupter)
    }

    #[test]
    fn second_interrupt_waits_for_the_driver_and_for_moderation() {
        let (memory, mut interrupter) = interrupter();
        interrupter.push(&memory, Event::wrap()).unwrap();
        assert!(interrupter.settle(US) && interrupter.asserts());
        interrupter.write_iman(IP | IE, 2 * US);
        interrupter.push(&memory, Event::wrap()).unwrap();
        assert!(!interrupter.settle(100 * US), "busy");
        interrupter.write_erdp(Half::Low, 0x1010 | EHB as u32);
        assert!(!interrupter.settle(11 * US), "moderated");
        assert_eq!(interrupter.deadline(), Some(12 * US));
        assert!(interrupter.settle(12 * US));
    }

    #[test]
    fn driver_that_saw_all_is_left_alone() {
        let (memory, mut interrupter) = interrupter();
        interrupter.push(&memory, Event::wrap()).unwrap();
        assert!(interrupter.settle(US));
        interrupter.write_iman(IP | IE, US);
        interrupter.write_erdp(Half::Low, 0x1010 | EHB as u32);
        assert_eq!(interrupter.deadline(), None);
    }

    #[test]
    fn silent_event_interrupts_nobody() {
        let (memory, mut interrupter) = interrupter();
        interrupter.push(&memory, Event { silent: true, ..Event::wrap() }).unwrap();
        assert!(!interrupter.settle(US));
        assert!(memory.trb(0x1000).unwrap().cycle(), "but it is there");
    }

    #[test]
    fn full_ring_says_so_and_loses_nothing() {
        let (memory, mut interrupter) = interrupter();
        for port in 1..=20 {
            interrupter.push(&memory, Event::port(port)).unwrap();
        }
        assert!(interrupter.is_congested());
        assert_eq!(memory.trb(0x10e0).unwrap(), Trb::from_words(Event::ring_full().words(true)));
        assert!(!memory.trb(0x10f0).unwrap().cycle(), "one TRB stays free");
        interrupter.write_erdp(Half::Low, 0x10f0);
        interrupter.flush(&memory).unwrap();
        assert!(!interrupter.is_congested());
        assert_eq!(memory.trb(0x10f0).unwrap(), Trb::from_words(Event::port(15).words(true)));
        assert_eq!(memory.trb(0x1000).unwrap(), Trb::from_words(Event::port(16).words(false)));
    }

    use super::super::spec::trb::Trb;
}
