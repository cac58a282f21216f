//! The devices of the DSDT: that each says who it is, and that nobody gets in another's way.

use super::{Findings, doubled};
use crate::inspect::aml::{Kind, Namespace, Value};
use crate::inspect::map::{Interrupt, Region, ResourceMap, Use};

const EVENT_DEVICE: &str = "ACPI0013";

pub(super) fn check(namespace: &Namespace, map: &ResourceMap, address_bits: u32, findings: &mut Findings) {
    check_names(namespace, findings);
    check_identities(namespace, findings);
    check_sleep(namespace, findings);
    check_routing(namespace, findings);
    check_interrupts(map, findings);
    check_overlaps(&map.memory, "memory", findings);
    check_overlaps(&map.ports, "ports", findings);
    check_width(map, address_bits, findings);
}

fn rule(findings: &mut Findings, holds: bool, fault: impl FnOnce() -> String) {
    findings.rule("DSDT", holds, fault);
}

fn check_names(namespace: &Namespace, findings: &mut Findings) {
    let twice = doubled(namespace.objects().iter().map(|object| object.path.as_str()));
    rule(findings, twice.is_none(), || format!("{} is declared twice", twice.unwrap_or_default()));
}

/// ACPI 6.5, 6.1: a device has a `_HID` or an `_ADR`, and `_UID` tells devices of one `_HID` apart.
fn check_identities(namespace: &Namespace, findings: &mut Findings) {
    let id = |device: &str| namespace.value(device, "_HID").and_then(Value::hardware_id);
    for device in namespace.devices() {
        let known =
            id(device).is_some_and(|id| is_hardware_id(&id)) || namespace.value(device, "_ADR").is_some();
        rule(findings, known, || format!("{device} has neither a valid _HID nor an _ADR"));
        let status = namespace.value(device, "_STA").and_then(Value::integer);
        rule(findings, status.is_none_or(|status| status < 1 << 5), || {
            format!("{device}._STA sets reserved bits")
        });
        let events = id(device).as_deref() != Some(EVENT_DEVICE)
            || namespace.kind(&format!("{device}._EVT")) == Some(&Kind::Method(1));
        rule(findings, events, || format!("{device} is an event device without _EVT"));
    }
    let identities = namespace.devices().filter_map(|device| {
        let uid = namespace.value(device, "_UID").map(ToString::to_string);
        Some((id(device)?, uid, id(device)?.starts_with("PNP0C02").then(|| device.to_owned())))
    });
    let twice = doubled(identities);
    rule(findings, twice.is_none(), || format!("two devices are {:?}", twice.unwrap_or_default()));
}

/// Three letters and four hexadecimal digits, or four characters and four digits. ACPI 6.5, 6.1.5.
fn is_hardware_id(id: &str) -> bool {
    let vendor = id.len().checked_sub(4).and_then(|split| id.split_at_checked(split));
    vendor.is_some_and(|(vendor, number)| {
        let upper = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit();
        matches!(vendor.len(), 3 | 4)
            && vendor.bytes().all(upper)
            && number.bytes().all(|c| c.is_ascii_digit() || (b'A'..=b'F').contains(&c))
    })
}

/// ACPI 6.5, 7.4.2.
fn check_sleep(namespace: &Namespace, findings: &mut Findings) {
    let off = match namespace.value("\\", "_S5") {
        Some(Value::Package(types)) => types.first().and_then(Value::integer),
        _ => None,
    };
    rule(findings, off.is_some_and(|off| off < 8), || "_S5 has no sleep type from 0 to 7".into());
}

/// ACPI 6.5, 6.2.13: address, pin, and a link that exists or nothing with a GSI.
fn check_routing(namespace: &Namespace, findings: &mut Findings) {
    for device in namespace.devices() {
        let Some(Value::Package(routes)) = namespace.value(device, "_PRT") else { continue };
        for (n, route) in routes.iter().enumerate() {
            rule(findings, routes_well(route, device, namespace), || {
                format!("{device}._PRT: entry {n}, {route}, leads nowhere")
            });
        }
        let pins = routes.iter().filter_map(|route| match route {
            Value::Package(fields) => Some((fields.first()?.integer()?, fields.get(1)?.integer()?)),
            _ => None,
        });
        let twice = doubled(pins);
        rule(findings, twice.is_none(), || {
            format!("{device}._PRT routes a pin twice: {:x?}", twice.unwrap_or_default())
        });
    }
}

fn routes_well(route: &Value, device: &str, namespace: &Namespace) -> bool {
    let Value::Package(fields) = route else { return false };
    let [Value::Integer(address), Value::Integer(pin), source, Value::Integer(_)] = fields.as_slice() else {
        return false;
    };
    let source_exists = match source {
        Value::Path(path) => exists_above(path, device, namespace),
        Value::Integer(0) => true,
        _ => false,
    };
    address & 0xffff == 0xffff && *pin < 4 && source_exists
}

/// Whether a name of one segment, read inside `device`, is a device there or in a scope around it. ACPI 6.5, 5.3.
fn exists_above(path: &str, device: &str, namespace: &Namespace) -> bool {
    let name = path.rsplit(['.', '\\']).next().unwrap_or_default();
    let mut scope = device;
    while let Some((outer, _)) = scope.rsplit_once('.') {
        if namespace.kind(&format!("{outer}.{name}")) == Some(&Kind::Device) {
            return true;
        }
        scope = outer;
    }
    namespace.kind(path) == Some(&Kind::Device)
}

/// Every interrupt has an input, and one owner unless all owners share it.
fn check_interrupts(map: &ResourceMap, findings: &mut Findings) {
    for Interrupt { gsi, owner, .. } in &map.interrupts {
        rule(findings, map.ioapic(*gsi).is_some(), || format!("{owner}: no I/O APIC has GSI {gsi}"));
    }
    for pair in map.interrupts.windows(2) {
        if let [a, b] = pair {
            let apart = a.gsi != b.gsi || (a.shared && b.shared && a.trigger == b.trigger);
            rule(findings, apart, || {
                format!("{} and {} both have GSI {} to themselves", a.owner, b.owner, a.gsi)
            });
        }
    }
}

fn check_overlaps(regions: &[Region], what: &str, findings: &mut Findings) {
    for (n, a) in regions.iter().enumerate() {
        for b in regions.iter().skip(n + 1).take_while(|b| a.overlaps(b)) {
            let reserved = a.purpose == Use::Reserved || b.purpose == Use::Reserved;
            rule(findings, reserved, || {
                format!(
                    "{what} {:#x}-{:#x} of {} and {:#x}-{:#x} of {} overlap",
                    a.first, a.last, a.owner, b.first, b.last, b.owner
                )
            });
        }
    }
}

fn check_width(map: &ResourceMap, address_bits: u32, findings: &mut Findings) {
    let end = 1u64.checked_shl(address_bits).unwrap_or(u64::MAX);
    for region in &map.memory {
        rule(findings, region.last < end, || {
            format!("{} ends at {:#x}, beyond {address_bits} address bits", region.owner, region.last)
        });
    }
    for region in &map.ports {
        rule(findings, region.last <= 0xffff, || format!("{} has ports beyond 0xffff", region.owner));
    }
}
