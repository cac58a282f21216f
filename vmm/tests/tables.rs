//! Whatever machine can be planned has ACPI tables that keep every rule of `acpi::inspect`, and that iasl accepts.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use acpi::Resolved;
use acpi::inspect;
use proptest::prelude::*;
use vmm::config::{
    Config, Console, DiskConfig, ExtraDevice, GenerationId, MachineOptions, NodeAccess, NodeConfig,
    NodeDistance, NumaConfig, Switch,
};
use vmm::machine::Plan;
use vmm::machine::tables::acpi_tables;
use vmm::topology::Topology;

const TABLES_AT: u64 = 0x10_0000;

fn topology() -> impl Strategy<Value = Topology> {
    let few = (1u32..=5, 1u32..=3, 1u32..=5, 1u32..=3);
    let few = few.prop_map(|(sockets, dies, cores, threads)| Topology { sockets, dies, cores, threads });
    prop_oneof![(1u32..=260).prop_map(Topology::of_cores), few]
}

fn switch() -> impl Strategy<Value = Switch> {
    prop_oneof![Just(Switch::Auto), Just(Switch::On), Just(Switch::Off)]
}

fn options() -> impl Strategy<Value = MachineOptions> {
    let switches = (switch(), switch(), switch(), switch(), switch(), switch(), switch());
    switches.prop_map(|(acpi, pic, rtc, isa_serial, ioapic2, pcie, usb)| MachineOptions {
        acpi,
        pic,
        rtc,
        isa_serial,
        ioapic2,
        pcie,
        usb,
        ..MachineOptions::default()
    })
}

/// The devices on request that tables tell of.
fn extras() -> impl Strategy<Value = Vec<ExtraDevice>> {
    let known = vec![ExtraDevice::PvPanic, ExtraDevice::GenerationId(GenerationId::Random)];
    proptest::sample::subsequence(known, 0..=2)
}

/// How vCPUs and memory fall to nodes, and what is said of the ways between some of these.
#[derive(Clone, Debug)]
struct Division {
    nodes: u32,
    /// The first node has no memory, the last no vCPU.
    uneven: bool,
    ways: BTreeMap<(u32, u32), (u8, u16)>,
}

/// Ends, distance and latency.
type Way<'a> = (&'a (u32, u32), &'a (u8, u16));

fn division() -> impl Strategy<Value = Division> {
    let ways = proptest::collection::btree_map((0u32..5, 0u32..5), (11u8..=255, 1u16..u16::MAX), 0..6);
    (0u32..=5, any::<bool>(), ways).prop_map(|(nodes, uneven, ways)| Division {
        nodes,
        uneven: uneven && nodes > 1,
        ways,
    })
}

impl Division {
    /// Every vCPU and all memory is in a node.
    fn of(&self, cpus: u32, mib: u64) -> NumaConfig {
        let nodes: Vec<_> = (0..self.nodes).map(|n| self.node(n, cpus, mib)).collect();
        let has_cpus = |n: u32| nodes.get(n as usize).is_some_and(|node| !node.cpus.is_empty());
        let has_memory = |n: u32| nodes.get(n as usize).is_some_and(|node| node.memory > 0);
        let distance = |(&(from, to), &(value, _)): Way<'_>| {
            (from != to && from.max(to) < self.nodes).then_some(NodeDistance { from, to, value })
        };
        let access = |(&(from, to), &(value, latency)): Way<'_>| {
            let bandwidth = Some(u64::from(value) << 30);
            (has_cpus(from) && has_memory(to)).then_some(NodeAccess {
                from,
                to,
                latency: Some(latency),
                bandwidth,
            })
        };
        let (distances, accesses) =
            (self.ways.iter().filter_map(distance), self.ways.iter().filter_map(access));
        NumaConfig { distances: distances.collect(), accesses: accesses.collect(), nodes }
    }

    fn node(&self, n: u32, cpus: u32, mib: u64) -> NodeConfig {
        let uneven = u32::from(self.uneven);
        let with_cpus = self.nodes - uneven;
        let share = mib / u64::from(self.nodes);
        let memory = match n {
            0 if self.uneven => 0,
            _ if n + 1 == self.nodes => mib - share * u64::from(self.nodes - 1 - uneven),
            _ => share,
        };
        let cpus = (0..cpus).filter(|cpu| cpu % with_cpus == n).map(|cpu| cpu..=cpu).collect();
        NodeConfig { cpus, memory: memory << 20 }
    }
}

/// Machines that can be, and some that cannot.
fn machine() -> impl Strategy<Value = (Config, u32)> {
    let machine = (topology(), division(), 0usize..=26, any::<bool>(), 16u64..(1 << 24), options(), extras());
    (machine, 32u32..=52).prop_map(|((cpus, division, disks, console, mib, options, extras), bits)| {
        let disks = vec![DiskConfig::new("disk.raw"); disks];
        let console = if console { Console::Stdio } else { Console::None };
        let numa = division.of(cpus.count(), mib);
        (Config { cpus, numa, disks, console, memory: mib << 20, options, extras, ..Config::default() }, bits)
    })
}

/// The tables of a machine, if it can be and has any.
fn tables(config: &Config, address_bits: u32) -> Option<Resolved> {
    let plan = Plan::new(config, 128 << 10, address_bits).ok()?;
    acpi_tables(&plan).map(|set| set.resolve(TABLES_AT, 0xf_0000).unwrap())
}

/// What iasl says against a table, which it takes apart and puts together again.
fn faults(table: &[u8]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("table.dat"), table).unwrap();
    let iasl = |args: &[&str]| {
        let output = Command::new("iasl").args(args).current_dir(folder.path()).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let report = iasl(&["-d", "table.dat"]) + &iasl(&["table.dsl"]);
    (!report.contains("0 Errors, 0 Warnings, 0 Remarks")).then_some(report)
}

proptest! {
    #[test]
    fn tables_of_any_plan_keep_every_rule((config, address_bits) in machine()) {
        if let Some(tables) = tables(&config, address_bits) {
            prop_assert_eq!(inspect::check(&tables, TABLES_AT, address_bits), vec![]);
        }
    }
}

proptest! {
    // Each starts iasl a dozen times; `cargo xtask conformance acpi --random N` goes on as long as one likes.
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn tables_of_any_plan_are_accepted_by_iasl((config, address_bits) in machine()) {
        for (signature, table) in tables(&config, address_bits).iter().flat_map(Resolved::each) {
            prop_assert_eq!(faults(table), None, "{}", signature);
        }
    }
}
