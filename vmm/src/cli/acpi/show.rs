//! Tables as text.

use std::fmt::Write as _;

use acpi::Resolved;
use acpi::inspect::{self, Kind, Namespace, Part, Value};

use crate::cli::table::columns;

/// Length of the header all tables share.
const HEADER_LEN: usize = 36;

/// Every table: its name, its fields, and for the DSDT its devices.
pub(super) fn text(tables: &Resolved) -> String {
    let mut text = String::from("RSDP  Root System Description Pointer, 36 bytes\n");
    text.push_str(&fields(&inspect::decode(&tables.rsdp).unwrap_or_default()));
    for (signature, bytes) in tables.each() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{signature}  {}, {} bytes", inspect::title(signature), bytes.len());
        text.push_str(&fields(&inspect::decode(bytes).unwrap_or_default()));
        if signature == "DSDT" {
            text.push_str(&aml(bytes.get(HEADER_LEN..).unwrap_or_default()));
        }
    }
    text
}

/// A line for each field of the table itself, then one for each structure in it.
fn fields(parts: &[Part]) -> String {
    let shown = |part: &&Part| part.name.is_empty();
    let own = parts.iter().filter(shown).flat_map(|part| &part.fields).filter(|field| !field.is_silent());
    let rows: Vec<_> = own.map(|field| [field.name.to_owned(), field.value.to_string()]).collect();
    let structures = parts.iter().filter(|part| !shown(part));
    let rows = rows.into_iter().chain(structures.map(|part| [part.name.to_owned(), line(part)]));
    columns(&rows.collect::<Vec<_>>())
}

fn line(part: &Part) -> String {
    let fields = part.fields.iter().filter(|field| !field.is_silent());
    fields.map(|field| format!("{} {}", field.name, field.value)).collect::<Vec<_>>().join(", ")
}

fn aml(bytes: &[u8]) -> String {
    match Namespace::read(bytes) {
        Ok(namespace) => columns(&objects(&namespace)),
        Err(error) => format!("  {error}\n"),
    }
}

/// A line for each object with a value or arguments, under a line for its device.
fn objects(namespace: &Namespace) -> Vec<[String; 2]> {
    let mut rows = Vec::new();
    for object in namespace.objects() {
        let name = object.path.rsplit(['.', '\\']).next().unwrap_or_default();
        match &object.kind {
            Kind::Device => rows.push([object.path.clone(), identity(namespace, &object.path)]),
            Kind::Name(Value::Buffer(template)) if matches!(name, "_CRS" | "_PRS") => {
                rows.extend(resources(name, template));
            }
            Kind::Name(_) if name == "_HID" => {}
            Kind::Name(value) if !object.path.contains('.') => {
                rows.push([object.path.clone(), value.to_string()]);
            }
            Kind::Name(value) => rows.push([format!("  {name}"), value.to_string()]),
            Kind::Method(args) => rows.push([format!("  {name}"), format!("method, {args} arguments")]),
            Kind::Region | Kind::Other => {}
        }
    }
    rows
}

fn identity(namespace: &Namespace, device: &str) -> String {
    namespace.value(device, "_HID").and_then(Value::hardware_id).unwrap_or_default()
}

/// A line for each descriptor.
fn resources(name: &str, template: &[u8]) -> Vec<[String; 2]> {
    let row = |text: String| [format!("  {name}"), text];
    match inspect::resources(template) {
        Ok(resources) => resources.iter().map(|resource| row(resource.to_string())).collect(),
        Err(error) => vec![row(error.to_string())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, DiskConfig};
    use crate::machine::Plan;
    use crate::machine::tables::acpi_tables;

    #[test]
    fn small_machine_is_shown_whole() {
        let plan =
            Plan::new(&Config { disks: vec![DiskConfig::new("a.raw")], ..Config::default() }, 128 << 10, 46)
                .unwrap();
        let tables = acpi_tables(&plan).unwrap().resolve(0x10_0000, 0xf_0000).unwrap();

        assert_eq!(text(&tables), include_str!("show/small.txt"));
    }
}
