//! System Resource Affinity Table: which processors and which memory make a node. ACPI 6.5, 5.2.16.

use acpi_tables::Aml;
use acpi_tables::srat::MemoryAffinity;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes};

use super::{Definition, OemIds, Table};

/// ACPI 6.5, 5.2.16.
const REVISION: u8 = 3;
/// The first APIC id that a local APIC structure cannot hold. ACPI 6.5, 5.2.16.3.
const FIRST_X2APIC_ID: u32 = 255;
/// A structure counts only if this flag is set.
const ENABLED: u32 = 1 << 0;

/// The nodes of a machine, called proximity domains.
#[derive(Clone, Debug, Default)]
pub struct Srat {
    /// Each processor and its node.
    pub cpus: Vec<CpuAffinity>,
    /// Each range of memory and its node.
    pub memory: Vec<MemoryRange>,
}

/// A processor in a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuAffinity {
    /// Its APIC id.
    pub apic_id: u32,
    /// Its proximity domain.
    pub node: u32,
}

/// Memory in a node. ACPI 6.5, 5.2.16.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// Physical address.
    pub base: u64,
    /// Size in bytes.
    pub len: u64,
    /// Its proximity domain.
    pub node: u32,
}

impl Definition for Srat {
    fn encode(&self, ids: &OemIds) -> Table {
        let mut table = Table::new(*b"SRAT", REVISION, ids);
        table.append(&1u32.to_le_bytes()); // reserved, must be 1
        table.append(&[0; 8]); // reserved
        for cpu in &self.cpus {
            cpu.append_to(&mut table);
        }
        for range in &self.memory {
            range.append_to(&mut table);
        }
        table
    }
}

impl CpuAffinity {
    fn append_to(&self, table: &mut Table) {
        match u8::try_from(self.apic_id) {
            Ok(id) if self.apic_id < FIRST_X2APIC_ID => {
                table.append(LocalApicAffinity::new(id, self.node).as_bytes());
            }
            _ => table.append(X2ApicAffinity::new(self.apic_id, self.node).as_bytes()),
        }
    }
}

impl MemoryRange {
    fn append_to(&self, table: &mut Table) {
        let mut bytes = Vec::new();
        MemoryAffinity::new(self.node, self.base, self.len).enabled().to_aml_bytes(&mut bytes);
        table.append(&bytes);
    }
}

/// Processor Local APIC Affinity. ACPI 6.5, 5.2.16.1.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct LocalApicAffinity {
    kind: u8,
    length: u8,
    node_low: u8,
    apic_id: u8,
    flags: U32,
    sapic_eid: u8,
    node_high: [u8; 3],
    clock_domain: U32,
}

const _: () = assert!(size_of::<LocalApicAffinity>() == 16);

impl LocalApicAffinity {
    fn new(apic_id: u8, node: u32) -> Self {
        let [node_low, node_high @ ..] = node.to_le_bytes();
        Self {
            kind: 0,
            length: size_of::<Self>() as u8,
            node_low,
            apic_id,
            flags: U32::new(ENABLED),
            sapic_eid: 0,
            node_high,
            clock_domain: U32::ZERO,
        }
    }
}

/// Processor Local x2APIC Affinity. ACPI 6.5, 5.2.16.3.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct X2ApicAffinity {
    kind: u8,
    length: u8,
    reserved: U16,
    node: U32,
    x2apic_id: U32,
    flags: U32,
    clock_domain: U32,
    reserved_end: U32,
}

const _: () = assert!(size_of::<X2ApicAffinity>() == 24);

impl X2ApicAffinity {
    fn new(apic_id: u32, node: u32) -> Self {
        Self {
            kind: 2,
            length: size_of::<Self>() as u8,
            reserved: U16::ZERO,
            node: U32::new(node),
            x2apic_id: U32::new(apic_id),
            flags: U32::new(ENABLED),
            clock_domain: U32::ZERO,
            reserved_end: U32::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(srat: &Srat) -> Vec<u8> {
        srat.encode(&OemIds::default()).bytes()[36..].to_vec()
    }

    #[test]
    fn srat_begins_with_a_reserved_one() {
        assert_eq!(body(&Srat::default()), [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn srat_cpu_node_is_split_over_two_fields() {
        let srat = Srat { cpus: vec![CpuAffinity { apic_id: 3, node: 0x0403_0201 }], memory: vec![] };

        assert_eq!(body(&srat)[12..], [0, 16, 1, 3, 1, 0, 0, 0, 0, 2, 3, 4, 0, 0, 0, 0]);
    }

    #[test]
    fn srat_apic_id_255_is_an_x2apic() {
        let srat = Srat { cpus: vec![CpuAffinity { apic_id: 255, node: 1 }], memory: vec![] };

        let expected = *b"\x02\x18\0\0\x01\0\0\0\xff\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(body(&srat)[12..], expected);
    }

    #[test]
    fn srat_memory_is_base_and_length() {
        let range = MemoryRange { base: 0x1_0000_0000, len: 0x2_8000_0000, node: 1 };
        let srat = Srat { cpus: vec![], memory: vec![range] };

        let body = body(&srat);

        assert_eq!(body[12..32], *b"\x01\x28\x01\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x80");
        assert_eq!(body[32..44], [2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    }
}
