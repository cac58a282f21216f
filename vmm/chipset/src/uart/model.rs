//! The rules of the 16550A.

use std::collections::VecDeque;

use bus::IrqLine;

use super::OUTPUT_CAPACITY;
use super::spec::{
    DATA, DIVISOR, FIFO, Fcr, IER, IIR_FCR, IIR_FIFOS, IIR_NONE, Ier, Interrupt, LCR, LSR, Lcr, Lsr, MCR,
    MSR, Mcr, Msr, SCR,
};

/// The device, and both ends of its wires.
pub(super) struct Model {
    line: IrqLine,
    /// The level of the line. Most accesses leave it as it is.
    raised: bool,
    /// Sent and not yet taken. The last [`FIFO`] places are the transmit FIFO: while they are in use, THRE is off.
    output: Vec<u8>,
    /// Somebody takes the output.
    attached: bool,
    /// The host has input for which there was no room.
    input_waits: bool,
    /// There is news for the host.
    wake: bool,
    state: State,
}

/// What the guest can change.
#[derive(Clone)]
struct State {
    ier: Ier,
    fcr: Fcr,
    lcr: Lcr,
    mcr: Mcr,
    msr: Msr,
    scratch: u8,
    divisor: u16,
    received: VecDeque<u8>,
    overrun: bool,
    /// The transmitter ran empty, and the guest did not react yet.
    thr_interrupt: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            ier: Ier::new(),
            fcr: Fcr::new(),
            lcr: Lcr::new(),
            mcr: Mcr::RESET,
            msr: Msr::CONNECTED,
            scratch: 0,
            divisor: DIVISOR,
            received: VecDeque::with_capacity(FIFO),
            overrun: false,
            thr_interrupt: false,
        }
    }
}

/// The guest's side.
impl Model {
    pub(super) fn new(line: IrqLine) -> Self {
        Self {
            line,
            raised: false,
            output: Vec::new(),
            attached: true,
            input_waits: false,
            wake: false,
            state: State::default(),
        }
    }

    pub(super) fn read(&mut self, offset: u64) -> u8 {
        let [low, high] = self.state.divisor.to_le_bytes();
        let value = match (offset, self.state.lcr.dlab()) {
            (DATA, true) => low,
            (IER, true) => high,
            (DATA, false) => self.state.received.pop_front().unwrap_or(0),
            (IER, false) => self.state.ier.into_bits(),
            (IIR_FCR, _) => self.identify(),
            (LCR, _) => self.state.lcr.into_bits(),
            (MCR, _) => self.state.mcr.into_bits(),
            (LSR, _) => self.read_line_status(),
            (MSR, _) => self.read_modem_status(),
            (SCR, _) => self.state.scratch,
            _ => 0,
        };
        self.settle();
        value
    }

    pub(super) fn write(&mut self, offset: u64, value: u8) {
        let [low, high] = self.state.divisor.to_le_bytes();
        match (offset, self.state.lcr.dlab()) {
            (DATA, true) => self.state.divisor = u16::from_le_bytes([value, high]),
            (IER, true) => self.state.divisor = u16::from_le_bytes([low, value]),
            (DATA, false) => self.transmit(value),
            (IER, false) => self.enable(Ier::from_bits(value & Ier::WRITABLE)),
            (IIR_FCR, _) => self.control_fifos(Fcr::from_bits(value)),
            (LCR, _) => self.state.lcr = Lcr::from_bits(value),
            (MCR, _) => self.control_modem(Mcr::from_bits(value & Mcr::WRITABLE)),
            (SCR, _) => self.state.scratch = value,
            _ => {} // LSR and MSR are for reading; writes to LSR are the factory's
        }
        self.settle();
    }

    /// What was sent before stays on its way.
    pub(super) fn reset(&mut self) {
        self.state = State::default();
        self.settle();
    }

    /// Drives the line, and calls the host if it waits for room that is there now.
    fn settle(&mut self) {
        let raised = self.interrupt().is_some();
        if raised != self.raised {
            self.raised = raised;
            self.line.set(raised);
        }
        if self.input_waits && self.room() > 0 {
            self.input_waits = false;
            self.wake = true;
        }
    }

    /// The pending interrupt of the highest priority. Table 4.
    fn interrupt(&self) -> Option<Interrupt> {
        let State { ier, fcr, msr, received, overrun, thr_interrupt, .. } = &self.state;
        if ier.line_status() && *overrun {
            Some(Interrupt::LineStatus)
        } else if ier.received() && received.len() >= fcr.trigger_level() {
            Some(Interrupt::Received)
        } else if ier.received() && !received.is_empty() {
            // The time-out comes after four characters' time without a byte. Our bytes come in no time at all.
            Some(Interrupt::TimeOut)
        } else if ier.thr_empty() && *thr_interrupt {
            Some(Interrupt::ThrEmpty)
        } else {
            (ier.modem_status() && msr.any_change()).then_some(Interrupt::ModemStatus)
        }
    }

    fn identify(&mut self) -> u8 {
        let fifos = if self.state.fcr.enable() { IIR_FIFOS } else { 0 };
        let interrupt = self.interrupt();
        if interrupt == Some(Interrupt::ThrEmpty) {
            self.state.thr_interrupt = false;
        }
        fifos | interrupt.map_or(IIR_NONE, |interrupt| interrupt as u8)
    }

    fn read_line_status(&mut self) -> u8 {
        let overrun = std::mem::take(&mut self.state.overrun);
        let empty = self.thr_empty();
        Lsr::new()
            .with_data_ready(!self.state.received.is_empty())
            .with_overrun(overrun)
            .with_thr_empty(empty)
            .with_transmitter_empty(empty)
            .into_bits()
    }

    fn read_modem_status(&mut self) -> u8 {
        let status = self.state.msr;
        self.state.msr = status.seen();
        status.into_bits()
    }

    /// Enabling the interrupt of an idle transmitter raises it at once; SeaBIOS and Linux test for that.
    fn enable(&mut self, ier: Ier) {
        if ier.thr_empty() && !self.state.ier.thr_empty() && self.thr_empty() {
            self.state.thr_interrupt = true;
        }
        self.state.ier = ier;
    }

    fn control_fifos(&mut self, fcr: Fcr) {
        let fcr = if fcr.enable() { fcr } else { Fcr::new() };
        let switched = fcr.enable() != self.state.fcr.enable();
        if switched || fcr.clear_receive() {
            self.state.received.clear();
        }
        if switched || fcr.clear_transmit() {
            self.output.truncate(OUTPUT_CAPACITY - FIFO);
            self.state.thr_interrupt = true;
        }
        self.state.fcr = fcr;
    }

    fn control_modem(&mut self, mcr: Mcr) {
        let inputs = if mcr.loopback() { Msr::looped_back(mcr) } else { Msr::CONNECTED };
        self.state.mcr = mcr;
        self.state.msr = self.state.msr.changed_to(inputs);
    }

    /// Sends `byte`. The line falls before it rises again, because to an edge-triggered input that is the difference
    /// between one byte that was sent and the next.
    fn transmit(&mut self, byte: u8) {
        self.state.thr_interrupt = false;
        self.settle();
        if self.state.mcr.loopback() {
            self.receive(byte);
        } else {
            self.send(byte);
        }
        self.state.thr_interrupt = self.thr_empty();
    }

    /// A byte for which there is no room was written against THRE, and is lost, as from a full FIFO.
    fn send(&mut self, byte: u8) {
        if self.attached && self.output.len() < OUTPUT_CAPACITY {
            self.wake |= self.output.is_empty();
            self.output.push(byte);
        }
    }

    /// A byte from our own transmitter. Without FIFOs a late one takes the place of its predecessor. 8.4, bit 1.
    fn receive(&mut self, byte: u8) {
        if self.state.received.len() == self.state.fcr.depth() {
            self.state.overrun = true;
            if self.state.fcr.enable() {
                return;
            }
            self.state.received.clear();
        }
        self.state.received.push_back(byte);
    }

    fn thr_empty(&self) -> bool {
        self.output.len() + FIFO <= OUTPUT_CAPACITY
    }
}

/// The host's side.
impl Model {
    /// True once after each change that concerns the host.
    pub(super) fn take_wake(&mut self) -> bool {
        std::mem::take(&mut self.wake)
    }

    pub(super) fn take_output(&mut self, into: &mut Vec<u8>) {
        let stuck = !self.thr_empty();
        into.append(&mut self.output);
        self.state.thr_interrupt |= stuck;
        self.settle();
    }

    /// From now on nobody takes the output, and the guest sends into the void.
    pub(super) fn detach(&mut self) {
        self.attached = false;
        self.take_output(&mut Vec::new());
    }

    /// How many bytes the receiver can take now. If none, the host is called when it can.
    pub(super) fn input_space(&mut self) -> usize {
        let room = self.room();
        self.input_waits |= room == 0;
        room
    }

    /// Receives as much of `bytes` as there is room for. If that is not all, the host is called when there is more.
    pub(super) fn push_input(&mut self, bytes: &[u8]) -> usize {
        let accepted = bytes.len().min(self.room());
        self.state.received.extend(bytes.iter().take(accepted));
        self.input_waits = accepted < bytes.len();
        self.settle();
        accepted
    }

    /// In loopback mode the receiver does not hear the host.
    fn room(&self) -> usize {
        let free = self.state.fcr.depth().saturating_sub(self.state.received.len());
        if self.state.mcr.loopback() { 0 } else { free }
    }
}
