//! Processor Properties Topology Table: packages, cores and threads. ACPI 6.5, 5.2.30.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes};

use super::{Definition, OemIds, Table};

/// ACPI 6.3, which added threads, leaves and identical implementations.
const REVISION: u8 = 2;

/// A regular tree of processors. Their UIDs, which the MADT gives out too, count from 0 through threads, cores, packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pptt {
    /// Packages, also called sockets.
    pub packages: u32,
    /// Cores in each package.
    pub cores: u32,
    /// Threads in each core.
    pub threads: u32,
}

/// Where a node lies in the table, which is how its children name it. 0 is no node.
type Reference = u32;

impl Pptt {
    fn append_core(&self, table: &mut Table, package: Reference, core: u32) {
        if self.threads == 1 {
            append_node(table, LEAF, package, core);
            return;
        }
        let parent = append_node(table, 0, package, core);
        for thread in 0..self.threads {
            append_node(table, LEAF | THREAD, parent, core * self.threads + thread);
        }
    }
}

impl Definition for Pptt {
    fn encode(&self, ids: &OemIds) -> Table {
        let mut table = Table::new(*b"PPTT", REVISION, ids);
        for package in 0..self.packages {
            let parent = append_node(&mut table, PHYSICAL_PACKAGE, 0, package);
            for core in 0..self.cores {
                self.append_core(&mut table, parent, package * self.cores + core);
            }
        }
        table
    }
}

// Flags of a node. ACPI 6.5, 5.2.30.1.
const PHYSICAL_PACKAGE: u32 = 1 << 0;
const ID_VALID: u32 = 1 << 1;
const THREAD: u32 = 1 << 2;
const LEAF: u32 = 1 << 3;
const IDENTICAL: u32 = 1 << 4;

/// Adds a node and says where. Only a leaf's `id` is a processor's UID; others have none, as there are no container devices.
fn append_node(table: &mut Table, flags: u32, parent: Reference, id: u32) -> Reference {
    let reference = table.bytes().len() as u32;
    let (kind, id) = if flags & LEAF == 0 { (IDENTICAL, 0) } else { (ID_VALID, id) };
    table.append(ProcessorNode::new(flags | kind, parent, id).as_bytes());
    reference
}

/// Processor hierarchy node without private resources. ACPI 6.5, 5.2.30.1.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct ProcessorNode {
    kind: u8,
    length: u8,
    reserved: U16,
    flags: U32,
    parent: U32,
    processor_uid: U32,
    resources: U32,
}

const _: () = assert!(size_of::<ProcessorNode>() == 20);

impl ProcessorNode {
    fn new(flags: u32, parent: Reference, processor_uid: u32) -> Self {
        Self {
            kind: 0,
            length: size_of::<Self>() as u8,
            reserved: U16::ZERO,
            flags: U32::new(flags),
            parent: U32::new(parent),
            processor_uid: U32::new(processor_uid),
            resources: U32::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flags, parent and UID of each node.
    fn nodes(pptt: Pptt) -> Vec<[u32; 3]> {
        let table = pptt.encode(&OemIds::default());
        let field = |node: &[u8], at: usize| u32::from_le_bytes(node[at..at + 4].try_into().unwrap());
        let nodes = table.bytes()[36..].chunks(20);
        nodes.map(|node| [field(node, 4), field(node, 8), field(node, 12)]).collect()
    }

    #[test]
    fn pptt_core_with_one_thread_is_a_leaf_of_its_package() {
        let nodes = nodes(Pptt { packages: 2, cores: 1, threads: 1 });

        assert_eq!(nodes, [[0x11, 0, 0], [0x0a, 36, 0], [0x11, 0, 0], [0x0a, 76, 1]]);
    }

    #[test]
    fn pptt_threads_are_leaves_of_their_core() {
        let nodes = nodes(Pptt { packages: 1, cores: 2, threads: 2 });

        let core = |at, first| [[0x10, 36, 0], [0x0e, at, first], [0x0e, at, first + 1]];
        assert_eq!(nodes, [vec![[0x11, 0, 0]], core(56, 0).to_vec(), core(116, 2).to_vec()].concat());
    }
}
