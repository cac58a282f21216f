//! Heterogeneous Memory Attribute Table: how fast processors reach memory. ACPI 6.5, 5.2.28.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes};

use super::{Definition, OemIds, Table};

/// ACPI 6.5, 5.2.28.
const REVISION: u8 = 2;
/// The largest number an entry can hold: 0xffff says that there is no way. ACPI 6.5, 5.2.28.4.
const MAX_ENTRY: u64 = 0xfffe;
/// Latencies are told in picoseconds, and known in nanoseconds.
const NANOSECOND: u64 = 1000;

/// The speed of memory.
#[derive(Clone, Debug, Default)]
pub struct Hmat {
    /// Proximity domains with processors, ascending.
    pub initiators: Vec<u32>,
    /// Proximity domains with memory, ascending.
    pub targets: Vec<Target>,
    /// What is known of the ways between them.
    pub accesses: Vec<Access>,
}

/// A proximity domain with memory. ACPI 6.5, 5.2.28.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The domain.
    pub node: u32,
    /// The domain of the processors that the memory is attached to.
    pub initiator: Option<u32>,
}

/// The way from a domain's processors to a domain's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whose processors.
    pub initiator: u32,
    /// Whose memory.
    pub target: u32,
    /// Nanoseconds until an access is done, at most 65534; 0 if that is not known.
    pub latency: u64,
    /// MB a second; 0 if that is not known. Told with at least four digits.
    pub bandwidth: u64,
}

/// What an entry of a matrix tells. ACPI 6.5, table 5.147.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum DataType {
    AccessLatency = 0,
    AccessBandwidth = 3,
}

impl Hmat {
    /// Adds the matrix of `data_type`, a row for each initiator, if any of it is known.
    fn append_matrix(&self, table: &mut Table, data_type: DataType, unit: u64, value: fn(&Access) -> u64) {
        let known = |initiator: u32, target: u32| {
            let found = self.accesses.iter().find(|way| way.initiator == initiator && way.target == target);
            found.map_or(0, value)
        };
        let Some(most) = self.accesses.iter().map(value).max().filter(|&most| most > 0) else { return };
        let scale = scale(most);
        let (rows, columns) = (self.initiators.len(), self.targets.len());
        table.append(Matrix::new(data_type, rows as u32, columns as u32, unit * scale).as_bytes());
        self.initiators.iter().for_each(|initiator| table.append(&initiator.to_le_bytes()));
        self.targets.iter().for_each(|target| table.append(&target.node.to_le_bytes()));
        for &initiator in &self.initiators {
            for target in &self.targets {
                table.append(&entry(known(initiator, target.node), scale).to_le_bytes());
            }
        }
    }
}

/// The smallest power of ten in which `most` fits an entry.
fn scale(most: u64) -> u64 {
    let mut scale = 1;
    while most.div_ceil(scale) > MAX_ENTRY {
        scale *= 10;
    }
    scale
}

/// `value` in units of `scale`, rounded; what is known does not become unknown.
fn entry(value: u64, scale: u64) -> u16 {
    let rounded = (value + scale / 2) / scale;
    rounded.max(u64::from(value > 0)).min(MAX_ENTRY) as u16
}

impl Definition for Hmat {
    fn encode(&self, ids: &OemIds) -> Table {
        let mut table = Table::new(*b"HMAT", REVISION, ids);
        table.append(&[0; 4]); // reserved
        for target in &self.targets {
            table.append(Attributes::new(target).as_bytes());
        }
        self.append_matrix(&mut table, DataType::AccessLatency, NANOSECOND, |way| way.latency);
        self.append_matrix(&mut table, DataType::AccessBandwidth, 1, |way| way.bandwidth);
        table
    }
}

/// Memory Proximity Domain Attributes. ACPI 6.5, table 5.145.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Attributes {
    kind: U16,
    reserved: U16,
    length: U32,
    flags: U16,
    reserved_flags: U16,
    initiator: U32,
    memory: U32,
    reserved_end: [u8; 20],
}

const _: () = assert!(size_of::<Attributes>() == 40);

impl Attributes {
    /// The field `initiator` counts.
    const INITIATOR_VALID: u16 = 1 << 0;

    fn new(target: &Target) -> Self {
        Self {
            kind: U16::ZERO,
            reserved: U16::ZERO,
            length: U32::new(size_of::<Self>() as u32),
            flags: U16::new(if target.initiator.is_some() { Self::INITIATOR_VALID } else { 0 }),
            reserved_flags: U16::ZERO,
            initiator: U32::new(target.initiator.unwrap_or(0)),
            memory: U32::new(target.node),
            reserved_end: [0; 20],
        }
    }
}

/// System Locality Latency and Bandwidth Information without its lists and entries. ACPI 6.5, table 5.146.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Matrix {
    kind: U16,
    reserved: U16,
    length: U32,
    /// 0 is memory, as opposed to a cache before it.
    flags: u8,
    data_type: u8,
    min_transfer_size: u8,
    reserved_size: u8,
    initiators: U32,
    targets: U32,
    reserved_count: U32,
    base_unit: U64,
}

const _: () = assert!(size_of::<Matrix>() == 32);

impl Matrix {
    fn new(data_type: DataType, initiators: u32, targets: u32, base_unit: u64) -> Self {
        let lists = 4 * (initiators + targets) + 2 * initiators * targets;
        Self {
            kind: U16::new(1),
            reserved: U16::ZERO,
            length: U32::new(size_of::<Self>() as u32 + lists),
            flags: 0,
            data_type: data_type as u8,
            min_transfer_size: 0,
            reserved_size: 0,
            initiators: U32::new(initiators),
            targets: U32::new(targets),
            reserved_count: U32::ZERO,
            base_unit: U64::new(base_unit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Domain 0 has processors and memory, domain 1 memory alone.
    fn hmat(accesses: &[Access]) -> Vec<u8> {
        let targets = vec![Target { node: 0, initiator: Some(0) }, Target { node: 1, initiator: None }];
        let hmat = Hmat { initiators: vec![0], targets, accesses: accesses.to_vec() };
        hmat.encode(&OemIds::default()).bytes()[36..].to_vec()
    }

    fn access(target: u32, latency: u64, bandwidth: u64) -> Access {
        Access { initiator: 0, target, latency, bandwidth }
    }

    #[test]
    fn hmat_memory_names_its_initiator_if_it_has_one() {
        let bytes = hmat(&[]);

        assert_eq!(bytes[..24], *b"\0\0\0\0\0\0\0\0\x28\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(bytes[44..64], *b"\0\0\0\0\x28\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0");
        assert_eq!(bytes.len(), 4 + 2 * 40);
    }

    #[test]
    fn hmat_latency_is_a_matrix_in_nanoseconds() {
        let bytes = hmat(&[access(0, 90, 0), access(1, 250, 0)]);

        let matrix = &bytes[84..];
        assert_eq!(matrix[..12], *b"\x01\0\0\0\x30\0\0\0\0\0\0\0");
        assert_eq!(matrix[12..32], *b"\x01\0\0\0\x02\0\0\0\0\0\0\0\xe8\x03\0\0\0\0\0\0");
        assert_eq!(matrix[32..], *b"\0\0\0\0\0\0\0\0\x01\0\0\0\x5a\0\xfa\0");
    }

    #[test]
    fn hmat_unknown_way_is_zero() {
        let bytes = hmat(&[access(1, 250, 0)]);

        assert_eq!(bytes[bytes.len() - 4..], [0, 0, 250, 0]);
    }

    #[test]
    fn hmat_large_bandwidth_has_a_larger_unit() {
        let bytes = hmat(&[access(0, 0, 65_534), access(1, 0, 409_600)]);

        let matrix = &bytes[84..];
        assert_eq!(matrix[9], 3);
        assert_eq!(matrix[24..32], 10u64.to_le_bytes());
        assert_eq!(matrix[44..], [6553u16.to_le_bytes(), 40960u16.to_le_bytes()].concat());
    }

    #[test]
    fn hmat_entry_keeps_what_is_known() {
        assert_eq!((scale(65_534), scale(65_535), scale(u64::MAX / 2)), (1, 10, 1_000_000_000_000_000));
        assert_eq!((entry(0, 100), entry(1, 100), entry(149, 100), entry(150, 100)), (0, 1, 1, 2));
    }
}
