//! Putting a configuration space together.

use super::registers::Registers;
use super::{Bar, Capabilities, ConfigSpace, Header, express, spec};
use crate::interrupts::Interrupts;

/// Who a function says it is. PCIe 5.0, 7.5.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Vendor.
    pub vendor: u16,
    /// The vendor's number of the device.
    pub device: u16,
    /// The vendor's revision of it.
    pub revision: u8,
    /// Base class, sub-class and programming interface. PCI Code and ID Assignment 1.11, 1.
    pub class: [u8; 3],
    /// Vendor and number of the subsystem. Bridges have none.
    pub subsystem: [u16; 2],
}

/// Where a function has its MSI-X table and its pending bits. PCIe 5.0, 7.7.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsixLayout {
    /// How many vectors, 1 to 2048.
    pub vectors: u16,
    /// The BAR that both are in.
    pub bar: usize,
    /// Byte offset of the table, 16 bytes a vector, a multiple of 8.
    pub table: u32,
    /// Byte offset of the pending bits, a multiple of 8.
    pub pending: u32,
}

/// How a function that has many messages may send them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Messages {
    /// By MSI-X, or by MSI: the driver enables one of them.
    #[default]
    Either,
    /// By MSI alone.
    Msi,
}

/// A configuration space under construction. Capabilities stand in the list in the order of the calls.
#[derive(Debug)]
pub struct ConfigBuilder {
    header: Header,
    registers: Registers,
    bars: [Option<Bar>; 6],
    capabilities: Capabilities,
    msix: Option<MsixLayout>,
    msi_vectors: u16,
    /// Where the next capability goes.
    next: usize,
    /// The byte that will point to it.
    link: usize,
}

impl ConfigBuilder {
    pub(super) fn new(header: Header, identity: Identity) -> Self {
        let mut registers = Registers::new(spec::SIZE);
        define_common(&mut registers, identity);
        match header {
            Header::Endpoint => {
                let [vendor, device] = identity.subsystem;
                registers.define(spec::SUBSYSTEM_VENDOR_ID, vendor.to_le_bytes(), [0; 2]);
                registers.define(spec::SUBSYSTEM_ID, device.to_le_bytes(), [0; 2]);
            }
            Header::Bridge => define_bridge(&mut registers),
        }
        Self {
            header,
            registers,
            bars: [None; 6],
            capabilities: Capabilities::default(),
            msix: None,
            msi_vectors: 0,
            next: spec::HEADER_END,
            link: spec::CAPABILITIES,
        }
    }

    /// Gives the function BAR `index`, 0 to 5, or two of them if it is 64 bits wide.
    #[must_use]
    pub fn bar(mut self, index: usize, bar: Bar) -> Self {
        bar.define(index, &mut self.registers);
        if let Some(slot) = self.bars.get_mut(index) {
            *slot = Some(bar);
        }
        self
    }

    /// Lets the function interrupt with INTA.
    #[must_use]
    pub fn pin(mut self) -> Self {
        self.registers.define(spec::INTERRUPT_LINE, [0], [0xff]);
        self.registers.define(spec::INTERRUPT_PIN, [1], [0]);
        self
    }

    /// Adds any capability: what follows its id and link, and which bits of that the guest may write.
    #[must_use]
    pub fn capability<const N: usize>(mut self, id: u8, body: [u8; N], writable: [u8; N]) -> Self {
        self.append(id, body, writable);
        self
    }

    /// Where the capability added last begins, for functions that give registers in it a meaning.
    #[must_use]
    pub fn last_capability(&self) -> usize {
        self.link.saturating_sub(1)
    }

    /// Lets the function be put to sleep: D0 and D3hot, where it keeps its state. PCIe 5.0, 7.5.2.
    #[must_use]
    pub fn power_management(mut self) -> Self {
        let [low, high] = spec::PM_VERSION.to_le_bytes();
        let body = [low, high, spec::PM_NO_SOFT_RESET, 0, 0, 0];
        self.capabilities.power =
            Some(self.append(spec::CAP_POWER_MANAGEMENT, body, [0, 0, spec::PM_STATE, 0, 0, 0]));
        self
    }

    /// Makes it a PCI Express function, which can be reset by itself unless it is a bridge. PCIe 5.0, 7.5.3.
    ///
    /// The extended configuration space comes with it, empty. The host bridge decides by its place which type of port it is.
    #[must_use]
    pub fn express(mut self) -> Self {
        let at = self.append(spec::CAP_EXPRESS, [0; spec::EXPRESS_LEN - 2], [0; spec::EXPRESS_LEN - 2]);
        express::define(&mut self.registers, at, self.header);
        self.registers.grow(spec::EXTENDED_SIZE);
        self.capabilities.express = Some(at);
        self
    }

    /// Lets the function send `vectors` messages, a power of two up to 32, by MSI. PCIe 5.0, 7.7.1.
    #[must_use]
    pub fn msi(mut self, vectors: u16) -> Self {
        assert!(vectors.is_power_of_two() && vectors <= 32, "MSI has 1 to 32 vectors");
        let at = self.append(spec::CAP_MSI, [0; 22], [0; 22]);
        let control = (vectors.ilog2() as u16) << 1 | spec::MSI_64_BIT | spec::MSI_MASKABLE;
        let multiple_enable = 0b111 << 4;
        let registers = &mut self.registers;
        let writable = spec::MSI_ENABLE | multiple_enable;
        registers.define(at + spec::MSI_CONTROL, control.to_le_bytes(), writable.to_le_bytes());
        registers.define(at + spec::MSI_ADDRESS, [0; 4], (!0b11_u32).to_le_bytes());
        registers.define(at + spec::MSI_ADDRESS_UPPER, [0; 4], [0xff; 4]);
        registers.define(at + spec::MSI_DATA, [0; 2], [0xff; 2]);
        let mask = u32::MAX >> (32 - vectors);
        registers.define(at + spec::MSI_MASK, [0; 4], mask.to_le_bytes());
        self.capabilities.msi = Some(at);
        self.msi_vectors = vectors;
        self
    }

    /// Lets the function send messages as `which` says: by MSI-X, and by MSI, whose vectors are a power of two and no more than
    /// 32, so that some messages may have to share one.
    #[must_use]
    pub fn messages(self, which: Messages, layout: MsixLayout) -> Self {
        let function = self.msi(1 << layout.vectors.max(1).ilog2().min(5));
        match which {
            Messages::Either => function.msix(layout),
            Messages::Msi => function,
        }
    }

    /// Lets the function send messages by MSI-X. PCIe 5.0, 7.7.2.
    #[must_use]
    pub fn msix(mut self, layout: MsixLayout) -> Self {
        assert!((1..=2048).contains(&layout.vectors), "MSI-X has 1 to 2048 vectors");
        let size = (layout.vectors - 1).to_le_bytes();
        let place = |offset: u32| (offset | layout.bar as u32).to_le_bytes();
        let at = self.append(spec::CAP_MSIX, [0; 10], [0; 10]);
        let writable = (spec::MSIX_ENABLE | spec::MSIX_FUNCTION_MASK).to_le_bytes();
        self.registers.define(at + spec::MSIX_CONTROL, size, writable);
        self.registers.define(at + 4, place(layout.table), [0; 4]);
        self.registers.define(at + 8, place(layout.pending), [0; 4]);
        self.capabilities.msix = Some(at);
        self.msix = Some(layout);
        self
    }

    /// The configuration space, after power-on.
    #[must_use]
    pub fn build(self) -> ConfigSpace {
        let msix_vectors = self.msix.map_or(0, |layout| layout.vectors);
        let config = ConfigSpace {
            header: self.header,
            bars: self.bars,
            capabilities: self.capabilities,
            msix: self.msix,
            interrupts: Interrupts::new(msix_vectors, self.msi_vectors),
            registers: self.registers,
        };
        config.tell_interrupts();
        config
    }

    /// Appends a capability to the list; returns where it is. PCIe 5.0, 7.5.1.1.11.
    fn append<const N: usize>(&mut self, id: u8, body: [u8; N], writable: [u8; N]) -> usize {
        let at = self.next;
        assert!(at + 2 + N <= spec::SIZE, "capabilities fit into 192 bytes");
        self.registers.define(spec::STATUS, spec::STATUS_CAPABILITIES.to_le_bytes(), [0; 2]);
        self.registers.define(self.link, [at as u8], [0]);
        self.registers.define(at, [id, 0], [0; 2]);
        self.registers.define(at + 2, body, writable);
        self.link = at + 1;
        self.next = (at + 2 + N).next_multiple_of(4);
        at
    }
}

/// What both headers have.
fn define_common(registers: &mut Registers, identity: Identity) {
    let [class, subclass, interface] = identity.class;
    let command = spec::COMMAND_MEMORY
        | spec::COMMAND_BUS_MASTER
        | spec::COMMAND_PARITY
        | spec::COMMAND_SERR
        | spec::COMMAND_INTX_DISABLE;
    registers.define(spec::VENDOR_ID, identity.vendor.to_le_bytes(), [0; 2]);
    registers.define(spec::DEVICE_ID, identity.device.to_le_bytes(), [0; 2]);
    registers.define(spec::COMMAND, [0; 2], command.to_le_bytes());
    registers.define(spec::REVISION_ID, [identity.revision], [0]);
    registers.define(spec::CLASS_CODE, [interface, subclass, class], [0; 3]);
    registers.define(spec::CACHE_LINE_SIZE, [0], [0xff]);
}

/// A bridge without I/O window, which forwards nothing yet: its bases are above its limits.
fn define_bridge(registers: &mut Registers) {
    const WINDOW: u16 = 0xfff0;
    let prefetchable = spec::PREFETCHABLE_64;
    let control = spec::BRIDGE_PARITY | spec::BRIDGE_SERR | spec::BRIDGE_BUS_RESET;
    registers.define(spec::HEADER_TYPE, [spec::HEADER_BRIDGE], [0]);
    registers.define(spec::PRIMARY_BUS, [0; 3], [0xff; 3]);
    registers.define(spec::MEMORY_BASE, WINDOW.to_le_bytes(), WINDOW.to_le_bytes());
    registers.define(spec::MEMORY_LIMIT, [0; 2], WINDOW.to_le_bytes());
    registers.define(spec::PREFETCHABLE_BASE, (WINDOW | prefetchable).to_le_bytes(), WINDOW.to_le_bytes());
    registers.define(spec::PREFETCHABLE_LIMIT, prefetchable.to_le_bytes(), WINDOW.to_le_bytes());
    registers.define(spec::PREFETCHABLE_BASE_UPPER, [0; 4], [0xff; 4]);
    registers.define(spec::PREFETCHABLE_LIMIT_UPPER, [0; 4], [0xff; 4]);
    registers.define(spec::BRIDGE_CONTROL, [0; 2], control.to_le_bytes());
}
