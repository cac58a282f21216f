//! The rules that a set of tables keeps: each by itself, and all together.

mod affinity;
mod cross;
mod devices;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use super::aml::Namespace;
use super::bytes::{number_at, sum};
use super::layout::{self, Part};
use super::map::ResourceMap;
use crate::Resolved;

/// Length of the header all tables share. ACPI 6.5, 5.2.6.
pub(super) const HEADER_LEN: usize = 36;

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table's signature.
    pub table: String,
    /// What is wrong.
    pub fault: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.table, self.fault)
    }
}

/// Findings under way.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    /// Notes `fault` where `holds` is false.
    fn rule(&mut self, table: &str, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.0.push(Finding { table: table.into(), fault: fault() });
        }
    }
}

/// A table of a set.
struct Decoded<'a> {
    signature: &'a str,
    address: u64,
    bytes: &'a [u8],
    parts: Vec<Part>,
}

impl Decoded<'_> {
    /// The number in a field of the table itself.
    fn number(&self, name: &str) -> Option<u64> {
        self.parts.first()?.number(name)
    }

    /// The structures that have all of these fields.
    fn with<const N: usize>(&self, fields: [&str; N]) -> impl Iterator<Item = [u64; N]> {
        self.parts.iter().filter_map(move |part| {
            let numbers = fields.iter().map(|field| part.number(field)).collect::<Option<Vec<_>>>()?;
            numbers.try_into().ok()
        })
    }
}

/// Holds `tables`, which lie at `tables_at`, against the rules, for a processor with `address_bits` physical address bits.
///
/// The rules: signatures, lengths, revisions, checksums and reserved fields; the way from the RSDP to every table; processors and
/// interrupt controllers without doubles; every interrupt has an input, and one device unless it is shared; no two devices
/// overlap; windows lie inside the address width; nodes and processors are the same in every table; what one table says of
/// another's subject agrees.
pub fn check(tables: &Resolved, tables_at: u64, address_bits: u32) -> Vec<Finding> {
    let mut findings = Findings::default();
    let decoded = decode_all(tables, tables_at, &mut findings);
    for table in &decoded {
        check_header(table, &mut findings);
        check_reserved(table, &mut findings);
    }
    check_rsdp(&tables.rsdp, &decoded, &mut findings);
    cross::check(&decoded, &mut findings);
    if let Some(namespace) = namespace(&decoded, &mut findings) {
        let madt = find(&decoded, "APIC").map_or(&[][..], |madt| &madt.parts);
        let (map, errors) = ResourceMap::collect(&namespace, madt);
        for (device, error) in errors {
            findings.rule("DSDT", false, || format!("{device}._CRS: {error}"));
        }
        devices::check(&namespace, &map, address_bits, &mut findings);
        cross::check_against_devices(&decoded, &namespace, &map, &mut findings);
        affinity::check(&decoded, &namespace, &mut findings);
    }
    findings.0
}

fn decode_all<'a>(tables: &'a Resolved, tables_at: u64, findings: &mut Findings) -> Vec<Decoded<'a>> {
    let mut address = tables_at;
    let mut decoded = Vec::new();
    for (signature, bytes) in tables.each() {
        let parts = layout::decode(bytes);
        findings
            .rule(signature, parts.is_some(), || "its structures are not as the standard has them".into());
        decoded.push(Decoded { signature, address, bytes, parts: parts.unwrap_or_default() });
        address += bytes.len() as u64;
    }
    let behind = tables_at + tables.tables.len() as u64 - address;
    findings.rule("set", behind == 0, || format!("{behind} bytes behind the last whole table"));
    decoded
}

fn find<'t, 'a>(tables: &'t [Decoded<'a>], signature: &str) -> Option<&'t Decoded<'a>> {
    tables.iter().find(|table| table.signature == signature)
}

fn check_header(table: &Decoded<'_>, findings: &mut Findings) {
    let mut rule = |holds, fault: String| findings.rule(table.signature, holds, || fault);
    let named = |range: std::ops::Range<usize>| {
        let name = table.bytes.get(range).unwrap_or_default();
        name.iter().all(|&c| c == b' ' || c.is_ascii_graphic())
    };
    let rest = sum(table.bytes);
    rule(rest == 0, format!("bytes sum up to {rest:#04x}, not to 0"));
    rule(named(10..24) && named(28..32), "a name in the header is no ASCII".into());
    let revision = number_at(table.bytes, 8, 1).unwrap_or_default() as u8;
    let known = layout::revisions(table.signature);
    rule(known.is_some(), "the table is unknown".into());
    rule(known.is_none_or(|known| known.contains(&revision)), format!("revision {revision} is unknown"));
}

fn check_reserved(table: &Decoded<'_>, findings: &mut Findings) {
    for part in &table.parts {
        for field in part.fields.iter().filter(|field| field.undefined != 0) {
            findings.rule(table.signature, false, || {
                format!("{} {}: reserved bits {:#x} are set", part.name, field.name, field.undefined)
            });
        }
    }
}

/// ACPI 6.5, 5.2.5.3.
fn check_rsdp(rsdp: &[u8], tables: &[Decoded<'_>], findings: &mut Findings) {
    let parts = layout::decode(rsdp).unwrap_or_default();
    let number = |name| parts.first().and_then(|part| part.number(name));
    let mut rule = |holds, fault: &str| findings.rule("RSDP", holds, || fault.into());
    rule(rsdp.len() == HEADER_LEN && number("length") == Some(36), "it has not 36 bytes");
    rule(number("revision") == Some(2), "it is not of revision 2");
    rule(rsdp.get(..20).is_some_and(|old| sum(old) == 0), "the checksum of its first 20 bytes is wrong");
    rule(sum(rsdp) == 0, "its extended checksum is wrong");
    rule(
        parts.iter().all(|part| part.fields.iter().all(|field| field.undefined == 0)),
        "a reserved byte is set",
    );
    let xsdt = find(tables, "XSDT").map(|xsdt| xsdt.address);
    rule(xsdt.is_some() && number("XSDT address") == xsdt, "it does not lead to the XSDT");
}

fn namespace(tables: &[Decoded<'_>], findings: &mut Findings) -> Option<Namespace> {
    let dsdt = find(tables, "DSDT")?;
    match Namespace::read(dsdt.bytes.get(HEADER_LEN..)?) {
        Ok(namespace) => Some(namespace),
        Err(error) => {
            findings.rule("DSDT", false, || error.to_string());
            None
        }
    }
}

/// The first value that appears twice.
fn doubled<T: Ord + Clone>(mut values: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = BTreeSet::new();
    values.find(|value| !seen.insert(value.clone()))
}
