//! Whatever machine can be planned has ACPI tables that keep every rule of `acpi::inspect`.

use acpi::inspect;
use proptest::prelude::*;
use vmm::config::{Config, Console, DiskConfig, MachineOptions, Switch};
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
    (switch(), switch(), switch(), switch(), switch()).prop_map(|(acpi, pic, rtc, isa_serial, ioapic2)| {
        MachineOptions { acpi, pic, rtc, isa_serial, ioapic2, ..MachineOptions::default() }
    })
}

/// Machines that can be, and some that cannot.
fn machine() -> impl Strategy<Value = (Config, u32)> {
    (topology(), 0usize..=26, any::<bool>(), 16u64..(1 << 24), options(), 32u32..=52).prop_map(
        |(cpus, disks, console, mib, options, bits)| {
            let disks = vec![DiskConfig::new("disk.raw"); disks];
            let console = if console { Console::Stdio } else { Console::None };
            (Config { cpus, disks, console, memory: mib << 20, options, ..Config::default() }, bits)
        },
    )
}

proptest! {
    #[test]
    fn tables_of_any_plan_keep_every_rule((config, address_bits) in machine()) {
        let plan = Plan::new(&config, 128 << 10, address_bits).ok();
        if let Some(set) = plan.as_ref().and_then(acpi_tables) {
            let tables = set.resolve(TABLES_AT, 0xf_0000).unwrap();
            prop_assert_eq!(inspect::check(&tables, TABLES_AT, address_bits), vec![]);
        }
    }
}
