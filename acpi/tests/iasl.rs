//! ACPICA's compiler takes every table apart and puts it together again: no error, warning or remark, and the same bytes.
//!
//! The RSDP is not among them, because iasl reads tables only; the unit tests of `set` hold it against the standard.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod machine;

use std::fs;
use std::path::Path;
use std::process::Command;

use acpi::TableSet;
use acpi::table::hmat::{Access, Target};
use acpi::table::mcfg::Ecam;
use acpi::table::srat::{CpuAffinity, MemoryRange};
use acpi::table::{Dbg2, Hmat, Mcfg, Pptt, Slit, Spcr, Srat, Waet};
use machine::Options;
use rstest::rstest;

/// Runs `iasl` and gives what it printed.
fn iasl(args: &[&str], directory: &Path) -> String {
    let output = Command::new("iasl")
        .args(args)
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("run iasl, which the Debian package acpica-tools has: {error}"));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "iasl {args:?}: {text}");
    text
}

/// Disassembles a table and compiles the text. Gives the bytes of that and what the compiler said.
fn recompile(table: &[u8]) -> (Vec<u8>, String) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("table.dat"), table).unwrap();
    iasl(&["-d", "table.dat"], directory.path());
    let report = iasl(&["-p", "again", "table.dsl"], directory.path());
    (fs::read(directory.path().join("again.aml")).unwrap(), report)
}

/// Without what iasl sets itself: its name as the table's creator, and the checksum that follows from it.
fn comparable(table: &[u8]) -> Vec<u8> {
    let mut table = table.to_vec();
    table[9] = 0;
    table[28..36].fill(0);
    table
}

/// Holds each table against what iasl makes of it, and returns how many there were.
fn check(tables: &TableSet) -> usize {
    let resolved = tables.resolve(machine::TABLES_AT, machine::RSDP_AT).unwrap();
    for (name, table) in resolved.each() {
        let (again, report) = recompile(table);

        assert!(report.contains("0 Errors, 0 Warnings, 0 Remarks"), "{name}: {report}");
        // iasl reads the variable package of `_PRT`, but writes it as a package, a byte shorter.
        let varies = table.windows(5).any(|name| name == b"_PRT\x13");
        assert!(varies || comparable(&again) == comparable(table), "{name} changed: {report}");
    }
    resolved.each().len()
}

/// Two nodes whose processors alternate, a console that is a debug port too, and PCI Express.
fn list_tables_beyond_qemu(tables: &mut TableSet, cpus: u32) {
    tables.list(&Mcfg { ranges: vec![Ecam { base: 0xe000_0000, segment: 0, first_bus: 0, last_bus: 0xff }] });
    tables.list(&Spcr { port: 0x3f8, irq: 4, pic: true });
    tables.list(&Dbg2 { port: 0x3f8, len: 8, path: "\\_SB.COM1" });
    tables.list(&Srat {
        cpus: (0..cpus).map(|apic_id| CpuAffinity { apic_id, node: apic_id % 2 }).collect(),
        memory: vec![
            MemoryRange { base: 0, len: 0x8000_0000, node: 0 },
            MemoryRange { base: 0x1_0000_0000, len: 0x4000_0000, node: 1 },
        ],
    });
    tables.list(&Slit::new(2, |_, _| 20));
    tables.list(&Pptt { packages: 1, dies: 1, cores: cpus / 2, threads: 2 });
    tables.list(&hmat());
    tables.list(&Waet { rtc_needs_no_acknowledge: true });
}

/// Two nodes, the second farther away and faster.
fn hmat() -> Hmat {
    let access = |target, latency, bandwidth| Access { initiator: 0, target, latency, bandwidth };
    Hmat {
        initiators: vec![0, 1],
        targets: vec![Target { node: 0, initiator: Some(0) }, Target { node: 1, initiator: Some(1) }],
        accesses: vec![access(0, 90, 20_000), access(1, 250, 409_600)],
    }
}

#[rstest]
#[case::golden(Options::default())]
#[case::everything(Options { rtc: true, transports: (0..24).rev().collect(), ..Options::with_ioapic2() })]
#[case::nothing(Options { serial: false, pic: false, transports: vec![], ..Options::default() })]
#[case::pcie(Options { pcie: true, ..Options::default() })]
#[case::pcie_ioapic2(Options { pcie: true, usb: true, ..Options::with_ioapic2() })]
#[case::four_cpus_of_six(Options { apic_ids: (0..6).collect(), absent_cpus: 2, ..Options::with_ioapic2() })]
#[case::x2apic(Options { apic_ids: (0..288).collect(), ..Options::with_ioapic2() })]
fn tables_of_qemu_recompile_to_themselves(#[case] options: Options) {
    assert_eq!(check(&options.tables()), 4);
}

#[rstest]
#[case::two_cpus(2)]
#[case::x2apic(288)]
fn tables_beyond_qemu_recompile_to_themselves(#[case] cpus: u32) {
    let options = Options { apic_ids: (0..cpus).collect(), pcie: true, ..Options::with_ioapic2() };
    let mut tables = options.tables();
    list_tables_beyond_qemu(&mut tables, cpus);

    assert_eq!(check(&tables), 12);
}
