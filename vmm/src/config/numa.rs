//! Which vCPUs and which memory are near each other.

use std::ops::RangeInclusive;

/// The nodes of a machine as the user describes them, and the ways between them. No node is a machine without NUMA.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumaConfig {
    /// The nodes, numbered from 0 in this order.
    pub nodes: Vec<NodeConfig>,
    /// What is not 20, which is the distance between nodes of which nothing is said.
    pub distances: Vec<NodeDistance>,
    /// What is known of the speed of memory.
    pub accesses: Vec<NodeAccess>,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeConfig {
    /// Its vCPUs by index.
    pub cpus: Vec<RangeInclusive<u32>>,
    /// Its memory in bytes.
    pub memory: u64,
}

/// How far a node is from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeDistance {
    /// The one.
    pub from: u32,
    /// The other.
    pub to: u32,
    /// In tenths of the distance within a node: 11 to 254, or 255 where there is no way.
    pub value: u8,
}

/// How fast the vCPUs of a node reach the memory of a node, which may be their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeAccess {
    /// The node of the vCPUs.
    pub from: u32,
    /// The node of the memory.
    pub to: u32,
    /// Nanoseconds until an access is done, 1 to 65534.
    pub latency: Option<u16>,
    /// Bytes a second, a multiple of 1 MiB.
    pub bandwidth: Option<u64>,
}
