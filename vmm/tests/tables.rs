//! Whatever machine can be planned has ACPI tables that keep every rule of `acpi::inspect`.

use acpi::inspect;
use proptest::prelude::*;
use vmm::config::{Config, Console, DiskConfig};
use vmm::machine::Plan;
use vmm::machine::tables::acpi_tables;
use vmm::topology::Topology;

const TABLES_AT: u64 = 0x10_0000;

fn topology() -> impl Strategy<Value = Topology> {
    let few = (1u32..=5, 1u32..=3, 1u32..=5, 1u32..=3);
    let few = few.prop_map(|(sockets, dies, cores, threads)| Topology { sockets, dies, cores, threads });
    prop_oneof![(1u32..=260).prop_map(Topology::of_cores), few]
}

/// Machines that can be, and some that cannot.
fn machine() -> impl Strategy<Value = (Config, u32)> {
    (topology(), 0usize..=26, any::<bool>(), 16u64..(1 << 24), 32u32..=52).prop_map(
        |(cpus, disks, console, mib, bits)| {
            let disks = vec![DiskConfig::new("disk.raw"); disks];
            let console = if console { Console::Stdio } else { Console::None };
            (Config { cpus, disks, console, memory: mib << 20, ..Config::default() }, bits)
        },
    )
}

proptest! {
    #[test]
    fn tables_of_any_plan_keep_every_rule((config, address_bits) in machine()) {
        if let Ok(plan) = Plan::new(&config, 128 << 10, address_bits) {
            let tables = acpi_tables(&plan).unwrap().resolve(TABLES_AT, 0xf_0000).unwrap();
            prop_assert_eq!(inspect::check(&tables, TABLES_AT, address_bits), vec![]);
        }
    }
}
