//! Registers. xHCI 1.2, chapter 5.

use bitfield_struct::bitfield;

/// Bytes of all registers.
pub(crate) const LEN: u64 = 0x4000;
/// Operational registers, CAPLENGTH.
pub(crate) const OPERATIONAL: u64 = 0x40;
/// Port registers: after the operational registers. xHCI 1.2, 5.4.
pub(crate) const PORTS: u64 = OPERATIONAL + 0x400;
/// Bytes of the registers of one port.
pub(crate) const PORT_LEN: u64 = 0x10;
/// Runtime registers, RTSOFF.
pub(crate) const RUNTIME: u64 = 0x1000;
/// The registers of interrupter 0, and bytes from one to the next. xHCI 1.2, 5.5.2.
pub(crate) const INTERRUPTERS: u64 = RUNTIME + 0x20;
pub(crate) const INTERRUPTER_LEN: u64 = 0x20;
/// Doorbells, DBOFF.
pub(crate) const DOORBELLS: u64 = 0x2000;

/// HCIVERSION: 1.2.
pub(crate) const VERSION: u32 = 0x0120;
/// Isochronous scheduling threshold, in microframes. xHCI 1.2, 5.3.4.
pub(crate) const IST: u32 = 0xf;
/// Exponent of the most segments of an event ring. xHCI 1.2, 5.3.4.
pub(crate) const ERST_MAX: u32 = 5;
/// HCCPARAMS1: 64-bit addresses; Negotiate Bandwidth; 64-byte contexts; Set Latency Tolerance Value.
pub(crate) const AC64: u32 = 1;
pub(crate) const BNC: u32 = 1 << 1;
pub(crate) const CSZ: u32 = 1 << 2;
pub(crate) const LTC: u32 = 1 << 6;
/// Where the extended capabilities begin, in dwords.
pub(crate) const XECP: u32 = EXTENDED as u32 / 4;
/// The same in bytes: after the capability registers.
pub(crate) const EXTENDED: u64 = 0x20;
/// PAGESIZE: 4 KiB.
pub(crate) const PAGE_SIZE: u32 = 1;

/// USB Command. xHCI 1.2, 5.4.1.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub(crate) struct UsbCmd {
    /// Run, RS.
    pub(crate) run: bool,
    /// Host controller reset, HCRST; reads as 1 until it is done.
    pub(crate) reset: bool,
    /// Interrupter enable, INTE.
    pub(crate) interrupts: bool,
    /// Host system error enable, HSEE.
    pub(crate) system_errors: bool,
    #[bits(3)]
    __: u8,
    /// Light reset, LHCRST: not there.
    light_reset: bool,
    /// Controller save state, CSS; reads as 0.
    pub(crate) save: bool,
    /// Controller restore state, CRS; reads as 0.
    pub(crate) restore: bool,
    /// Enable wrap event, EWE.
    pub(crate) wrap_events: bool,
    /// Enable U3 MFINDEX stop, EU3S.
    u3_stop: bool,
    #[bits(20)]
    __: u32,
}

impl UsbCmd {
    /// What a write changes besides what it triggers.
    pub(crate) const STORED: u32 = Self::new()
        .with_interrupts(true)
        .with_system_errors(true)
        .with_wrap_events(true)
        .with_u3_stop(true)
        .into_bits();
}

/// USB Status. xHCI 1.2, 5.4.2.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub(crate) struct UsbSts {
    /// Halted, HCH.
    pub(crate) halted: bool,
    __: bool,
    /// Host system error, HSE: memory that is not there.
    pub(crate) system_error: bool,
    /// Event interrupt, EINT.
    pub(crate) event_interrupt: bool,
    /// Port change detect, PCD.
    pub(crate) port_change: bool,
    #[bits(3)]
    __: u8,
    /// Save state status, SSS.
    saving: bool,
    /// Restore state status, RSS.
    restoring: bool,
    /// Save/restore error, SRE.
    pub(crate) restore_error: bool,
    /// Controller not ready, CNR.
    not_ready: bool,
    /// Host controller error, HCE.
    pub(crate) controller_error: bool,
    #[bits(19)]
    __: u32,
}

impl UsbSts {
    /// Bits the driver clears by writing one.
    pub(crate) const RW1C: u32 = Self::new()
        .with_system_error(true)
        .with_event_interrupt(true)
        .with_port_change(true)
        .with_restore_error(true)
        .into_bits();
}

/// Command Ring Control. xHCI 1.2, 5.4.5.
pub(crate) mod crcr {
    /// Ring cycle state, RCS.
    pub(crate) const CYCLE: u64 = 1;
    /// Command stop, CS.
    pub(crate) const STOP: u64 = 1 << 1;
    /// Command abort, CA.
    pub(crate) const ABORT: u64 = 1 << 2;
    /// Command ring running, CRR.
    pub(crate) const RUNNING: u64 = 1 << 3;
    /// The address.
    pub(crate) const POINTER: u64 = !0x3f;
}

/// A register, decoded. 64-bit registers come in halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Register {
    /// A capability register or extended capability: its dword.
    Capability(usize),
    UsbCmd,
    UsbSts,
    PageSize,
    DnCtrl,
    Crcr(Half),
    Dcbaap(Half),
    Config,
    /// PORTSC of the port with this index, from 0.
    PortSc(usize),
    /// Another register of a port: PORTPMSC, PORTLI, PORTHLPMC.
    PortOther,
    MfIndex,
    Iman(usize),
    Imod(usize),
    Erstsz(usize),
    Erstba(usize, Half),
    Erdp(usize, Half),
    /// The doorbell of a slot; 0 is the command ring's.
    Doorbell(usize),
    Reserved,
}

/// Half of a 64-bit register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Low,
    High,
}

impl Half {
    /// `value` with this half replaced.
    pub(crate) fn replace(self, value: u64, half: u32) -> u64 {
        match self {
            Self::Low => value & !0xffff_ffff | u64::from(half),
            Self::High => value & 0xffff_ffff | u64::from(half) << 32,
        }
    }

    /// This half of `value`.
    pub(crate) fn of(self, value: u64) -> u32 {
        match self {
            Self::Low => value as u32,
            Self::High => (value >> 32) as u32,
        }
    }
}

impl Register {
    /// The register at `offset`, a multiple of 4.
    pub(crate) fn decode(offset: u64) -> Self {
        match offset {
            0..OPERATIONAL => Self::Capability(offset as usize / 4),
            OPERATIONAL..PORTS => Self::operational(offset - OPERATIONAL),
            PORTS..RUNTIME => Self::port(offset - PORTS),
            RUNTIME => Self::MfIndex,
            INTERRUPTERS..DOORBELLS => Self::interrupter(offset - INTERRUPTERS),
            DOORBELLS..LEN => Self::Doorbell((offset - DOORBELLS) as usize / 4),
            _ => Self::Reserved,
        }
    }

    fn operational(offset: u64) -> Self {
        match offset {
            0x00 => Self::UsbCmd,
            0x04 => Self::UsbSts,
            0x08 => Self::PageSize,
            0x14 => Self::DnCtrl,
            0x18 => Self::Crcr(Half::Low),
            0x1c => Self::Crcr(Half::High),
            0x30 => Self::Dcbaap(Half::Low),
            0x34 => Self::Dcbaap(Half::High),
            0x38 => Self::Config,
            _ => Self::Reserved,
        }
    }

    fn port(offset: u64) -> Self {
        match offset % PORT_LEN {
            0 => Self::PortSc((offset / PORT_LEN) as usize),
            _ => Self::PortOther,
        }
    }

    fn interrupter(offset: u64) -> Self {
        let index = (offset / INTERRUPTER_LEN) as usize;
        match offset % INTERRUPTER_LEN {
            0x00 => Self::Iman(index),
            0x04 => Self::Imod(index),
            0x08 => Self::Erstsz(index),
            0x10 => Self::Erstba(index, Half::Low),
            0x14 => Self::Erstba(index, Half::High),
            0x18 => Self::Erdp(index, Half::Low),
            0x1c => Self::Erdp(index, Half::High),
            _ => Self::Reserved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_bits_are_where_the_standard_has_them() {
        let bits = [
            (UsbCmd::new().with_run(true), 0),
            (UsbCmd::new().with_reset(true), 1),
            (UsbCmd::new().with_interrupts(true), 2),
            (UsbCmd::new().with_system_errors(true), 3),
            (UsbCmd::new().with_save(true), 8),
            (UsbCmd::new().with_restore(true), 9),
            (UsbCmd::new().with_wrap_events(true), 10),
            (UsbCmd::new().with_u3_stop(true), 11),
        ];
        for (command, bit) in bits {
            assert_eq!(command.into_bits(), 1 << bit);
        }
    }

    #[test]
    fn status_bits_are_where_the_standard_has_them() {
        let bits = [
            (UsbSts::new().with_halted(true), 0),
            (UsbSts::new().with_system_error(true), 2),
            (UsbSts::new().with_event_interrupt(true), 3),
            (UsbSts::new().with_port_change(true), 4),
            (UsbSts::new().with_restore_error(true), 10),
            (UsbSts::new().with_not_ready(true), 11),
            (UsbSts::new().with_controller_error(true), 12),
        ];
        for (status, bit) in bits {
            assert_eq!(status.into_bits(), 1 << bit);
        }
    }

    #[test]
    fn registers_decode_at_the_offsets_of_the_standard() {
        assert_eq!(Register::decode(0x58), Register::Crcr(Half::Low));
        assert_eq!(Register::decode(0x450), Register::PortSc(1));
        assert_eq!(Register::decode(0x454), Register::PortOther);
        assert_eq!(Register::decode(0x1000), Register::MfIndex);
        assert_eq!(Register::decode(0x1004), Register::Reserved);
        assert_eq!(Register::decode(0x105c), Register::Erdp(1, Half::High));
        assert_eq!(Register::decode(0x2008), Register::Doorbell(2));
    }
}
