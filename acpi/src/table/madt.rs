//! Multiple APIC Description Table: processors and interrupt controllers. ACPI 6.5, 5.2.12.

use acpi_tables::madt::{EnabledStatus, IoApic as IoApicEntry, ProcessorLocalApic};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes};

use super::{Definition, OemIds, Table};

/// ACPI 5.0, as the FADT. ACPI 6.5, table 5.19.
const REVISION: u8 = 3;
/// The first APIC id that a local APIC entry cannot hold: 255 is the broadcast. ACPI 6.5, 5.2.12.12.
const FIRST_X2APIC_ID: u32 = 255;
/// The input on which every processor takes its NMI, as on PCs.
const NMI_LINT: u8 = 1;

/// Processors and interrupt controllers. Every processor takes its NMI on LINT1.
#[derive(Clone, Debug, Default)]
pub struct Madt {
    /// Physical address of every processor's local APIC.
    pub local_apic: u32,
    /// Whether a pair of i8259 exists too. ACPI 6.5, table 5.20.
    pub pcat_compat: bool,
    /// Processors, the boot processor first, APIC ids ascending. The place in this list is the processor's ACPI UID.
    pub cpus: Vec<Cpu>,
    /// I/O APICs.
    pub io_apics: Vec<IoApic>,
    /// ISA interrupts that are not edge-triggered, active high and identity mapped.
    pub overrides: Vec<Override>,
}

/// A processor. ACPI 6.5, 5.2.12.2 and 5.2.12.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Its APIC id; ids from 255 on need x2APIC mode.
    pub apic_id: u32,
    /// Whether it exists at boot; if not, it is only reserved.
    pub present: bool,
}

/// An I/O APIC. ACPI 6.5, 5.2.12.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApic {
    /// Its id.
    pub id: u8,
    /// Physical address of its registers.
    pub address: u32,
    /// The GSI of its first input.
    pub gsi_base: u32,
}

/// What becomes of an ISA interrupt. ACPI 6.5, 5.2.12.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// ISA interrupt, 0 to 15.
    pub isa_irq: u8,
    /// The GSI it arrives at.
    pub gsi: u32,
    /// Polarity and trigger there.
    pub signal: Signal,
}

/// MPS INTI flags. ACPI 6.5, table 5.26.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Signal {
    /// As the bus has it: ISA is edge-triggered and active high.
    Bus = 0x0,
    /// Active high, edge-triggered.
    EdgeHigh = 0x5,
    /// Active high, level-triggered.
    LevelHigh = 0xd,
}

impl Madt {
    fn flags(&self) -> u32 {
        u32::from(self.pcat_compat)
    }

    fn append_cpus(&self, table: &mut Table) {
        for (uid, cpu) in (0..).zip(&self.cpus) {
            match u8::try_from(cpu.apic_id) {
                Ok(id) if cpu.apic_id < FIRST_X2APIC_ID => {
                    table.append(ProcessorLocalApic::new(uid as u8, id, cpu.status()).as_bytes());
                }
                _ => table.append(LocalX2Apic::new(uid, cpu).as_bytes()),
            }
        }
    }

    fn append_nmi(&self, table: &mut Table) {
        if self.cpus.iter().any(|cpu| cpu.apic_id >= FIRST_X2APIC_ID) {
            table.append(LocalX2ApicNmi::ALL.as_bytes());
        } else {
            table.append(LocalApicNmi::ALL.as_bytes());
        }
    }
}

impl Definition for Madt {
    fn encode(&self, ids: &OemIds) -> Table {
        let mut table = Table::new(*b"APIC", REVISION, ids);
        table.append(&self.local_apic.to_le_bytes());
        table.append(&self.flags().to_le_bytes());
        self.append_cpus(&mut table);
        for apic in &self.io_apics {
            table.append(IoApicEntry::new(apic.id, apic.address, apic.gsi_base).as_bytes());
        }
        for source in &self.overrides {
            table.append(InterruptSourceOverride::new(source).as_bytes());
        }
        self.append_nmi(&mut table);
        table
    }
}

impl Cpu {
    fn status(&self) -> EnabledStatus {
        if self.present { EnabledStatus::Enabled } else { EnabledStatus::Disabled }
    }
}

// Structures that acpi_tables does not have.

/// Processor Local x2APIC. ACPI 6.5, table 5.34.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct LocalX2Apic {
    kind: u8,
    length: u8,
    reserved: U16,
    x2apic_id: U32,
    flags: U32,
    processor_uid: U32,
}

const _: () = assert!(size_of::<LocalX2Apic>() == 16);

impl LocalX2Apic {
    fn new(uid: u32, cpu: &Cpu) -> Self {
        Self {
            kind: 9,
            length: size_of::<Self>() as u8,
            reserved: U16::ZERO,
            x2apic_id: U32::new(cpu.apic_id),
            flags: U32::new(cpu.status() as u32),
            processor_uid: U32::new(uid),
        }
    }
}

/// Interrupt Source Override. ACPI 6.5, table 5.25.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct InterruptSourceOverride {
    kind: u8,
    length: u8,
    /// 0 is ISA, the only bus there is.
    bus: u8,
    source: u8,
    gsi: U32,
    flags: U16,
}

const _: () = assert!(size_of::<InterruptSourceOverride>() == 10);

impl InterruptSourceOverride {
    fn new(source: &Override) -> Self {
        Self {
            kind: 2,
            length: size_of::<Self>() as u8,
            bus: 0,
            source: source.isa_irq,
            gsi: U32::new(source.gsi),
            flags: U16::new(source.signal as u16),
        }
    }
}

/// Local APIC NMI. ACPI 6.5, table 5.28.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct LocalApicNmi {
    kind: u8,
    length: u8,
    processor_uid: u8,
    flags: U16,
    lint: u8,
}

const _: () = assert!(size_of::<LocalApicNmi>() == 6);

impl LocalApicNmi {
    const ALL: Self = Self { kind: 4, length: 6, processor_uid: 0xff, flags: U16::ZERO, lint: NMI_LINT };
}

/// Local x2APIC NMI. ACPI 6.5, table 5.35.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct LocalX2ApicNmi {
    kind: u8,
    length: u8,
    flags: U16,
    processor_uid: U32,
    lint: u8,
    reserved: [u8; 3],
}

const _: () = assert!(size_of::<LocalX2ApicNmi>() == 12);

impl LocalX2ApicNmi {
    const ALL: Self = Self {
        kind: 10,
        length: 12,
        flags: U16::ZERO,
        processor_uid: U32::MAX_VALUE,
        lint: NMI_LINT,
        reserved: [0; 3],
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(madt: &Madt) -> Vec<u8> {
        madt.encode(&OemIds::default()).bytes()[36..].to_vec()
    }

    fn with_cpus(apic_ids: impl IntoIterator<Item = u32>) -> Madt {
        let cpus = apic_ids.into_iter().map(|apic_id| Cpu { apic_id, present: true }).collect();
        Madt { cpus, ..Madt::default() }
    }

    #[test]
    fn madt_begins_with_local_apic_and_pcat_compat() {
        let madt = Madt { local_apic: 0xfee0_0000, pcat_compat: true, ..Madt::default() };

        assert_eq!(body(&madt)[..8], [0, 0, 0xe0, 0xfe, 1, 0, 0, 0]);
    }

    #[test]
    fn madt_without_pic_clears_pcat_compat() {
        let madt = Madt { local_apic: 0xfee0_0000, pcat_compat: false, ..Madt::default() };

        assert_eq!(body(&madt)[4..8], [0; 4]);
    }

    #[test]
    fn madt_cpu_uid_is_its_place_even_if_ids_have_gaps() {
        let madt = with_cpus([0, 4]);

        assert_eq!(body(&madt)[8..24], [0, 8, 0, 0, 1, 0, 0, 0, 0, 8, 1, 4, 1, 0, 0, 0]);
    }

    #[test]
    fn madt_absent_cpu_is_not_enabled() {
        let madt = Madt { cpus: vec![Cpu { apic_id: 3, present: false }], ..Madt::default() };

        assert_eq!(body(&madt)[8..16], [0, 8, 0, 3, 0, 0, 0, 0]);
    }

    #[test]
    fn madt_apic_id_254_is_the_last_local_apic() {
        let madt = with_cpus([254, 255]);

        let body = body(&madt);

        assert_eq!(body[8..16], [0, 8, 0, 254, 1, 0, 0, 0]);
        assert_eq!(body[16..32], [9, 16, 0, 0, 255, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn madt_many_cpus_end_with_x2apic_nmi() {
        let madt = with_cpus(0..288);

        let body = body(&madt);

        assert_eq!(body.len(), 8 + 255 * 8 + 33 * 16 + 12);
        assert_eq!(body[body.len() - 12..], [10, 12, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0]);
    }

    #[test]
    fn madt_order_is_io_apics_overrides_nmi() {
        let madt = Madt {
            io_apics: vec![IoApic { id: 1, address: 0xfec1_0000, gsi_base: 24 }],
            overrides: vec![Override { isa_irq: 12, gsi: 12, signal: Signal::LevelHigh }],
            ..Madt::default()
        };

        let body = body(&madt);

        assert_eq!(body[8..20], [1, 12, 1, 0, 0, 0, 0xc1, 0xfe, 24, 0, 0, 0]);
        assert_eq!(body[20..30], [2, 10, 0, 12, 12, 0, 0, 0, 0x0d, 0]);
        assert_eq!(body[30..], [4, 6, 0xff, 0, 0, 1]);
    }
}
