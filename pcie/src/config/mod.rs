//! The configuration space of one function. PCIe 5.0, 7.5.
//!
//! A register is bytes with a mask of what the guest may write, so BAR sizing needs no code: the address bits below a BAR's
//! size cannot be written. After each write the function's [`Interrupts`] are told what changed.

mod bar;
mod builder;
mod express;
mod msix_access;
mod registers;
pub(crate) mod spec;

use bus::{Access, Width};

use crate::interrupts::{Interrupts, MsiRegisters, Permissions};

pub use bar::{Bar, BarKind};
pub use builder::{ConfigBuilder, Identity, Messages, MsixLayout};
pub(crate) use express::PortType;
use registers::Registers;

/// Type 0 or type 1 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// A function with BARs.
    Endpoint,
    /// A bridge to another bus.
    Bridge,
}

/// Where each capability is, if there is one.
#[derive(Clone, Copy, Debug, Default)]
struct Capabilities {
    power: Option<usize>,
    express: Option<usize>,
    msi: Option<usize>,
    msix: Option<usize>,
}

/// What a write to configuration space asks of the host bridge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// BARs, windows or their decoding may have changed.
    pub(crate) decoding: bool,
    /// The function is to be reset.
    pub(crate) function_reset: bool,
    /// The bus behind it is to be reset.
    pub(crate) bus_reset: bool,
}

/// A function's configuration space. [`ConfigSpace::endpoint`] begins one.
#[derive(Debug)]
pub struct ConfigSpace {
    // Fixed.
    header: Header,
    bars: [Option<Bar>; 6],
    capabilities: Capabilities,
    msix: Option<MsixLayout>,
    // Glue.
    interrupts: Interrupts,
    // Volatile.
    registers: Registers,
}

impl ConfigSpace {
    /// Begins the configuration space of a function that is no bridge.
    #[must_use]
    pub fn endpoint(identity: Identity) -> ConfigBuilder {
        ConfigBuilder::new(Header::Endpoint, identity)
    }

    /// Begins that of a bridge.
    pub(crate) fn bridge(identity: Identity) -> ConfigBuilder {
        ConfigBuilder::new(Header::Bridge, identity)
    }

    /// The function's interrupts.
    #[must_use]
    pub fn interrupts(&self) -> &Interrupts {
        &self.interrupts
    }

    /// Reads as the guest does; all ones behind the end.
    pub fn read(&mut self, at: Access) -> u64 {
        self.show_interrupts();
        self.registers.read(at)
    }

    /// Writes as the guest does: read-only bits stay.
    pub fn write(&mut self, at: Access, value: u64) -> Effect {
        let before = (self.power_state(), self.bus_reset_asserted());
        self.registers.write(at, value);
        self.keep_power_state(before.0);
        self.tell_interrupts();
        Effect {
            decoding: self.decides_decoding(at),
            function_reset: self.initiates_reset(at, value),
            bus_reset: !before.1 && self.bus_reset_asserted(),
        }
    }

    /// Power-on state of all registers and interrupts.
    pub(crate) fn reset(&mut self) {
        self.registers.reset();
        self.interrupts.reset();
        self.tell_interrupts();
    }

    pub(crate) fn header(&self) -> Header {
        self.header
    }

    /// Whether the function is one of several of its device. PCIe 5.0, 7.5.1.1.9.
    pub(crate) fn set_multifunction(&mut self) {
        let kind = match self.header {
            Header::Endpoint => 0,
            Header::Bridge => spec::HEADER_BRIDGE,
        };
        self.registers.define(spec::HEADER_TYPE, [kind | spec::HEADER_MULTIFUNCTION], [0]);
    }

    /// The pin that the function interrupts with, 0 for INTA, if it has one.
    pub(crate) fn pin(&self) -> Option<u8> {
        self.registers.byte(spec::INTERRUPT_PIN).checked_sub(1)
    }

    /// How many messages the function can send.
    pub(crate) fn vectors(&self) -> u16 {
        self.interrupts.vectors()
    }

    /// The BARs.
    pub(crate) fn bars(&self) -> &[Option<Bar>; 6] {
        &self.bars
    }

    /// Where BAR `index` decodes memory now: its first and its last address.
    pub(crate) fn decoded(&self, index: usize) -> Option<(u64, u64)> {
        let bar = self.bars.get(index).copied().flatten()?;
        let start = self.bar_address(index, bar);
        self.decodes_memory().then(|| (start, start + (bar.size - 1)))
    }

    /// Puts BAR `index` at `address`, as firmware does. The address bits that the BAR does not have are dropped.
    pub(crate) fn place_bar(&mut self, index: usize, address: u64) {
        let at = |offset: usize| Access { offset: offset as u64, width: Width::Dword };
        let offset = spec::BAR0 + 4 * index;
        self.registers.write(at(offset), address & 0xffff_ffff);
        if self.bars.get(index).copied().flatten().is_some_and(|bar| bar.kind.is_64_bit()) {
            self.registers.write(at(offset + 4), address >> 32);
        }
    }

    /// Memory accesses to the function reach it, those to the other side of a bridge cross it.
    pub(crate) fn decodes_memory(&self) -> bool {
        self.command() & spec::COMMAND_MEMORY != 0 && self.power_state() == spec::PM_D0
    }

    pub(crate) fn registers(&self) -> &Registers {
        &self.registers
    }

    /// The secondary bus is held in reset.
    pub(crate) fn bus_reset_asserted(&self) -> bool {
        self.header == Header::Bridge
            && self.registers.word(spec::BRIDGE_CONTROL) & spec::BRIDGE_BUS_RESET != 0
    }

    fn command(&self) -> u16 {
        self.registers.word(spec::COMMAND)
    }

    fn bar_address(&self, index: usize, bar: Bar) -> u64 {
        let low = u64::from(self.registers.dword(spec::BAR0 + 4 * index));
        let high = match bar.kind.is_64_bit() {
            true => u64::from(self.registers.dword(spec::BAR0 + 4 * (index + 1))),
            false => 0,
        };
        (high << 32 | low) & !(bar.size - 1)
    }

    fn power_state(&self) -> u8 {
        let control = self.capabilities.power.map(|power| self.registers.byte(power + spec::PM_CONTROL));
        control.map_or(spec::PM_D0, |control| control & spec::PM_STATE)
    }

    /// States that the function has not are not entered. PCIe 5.0, 7.5.2.2.
    fn keep_power_state(&mut self, before: u8) {
        let (Some(power), now) = (self.capabilities.power, self.power_state()) else { return };
        if now != spec::PM_D0 && now != spec::PM_D3_HOT {
            self.registers.show(power + spec::PM_CONTROL, &[spec::PM_NO_SOFT_RESET | before]);
        }
    }

    /// A write that sets Initiate Function Level Reset, which the register does not keep. PCIe 5.0, 7.5.3.4.
    fn initiates_reset(&self, at: Access, value: u64) -> bool {
        let Some(express) = self.capabilities.express else { return false };
        let able =
            self.registers.dword(express + spec::DEVICE_CAPABILITIES) & spec::FUNCTION_LEVEL_RESET != 0;
        let bit = (express + spec::DEVICE_CONTROL + 1) as u64;
        let byte = bit.checked_sub(at.offset).filter(|byte| *byte < at.width.len());
        able && byte.is_some_and(|byte| value >> (8 * byte) & u64::from(spec::INITIATE_RESET >> 8) != 0)
    }

    /// Whether an access touches the header or the power state.
    fn decides_decoding(&self, at: Access) -> bool {
        let touches = |register: usize| (at.offset..at.offset + at.width.len()).contains(&(register as u64));
        at.offset < spec::HEADER_END as u64
            || self.capabilities.power.is_some_and(|power| touches(power + spec::PM_CONTROL))
    }

    /// Puts what interrupts did into the registers that show it.
    fn show_interrupts(&mut self) {
        let shown = self.interrupts.shown();
        let status = self.registers.byte(spec::STATUS) & !spec::STATUS_INTERRUPT;
        let pin = if shown.pin { spec::STATUS_INTERRUPT } else { 0 };
        self.registers.show(spec::STATUS, &[status | pin]);
        if let Some(msi) = self.capabilities.msi {
            self.registers.show(msi + spec::MSI_PENDING, &shown.msi_pending.to_le_bytes());
        }
    }

    /// Tells the interrupts what the registers let them do.
    pub(super) fn tell_interrupts(&self) {
        let command = self.command();
        let registers = &self.registers;
        self.interrupts.permit(Permissions {
            bus_master: command & spec::COMMAND_BUS_MASTER != 0 && self.power_state() == spec::PM_D0,
            pin: command & spec::COMMAND_INTX_DISABLE == 0,
            msix_control: self.capabilities.msix.map_or(0, |at| registers.word(at + spec::MSIX_CONTROL)),
            msi: self.capabilities.msi.map_or_else(MsiRegisters::default, |at| MsiRegisters {
                control: registers.word(at + spec::MSI_CONTROL),
                address: u64::from(registers.dword(at + spec::MSI_ADDRESS))
                    | u64::from(registers.dword(at + spec::MSI_ADDRESS_UPPER)) << 32,
                data: registers.word(at + spec::MSI_DATA),
                mask: registers.dword(at + spec::MSI_MASK),
            }),
        });
    }
}
