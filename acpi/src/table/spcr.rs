//! Serial Port Console Redirection Table: which serial port is the console. Microsoft's specification of SPCR.

use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes};

use super::{Definition, OemIds, Table};

/// The last revision of the fixed 80 bytes; later ones add an exact clock and a name.
const REVISION: u8 = 2;

/// A 16550 behind I/O ports as the console: 115200 baud, 8 bits, no parity, 1 stop bit, no flow control, VT100+.
#[derive(Clone, Copy, Debug)]
pub struct Spcr {
    /// First I/O port.
    pub port: u16,
    /// ISA interrupt, which is also its GSI.
    pub irq: u8,
    /// Whether a pair of i8259 takes the interrupt too.
    pub pic: bool,
}

impl Definition for Spcr {
    fn encode(&self, ids: &OemIds) -> Table {
        let mut table = Table::new(*b"SPCR", REVISION, ids);
        table.append(Console::new(self).as_bytes());
        table
    }
}

/// The body of the table.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Console {
    interface: u8,
    reserved: [u8; 3],
    registers: GAS,
    interrupt: u8,
    irq: u8,
    gsi: U32,
    baud: u8,
    parity: u8,
    stop_bits: u8,
    flow_control: u8,
    terminal: u8,
    language: u8,
    pci_device: U16,
    pci_vendor: U16,
    pci_address: [u8; 3],
    pci_flags: U32,
    pci_segment: u8,
    uart_clock: U32,
}

const _: () = assert!(size_of::<Console>() == 80 - 36);

impl Console {
    const FULL_16550: u8 = 0;
    const INTERRUPT_8259: u8 = 1 << 0;
    const INTERRUPT_IO_APIC: u8 = 1 << 1;
    const BAUD_115200: u8 = 7;
    const VT100_PLUS: u8 = 1;
    const NO_PCI: U16 = U16::MAX_VALUE;

    fn new(port: &Spcr) -> Self {
        Self {
            interface: Self::FULL_16550,
            reserved: [0; 3],
            registers: GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, port.port.into()),
            interrupt: Self::INTERRUPT_IO_APIC | if port.pic { Self::INTERRUPT_8259 } else { 0 },
            irq: if port.pic { port.irq } else { 0 },
            gsi: U32::new(port.irq.into()),
            baud: Self::BAUD_115200,
            parity: 0,
            stop_bits: 1,
            flow_control: 0,
            terminal: Self::VT100_PLUS,
            language: 0,
            pci_device: Self::NO_PCI,
            pci_vendor: Self::NO_PCI,
            pci_address: [0; 3],
            pci_flags: U32::ZERO,
            pci_segment: 0,
            uart_clock: U32::ZERO, // not stated: the usual 1.8432 MHz
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(pic: bool) -> Vec<u8> {
        Spcr { port: 0x3f8, irq: 4, pic }.encode(&OemIds::default()).bytes().to_vec()
    }

    #[test]
    fn spcr_console_is_a_port_at_115200_8n1() {
        let bytes = bytes(true);

        assert_eq!(bytes[..9], *b"SPCR\x50\0\0\0\x02");
        assert_eq!(bytes[36..52], *b"\0\0\0\0\x01\x08\0\x01\xf8\x03\0\0\0\0\0\0");
        assert_eq!(bytes[58..64], [7, 0, 1, 0, 1, 0]);
    }

    #[test]
    fn spcr_interrupt_with_pic_has_both_controllers() {
        assert_eq!(bytes(true)[52..58], [3, 4, 4, 0, 0, 0]);
    }

    #[test]
    fn spcr_interrupt_without_pic_is_a_gsi_only() {
        assert_eq!(bytes(false)[52..58], [2, 0, 4, 0, 0, 0]);
    }

    #[test]
    fn spcr_port_is_no_pci_function() {
        assert_eq!(bytes(true)[64..], *b"\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0");
    }
}
