//! The processors and interrupt inputs of a machine without ACPI. Intel MultiProcessor Specification 1.4, chapter 4.

use zerocopy::byteorder::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes};

use super::layout;
use super::piece::Piece;
use crate::machine::Plan;
use crate::machine::plan::Gsi;

/// 4.1: the pointer by which the table is found.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct FloatingPointer {
    signature: [u8; 4],
    table: U32,
    paragraphs: u8,
    revision: u8,
    checksum: u8,
    default_configuration: u8, // none: the table says it
    mode: u8,                  // virtual wire: interrupts of the PIC pass through the local APIC
    reserved: [u8; 3],
}

/// 4.2: the head of the table.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Header {
    signature: [u8; 4],
    len: U16,
    revision: u8,
    checksum: u8,
    oem: [u8; 8],
    product: [u8; 12],
    oem_table: U32,
    oem_table_len: U16,
    entries: U16,
    local_apic: U32,
    extended_len: U16,
    extended_checksum: u8,
    reserved: u8,
}
const _: () = assert!(size_of::<Header>() == 44);

/// 4.3.1
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Processor {
    kind: u8,
    apic_id: u8,
    apic_version: u8,
    flags: u8,
    signature: U32,
    features: U32,
    reserved: [U32; 2],
}

/// 4.3.2
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Bus {
    kind: u8,
    id: u8,
    name: [u8; 6],
}

/// 4.3.3
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct IoApic {
    kind: u8,
    id: u8,
    version: u8,
    flags: u8,
    address: U32,
}

/// 4.3.4 and 4.3.5: which interrupt of a bus is wired to which input of which APIC.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Interrupt {
    kind: u8,
    delivery: u8,
    trigger: U16,
    bus: u8,
    irq: u8,
    apic: u8,
    input: u8,
}

const REVISION_1_4: u8 = 4;
const APIC_VERSION: u8 = 0x14;
const ENABLED: u8 = 1 << 0;
const BOOT_PROCESSOR: u8 = 1 << 1;
/// The processor's CPUID says more; readers of this field ask for an FPU and an APIC.
const FPU_AND_APIC: u32 = 1 << 0 | 1 << 9;
const ISA: u8 = 0;
const ISA_IRQS: Gsi = 16;
const CASCADE: Gsi = 2;
const ALL_APICS: u8 = 0xff;
/// As the bus has it: edges.
const CONFORMING: u16 = 0;
const ACTIVE_HIGH_LEVEL: u16 = 0b11 << 2 | 0b01;

/// The pointer where it is searched for, and the table behind it.
pub(super) fn pieces(plan: &Plan) -> [Piece; 2] {
    let at = layout::MP_TABLE.start;
    let table_at = at + size_of::<FloatingPointer>() as u64;
    let mut pointer = FloatingPointer {
        signature: *b"_MP_",
        table: (table_at as u32).into(),
        paragraphs: 1,
        revision: REVISION_1_4,
        checksum: 0,
        default_configuration: 0,
        mode: 0,
        reserved: [0; 3],
    };
    pointer.checksum = complement(pointer.as_bytes());
    [
        Piece::bytes("MP pointer", at, pointer.as_bytes().to_vec()),
        Piece::bytes("MP table", table_at, table(plan)),
    ]
}

fn table(plan: &Plan) -> Vec<u8> {
    let (count, entries) = entries(plan);
    let mut header = Header {
        signature: *b"PCMP",
        len: ((size_of::<Header>() + entries.len()) as u16).into(),
        revision: REVISION_1_4,
        checksum: 0,
        oem: *b"TINDERBX",
        product: *b"MICROVM     ",
        oem_table: 0.into(),
        oem_table_len: 0.into(),
        entries: count.into(),
        local_apic: (plan.lapic.start as u32).into(),
        extended_len: 0.into(),
        extended_checksum: 0,
        reserved: 0,
    };
    header.checksum = complement(&[header.as_bytes(), &entries].concat());
    [header.as_bytes(), &entries].concat()
}

/// All entries by type, and their number.
fn entries(plan: &Plan) -> (u16, Vec<u8>) {
    let mut list = List::default();
    plan.apic_ids.iter().for_each(|&id| list.add(&processor(id)));
    list.add(&Bus { kind: 1, id: ISA, name: *b"ISA   " });
    for ioapic in &plan.ioapics {
        let address = (ioapic.mmio.start as u32).into();
        list.add(&IoApic { kind: 2, id: ioapic.id, version: APIC_VERSION, flags: ENABLED, address });
    }
    let ioapic = plan.ioapics.first().map_or(0, |ioapic| ioapic.id);
    (0..ISA_IRQS).filter(|&irq| irq != CASCADE).for_each(|irq| list.add(&interrupt(plan, irq, ioapic)));
    list.add(&local(Delivery::ExtInt, 0));
    list.add(&local(Delivery::Nmi, 1));
    (list.count, list.bytes)
}

#[derive(Default)]
struct List {
    count: u16,
    bytes: Vec<u8>,
}

impl List {
    fn add(&mut self, entry: &(impl IntoBytes + Immutable)) {
        self.count += 1;
        self.bytes.extend_from_slice(entry.as_bytes());
    }
}

fn processor(apic_id: u32) -> Processor {
    Processor {
        kind: 0,
        apic_id: apic_id as u8,
        apic_version: APIC_VERSION,
        flags: ENABLED | if apic_id == 0 { BOOT_PROCESSOR } else { 0 },
        signature: 0.into(),
        features: FPU_AND_APIC.into(),
        reserved: [U32::ZERO; 2],
    }
}

#[derive(Clone, Copy)]
enum Delivery {
    Vector = 0,
    Nmi = 1,
    ExtInt = 3,
}

/// IRQ 0 ends at input 2, as on every PC with an I/O APIC.
fn interrupt(plan: &Plan, irq: Gsi, ioapic: u8) -> Interrupt {
    let level = plan.transports.iter().any(|transport| transport.gsi == irq);
    Interrupt {
        kind: 3,
        delivery: Delivery::Vector as u8,
        trigger: if level { ACTIVE_HIGH_LEVEL } else { CONFORMING }.into(),
        bus: ISA,
        irq: irq as u8,
        apic: ioapic,
        input: if irq == 0 { CASCADE as u8 } else { irq as u8 },
    }
}

fn local(delivery: Delivery, input: u8) -> Interrupt {
    let (delivery, trigger) = (delivery as u8, CONFORMING.into());
    Interrupt { kind: 4, delivery, trigger, bus: ISA, irq: 0, apic: ALL_APICS, input }
}

/// The byte that makes the sum of `bytes` zero.
fn complement(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_sub(*byte))
}

#[cfg(test)]
mod tests {
    use super::super::testing::without_acpi;
    use super::*;
    use crate::boot::Content;

    fn bytes(piece: &Piece) -> &[u8] {
        match &piece.content {
            Content::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
    }

    #[test]
    fn pointer_and_table_sum_to_zero_and_lie_where_they_are_searched_for() {
        let [pointer, table] = pieces(&without_acpi(3));
        assert_eq!((pointer.start, sum(bytes(&pointer)), bytes(&pointer).len()), (0xf_0020, 0, 16));
        assert_eq!(bytes(&pointer)[4..8], (table.start as u32).to_le_bytes());
        assert_eq!(sum(bytes(&table)), 0);
        assert_eq!(bytes(&table)[4..6], (bytes(&table).len() as u16).to_le_bytes());
    }

    #[test]
    fn every_processor_is_listed_and_the_first_boots() {
        let (count, entries) = entries(&without_acpi(3));
        assert_eq!(count, 3 + 1 + 1 + 15 + 2);
        assert_eq!(entries.len(), 3 * 20 + 19 * 8);
        let ids: Vec<_> = entries.chunks(20).take(3).map(|cpu| (cpu[0], cpu[1], cpu[3])).collect();
        assert_eq!(ids, [(0, 0, 3), (0, 1, 1), (0, 2, 1)]);
    }

    #[test]
    fn interrupts_of_transports_are_level_triggered_and_the_timer_has_input_2() {
        let plan = without_acpi(1);
        let wires = |irq| {
            let interrupt = interrupt(&plan, irq, 0);
            (interrupt.trigger.get(), interrupt.input)
        };
        assert_eq!(
            [wires(0), wires(4), wires(5), wires(12), wires(13)],
            [(0, 2), (0, 4), (13, 5), (13, 12), (0, 13)]
        );
    }

    #[test]
    fn largest_table_fits_its_place() {
        let [_, table] = pieces(&without_acpi(254));
        assert!(table.range().end() <= layout::MP_TABLE.end());
    }
}
