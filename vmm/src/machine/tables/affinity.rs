//! The tables of nodes and of how processors are arranged, and the processors as devices, to which those refer.

use acpi::table::hmat::{Access, Hmat, Target};
use acpi::table::srat::{CpuAffinity, MemoryRange, Srat};
use acpi::table::{Pptt, Slit};
use acpi::{Describe, NameSeg, Scope, TableSet};

use crate::config::NodeAccess;
use crate::machine::plan::{MIB, NumaPlan, Plan};
use crate::topology::Topology;

/// A processor. ACPI 6.5, 8.4.
struct Processor {
    /// As in the MADT.
    uid: u32,
    /// Its proximity domain. ACPI 6.5, 6.2.14.
    node: Option<u32>,
}

impl Describe for Processor {
    fn describe(&self, scope: &mut Scope) {
        scope.device(NameSeg::hexadecimal(b'C', self.uid as u16), |dev| {
            dev.hid("ACPI0007");
            dev.uid(&self.uid);
            if let Some(node) = self.node {
                dev.name(b"_PXM", &node);
            }
        });
    }
}

/// The processors, to which the UIDs in MADT and PPTT refer.
pub(super) fn processors(plan: &Plan) -> Vec<Box<dyn Describe>> {
    let node = |uid| plan.numa.as_ref().and_then(|numa| numa.node_of(uid));
    let processor = |uid| Box::new(Processor { uid, node: node(uid) }) as Box<dyn Describe>;
    (0..plan.topology.count()).map(processor).collect()
}

/// One package of cores is what every system takes for granted.
fn is_plain(topology: Topology) -> bool {
    topology == Topology::of_cores(topology.count())
}

/// Adds the tables that the plan needs.
pub(super) fn list(tables: &mut TableSet, plan: &Plan) {
    if let Some(numa) = &plan.numa {
        tables.list(&srat(plan, numa));
        tables.list(&Slit::new(numa.nodes.len() as u32, |from, to| numa.distance(from, to)));
        if !numa.accesses.is_empty() {
            tables.list(&hmat(numa));
        }
    }
    if !is_plain(plan.topology) {
        let Topology { sockets, dies, cores, threads } = plan.topology;
        tables.list(&Pptt { packages: sockets, dies, cores, threads });
    }
}

fn srat(plan: &Plan, numa: &NumaPlan) -> Srat {
    let cpus = (0..).zip(&plan.apic_ids);
    let cpus = cpus.filter_map(|(cpu, &apic_id)| Some(CpuAffinity { apic_id, node: numa.node_of(cpu)? }));
    let memory = (0..).zip(&numa.nodes).flat_map(|(node, plan)| {
        plan.memory.iter().map(move |range| MemoryRange { base: range.start, len: range.len, node })
    });
    Srat { cpus: cpus.collect(), memory: memory.collect() }
}

fn hmat(numa: &NumaPlan) -> Hmat {
    let nodes = || (0..).zip(&numa.nodes);
    let targets = nodes().filter(|(_, node)| !node.memory.is_empty());
    Hmat {
        initiators: nodes().filter(|(_, node)| !node.cpus.is_empty()).map(|(number, _)| number).collect(),
        targets: targets
            .map(|(number, _)| Target { node: number, initiator: initiator(numa, number) })
            .collect(),
        accesses: numa.accesses.iter().map(access).collect(),
    }
}

/// The node whose vCPUs the memory of `target` is attached to: its own, or those that reach it best.
fn initiator(numa: &NumaPlan, target: u32) -> Option<u32> {
    if numa.nodes.get(target as usize).is_some_and(|node| !node.cpus.is_empty()) {
        return Some(target);
    }
    let ways = numa.accesses.iter().filter(|way| way.to == target);
    let cost = |way: &&NodeAccess| (way.latency.unwrap_or(u16::MAX), std::cmp::Reverse(way.bandwidth));
    ways.min_by_key(cost).map(|way| way.from)
}

fn access(way: &NodeAccess) -> Access {
    Access {
        initiator: way.from,
        target: way.to,
        latency: way.latency.unwrap_or(0).into(),
        bandwidth: way.bandwidth.map_or(0, |bytes| bytes / MIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, NodeConfig, NumaConfig};
    use crate::machine::plan::GIB;
    use crate::machine::tables::acpi_tables;

    fn plan(topology: Topology, numa: NumaConfig) -> Plan {
        Plan::new(&Config { memory: GIB, cpus: topology, numa, ..Config::default() }, 128 << 10, 46).unwrap()
    }

    /// A node of two vCPUs, and one of memory that these reach in 200 ns.
    fn memory_apart() -> NumaConfig {
        let memory = NodeConfig { cpus: vec![], memory: GIB };
        let access = NodeAccess { from: 0, to: 1, latency: Some(200), bandwidth: Some(5 * GIB) };
        NumaConfig {
            nodes: vec![NodeConfig { cpus: vec![0..=1], memory: 0 }, memory],
            accesses: vec![access],
            ..NumaConfig::default()
        }
    }

    fn signatures(plan: &Plan) -> Vec<String> {
        let tables = acpi_tables(plan).unwrap().resolve(0x10_0000, 0xf_0000).unwrap();
        tables.each().iter().map(|(signature, _)| (*signature).to_owned()).collect()
    }

    #[test]
    fn plain_machine_has_processors_alone() {
        let plan = plan(Topology::of_cores(4), NumaConfig::default());
        assert_eq!(signatures(&plan), ["DSDT", "FACP", "APIC", "SPCR", "DBG2", "XSDT"]);
        assert_eq!(processors(&plan).len(), 4);
    }

    #[test]
    fn topology_alone_brings_the_pptt() {
        let plan = plan(Topology { threads: 2, ..Topology::of_cores(2) }, NumaConfig::default());
        assert_eq!(signatures(&plan), ["DSDT", "FACP", "APIC", "PPTT", "SPCR", "DBG2", "XSDT"]);
        assert_eq!(processors(&plan).len(), 4);
    }

    #[test]
    fn memory_apart_is_attached_to_those_who_reach_it() {
        let plan = plan(Topology::of_cores(2), memory_apart());
        assert_eq!(signatures(&plan)[2..6], ["APIC", "SRAT", "SLIT", "HMAT"]);
        let hmat = hmat(plan.numa.as_ref().unwrap());
        assert_eq!(hmat.initiators, [0]);
        assert_eq!(hmat.targets, [Target { node: 1, initiator: Some(0) }]);
        assert_eq!(hmat.accesses, [Access { initiator: 0, target: 1, latency: 200, bandwidth: 5120 }]);
    }

    #[test]
    fn processor_has_uid_and_node() {
        let mut scope = Scope::new();
        Processor { uid: 10, node: Some(1) }.describe(&mut scope);

        assert_eq!(scope.bytes(), b"\x5b\x82\x21C00A\x08_HID\x0dACPI0007\0\x08_UID\x0a\x0a\x08_PXM\x01");
    }
}
