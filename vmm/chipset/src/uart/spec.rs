//! Registers of the 16550A. PC16550D data sheet, section 8 and table 2.

use bitfield_struct::bitfield;

/// Ports.
pub const LEN: u64 = 8;
/// Bytes in either FIFO.
pub const FIFO: usize = 16;

/// Receiver buffer (read), transmitter holding register (write); divisor, low byte, with DLAB.
pub const DATA: u64 = 0;
/// [`Ier`]; divisor, high byte, with DLAB.
pub const IER: u64 = 1;
/// Interrupt identification (read), [`Fcr`] (write).
pub const IIR_FCR: u64 = 2;
/// [`Lcr`].
pub const LCR: u64 = 3;
/// [`Mcr`].
pub const MCR: u64 = 4;
/// [`Lsr`].
pub const LSR: u64 = 5;
/// [`Msr`].
pub const MSR: u64 = 6;
/// Scratch.
pub const SCR: u64 = 7;

/// Divisor at power-on: 9600 baud from 1.8432 MHz. The data sheet leaves it open.
pub const DIVISOR: u16 = 12;

/// Interrupt Enable Register. 8.7.
#[bitfield(u8)]
pub struct Ier {
    /// Received data, and time-out.
    pub received: bool,
    /// Transmitter holding register empty.
    pub thr_empty: bool,
    /// Receiver line status.
    pub line_status: bool,
    /// Modem status.
    pub modem_status: bool,
    #[bits(4)]
    __: u8,
}

impl Ier {
    /// The others read as zero, which is how drivers tell a 16550A from its successors.
    pub const WRITABLE: u8 = 0x0f;
}

/// What the Interrupt Identification Register names, in order of priority. 8.5, table 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Interrupt {
    /// An error in [`Lsr`]; reading it ends the interrupt.
    LineStatus = 0b0110,
    /// The receive FIFO reached its trigger level, or there is a byte and no FIFO.
    Received = 0b0100,
    /// There are bytes below the trigger level, and no more come.
    TimeOut = 0b1100,
    /// The next byte can be written; writing it, or having read this, ends the interrupt.
    ThrEmpty = 0b0010,
    /// An input in [`Msr`] changed; reading it ends the interrupt.
    ModemStatus = 0b0000,
}

/// What the Interrupt Identification Register shows without an interrupt.
pub const IIR_NONE: u8 = 0b0001;
/// Set there while the FIFOs are on.
pub const IIR_FIFOS: u8 = 0b1100_0000;

/// FIFO Control Register. 8.6.
#[bitfield(u8)]
pub struct Fcr {
    /// FIFOs on. The other bits count only together with this one.
    pub enable: bool,
    /// Empty the receive FIFO.
    pub clear_receive: bool,
    /// Empty the transmit FIFO.
    pub clear_transmit: bool,
    /// For a DMA controller that is not there.
    pub dma_mode: bool,
    #[bits(2)]
    __: u8,
    /// Receive trigger level, coded.
    #[bits(2)]
    pub trigger: u8,
}

impl Fcr {
    /// Bytes in the receive FIFO that make it worth an interrupt.
    #[must_use]
    pub fn trigger_level(self) -> usize {
        match (self.enable(), self.trigger()) {
            (false, _) | (_, 0) => 1,
            (_, 1) => 4,
            (_, 2) => 8,
            _ => 14,
        }
    }

    /// Bytes that the receiver holds.
    #[must_use]
    pub fn depth(self) -> usize {
        if self.enable() { FIFO } else { 1 }
    }
}

/// Line Control Register. 8.1. What the wire looks like has no effect: there is none.
#[bitfield(u8)]
pub struct Lcr {
    /// Data bits, less five.
    #[bits(2)]
    pub word_length: u8,
    /// More than one stop bit.
    pub stop_bits: bool,
    /// With parity.
    pub parity: bool,
    /// Even parity.
    pub even: bool,
    /// Parity bit constant.
    pub stick: bool,
    /// Send a break.
    pub set_break: bool,
    /// Divisor latch access: offsets 0 and 1 are the divisor.
    pub dlab: bool,
}

/// Modem Control Register. 8.8.
#[bitfield(u8)]
pub struct Mcr {
    /// Data terminal ready.
    pub dtr: bool,
    /// Request to send.
    pub rts: bool,
    /// First spare output.
    pub out1: bool,
    /// Second spare output. On a PC it gates the interrupt; QEMU and this model leave the gate open.
    pub out2: bool,
    /// Transmitter and outputs are connected to receiver and inputs, inside.
    pub loopback: bool,
    #[bits(3)]
    __: u8,
}

impl Mcr {
    /// At power-on, as QEMU has it; zero in the data sheet.
    pub const RESET: Self = Self::new().with_out2(true);
    /// The others read as zero.
    pub const WRITABLE: u8 = 0x1f;
}

/// Line Status Register. 8.4.
#[bitfield(u8)]
pub struct Lsr {
    /// A byte can be read.
    pub data_ready: bool,
    /// A byte arrived that had no room.
    pub overrun: bool,
    /// Wrong parity.
    pub parity_error: bool,
    /// No stop bit.
    pub framing_error: bool,
    /// A break arrived.
    pub break_interrupt: bool,
    /// The next byte, or with FIFOs the next sixteen, can be written.
    pub thr_empty: bool,
    /// Nothing is being sent.
    pub transmitter_empty: bool,
    /// A byte in the receive FIFO has an error.
    pub fifo_error: bool,
}

/// Modem Status Register. 8.9.
#[bitfield(u8)]
pub struct Msr {
    /// CTS changed since the last read.
    pub delta_cts: bool,
    /// DSR changed since the last read.
    pub delta_dsr: bool,
    /// RI went off since the last read.
    pub trailing_ri: bool,
    /// DCD changed since the last read.
    pub delta_dcd: bool,
    /// Clear to send.
    pub cts: bool,
    /// Data set ready.
    pub dsr: bool,
    /// Ring indicator.
    pub ri: bool,
    /// Data carrier detect.
    pub dcd: bool,
}

impl Msr {
    /// Somebody listens, and always will.
    pub const CONNECTED: Self = Self::new().with_cts(true).with_dsr(true).with_dcd(true);
    /// The bits that tell of changes.
    pub const DELTAS: u8 = 0x0f;

    /// The inputs while they are connected to the outputs in `mcr`. 8.8, bit 4.
    #[must_use]
    pub fn looped_back(mcr: Mcr) -> Self {
        Self::new().with_cts(mcr.rts()).with_dsr(mcr.dtr()).with_ri(mcr.out1()).with_dcd(mcr.out2())
    }

    /// The register after the inputs became those of `now`; earlier changes stay visible.
    #[must_use]
    pub fn changed_to(self, now: Self) -> Self {
        now.with_delta_cts(self.delta_cts() || self.cts() != now.cts())
            .with_delta_dsr(self.delta_dsr() || self.dsr() != now.dsr())
            .with_trailing_ri(self.trailing_ri() || self.ri() && !now.ri())
            .with_delta_dcd(self.delta_dcd() || self.dcd() != now.dcd())
    }

    /// The register once it was read.
    #[must_use]
    pub fn seen(self) -> Self {
        Self::from_bits(self.into_bits() & !Self::DELTAS)
    }

    /// An input changed since the last read.
    #[must_use]
    pub fn any_change(self) -> bool {
        self.into_bits() & Self::DELTAS != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_stand_where_the_data_sheet_puts_them() {
        assert_eq!(Ier::new().with_received(true).into_bits(), 0x01);
        assert_eq!(Ier::new().with_thr_empty(true).into_bits(), 0x02);
        assert_eq!(Ier::new().with_line_status(true).into_bits(), 0x04);
        assert_eq!(Ier::new().with_modem_status(true).into_bits(), 0x08);
        assert_eq!(Fcr::new().with_clear_receive(true).into_bits(), 0x02);
        assert_eq!(Fcr::new().with_clear_transmit(true).into_bits(), 0x04);
        assert_eq!(Fcr::new().with_trigger(3).into_bits(), 0xc0);
        assert_eq!(Lcr::new().with_dlab(true).into_bits(), 0x80);
        assert_eq!(Lcr::new().with_set_break(true).into_bits(), 0x40);
        assert_eq!(Mcr::new().with_loopback(true).into_bits(), 0x10);
        assert_eq!(Mcr::RESET.into_bits(), 0x08);
        assert_eq!(Lsr::new().with_data_ready(true).with_overrun(true).into_bits(), 0x03);
        assert_eq!(Lsr::new().with_thr_empty(true).with_transmitter_empty(true).into_bits(), 0x60);
        assert_eq!(Msr::CONNECTED.into_bits(), 0xb0);
    }

    #[test]
    fn trigger_levels_are_those_of_the_data_sheet() {
        let level = |bits: u8| Fcr::from_bits(bits).trigger_level();
        assert_eq!([0x01, 0x41, 0x81, 0xc1].map(level), [1, 4, 8, 14]);
        assert_eq!(level(0xc0), 1, "FIFOs off");
    }

    #[test]
    fn loopback_connects_outputs_to_inputs() {
        let looped = |bits: u8| Msr::looped_back(Mcr::from_bits(bits)).into_bits();
        assert_eq!([0x01, 0x02, 0x04, 0x08].map(looped), [0x20, 0x10, 0x40, 0x80]);
    }

    #[test]
    fn ring_indicator_reports_its_end_only() {
        let ringing = Msr::CONNECTED.changed_to(Msr::CONNECTED.with_ri(true));
        assert!(!ringing.any_change());
        assert!(ringing.changed_to(Msr::CONNECTED).trailing_ri());
    }
}
