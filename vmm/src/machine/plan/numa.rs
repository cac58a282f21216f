//! Nodes: the memory of each at its addresses, in the order of the nodes, and the ways between all of them.

use super::{MIB, Range};
use crate::config::{Config, NodeAccess, NodeConfig, NodeDistance, NumaConfig};

/// How far apart nodes are of which nothing is said, as Linux takes it too.
const REMOTE: u8 = 20;
/// A node's distance from itself. ACPI 6.5, 5.2.17.
const LOCAL: u8 = 10;
/// The tables of so many nodes fit below 1 MiB, where a kernel without firmware finds them.
const MAX_NODES: usize = 64;

/// The nodes, numbered from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumaPlan {
    /// All of them.
    pub nodes: Vec<NodePlan>,
    /// What was said of the ways between them.
    pub distances: Vec<NodeDistance>,
    /// What was said of their speed.
    pub accesses: Vec<NodeAccess>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePlan {
    /// Its vCPUs by index, ascending.
    pub cpus: Vec<u32>,
    /// Its memory, ascending: at most one range on each side of the hole below 4 GiB.
    pub memory: Vec<Range>,
}

/// Why there are no such nodes. Each message names the option and what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NumaError {
    /// More nodes than the tables have room for.
    #[error("--numa describes {0} nodes, this machine has {MAX_NODES} at most")]
    TooMany(usize),
    /// Distances or speeds, and no nodes.
    #[error(
        "--numa distance and --numa access are of nodes, describe those with --numa node,cpus=…,memory=…"
    )]
    NoNodes,
    /// Nodes, and no table to tell of them.
    #[error(
        "--numa and --machine acpi=off exclude each other: nothing but ACPI tells of nodes, so leave one of them out"
    )]
    NoAcpi,
    /// A node without anything in it.
    #[error("--numa node {0} has neither vCPUs nor memory, give it cpus= or memory=")]
    Empty(usize),
    /// A node with memory not in whole MiB.
    #[error("--numa node {0}: memory must be a multiple of 1M")]
    Unaligned(usize),
    /// Nodes with more or less memory than the machine.
    #[error("--numa nodes have {nodes}M together, and --memory is {memory}M: make them equal")]
    Memory {
        /// What the nodes have, in MiB.
        nodes: u64,
        /// What the machine has, in MiB.
        memory: u64,
    },
    /// A vCPU that there is not.
    #[error("--numa node {node} has vCPU {cpu}, and the last of --cpus is {last}")]
    NoCpu {
        /// The node.
        node: usize,
        /// Its vCPU.
        cpu: u32,
        /// The last that there is.
        last: u32,
    },
    /// A vCPU in two nodes, or twice in one.
    #[error("--numa gives vCPU {cpu} to node {first} and to node {second}, leave one of them out")]
    CpuTwice {
        /// The vCPU.
        cpu: u32,
        /// The one node.
        first: usize,
        /// The other.
        second: usize,
    },
    /// A vCPU in no node.
    #[error("--numa gives vCPU {0} to no node, add it to the cpus= of one")]
    CpuNowhere(u32),
    /// A way from or to a node that there is not.
    #[error("--numa {what},from={from},to={to}: the last node is {last}")]
    NoNode {
        /// Distance or access.
        what: &'static str,
        /// Where it starts.
        from: u32,
        /// Where it ends.
        to: u32,
        /// The last node.
        last: usize,
    },
    /// Two statements about one way.
    #[error("--numa {what},from={from},to={to} is given twice, give it once")]
    WayTwice {
        /// Distance or access.
        what: &'static str,
        /// Where it starts.
        from: u32,
        /// Where it ends.
        to: u32,
    },
    /// A distance from a node to itself.
    #[error("--numa distance,from={0},to={0}: a node's distance from itself is {LOCAL} always, leave it out")]
    Itself(u32),
    /// An access that nobody makes.
    #[error("--numa access,from={0}: that node has no vCPUs")]
    NoInitiator(u32),
    /// An access to nothing.
    #[error("--numa access,to={0}: that node has no memory")]
    NoTarget(u32),
}

impl NumaPlan {
    /// The nodes of `config` in RAM that is `low` and `high`; none if none are asked for.
    pub(super) fn new(config: &Config, low: Range, high: Option<Range>) -> Result<Option<Self>, NumaError> {
        let numa = &config.numa;
        if *numa == NumaConfig::default() {
            return Ok(None);
        }
        if !config.options.has_acpi() {
            return Err(NumaError::NoAcpi);
        }
        check_nodes(&numa.nodes, config.memory)?;
        let cpus = cpus(&numa.nodes, config.cpus.count())?;
        let memory = memory(&numa.nodes, low, high);
        let nodes = cpus.into_iter().zip(memory).map(|(cpus, memory)| NodePlan { cpus, memory }).collect();
        let plan = Self { nodes, distances: numa.distances.clone(), accesses: numa.accesses.clone() };
        plan.check_distances()?;
        plan.check_accesses()?;
        Ok(Some(plan))
    }

    /// How far `to` is from `from`. One direction stands for the other, unless that is said too.
    #[must_use]
    pub fn distance(&self, from: u32, to: u32) -> u8 {
        let said = |from, to| self.distances.iter().find(|way| (way.from, way.to) == (from, to));
        match said(from, to).or_else(|| said(to, from)) {
            _ if from == to => LOCAL,
            Some(way) => way.value,
            None => REMOTE,
        }
    }

    /// The node of vCPU `index`.
    #[must_use]
    pub fn node_of(&self, index: u32) -> Option<u32> {
        (0..).zip(&self.nodes).find(|(_, node)| node.cpus.contains(&index)).map(|(number, _)| number)
    }

    fn node(&self, number: u32) -> Option<&NodePlan> {
        self.nodes.get(number as usize)
    }

    fn check_distances(&self) -> Result<(), NumaError> {
        self.check_ways("distance", &self.distances, |way| (way.from, way.to))?;
        match self.distances.iter().find(|way| way.from == way.to) {
            Some(way) => Err(NumaError::Itself(way.from)),
            None => Ok(()),
        }
    }

    fn check_accesses(&self) -> Result<(), NumaError> {
        self.check_ways("access", &self.accesses, |way| (way.from, way.to))?;
        for way in &self.accesses {
            if self.node(way.from).is_none_or(|node| node.cpus.is_empty()) {
                return Err(NumaError::NoInitiator(way.from));
            }
            if self.node(way.to).is_none_or(|node| node.memory.is_empty()) {
                return Err(NumaError::NoTarget(way.to));
            }
        }
        Ok(())
    }

    /// Both ends of each way are nodes, and no way is there twice.
    fn check_ways<T>(
        &self,
        what: &'static str,
        ways: &[T],
        ends: fn(&T) -> (u32, u32),
    ) -> Result<(), NumaError> {
        let mut seen = std::collections::BTreeSet::new();
        for (from, to) in ways.iter().map(ends) {
            if self.node(from.max(to)).is_none() {
                return Err(NumaError::NoNode { what, from, to, last: self.nodes.len() - 1 });
            }
            if !seen.insert((from, to)) {
                return Err(NumaError::WayTwice { what, from, to });
            }
        }
        Ok(())
    }
}

fn check_nodes(nodes: &[NodeConfig], memory: u64) -> Result<(), NumaError> {
    match nodes.len() {
        0 => return Err(NumaError::NoNodes),
        count if count > MAX_NODES => return Err(NumaError::TooMany(count)),
        _ => {}
    }
    for (number, node) in nodes.iter().enumerate() {
        if node.cpus.is_empty() && node.memory == 0 {
            return Err(NumaError::Empty(number));
        }
        if !node.memory.is_multiple_of(MIB) {
            return Err(NumaError::Unaligned(number));
        }
    }
    let sum = nodes.iter().fold(0u64, |sum, node| sum.saturating_add(node.memory));
    if sum != memory {
        return Err(NumaError::Memory { nodes: sum / MIB, memory: memory / MIB });
    }
    Ok(())
}

/// The vCPUs of each node; each of `count` is in one.
fn cpus(nodes: &[NodeConfig], count: u32) -> Result<Vec<Vec<u32>>, NumaError> {
    let mut owners = vec![None; count as usize];
    for (node, config) in nodes.iter().enumerate() {
        for range in &config.cpus {
            let last = count.saturating_sub(1);
            if *range.end() > last {
                return Err(NumaError::NoCpu { node, cpu: *range.end(), last });
            }
            for cpu in range.clone() {
                if let Some(first) = owners.get_mut(cpu as usize).and_then(|owner| owner.replace(node)) {
                    return Err(NumaError::CpuTwice { cpu, first, second: node });
                }
            }
        }
    }
    if let Some(cpu) = (0..).zip(&owners).find_map(|(cpu, owner)| owner.is_none().then_some(cpu)) {
        return Err(NumaError::CpuNowhere(cpu));
    }
    let of = |node| (0..).zip(&owners).filter(move |(_, owner)| **owner == Some(node)).map(|(cpu, _)| cpu);
    Ok((0..nodes.len()).map(|node| of(node).collect()).collect())
}

/// The memory of each node, one after the other through RAM.
fn memory(nodes: &[NodeConfig], low: Range, high: Option<Range>) -> Vec<Vec<Range>> {
    let mut at = 0;
    let place = |node: &NodeConfig| {
        let part = Range::new(at, node.memory);
        at += node.memory;
        // What RAM would be without the hole, and how far it is moved.
        let high = high.map(|high| (Range::new(low.end(), high.len), high.start - low.end()));
        let pieces = [Some((low, 0)), high].into_iter().flatten();
        pieces
            .filter_map(|(flat, moved)| {
                common(part, flat).map(|range| Range::new(range.start + moved, range.len))
            })
            .collect()
    };
    nodes.iter().map(place).collect()
}

/// The addresses that both have.
fn common(a: Range, b: Range) -> Option<Range> {
    let (start, end) = (a.start.max(b.start), a.end().min(b.end()));
    (start < end).then(|| Range::new(start, end - start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MachineOptions, Switch};
    use crate::machine::plan::{GIB, Plan, PlanError};
    use crate::topology::Topology;

    fn node(cpus: std::ops::RangeInclusive<u32>, memory: u64) -> NodeConfig {
        NodeConfig { cpus: vec![cpus], memory }
    }

    /// A machine of four vCPUs and 4 GiB with two nodes, the second with memory on both sides of the hole.
    fn config() -> Config {
        let nodes = vec![node(0..=1, 2 * GIB), node(2..=3, 2 * GIB)];
        Config {
            memory: 4 * GIB,
            cpus: Topology::of_cores(4),
            numa: NumaConfig { nodes, ..NumaConfig::default() },
            ..Config::default()
        }
    }

    fn plan(change: impl FnOnce(&mut Config)) -> Result<NumaPlan, String> {
        let mut config = config();
        change(&mut config);
        match Plan::new(&config, 128 << 10, 46) {
            Ok(plan) => Ok(plan.numa.unwrap()),
            Err(PlanError::Numa(error)) => Err(error.to_string()),
            Err(other) => panic!("{other}"),
        }
    }

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        plan(change).unwrap_err()
    }

    #[test]
    fn memory_of_nodes_goes_around_the_hole() {
        let plan = plan(|_| ()).unwrap();

        assert_eq!(plan.nodes[0].memory, [Range::new(0, 2 * GIB)]);
        assert_eq!(plan.nodes[1].memory, [Range::new(2 * GIB, GIB), Range::new(4 * GIB, GIB)]);
        assert_eq!([0, 1, 2, 3, 4].map(|cpu| plan.node_of(cpu)), [Some(0), Some(0), Some(1), Some(1), None]);
    }

    #[test]
    fn node_may_lack_vcpus_or_memory() {
        let plan = plan(|config| {
            let memory = NodeConfig { cpus: vec![], memory: 4 * GIB };
            config.numa.nodes =
                vec![node(0..=0, 0), memory, NodeConfig { cpus: vec![3..=3, 1..=2], memory: 0 }];
        });

        let plan = plan.unwrap();
        assert_eq!((plan.nodes[0].memory.len(), plan.nodes[1].cpus.len()), (0, 0));
        assert_eq!(plan.nodes[2].cpus, [1, 2, 3]);
    }

    #[test]
    fn distance_holds_both_ways_unless_said_otherwise() {
        let way = |from, to, value| NodeDistance { from, to, value };
        let plan = plan(|config| {
            config.numa.nodes = [0, 1, 2, 3].map(|cpu| node(cpu..=cpu, GIB)).into();
            config.numa.distances = vec![way(1, 0, 30), way(2, 0, 40), way(0, 2, 50)];
        });

        let distances = |from| [0, 1, 2, 3].map(|to| plan.as_ref().unwrap().distance(from, to));
        assert_eq!(distances(0), [10, 30, 50, 20]);
        assert_eq!(distances(1), [30, 10, 20, 20]);
        assert_eq!(distances(2), [40, 20, 10, 20]);
    }

    #[test]
    fn vcpus_are_in_one_node_each() {
        let cpus = |cpus: &[std::ops::RangeInclusive<u32>]| {
            let cpus = cpus.to_vec();
            refused(move |config| config.numa.nodes[1].cpus = cpus)
        };
        assert_eq!(cpus(&[2..=2]), "--numa gives vCPU 3 to no node, add it to the cpus= of one");
        assert_eq!(cpus(&[2..=u32::MAX]), "--numa node 1 has vCPU 4294967295, and the last of --cpus is 3");
        assert_eq!(cpus(&[1..=3]), "--numa gives vCPU 1 to node 0 and to node 1, leave one of them out");
    }

    #[test]
    fn memory_of_nodes_is_that_of_the_machine() {
        let memory = |bytes| refused(move |config| config.numa.nodes[1].memory = bytes);
        assert_eq!(memory(GIB), "--numa nodes have 3072M together, and --memory is 4096M: make them equal");
        assert!(memory(!(MIB - 1)).ends_with("and --memory is 4096M: make them equal"));
        assert_eq!(memory(GIB + 1), "--numa node 1: memory must be a multiple of 1M");
    }

    #[test]
    fn nodes_are_some_and_not_too_many() {
        let empty = refused(|config| config.numa.nodes.push(NodeConfig::default()));
        assert_eq!(empty, "--numa node 2 has neither vCPUs nor memory, give it cpus= or memory=");
        let many = refused(|config| config.numa.nodes = vec![node(0..=3, GIB); 65]);
        assert_eq!(many, "--numa describes 65 nodes, this machine has 64 at most");
        let none = refused(|config| {
            config.numa.nodes.clear();
            config.numa.distances.push(NodeDistance { from: 0, to: 1, value: 20 });
        });
        assert!(none.starts_with("--numa distance and --numa access are of nodes"), "{none}");
        let no_acpi = refused(|config| {
            config.options = MachineOptions { acpi: Switch::Off, ..MachineOptions::default() };
        });
        assert!(no_acpi.starts_with("--numa and --machine acpi=off exclude each other"), "{no_acpi}");
    }

    #[test]
    fn ways_are_between_nodes_that_can_go_them() {
        let distance = |from, to| {
            refused(move |config| config.numa.distances = vec![NodeDistance { from, to, value: 20 }; 2])
        };
        assert_eq!(distance(0, 2), "--numa distance,from=0,to=2: the last node is 1");
        assert_eq!(distance(0, 1), "--numa distance,from=0,to=1 is given twice, give it once");
        let itself =
            refused(|config| config.numa.distances = vec![NodeDistance { from: 1, to: 1, value: 20 }]);
        assert!(
            itself.starts_with("--numa distance,from=1,to=1: a node's distance from itself is 10"),
            "{itself}"
        );
        let access = |from, to| {
            refused(move |config| {
                config.numa.nodes = vec![node(0..=3, 0), NodeConfig { cpus: vec![], memory: 4 * GIB }];
                config.numa.accesses = vec![NodeAccess { from, to, latency: Some(1), bandwidth: None }];
            })
        };
        assert_eq!(access(1, 1), "--numa access,from=1: that node has no vCPUs");
        assert_eq!(access(0, 0), "--numa access,to=0: that node has no memory");
        assert_eq!(access(7, 0), "--numa access,from=7,to=0: the last node is 1");
    }
}
