use rstest::rstest;

use super::*;
use crate::table::dsdt::Dsdt;
use crate::table::fadt::{Absent, Fadt};
use crate::table::madt::{Cpu, Madt};

const TABLES_AT: u64 = 0x7ff_d000;
const RSDP_AT: u64 = 0xf_52c0;

/// DSDT, FADT and MADT as on a machine, with few contents.
fn set() -> TableSet {
    let mut set = TableSet::new(OemIds::default());
    let dsdt = set.place(&Dsdt { devices: vec![], soft_off_type: 5 });
    set.list(&Fadt {
        dsdt,
        reset_register: 0xfea0_0202,
        reset_value: 0x42,
        sleep_control_register: 0xfea0_0200,
        sleep_status_register: 0xfea0_0201,
        absent: Absent::default(),
    });
    set.list(&Madt { cpus: vec![Cpu { apic_id: 0, present: true }], ..Madt::default() });
    set
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// One script entry as the numbers that matter: command; then as in the format's description.
fn decode(entry: &[u8]) -> (u32, String, Vec<u32>) {
    let name = |at: usize| {
        let field = &entry[at..at + 56];
        let end = field.iter().position(|&byte| byte == 0).expect("name is closed");
        assert!(field[end..].iter().all(|&byte| byte == 0));
        String::from_utf8(field[..end].to_vec()).unwrap()
    };
    match u32_at(entry, 0) {
        1 => (1, name(4), vec![u32_at(entry, 60), entry[64].into()]),
        2 => (2, format!("{} <- {}", name(4), name(60)), vec![u32_at(entry, 116), entry[120].into()]),
        3 => (3, name(4), vec![u32_at(entry, 60), u32_at(entry, 64), u32_at(entry, 68)]),
        other => panic!("command {other}"),
    }
}

#[test]
fn files_are_named_as_firmware_asks_for_them() {
    let names = set().files().map(|file| file.name);
    assert_eq!(names, ["etc/acpi/rsdp", "etc/acpi/tables", "etc/table-loader"]);
}

#[test]
fn script_is_qemus_thirteen_commands_in_order() {
    let [_, tables, script] = set().files();
    let (d, f) = (0, u32_at(&tables.bytes, 4));
    let a = f + 268;
    let x = a + 44 + 8 + 6;
    let expected: [(u32, &str, Vec<u32>); 13] = [
        (1, "etc/acpi/rsdp", vec![16, 2]),
        (1, "etc/acpi/tables", vec![64, 1]),
        (3, "etc/acpi/tables", vec![d + 9, d, f]),
        (2, "etc/acpi/tables <- etc/acpi/tables", vec![f + 40, 4]),
        (2, "etc/acpi/tables <- etc/acpi/tables", vec![f + 140, 8]),
        (3, "etc/acpi/tables", vec![f + 9, f, 268]),
        (3, "etc/acpi/tables", vec![a + 9, a, x - a]),
        (2, "etc/acpi/tables <- etc/acpi/tables", vec![x + 36, 8]),
        (2, "etc/acpi/tables <- etc/acpi/tables", vec![x + 44, 8]),
        (3, "etc/acpi/tables", vec![x + 9, x, 52]),
        (3, "etc/acpi/rsdp", vec![8, 0, 20]),
        (2, "etc/acpi/rsdp <- etc/acpi/tables", vec![24, 8]),
        (3, "etc/acpi/rsdp", vec![32, 0, 36]),
    ];

    let commands: Vec<_> = script.bytes.chunks(128).map(decode).collect();

    assert_eq!(commands.len(), expected.len());
    for (command, (code, names, numbers)) in commands.into_iter().zip(expected) {
        assert_eq!(command, (code, names.to_owned(), numbers));
    }
}

#[test]
fn files_hold_offsets_for_pointers_and_zero_for_checksums() {
    let [rsdp, tables, _] = set().files();
    let tables = tables.bytes;
    let fadt = u32_at(&tables, 4) as usize;
    let xsdt = u64_at(&rsdp.bytes, 24) as usize;

    assert_eq!((u32_at(&tables, fadt + 40), u64_at(&tables, fadt + 140)), (0, 0));
    assert_eq!(u64_at(&tables, xsdt + 36), fadt as u64);
    assert_eq!([tables[9], tables[fadt + 9], tables[xsdt + 9], rsdp.bytes[8], rsdp.bytes[32]], [0; 5]);
}

#[test]
fn resolve_links_rsdp_to_xsdt_to_fadt_to_dsdt() {
    let resolved = set().resolve(TABLES_AT, RSDP_AT).unwrap();
    let table = |address: u64| &resolved.tables[(address - TABLES_AT) as usize..];

    let xsdt = table(u64_at(&resolved.rsdp, 24));
    let (fadt, madt) = (table(u64_at(xsdt, 36)), table(u64_at(xsdt, 44)));

    assert_eq!([&xsdt[..4], &fadt[..4], &madt[..4]], [b"XSDT", b"FACP", b"APIC"]);
    assert_eq!(table(u32_at(fadt, 40).into())[..4], *b"DSDT");
    assert_eq!(table(u64_at(fadt, 140))[..4], *b"DSDT");
}

#[test]
fn resolve_sums_every_table_to_zero() {
    let resolved = set().resolve(TABLES_AT, RSDP_AT).unwrap();

    let sums: Vec<_> = resolved.each().into_iter().map(|(name, table)| (name, sum(table))).collect();

    assert_eq!(sums, [("DSDT", 0), ("FACP", 0), ("APIC", 0), ("XSDT", 0)]);
    assert_eq!((sum(&resolved.rsdp[..20]), sum(&resolved.rsdp)), (0, 0));
}

#[rstest]
#[case(0xffff_fff0)]
#[case(0xffff_ffff_ffff_ffff)]
fn resolve_so_high_that_a_pointer_overflows_is_an_error(#[case] tables_at: u64) {
    let mut set = TableSet::new(OemIds::default());
    set.place(&Dsdt { devices: vec![], soft_off_type: 5 });
    let second = set.place(&Dsdt { devices: vec![], soft_off_type: 5 });
    set.list(&Fadt {
        dsdt: second,
        reset_register: 0,
        reset_value: 0,
        sleep_control_register: 0,
        sleep_status_register: 0,
        absent: Absent::default(),
    });

    let error = set.resolve(tables_at, RSDP_AT).unwrap_err();

    assert!(error.to_string().ends_with("does not fit a pointer of 4 bytes"));
}

#[test]
fn resolve_each_ends_at_the_last_whole_table() {
    let mut resolved = set().resolve(TABLES_AT, RSDP_AT).unwrap();
    resolved.tables.truncate(resolved.tables.len() - 1);

    assert_eq!(resolved.each().len(), 3);
}

#[test]
fn resolve_each_of_garbage_is_nothing() {
    let resolved = Resolved { tables: vec![0; 64], rsdp: vec![] };

    assert!(resolved.each().is_empty());
}
