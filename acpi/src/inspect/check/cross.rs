//! Tables against each other.

use super::{Decoded, Findings, doubled, find};
use crate::inspect::aml::{Namespace, Value};
use crate::inspect::map::{ResourceMap, Use};

/// FADT flags. ACPI 6.5, table 5.10.
const RESET_REGISTER: u64 = 1 << 10;
const HARDWARE_REDUCED: u64 = 1 << 20;
/// Buses of 1 MiB each. PCI Firmware 3.3, 4.1.2.
const BUS_LEN: u64 = 1 << 20;

/// Rules that need no devices.
pub(super) fn check(tables: &[Decoded<'_>], findings: &mut Findings) {
    let signatures = tables.iter().map(|table| table.signature).filter(|&signature| signature != "SSDT");
    if let Some(twice) = doubled(signatures) {
        findings.rule(twice, false, || "it is there twice".into());
    }
    for needed in ["DSDT", "FACP", "APIC", "XSDT"] {
        findings.rule(needed, find(tables, needed).is_some(), || "it is missing".into());
    }
    check_xsdt(tables, findings);
    check_fadt(tables, findings);
    check_madt(tables, findings);
}

/// Every table but DSDT and XSDT is listed once, and nothing else is. ACPI 6.5, 5.2.8.
fn check_xsdt(tables: &[Decoded<'_>], findings: &mut Findings) {
    let Some(xsdt) = find(tables, "XSDT") else { return };
    let mut listed: Vec<_> = xsdt.with(["address"]).map(|[address]| address).collect();
    listed.sort_unstable();
    let other = |table: &&Decoded<'_>| table.signature != "DSDT" && table.signature != "XSDT";
    let there: Vec<_> = tables.iter().filter(other).map(|table| table.address).collect();
    findings
        .rule("XSDT", listed == there, || format!("it lists {listed:x?}, and the tables are at {there:x?}"));
    let first = xsdt.with(["address"]).next().map(|[address]| address);
    let fadt = find(tables, "FACP").map(|fadt| fadt.address);
    findings.rule("XSDT", first == fadt, || "the FADT is not its first entry".into());
}

fn check_fadt(tables: &[Decoded<'_>], findings: &mut Findings) {
    let Some(fadt) = find(tables, "FACP") else { return };
    let number = |name| fadt.number(name).unwrap_or_default();
    let dsdt = find(tables, "DSDT").map_or(0, |dsdt| dsdt.address);
    let mut rule = |holds, fault: &str| findings.rule("FACP", holds, || fault.into());
    rule(number("DSDT address") == dsdt, "the DSDT is not where it says");
    rule(number("X DSDT address") == dsdt, "the DSDT is not where its 64-bit field says");
    rule(number("flags") & HARDWARE_REDUCED != 0, "it is not that of a hardware-reduced machine");
    let resets = number("flags") & RESET_REGISTER != 0;
    rule(!resets || number("reset register") != 0, "its flags promise a reset register, and it has none");
    let sleeps = number("sleep control register") != 0 && number("sleep status register") != 0;
    rule(sleeps, "a hardware-reduced machine sleeps by two registers, and one is not there");
    // Revision 5 ends before the hypervisor vendor identity.
    let len = if fadt.number("revision") == Some(5) { 268 } else { 276 };
    rule(fadt.bytes.len() == len, "its length is not that of its revision");
}

fn check_madt(tables: &[Decoded<'_>], findings: &mut Findings) {
    let Some(madt) = find(tables, "APIC") else { return };
    let mut rule = |holds, fault: &str| findings.rule("APIC", holds, || fault.into());
    let xapic: Vec<_> = madt.with(["processor UID", "APIC id"]).collect();
    let x2apic: Vec<_> = madt.with(["processor UID", "x2APIC id"]).collect();
    rule(!xapic.is_empty() || !x2apic.is_empty(), "there is no processor");
    rule(xapic.iter().all(|[_, id]| *id < 255), "APIC id 255 is the broadcast");
    rule(x2apic.iter().all(|[_, id]| *id >= 255), "an id below 255 belongs in a local APIC structure");
    let cpus = || xapic.iter().chain(&x2apic);
    rule(doubled(cpus().map(|[uid, _]| uid)).is_none(), "two processors have one UID");
    rule(doubled(cpus().map(|[_, id]| id)).is_none(), "two processors have one APIC id");
    let ioapics: Vec<_> = madt.with(["I/O APIC id", "address", "GSI base"]).collect();
    rule(doubled(ioapics.iter().map(|[id, ..]| id)).is_none(), "two I/O APICs have one id");
    rule(ioapics.iter().any(|[.., base]| *base == 0), "no I/O APIC has GSI 0");
    rule(doubled(madt.with(["source"])).is_none(), "an ISA interrupt is overridden twice");
}

/// Rules about what devices have too.
pub(super) fn check_against_devices(
    tables: &[Decoded<'_>],
    namespace: &Namespace,
    map: &ResourceMap,
    findings: &mut Findings,
) {
    check_inputs(tables, map, findings);
    check_configuration_space(tables, map, findings);
    check_ports(tables, namespace, map, findings);
}

fn check_inputs(tables: &[Decoded<'_>], map: &ResourceMap, findings: &mut Findings) {
    let ranges = &map.ioapics;
    let overlap = ranges.iter().enumerate().any(|(n, (_, first, last))| {
        ranges.iter().skip(n + 1).any(|(_, other, end)| first <= end && other <= last)
    });
    findings.rule("APIC", !overlap, || "two I/O APICs have the same GSI".into());
    for [gsi] in find(tables, "APIC").iter().flat_map(|madt| madt.with(["GSI"])) {
        findings.rule("APIC", map.ioapic(gsi as u32).is_some(), || {
            format!("an override leads to GSI {gsi}, which no I/O APIC has")
        });
    }
}

/// Linux distrusts configuration space that nobody reserves. PCI Firmware 3.3, 4.1.2.
fn check_configuration_space(tables: &[Decoded<'_>], map: &ResourceMap, findings: &mut Findings) {
    let spaces =
        find(tables, "MCFG").into_iter().flat_map(|mcfg| mcfg.with(["address", "first bus", "last bus"]));
    for [base, first_bus, last_bus] in spaces {
        findings.rule("MCFG", base.is_multiple_of(BUS_LEN) && first_bus <= last_bus, || {
            format!("configuration space {base:#x} of buses {first_bus} to {last_bus} is no range")
        });
        let (first, last) = (base + first_bus * BUS_LEN, base + (last_bus + 1) * BUS_LEN - 1);
        let reserves = |region: &crate::inspect::Region| {
            region.purpose == Use::Reserved && region.first <= first && last <= region.last
        };
        findings.rule("MCFG", map.memory.iter().any(reserves), || {
            format!("no PNP0C02 device reserves {first:#x}-{last:#x}")
        });
    }
}

/// The console and the debug port are a device that the DSDT has.
fn check_ports(tables: &[Decoded<'_>], namespace: &Namespace, map: &ResourceMap, findings: &mut Findings) {
    let at = |port: u64| map.ports.iter().find(|region| region.first == port);
    for signature in ["SPCR", "DBG2"] {
        let Some(table) = find(tables, signature) else { continue };
        let port = table.number("registers").unwrap_or_default();
        findings.rule(signature, at(port).is_some(), || format!("no device of the DSDT has port {port:#x}"));
    }
    if let Some(spcr) = find(tables, "SPCR") {
        let owner = spcr.number("registers").and_then(at).map(|region| &region.owner);
        let gsi = spcr.number("GSI").unwrap_or_default();
        let agrees =
            map.interrupts.iter().any(|input| u64::from(input.gsi) == gsi && Some(&input.owner) == owner);
        findings.rule("SPCR", agrees, || format!("GSI {gsi} is not the interrupt of that device"));
    }
    if let Some(dbg2) = find(tables, "DBG2") {
        let name = dbg2.parts.first().and_then(|part| part.text("name")).unwrap_or_default();
        findings.rule("DBG2", namespace.kind(name).is_some(), || format!("the DSDT has no {name}"));
        let id = namespace.value(name, "_HID").and_then(Value::hardware_id);
        findings.rule("DBG2", id.as_deref() == Some("PNP0501"), || format!("{name} is no 16550"));
    }
}
