//! The PCI Express capability. PCIe 5.0, 7.5.3.

use super::registers::Registers;
use super::{ConfigSpace, Header, spec};

/// What a function is to its link, which follows from where it is plugged in. PCIe 5.0, 7.5.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortType {
    /// A function at the end of a link.
    Endpoint,
    /// A bridge from the root bus to a link: its number, and whether the slot is occupied.
    RootPort {
        /// The port's number, and its slot's.
        number: u8,
    },
    /// A function on the root bus, where there are no links.
    Integrated,
}

impl PortType {
    const fn code(self) -> u16 {
        match self {
            Self::Endpoint => 0,
            Self::RootPort { .. } => 4,
            Self::Integrated => 9,
        }
    }
}

/// Registers that do not depend on the type of port.
pub(super) fn define(registers: &mut Registers, at: usize, header: Header) {
    let reset = match header {
        Header::Endpoint => spec::FUNCTION_LEVEL_RESET,
        Header::Bridge => 0,
    };
    let capabilities = (spec::ROLE_BASED_ERRORS | reset).to_le_bytes();
    registers.define(at + spec::DEVICE_CAPABILITIES, capabilities, [0; 4]);
    let control = (spec::DEVICE_CONTROL_RESET, spec::DEVICE_CONTROL_WRITABLE);
    registers.define(at + spec::DEVICE_CONTROL, control.0.to_le_bytes(), control.1.to_le_bytes());
}

impl ConfigSpace {
    /// Tells the function where it is plugged in.
    pub(crate) fn set_port_type(&mut self, port: PortType) {
        let Some(at) = self.capabilities.express else { return };
        let slot = if matches!(port, PortType::RootPort { .. }) { spec::EXPRESS_SLOT } else { 0 };
        let flags = spec::EXPRESS_VERSION | port.code() << 4 | slot;
        self.registers.define(at + spec::EXPRESS_FLAGS, flags.to_le_bytes(), [0; 2]);
        match port {
            PortType::Integrated => {}
            PortType::Endpoint => self.define_link(at, 0),
            PortType::RootPort { number } => {
                self.define_link(at, number);
                self.define_slot(at, number);
            }
        }
    }

    /// Tells a root port that its slot is occupied.
    pub(crate) fn set_slot_occupied(&mut self) {
        let Some(at) = self.capabilities.express else { return };
        self.registers.define(at + spec::SLOT_STATUS, spec::PRESENCE_DETECT.to_le_bytes(), [0; 2]);
    }

    fn define_link(&mut self, at: usize, port: u8) {
        let registers = &mut self.registers;
        let link = u32::from(spec::LINK_2_5_GT_X1);
        registers.define(at + spec::LINK_CAPABILITIES, (link | u32::from(port) << 24).to_le_bytes(), [0; 4]);
        registers.define(at + spec::LINK_CONTROL, [0; 2], spec::LINK_CONTROL_WRITABLE.to_le_bytes());
        registers.define(at + spec::LINK_STATUS, spec::LINK_2_5_GT_X1.to_le_bytes(), [0; 2]);
        registers.define(at + spec::LINK_CAPABILITIES_2, spec::SPEED_2_5_GT.to_le_bytes(), [0; 4]);
        registers.define(at + spec::LINK_CONTROL_2, 1u16.to_le_bytes(), [0xf, 0]);
    }

    fn define_slot(&mut self, at: usize, number: u8) {
        let registers = &mut self.registers;
        let capabilities = u32::from(number) << 19;
        registers.define(at + spec::SLOT_CAPABILITIES, capabilities.to_le_bytes(), [0; 4]);
        registers.define(at + spec::ROOT_CONTROL, [0; 2], spec::ROOT_CONTROL_WRITABLE.to_le_bytes());
    }
}
