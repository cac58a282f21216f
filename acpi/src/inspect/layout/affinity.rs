//! The layouts of the tables about nodes and about how processors are arranged.

use super::Form::{Bits, Number, Reserved};
use super::tables::RESERVED;
use super::{Layout, Record, Spec, Tail};

/// ACPI 6.5, 5.2.16.
pub(super) const SRAT: Layout = Layout {
    signature: "SRAT",
    title: "System Resource Affinity Table",
    revisions: 3..=3,
    fields: &[Spec(36, "one", Number(4)), Spec(40, RESERVED, Reserved(8))],
    tail: Tail::Typed(
        48,
        &[
            (
                0,
                Record {
                    name: "processor local APIC affinity",
                    len: 16,
                    fields: &[
                        Spec(2, "proximity domain", Number(1)),
                        Spec(3, "APIC id", Number(1)),
                        Spec(4, "flags", Bits(4, 1)),
                        Spec(8, RESERVED, Reserved(1)),
                        Spec(9, "proximity domain bits 31:8", Number(3)),
                        Spec(12, "clock domain", Number(4)),
                    ],
                },
            ),
            (
                1,
                Record {
                    name: "memory affinity",
                    len: 40,
                    fields: &[
                        Spec(2, "proximity domain", Number(4)),
                        Spec(6, RESERVED, Reserved(2)),
                        Spec(8, "base", Number(8)),
                        Spec(16, "bytes", Number(8)),
                        Spec(24, RESERVED, Reserved(4)),
                        Spec(28, "flags", Bits(4, 7)),
                        Spec(32, RESERVED, Reserved(8)),
                    ],
                },
            ),
            (
                2,
                Record {
                    name: "processor local x2APIC affinity",
                    len: 24,
                    fields: &[
                        Spec(2, RESERVED, Reserved(2)),
                        Spec(4, "proximity domain", Number(4)),
                        Spec(8, "x2APIC id", Number(4)),
                        Spec(12, "flags", Bits(4, 1)),
                        Spec(16, "clock domain", Number(4)),
                        Spec(20, RESERVED, Reserved(4)),
                    ],
                },
            ),
        ],
    ),
};

/// ACPI 6.5, 5.2.17.
pub(super) const SLIT: Layout = Layout {
    signature: "SLIT",
    title: "System Locality Information Table",
    revisions: 1..=1,
    fields: &[Spec(36, "localities", Number(8))],
    tail: Tail::Opaque,
};

/// ACPI 6.5, 5.2.28.
pub(super) const HMAT: Layout = Layout {
    signature: "HMAT",
    title: "Heterogeneous Memory Attribute Table",
    revisions: 2..=2,
    fields: &[Spec(36, RESERVED, Reserved(4))],
    tail: Tail::Long(
        40,
        &[
            (
                0,
                Record {
                    name: "memory proximity domain attributes",
                    len: 40,
                    fields: &[
                        Spec(2, RESERVED, Reserved(2)),
                        Spec(4, "length", Number(4)),
                        Spec(8, "flags", Bits(2, 1)),
                        Spec(10, RESERVED, Reserved(2)),
                        Spec(12, "initiator domain", Number(4)),
                        Spec(16, "memory domain", Number(4)),
                        Spec(20, RESERVED, Reserved(20)),
                    ],
                },
            ),
            (
                1,
                Record {
                    name: "locality latency and bandwidth",
                    len: 32,
                    fields: &[
                        Spec(2, RESERVED, Reserved(2)),
                        Spec(4, "length", Number(4)),
                        Spec(8, "flags", Bits(1, 0x3f)),
                        Spec(9, "data type", Number(1)),
                        Spec(10, "minimum transfer size", Number(1)),
                        Spec(11, RESERVED, Reserved(1)),
                        Spec(12, "initiators", Number(4)),
                        Spec(16, "targets", Number(4)),
                        Spec(20, RESERVED, Reserved(4)),
                        Spec(24, "entry base unit", Number(8)),
                    ],
                },
            ),
        ],
    ),
};

/// ACPI 6.5, 5.2.30; of its structures only the processors, without resources of their own.
pub(super) const PPTT: Layout = Layout {
    signature: "PPTT",
    title: "Processor Properties Topology Table",
    revisions: 1..=3,
    fields: &[],
    tail: Tail::Typed(
        36,
        &[(
            0,
            Record {
                name: "processor hierarchy node",
                len: 20,
                fields: &[
                    Spec(2, RESERVED, Reserved(2)),
                    Spec(4, "flags", Bits(4, 0x1f)),
                    Spec(8, "parent", Number(4)),
                    Spec(12, "processor id", Number(4)),
                    Spec(16, "private resources", Number(4)),
                ],
            },
        )],
    ),
};
