//! The I/O APIC: 24 wires in, messages to local APICs out.
//!
//! ```text
//!  any thread ── IrqLine ──► input n ──► redirection entry n ──► MsiRoutes::fire(gsi_base + n)
//!  bus ──► IoApicDevice ──► IOREGSEL, IOWIN ─────┘    │ changed
//!  KVM_EXIT_IOAPIC_EOI ──► end_of_interrupt           └────────► MsiRoutes::route(gsi_base + n, message)
//! ```
//!
//! The local APICs are in KVM. An entry in use is therefore known to KVM as a route, which makes sending cheap and tells
//! KVM for which vectors it must report the end of an interrupt. Telling it is slow, so it is told only what changed.
//!
//! * Edge: a wire that rises while the entry is unmasked sends one message. What rises while it is masked is lost, as
//!   the 82093AA has it; drivers look at their device after unmasking.
//! * Level: a wire that is high while the entry is unmasked sends one message, and no other before the interrupt ended.
//!   If the wire is then still high, it sends again: one message for each end that the guest announces, so a device that
//!   nobody serves keeps the guest busy, not us.
//!
//! Left out: extended destinations (bits 55:48; nobody advertises them), interrupt remapping, the APIC bus.

pub mod spec;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::{Access, Device, IrqLine, Message, Msi, MsiRoutes, Refused, Width};
use spec::{EOI, IOREGSEL, IOWIN, Id, PINS, Redirection, Register, VERSION};

/// One I/O APIC, shared by its registers, its wires and whoever reports the end of interrupts.
pub struct IoApic(Mutex<Core>);

impl IoApic {
    /// An I/O APIC whose input 0 is `gsi_base`, with all inputs low and masked.
    #[must_use]
    pub fn new(gsi_base: u32, routes: Arc<dyn MsiRoutes>) -> Arc<Self> {
        Self::with(gsi_base, routes, true)
    }

    /// The same where nobody reports the end of interrupts, as beside an I/O APIC in KVM.
    ///
    /// Level-triggered inputs then send a message whenever their wire is set high, again or for the first time, and the
    /// messages are edge-triggered ones: Linux sees by that in its local APIC that the end reached no I/O APIC, and
    /// writes it to the EOI register.
    #[must_use]
    pub fn without_ends(gsi_base: u32, routes: Arc<dyn MsiRoutes>) -> Arc<Self> {
        Self::with(gsi_base, routes, false)
    }

    fn with(gsi_base: u32, routes: Arc<dyn MsiRoutes>, hears_ends: bool) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Core {
            gsi_base,
            routes,
            hears_ends,
            high: [false; PINS],
            told: [None; PINS],
            state: State::default(),
        })))
    }

    /// The registers, for the bus.
    #[must_use]
    pub fn device(self: &Arc<Self>) -> IoApicDevice {
        IoApicDevice(self.clone())
    }

    /// The wire to the input of `gsi`, if that is one of this I/O APIC.
    #[must_use]
    pub fn line(self: &Arc<Self>, gsi: u32) -> Option<IrqLine> {
        let pin = usize::try_from(gsi.checked_sub(self.lock().gsi_base)?).ok()?;
        let ioapic = self.clone();
        (pin < PINS).then(|| IrqLine::to_controller(move |level| ioapic.lock().set_level(pin, level)))
    }

    /// A local APIC ended the interrupt `vector`. Level-triggered inputs with that vector may send again.
    pub fn end_of_interrupt(&self, vector: u8) {
        self.lock().end_of_interrupt(vector);
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for IoApic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoApic").field("gsi_base", &self.lock().gsi_base).finish_non_exhaustive()
    }
}

/// The registers of an [`IoApic`]: [`spec::LEN`] bytes.
#[derive(Debug)]
pub struct IoApicDevice(Arc<IoApic>);

impl Device for IoApicDevice {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        let core = self.0.lock();
        match (at.offset, at.width) {
            (_, Width::Qword) => Err(Refused),
            (IOREGSEL, _) => Ok(core.state.select.into()),
            (IOWIN, Width::Dword) => Ok(core.read().into()),
            (IOWIN | EOI, _) => Ok(0),
            _ => Err(Refused),
        }
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        let mut core = self.0.lock();
        match (at.offset, at.width) {
            (_, Width::Qword) => return Err(Refused),
            (IOREGSEL, _) => core.state.select = value as u8,
            (IOWIN, Width::Dword) => core.write(value as u32),
            (EOI, _) => core.end_of_interrupt(value as u8),
            _ => return Err(Refused),
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.0.lock().reset();
    }
}

struct Core {
    gsi_base: u32,
    routes: Arc<dyn MsiRoutes>,
    /// Whether somebody reports the end of interrupts.
    hears_ends: bool,
    /// The wires: theirs to change, so a reset leaves them alone.
    high: [bool; PINS],
    /// What `routes` was last told.
    told: [Option<Msi>; PINS],
    state: State,
}

/// What the guest can change.
struct State {
    select: u8,
    id: Id,
    entries: [Redirection; PINS],
}

impl Default for State {
    fn default() -> Self {
        Self { select: 0, id: Id::new(), entries: [Redirection::RESET; PINS] }
    }
}

impl Core {
    fn read(&self) -> u32 {
        let entry = |pin: usize| self.state.entries[pin].into_bits();
        match Register::decode(self.state.select) {
            Some(Register::Id | Register::Arbitration) => self.state.id.into_bits(),
            Some(Register::Version) => VERSION,
            Some(Register::EntryLow(pin)) => entry(pin) as u32,
            Some(Register::EntryHigh(pin)) => (entry(pin) >> 32) as u32,
            None => 0,
        }
    }

    fn write(&mut self, value: u32) {
        const LOW: u64 = u32::MAX as u64;
        match Register::decode(self.state.select) {
            Some(Register::Id) => self.state.id.set_id(Id::from_bits(value).id()),
            Some(Register::EntryLow(pin)) => self.write_entry(pin, value.into(), LOW),
            Some(Register::EntryHigh(pin)) => self.write_entry(pin, u64::from(value) << 32, !LOW),
            Some(Register::Version | Register::Arbitration) | None => {}
        }
    }

    fn write_entry(&mut self, pin: usize, value: u64, half: u64) {
        let mut entry = self.state.entries[pin].written(value, half);
        if !entry.level() {
            // There is no end to wait for. Old Linux kernels end an interrupt by switching to edge and back.
            entry.set_remote_irr(false);
        }
        self.state.entries[pin] = entry;
        self.tell(pin);
        self.serve_level(pin);
    }

    /// The message is sent without the lock that guards `self`. If the guest writes the entry before it is, that counts as if it
    /// had come a moment earlier: a masked level entry keeps its route, and masked edges are lost anyway.
    fn set_level(&mut self, pin: usize, high: bool) -> Option<Message> {
        let rises = high && !self.high[pin];
        self.high[pin] = high;
        let entry = self.state.entries[pin];
        let sends = if entry.level() { self.claim_level(pin) } else { rises && !entry.masked() };
        sends.then(|| Message::new(Arc::clone(&self.routes), self.gsi(pin)))
    }

    fn end_of_interrupt(&mut self, vector: u8) {
        for pin in 0..PINS {
            let entry = &mut self.state.entries[pin];
            let waits = entry.remote_irr() || !self.hears_ends && entry.level();
            if waits && entry.vector() == vector {
                entry.set_remote_irr(false);
                self.serve_level(pin);
            }
        }
    }

    /// Sends what a level-triggered input has to send, if anything.
    fn serve_level(&mut self, pin: usize) {
        if self.claim_level(pin) {
            self.routes.fire(self.gsi(pin));
        }
    }

    /// Whether a level-triggered input has to send a message, which its entry then waits for the end of.
    fn claim_level(&mut self, pin: usize) -> bool {
        let entry = &mut self.state.entries[pin];
        let sends = self.high[pin] && entry.level() && !entry.masked() && !entry.remote_irr();
        if sends {
            entry.set_remote_irr(self.hears_ends);
        }
        sends
    }

    /// Installs the route of an entry that is in use, and removes that of a masked edge entry.
    ///
    /// A masked level entry keeps its route: handlers mask first and end the interrupt afterwards, and KVM reports the
    /// end only of vectors that have a route. It does no harm, because only this device fires it, and it saves telling
    /// KVM twice for each interrupt that a thread of the guest handles.
    fn tell(&mut self, pin: usize) {
        let entry = self.state.entries[pin];
        let message = match (entry.masked(), entry.level()) {
            (false, _) if self.hears_ends => Some(entry.message()),
            (false, _) => Some(entry.with_level(false).message()),
            (true, true) => self.told[pin],
            (true, false) => None,
        };
        if message != self.told[pin] {
            self.told[pin] = message;
            self.routes.route(self.gsi(pin), message);
        }
    }

    fn gsi(&self, pin: usize) -> u32 {
        self.gsi_base + pin as u32
    }

    fn reset(&mut self) {
        self.state = State::default();
        (0..PINS).for_each(|pin| self.tell(pin));
    }
}
