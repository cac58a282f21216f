//! Processor Properties Topology Table: packages, cores and threads. ACPI 6.5, 5.2.30.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes};

use super::{Definition, OemIds, Table};

/// ACPI 6.3, which added threads, leaves and identical implementations.
const REVISION: u8 = 2;

/// A regular tree of processors. Their UIDs, which the MADT gives out too, count from 0 through threads, cores, dies, packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pptt {
    /// Packages, also called sockets.
    pub packages: u32,
    /// Dies in each package.
    pub dies: u32,
    /// Cores on each die.
    pub cores: u32,
    /// Threads in each core.
    pub threads: u32,
}

/// Where a node lies in the table, which is how its children name it. 0 is no node.
type Reference = u32;

impl Pptt {
    /// How many of each level the next higher one has, from packages down. A single die or thread is no level of its own.
    fn levels(&self) -> Vec<u32> {
        let several = |count: u32| Some(count).filter(|&count| count > 1);
        let levels = [Some(self.packages), several(self.dies), Some(self.cores), several(self.threads)];
        levels.into_iter().flatten().collect()
    }

    /// Adds the nodes of the first of `levels` that `parent` has, each with all that is below it. `parent` is number `place`
    /// of its own level.
    fn append_level(&self, table: &mut Table, levels: &[u32], parent: Reference, place: u32) {
        let Some((&count, below)) = levels.split_first() else { return };
        let package = if parent == 0 { PHYSICAL_PACKAGE } else { 0 };
        let thread = if self.threads > 1 { THREAD } else { 0 };
        let flags = if below.is_empty() { package | LEAF | thread } else { package };
        for place in place * count..(place + 1) * count {
            let node = append_node(table, flags, parent, place);
            self.append_level(table, below, node, place);
        }
    }
}

impl Definition for Pptt {
    fn encode(&self, ids: &OemIds) -> Table {
        let mut table = Table::new(*b"PPTT", REVISION, ids);
        self.append_level(&mut table, &self.levels(), 0, 0);
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
        let nodes = nodes(Pptt { packages: 2, dies: 1, cores: 1, threads: 1 });

        assert_eq!(nodes, [[0x11, 0, 0], [0x0a, 36, 0], [0x11, 0, 0], [0x0a, 76, 1]]);
    }

    #[test]
    fn pptt_threads_are_leaves_of_their_core() {
        let nodes = nodes(Pptt { packages: 1, dies: 1, cores: 2, threads: 2 });

        let core = |at, first| [[0x10, 36, 0], [0x0e, at, first], [0x0e, at, first + 1]];
        assert_eq!(nodes, [vec![[0x11, 0, 0]], core(56, 0).to_vec(), core(116, 2).to_vec()].concat());
    }
    #[test]
    fn pptt_dies_stand_between_package_and_cores() {
        let nodes = nodes(Pptt { packages: 1, dies: 2, cores: 1, threads: 1 });

        assert_eq!(nodes, [[0x11, 0, 0], [0x10, 36, 0], [0x0a, 56, 0], [0x10, 36, 0], [0x0a, 96, 1]]);
    }
}
