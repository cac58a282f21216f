//! The layouts themselves, with their section.

use super::Form::{Address, Bits, Name, Number, Reserved, Text};
use super::affinity::{HMAT, PPTT, SLIT, SRAT};
use super::{Layout, Record, Spec, Tail};

/// The name of what is to be zero.
pub(super) const RESERVED: &str = "reserved";

/// ACPI 6.5, 5.2.5.3.
pub(super) const RSDP: [Spec; 8] = [
    Spec(0, "signature", Text(8)),
    Spec(8, "checksum", Number(1)),
    Spec(9, "OEM id", Text(6)),
    Spec(15, "revision", Number(1)),
    Spec(16, "RSDT address", Number(4)),
    Spec(20, "length", Number(4)),
    Spec(24, "XSDT address", Number(8)),
    Spec(33, RESERVED, Reserved(3)),
];

/// ACPI 6.5, 5.2.6.
pub(super) const HEADER: [Spec; 9] = [
    Spec(0, "signature", Text(4)),
    Spec(4, "length", Number(4)),
    Spec(8, "revision", Number(1)),
    Spec(9, "checksum", Number(1)),
    Spec(10, "OEM id", Text(6)),
    Spec(16, "OEM table id", Text(8)),
    Spec(24, "OEM revision", Number(4)),
    Spec(28, "creator id", Text(4)),
    Spec(32, "creator revision", Number(4)),
];

pub(super) const LAYOUTS: &[Layout] =
    &[DSDT, SSDT, FADT, MADT, XSDT, MCFG, SPCR, DBG2, SRAT, SLIT, HMAT, PPTT, WAET];

const DSDT: Layout = Layout {
    signature: "DSDT",
    title: "Differentiated System Description Table",
    revisions: 2..=2,
    fields: &[],
    tail: Tail::Opaque,
};

const SSDT: Layout =
    Layout { signature: "SSDT", title: "Secondary System Description Table", fields: &[], ..DSDT };

/// ACPI 6.5, 5.2.9.
const FADT: Layout = Layout {
    signature: "FACP",
    title: "Fixed ACPI Description Table",
    revisions: 5..=6,
    fields: &[
        Spec(36, "FACS address", Number(4)),
        Spec(40, "DSDT address", Number(4)),
        Spec(44, RESERVED, Reserved(1)),
        Spec(45, "preferred PM profile", Number(1)),
        // A hardware-reduced machine has none of these fields. ACPI 6.5, table 5.9.
        Spec(46, "fixed hardware", Reserved(63)),
        Spec(109, "IA-PC boot flags", Bits(2, 0x3f)),
        Spec(111, RESERVED, Reserved(1)),
        Spec(112, "flags", Bits(4, 0x7f_ffff)),
        Spec(116, "reset register", Address),
        Spec(128, "reset value", Number(1)),
        Spec(129, "ARM boot flags", Bits(2, 0)),
        Spec(131, "minor version", Number(1)),
        Spec(132, "X FACS address", Number(8)),
        Spec(140, "X DSDT address", Number(8)),
        Spec(148, "fixed hardware, extended", Reserved(96)),
        Spec(244, "sleep control register", Address),
        Spec(256, "sleep status register", Address),
    ],
    tail: Tail::Opaque, // revision 6 adds the hypervisor vendor identity
};

/// ACPI 6.5, 5.2.12.
const MADT: Layout = Layout {
    signature: "APIC",
    title: "Multiple APIC Description Table",
    revisions: 3..=6,
    fields: &[Spec(36, "local APIC address", Number(4)), Spec(40, "flags", Bits(4, 1))],
    tail: Tail::Typed(
        44,
        &[
            (
                0,
                Record {
                    name: "processor local APIC",
                    len: 8,
                    fields: &[
                        Spec(2, "processor UID", Number(1)),
                        Spec(3, "APIC id", Number(1)),
                        Spec(4, "flags", Bits(4, 3)),
                    ],
                },
            ),
            (
                1,
                Record {
                    name: "I/O APIC",
                    len: 12,
                    fields: &[
                        Spec(2, "I/O APIC id", Number(1)),
                        Spec(3, RESERVED, Reserved(1)),
                        Spec(4, "address", Number(4)),
                        Spec(8, "GSI base", Number(4)),
                    ],
                },
            ),
            (
                2,
                Record {
                    name: "interrupt source override",
                    len: 10,
                    fields: &[
                        Spec(2, "bus", Bits(1, 0)),
                        Spec(3, "source", Number(1)),
                        Spec(4, "GSI", Number(4)),
                        Spec(8, "flags", Bits(2, 0xf)),
                    ],
                },
            ),
            (
                4,
                Record {
                    name: "local APIC NMI",
                    len: 6,
                    fields: &[
                        Spec(2, "processor UID", Number(1)),
                        Spec(3, "flags", Bits(2, 0xf)),
                        Spec(5, "LINT", Number(1)),
                    ],
                },
            ),
            (
                9,
                Record {
                    name: "processor local x2APIC",
                    len: 16,
                    fields: &[
                        Spec(2, RESERVED, Reserved(2)),
                        Spec(4, "x2APIC id", Number(4)),
                        Spec(8, "flags", Bits(4, 3)),
                        Spec(12, "processor UID", Number(4)),
                    ],
                },
            ),
            (
                10,
                Record {
                    name: "local x2APIC NMI",
                    len: 12,
                    fields: &[
                        Spec(2, "flags", Bits(2, 0xf)),
                        Spec(4, "processor UID", Number(4)),
                        Spec(8, "LINT", Number(1)),
                        Spec(9, RESERVED, Reserved(3)),
                    ],
                },
            ),
        ],
    ),
};

/// ACPI 6.5, 5.2.8.
const XSDT: Layout = Layout {
    signature: "XSDT",
    title: "Extended System Description Table",
    revisions: 1..=1,
    fields: &[],
    tail: Tail::Records(36, Record { name: "entry", len: 8, fields: &[Spec(0, "address", Number(8))] }),
};

/// PCI Firmware 3.3, 4.1.2.
const MCFG: Layout = Layout {
    signature: "MCFG",
    title: "PCI Express memory-mapped configuration",
    revisions: 1..=1,
    fields: &[Spec(36, RESERVED, Reserved(8))],
    tail: Tail::Records(
        44,
        Record {
            name: "configuration space",
            len: 16,
            fields: &[
                Spec(0, "address", Number(8)),
                Spec(8, "segment", Number(2)),
                Spec(10, "first bus", Number(1)),
                Spec(11, "last bus", Number(1)),
                Spec(12, RESERVED, Reserved(4)),
            ],
        },
    ),
};

/// Microsoft's specification of SPCR.
const SPCR: Layout = Layout {
    signature: "SPCR",
    title: "Serial Port Console Redirection Table",
    revisions: 2..=2,
    fields: &[
        Spec(36, "interface type", Number(1)),
        Spec(37, RESERVED, Reserved(3)),
        Spec(40, "registers", Address),
        Spec(52, "interrupt type", Bits(1, 0xf)),
        Spec(53, "IRQ", Number(1)),
        Spec(54, "GSI", Number(4)),
        Spec(58, "baud rate", Number(1)),
        Spec(59, "parity", Bits(1, 0)),
        Spec(60, "stop bits", Bits(1, 1)),
        Spec(61, "flow control", Bits(1, 7)),
        Spec(62, "terminal type", Number(1)),
        Spec(63, RESERVED, Reserved(1)),
        Spec(64, "PCI device id", Number(2)),
        Spec(66, "PCI vendor id", Number(2)),
        Spec(68, "PCI bus", Number(1)),
        Spec(69, "PCI device", Number(1)),
        Spec(70, "PCI function", Number(1)),
        Spec(71, "PCI flags", Bits(4, 1)),
        Spec(75, "PCI segment", Number(1)),
        Spec(76, RESERVED, Reserved(4)),
    ],
    tail: Tail::None,
};

/// Microsoft's specification of DBG2, with one device that has one register range, as written here.
const DBG2: Layout = Layout {
    signature: "DBG2",
    title: "Debug Port Table 2",
    revisions: 0..=0,
    fields: &[
        Spec(36, "devices' offset", Number(4)),
        Spec(40, "devices", Number(4)),
        Spec(44, "device revision", Number(1)),
        Spec(45, "device length", Number(2)),
        Spec(47, "register ranges", Number(1)),
        Spec(48, "name's length", Number(2)),
        Spec(50, "name's offset", Number(2)),
        Spec(52, "OEM data's length", Number(2)),
        Spec(54, "OEM data's offset", Number(2)),
        Spec(56, "port type", Number(2)),
        Spec(58, "port subtype", Number(2)),
        Spec(60, RESERVED, Reserved(2)),
        Spec(62, "registers' offset", Number(2)),
        Spec(64, "sizes' offset", Number(2)),
        Spec(66, "registers", Address),
        Spec(78, "size", Number(4)),
        Spec(82, "name", Name),
    ],
    tail: Tail::Opaque,
};

/// Microsoft's specification of WAET.
const WAET: Layout = Layout {
    signature: "WAET",
    title: "Windows ACPI Emulated Devices Table",
    revisions: 1..=1,
    fields: &[Spec(36, "emulated device flags", Bits(4, 3))],
    tail: Tail::None,
};
