//! The vCPUs' end: registers, decoded. Nothing here waits for a device; one that has its answer at hand is asked here.

use std::sync::Arc;

use bus::{Access, Device, Refused, Width};

use super::Config;
use super::control::Control;
use super::port::Protocol;
use super::shared::Shared;
use super::spec::registers::{
    AC64, BNC, CSZ, DOORBELLS, ERST_MAX, EXTENDED, IST, LTC, OPERATIONAL, PAGE_SIZE, RUNTIME, Register,
    UsbSts, VERSION, XECP,
};
use super::state::State;

/// The register window on a bus.
pub struct Registers {
    shared: Arc<Shared>,
    control: Control,
    /// Has somebody look what is to be done, this thread if it is done at once.
    look: Box<dyn Fn() + Send>,
    capabilities: Vec<u32>,
}

impl Registers {
    pub(crate) fn new(shared: Arc<Shared>, control: Control, look: Box<dyn Fn() + Send>) -> Self {
        let capabilities = capabilities(&shared.config);
        Self { shared, control, look, capabilities }
    }

    fn read_dword(&self, register: Register) -> u32 {
        let state = self.shared.lock();
        let interrupter = |index: usize| state.interrupters.get(index);
        match register {
            Register::Capability(index) => self.capabilities.get(index).copied().unwrap_or(0),
            Register::UsbCmd => state.command.into_bits(),
            Register::UsbSts => state.status.into_bits(),
            Register::PageSize => PAGE_SIZE,
            Register::DnCtrl => state.notifications,
            Register::Crcr(half) => half.of(state.crcr()),
            Register::Dcbaap(half) => half.of(state.contexts),
            Register::Config => state.config,
            Register::PortSc(index) => state.ports.get(index).map_or(0, |port| port.read()),
            Register::MfIndex => state.mfindex(self.shared.now()),
            Register::Iman(index) => interrupter(index).map_or(0, |i| i.iman()),
            Register::Imod(index) => interrupter(index).map_or(0, |i| i.imod()),
            Register::Erstsz(index) => interrupter(index).map_or(0, |i| i.erstsz()),
            Register::Erstba(index, half) => interrupter(index).map_or(0, |i| half.of(i.erstba())),
            Register::Erdp(index, half) => interrupter(index).map_or(0, |i| half.of(i.erdp())),
            Register::PortOther | Register::Doorbell(_) | Register::Reserved => 0,
        }
    }

    fn write_dword(&self, register: Register, value: u32) {
        if let Register::Doorbell(slot) = register {
            return self.ring(slot, value as u8);
        }
        let mut state = self.shared.lock();
        self.write_state(&mut state, register, value);
        let deferred = self.shared.settle(&mut state);
        drop(state);
        if deferred.is_some() {
            (self.look)(); // which sets the timer
        }
    }

    /// Commands are the worker's.
    fn ring(&self, slot: usize, target: u8) {
        match self.shared.ring(slot, target) {
            true if slot == 0 => self.shared.wake(),
            true => (self.look)(),
            false => {}
        }
    }

    fn write_state(&self, state: &mut State, register: Register, value: u32) {
        let now = self.shared.now();
        match register {
            Register::UsbCmd => {
                state.write_command(value, now);
                self.shared.wake();
            }
            Register::UsbSts => {
                let bits = state.status.into_bits() & !(value & UsbSts::RW1C);
                state.status = UsbSts::from_bits(bits);
            }
            Register::DnCtrl => state.notifications = value & 0xffff,
            Register::Crcr(half) => {
                state.write_crcr(half, value);
                if state.command_ring.stop {
                    self.shared.wake();
                }
            }
            Register::Dcbaap(half) => state.contexts = half.replace(state.contexts, value) & !0x3f,
            Register::Config => state.config = value & 0xff,
            Register::PortSc(index) => self.write_port(state, index, value),
            Register::Iman(_)
            | Register::Imod(_)
            | Register::Erstsz(_)
            | Register::Erstba(..)
            | Register::Erdp(..) => {
                self.write_interrupter(state, register, value);
            }
            _ => {}
        }
    }

    fn write_interrupter(&self, state: &mut State, register: Register, value: u32) {
        let now = self.shared.now();
        let (Register::Iman(index)
        | Register::Imod(index)
        | Register::Erstsz(index)
        | Register::Erstba(index, _)
        | Register::Erdp(index, _)) = register
        else {
            return;
        };
        let Some(interrupter) = state.interrupters.get_mut(index) else { return };
        match register {
            Register::Iman(_) => interrupter.write_iman(value, now),
            Register::Imod(_) => interrupter.write_imod(value),
            Register::Erstsz(_) => interrupter.write_erstsz(value),
            Register::Erstba(_, half) => interrupter.write_erstba(half, value),
            Register::Erdp(_, half) => {
                interrupter.write_erdp(half, value);
                if interrupter.is_congested() {
                    self.shared.wake(); // endpoints wait for the room this makes
                }
            }
            _ => {}
        }
    }

    /// A reset is the worker's, and so are transfers that wait for the link, and a device that is sent to sleep with something to
    /// tell.
    fn write_port(&self, state: &mut State, index: usize, value: u32) {
        let before = state.link(index);
        state.change_port(&self.shared.memory, index, |port| port.write(value));
        let needs_reset = state.ports.get(index).is_some_and(|port| port.needs_reset());
        if needs_reset || state.link(index) != before {
            self.shared.tell(index);
        }
    }
}

impl Device for Registers {
    /// Any width inside a dword; a qword as two dwords.
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        let (dword, shift) = (at.offset & !3, at.offset % 4 * 8);
        let low = u64::from(self.read_dword(Register::decode(dword)));
        match at.width {
            Width::Qword if shift == 0 => {
                Ok(low | u64::from(self.read_dword(Register::decode(dword + 4))) << 32)
            }
            Width::Qword => Err(Refused),
            width if shift + 8 * width.len() > 32 => Err(Refused),
            width => Ok(low >> shift & width.ones()),
        }
    }

    /// Dwords, and qwords as two of them, low first.
    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        match at.width {
            Width::Dword if at.offset.is_multiple_of(4) => {
                self.write_dword(Register::decode(at.offset), value as u32);
            }
            Width::Qword if at.offset.is_multiple_of(4) => {
                self.write_dword(Register::decode(at.offset), value as u32);
                self.write_dword(Register::decode(at.offset + 4), (value >> 32) as u32);
            }
            _ => return Err(Refused),
        }
        Ok(())
    }

    /// Waits until the worker has let go of everything.
    fn reset(&mut self) {
        self.control.reset();
    }
}

/// The capability registers and, behind them, the extended capabilities. xHCI 1.2, 5.3 and 7.2.
fn capabilities(config: &Config) -> Vec<u32> {
    const NEXT: u32 = 4; // dwords from one capability to the next
    let ports = u32::from(config.usb3_ports) + u32::from(config.usb2_ports);
    let context_size = if config.large_contexts { CSZ } else { 0 };
    let mut dwords = vec![
        OPERATIONAL as u32 | VERSION << 16,
        u32::from(config.slots) | u32::from(config.interrupters) << 8 | ports << 24,
        IST | ERST_MAX << 4,
        0,
        AC64 | BNC | LTC | context_size | XECP << 16,
        DOORBELLS as u32,
        RUNTIME as u32,
        0,
    ];
    debug_assert_eq!(dwords.len() as u64 * 4, EXTENDED);
    let groups =
        [(Protocol::Usb2, config.usb2_ports, config.usb3_ports + 1), (Protocol::Usb3, config.usb3_ports, 1)];
    let present: Vec<_> = groups.into_iter().filter(|(_, count, _)| *count > 0).collect();
    for (index, &(protocol, count, first)) in present.iter().enumerate() {
        let next = if index + 1 < present.len() { NEXT } else { 0 };
        dwords.extend(supported_protocol(protocol, first, count, next));
    }
    dwords
}

/// A Supported Protocol capability. xHCI 1.2, 7.2.
fn supported_protocol(protocol: Protocol, first: u8, count: u8, next: u32) -> [u32; 4] {
    const ID: u32 = 2;
    let revision = match protocol {
        Protocol::Usb2 => 2,
        Protocol::Usb3 => 3,
    };
    let ports = u32::from(first) | u32::from(count) << 8;
    [ID | next << 8 | revision << 24, u32::from_le_bytes(*b"USB "), ports, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_those_of_the_machines_contract_but_for_what_we_have_more() {
        let dwords = capabilities(&Config { interrupters: 1, ..Config::default() });
        let expected = [
            0x0120_0040,
            0x1000_0140,
            0x0000_005f,
            0,
            0x0008_0043,
            0x2000,
            0x1000,
            0, //
            0x0200_0402,
            0x2042_5355,
            0x0000_0809,
            0,
            0x0300_0002,
            0x2042_5355,
            0x0000_0801,
            0,
        ];
        assert_eq!(dwords, expected);
    }

    #[test]
    fn controller_without_usb_2_has_one_capability() {
        let dwords = capabilities(&Config { usb2_ports: 0, ..Config::default() });
        assert_eq!(dwords[8..], [0x0300_0002, 0x2042_5355, 0x0000_0801, 0]);
    }
}
