//! Resource descriptors. ACPI 6.5, section 6.4.

use std::fmt;

use acpi_tables::aml::{AddressSpace, AddressSpaceCacheable, IO, Interrupt, Memory32Fixed, ResourceTemplate};
use acpi_tables::{Aml, AmlSink};

/// A resource template under construction. The order of calls is the order of descriptors: SeaBIOS takes the first that fits.
#[derive(Default)]
pub struct Resources {
    descriptors: Vec<Box<dyn Aml>>,
}

impl Resources {
    /// A template with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// `len` I/O ports from `port` on, at this place only, decoded in full. ACPI 6.5, 6.4.2.5.
    pub fn io(self, port: u16, len: u8) -> Self {
        self.aligned_io(port, len, 1)
    }

    /// As [`io`](Self::io) with an alignment of one's choice. It means nothing for a range that cannot move.
    pub fn aligned_io(self, port: u16, len: u8, align: u8) -> Self {
        self.with(IO::new(port, port, align, len))
    }

    /// An ISA interrupt, 0 to 15: edge-triggered, active high. ACPI 6.5, 6.4.2.1.
    pub fn isa_irq(self, irq: u8) -> Self {
        self.with(IsaIrq(irq))
    }

    /// A level-triggered, active-high interrupt of its own. ACPI 6.5, 6.4.3.6.
    pub fn interrupt(self, gsi: u32) -> Self {
        self.with(Interrupt::new(true, false, false, false, gsi))
    }

    /// An edge-triggered, active-high interrupt of its own. ACPI 6.5, 6.4.3.6.
    pub fn edge_interrupt(self, gsi: u32) -> Self {
        self.with(Interrupt::new(true, true, false, false, gsi))
    }

    /// `len` bytes of writable memory-mapped registers at `base`. ACPI 6.5, 6.4.3.4.
    pub fn memory32(self, base: u32, len: u32) -> Self {
        self.with(Memory32Fixed::new(true, base, len))
    }

    /// A window of bus numbers, both ends included, that a bridge hands to its children. ACPI 6.5, 6.4.3.5.3.
    pub fn bus_numbers(self, first: u8, last: u8) -> Self {
        self.with(AddressSpace::new_bus_number(u16::from(first), u16::from(last)))
    }

    /// A window of uncached memory below 4 GiB, both ends included. ACPI 6.5, 6.4.3.5.2.
    pub fn window32(self, first: u32, last: u32) -> Self {
        self.with(AddressSpace::new_memory(UNCACHED, true, first, last, None))
    }

    /// A window of uncached memory anywhere, both ends included. ACPI 6.5, 6.4.3.5.1.
    pub fn window64(self, first: u64, last: u64) -> Self {
        self.with(AddressSpace::new_memory(UNCACHED, true, first, last, None))
    }

    fn with(mut self, descriptor: impl Aml + 'static) -> Self {
        self.descriptors.push(Box::new(descriptor));
        self
    }
}

const UNCACHED: AddressSpaceCacheable = AddressSpaceCacheable::NotCacheable;

impl Aml for Resources {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        let descriptors = self.descriptors.iter().map(Box::as_ref).collect();
        ResourceTemplate::new(descriptors).to_aml_bytes(sink);
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resources").field("descriptors", &self.descriptors.len()).finish()
    }
}

/// IRQ descriptor without flags: a mask of the sixteen ISA interrupts. ACPI 6.5, 6.4.2.1.
struct IsaIrq(u8);

impl Aml for IsaIrq {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.byte(0x22); // small item 4, two bytes
        sink.word(1u16.checked_shl(self.0.into()).unwrap_or(0));
    }
}
