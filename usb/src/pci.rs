//! The xHCI controller as a PCI function. xHCI 1.2, 5.2.
//!
//! ```text
//!  BAR 0   0x0000  registers, as on the system bus        0x3000  MSI-X table
//!          0x2000  doorbells                              0x3800  pending bits
//! ```

use std::io;

use bus::{Access, Device as _, Refused};
use pcie::{Bar, BarKind, ConfigSpace, Function, Identity, Messages, Mode, MsixLayout};
use vm_memory::GuestMemoryMmap;

use crate::xhci::{self, Config, Interrupts, Registers, Xhci};

/// Of the range that its owner leaves to everybody for experiments. Drivers find the controller by its class, and mend what
/// others' numbers stand for.
const VENDOR: u16 = 0x1af4;
const DEVICE: u16 = 0x10f1;
/// Serial bus, USB, xHCI.
const CLASS: [u8; 3] = [0x0c, 0x03, 0x30];
const BAR: usize = 0;
const TABLE: u32 = 0x3000;
const PENDING: u32 = 0x3800;

/// The function; the controller itself is started beside it.
pub struct XhciFunction {
    config: ConfigSpace,
    registers: Registers,
}

impl XhciFunction {
    /// A controller with nothing plugged in, and its function: a message for each interrupter, or the pin for the first.
    ///
    /// # Errors
    /// The host has no more descriptors or threads.
    pub fn start(config: Config, messages: Messages, memory: GuestMemoryMmap) -> io::Result<(Xhci, Self)> {
        let identity = Identity {
            vendor: VENDOR,
            device: DEVICE,
            revision: 1,
            class: CLASS,
            subsystem: [VENDOR, DEVICE],
        };
        let vectors = config.interrupters.into();
        let space = ConfigSpace::endpoint(identity)
            .bar(BAR, Bar { size: xhci::LEN, kind: BarKind::Memory64 })
            .pin()
            .power_management()
            .messages(messages, MsixLayout { vectors, bar: BAR, table: TABLE, pending: PENDING })
            .express()
            .build();
        let (controller, registers) = Xhci::start(config, memory, Box::new(space.interrupts().clone()))?;
        Ok((controller, Self { config: space, registers }))
    }
}

impl Interrupts for pcie::Interrupts {
    fn set_line(&self, level: bool) {
        self.set_pin(level);
    }

    fn send(&self, interrupter: u16) -> bool {
        let by_message = self.mode() != Mode::Pin;
        if by_message {
            self.fire(interrupter);
        }
        by_message
    }
}

impl Function for XhciFunction {
    fn config(&mut self) -> &mut ConfigSpace {
        &mut self.config
    }

    fn read_bar(&mut self, _bar: usize, at: Access) -> Result<u64, Refused> {
        self.registers.read(at)
    }

    fn write_bar(&mut self, _bar: usize, at: Access, value: u64) -> Result<(), Refused> {
        self.registers.write(at, value)
    }

    fn reset(&mut self) {
        self.registers.reset();
    }
}

#[cfg(test)]
mod tests {
    use bus::Width;
    use vm_memory::GuestAddress;

    use super::*;

    fn function() -> (Xhci, XhciFunction) {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x1000)]).unwrap();
        XhciFunction::start(Config::default(), Messages::Either, memory).unwrap()
    }

    #[test]
    fn class_is_usb_with_the_interface_of_xhci() {
        let (_controller, mut function) = function();
        let class = function.read_config(Access { offset: 8, width: Width::Dword });
        assert_eq!(class >> 8, 0x0c_0330);
    }

    #[test]
    fn registers_are_in_bar_0() {
        let (_controller, mut function) = function();
        assert_eq!(function.read_bar(0, Access { offset: 0, width: Width::Byte }), Ok(0x40));
        function.write_bar(0, Access { offset: 0x78, width: Width::Dword }, 5).unwrap();
        assert_eq!(function.read_bar(0, Access { offset: 0x78, width: Width::Dword }), Ok(5));
        function.reset();
        assert_eq!(function.read_bar(0, Access { offset: 0x78, width: Width::Dword }), Ok(0));
    }

    #[test]
    fn interrupts_take_the_pin_until_the_driver_wants_messages() {
        let (_controller, mut function) = function();
        let interrupts = function.config().interrupts().clone();
        assert!(!interrupts.send(0));
    }
}
