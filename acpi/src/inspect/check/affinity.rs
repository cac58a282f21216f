//! Nodes, distances, speeds and the arrangement of processors: SRAT, SLIT, HMAT, PPTT and processor devices.

use std::collections::{BTreeMap, BTreeSet};

use super::{Decoded, Findings, find};
use crate::inspect::aml::{Namespace, Value};

/// A node's distance from itself. ACPI 6.5, 5.2.17.
const LOCAL: u64 = 10;
/// A processor device. ACPI 6.5, 8.4.
const PROCESSOR: &str = "ACPI0007";

pub(super) fn check(tables: &[Decoded<'_>], namespace: &Namespace, findings: &mut Findings) {
    let Some(madt) = find(tables, "APIC") else { return };
    let processors = processors(madt);
    let nodes = find(tables, "SRAT").map(|srat| check_srat(srat, &processors, findings));
    if let Some(slit) = find(tables, "SLIT") {
        check_slit(slit, nodes.as_ref(), findings);
    }
    if let Some(hmat) = find(tables, "HMAT") {
        check_hmat(hmat, nodes.as_ref(), findings);
    }
    if let Some(pptt) = find(tables, "PPTT") {
        check_pptt(pptt, &processors, findings);
    }
    check_devices(namespace, &processors, nodes.as_ref(), findings);
}

/// UID and APIC id of each processor.
fn processors(madt: &Decoded<'_>) -> BTreeMap<u64, u64> {
    let xapic = madt.with(["processor UID", "APIC id"]);
    xapic.chain(madt.with(["processor UID", "x2APIC id"])).map(|[uid, id]| (uid, id)).collect()
}

/// Who is where.
struct Nodes {
    /// The domain of each APIC id.
    processors: BTreeMap<u64, u64>,
    /// Domains with memory.
    memory: BTreeSet<u64>,
}

impl Nodes {
    fn domains(&self) -> BTreeSet<u64> {
        self.processors.values().chain(&self.memory).copied().collect()
    }
}

fn check_srat(srat: &Decoded<'_>, processors: &BTreeMap<u64, u64>, findings: &mut Findings) -> Nodes {
    let mut rule = |holds, fault: &str| findings.rule("SRAT", holds, || fault.into());
    rule(srat.number("one") == Some(1), "its first reserved field is not 1");
    rule(srat.with(["flags"]).all(|[flags]| flags & 1 == 1), "a structure is not enabled");
    let xapic = srat.with(["APIC id", "proximity domain", "proximity domain bits 31:8"]);
    let x2apic = srat.with(["x2APIC id", "proximity domain"]);
    let entries: Vec<_> = xapic
        .map(|[id, low, high]| (id, low | high << 8))
        .chain(x2apic.map(|[id, node]| (id, node)))
        .collect();
    let nodes: BTreeMap<_, _> = entries.iter().copied().collect();
    rule(nodes.len() == entries.len(), "a processor is in two nodes");
    let known: BTreeSet<_> = processors.values().collect();
    rule(nodes.keys().collect::<BTreeSet<_>>() == known, "its processors are not those of the MADT");
    let mut ranges: Vec<_> = srat.with(["base", "bytes", "proximity domain"]).collect();
    ranges.sort_unstable();
    rule(ranges.iter().all(|[_, bytes, _]| *bytes > 0), "a range of memory is empty");
    let apart = ranges
        .iter()
        .zip(ranges.iter().skip(1))
        .all(|([base, bytes, _], [next, ..])| base.saturating_add(*bytes) <= *next);
    rule(apart, "two ranges of memory overlap");
    Nodes { processors: nodes, memory: ranges.iter().map(|[.., node]| *node).collect() }
}

fn check_slit(slit: &Decoded<'_>, nodes: Option<&Nodes>, findings: &mut Findings) {
    let mut rule = |holds, fault: &str| findings.rule("SLIT", holds, || fault.into());
    let count = slit.number("localities").unwrap_or_default();
    let domains = nodes.map(Nodes::domains).unwrap_or_default();
    rule(domains.into_iter().eq(0..count), "its localities are not the proximity domains of the SRAT");
    let entries = slit.bytes.get(44..).unwrap_or_default();
    rule(count.checked_mul(count) == Some(entries.len() as u64), "it is no square of its localities");
    let good = (0..).zip(entries).all(|(n, &distance)| {
        let is_local = n / count.max(1) == n % count.max(1);
        if is_local { u64::from(distance) == LOCAL } else { u64::from(distance) > LOCAL }
    });
    rule(good, "a distance is not 10 within a node, or not more between nodes");
}

fn check_hmat(hmat: &Decoded<'_>, nodes: Option<&Nodes>, findings: &mut Findings) {
    let mut rule = |holds, fault: &str| findings.rule("HMAT", holds, || fault.into());
    let has_memory = |node: &u64| nodes.is_some_and(|nodes| nodes.memory.contains(node));
    let has_processors =
        |node: &u64| nodes.is_some_and(|nodes| nodes.processors.values().any(|at| at == node));
    let attributes: Vec<_> = hmat.with(["flags", "initiator domain", "memory domain"]).collect();
    rule(
        attributes.iter().all(|[.., memory]| has_memory(memory)),
        "a node without memory has memory attributes",
    );
    let initiators = attributes.iter().filter(|[flags, ..]| flags & 1 == 1);
    rule(initiators.into_iter().all(|[_, node, _]| has_processors(node)), "an initiator has no processors");
    for [length, rows, columns, unit] in hmat.with(["length", "initiators", "targets", "entry base unit"]) {
        let fits =
            rows < 1 << 16 && columns < 1 << 16 && length == 32 + 4 * (rows + columns) + 2 * rows * columns;
        rule(fits, "a matrix has not the length of its lists and entries");
        rule(unit > 0, "a matrix has no unit");
    }
}

/// The tree's nodes name their parents by their place, and its leaves are the processors.
fn check_pptt(pptt: &Decoded<'_>, processors: &BTreeMap<u64, u64>, findings: &mut Findings) {
    const LEAF: u64 = 1 << 3;
    const LEN: u64 = 20;
    let mut rule = |holds, fault: &str| findings.rule("PPTT", holds, || fault.into());
    let nodes: Vec<_> = pptt.with(["flags", "parent", "processor id"]).collect();
    let place = |n: u64| 36 + LEN * n;
    let parents = (0..)
        .zip(&nodes)
        .all(|(n, [_, parent, _])| *parent == 0 || (0..n).any(|above| place(above) == *parent));
    rule(parents, "a node's parent is no node before it");
    let mut leaves: Vec<_> =
        nodes.iter().filter(|[flags, ..]| flags & LEAF != 0).map(|[.., id]| *id).collect();
    leaves.sort_unstable();
    rule(leaves.iter().eq(processors.keys()), "its leaves are not the processors of the MADT");
}

/// Processor devices are those of the MADT, in the nodes of the SRAT.
fn check_devices(
    namespace: &Namespace,
    processors: &BTreeMap<u64, u64>,
    nodes: Option<&Nodes>,
    findings: &mut Findings,
) {
    let number = |device: &str, name| namespace.value(device, name).and_then(Value::integer);
    let id = |device: &str| namespace.value(device, "_HID").and_then(Value::hardware_id);
    let devices: Vec<_> =
        namespace.devices().filter(|device| id(device).as_deref() == Some(PROCESSOR)).collect();
    for device in &devices {
        let apic_id = number(device, "_UID").and_then(|uid| processors.get(&uid));
        findings.rule("DSDT", apic_id.is_some(), || format!("{device} is no processor of the MADT"));
        let node = apic_id.and_then(|id| nodes?.processors.get(id).copied());
        findings.rule("DSDT", number(device, "_PXM") == node, || {
            format!("{device}._PXM is not what the SRAT says")
        });
    }
    findings.rule("DSDT", devices.len() == processors.len(), || {
        format!("there are {} devices for {} processors of the MADT", devices.len(), processors.len())
    });
}
