//! `_PRT` is longer than what acpiexec prints, so a table of ours goes with the others: its method gives one entry at a time.

use std::path::PathBuf;

use acpi::inspect::{Kind, Namespace, Value};
use anyhow::ensure;

use super::iasl;
use super::tables::Dump;
use crate::files;

/// The methods, and a command for each entry.
pub(super) struct Probe {
    /// The table, if there is anything to ask for.
    pub(super) table: Option<PathBuf>,
    pub(super) commands: Vec<String>,
}

/// Makes the table for the dump with this name space.
pub(super) fn probe(dump: &Dump, namespace: &Namespace) -> anyhow::Result<Probe> {
    let routings: Vec<_> = routings(namespace).collect();
    if routings.is_empty() {
        return Ok(Probe { table: None, commands: Vec::new() });
    }
    let (source, table) = (dump.beside("probe.dsl"), dump.beside("probe.aml"));
    files::write(&source, text(&routings))?;
    let report = iasl::iasl(&["-p".as_ref(), &table, &source])?;
    ensure!(table.exists(), "compile the probe of _PRT: {report}");
    let entries = |(n, (_, len)): (usize, &(&str, usize))| {
        (0..*len).map(|entry| format!("evaluate {} {entry}", method(n))).collect::<Vec<_>>()
    };
    Ok(Probe { table: Some(table), commands: routings.iter().enumerate().flat_map(entries).collect() })
}

/// Path and length of every `_PRT`.
fn routings(namespace: &Namespace) -> impl Iterator<Item = (&str, usize)> {
    namespace.objects().iter().filter_map(|object| match &object.kind {
        Kind::Name(Value::Package(entries)) if object.path.ends_with("._PRT") => {
            Some((object.path.as_str(), entries.len()))
        }
        _ => None,
    })
}

fn method(n: usize) -> String {
    format!("\\PR{n:02}")
}

fn text(routings: &[(&str, usize)]) -> String {
    let mut text = "DefinitionBlock (\"\", \"SSDT\", 2, \"TBOX\", \"PROBE\", 1)\n{\n".to_owned();
    for (n, (path, _)) in routings.iter().enumerate() {
        text += &format!(
            "    External ({path}, PkgObj)\n    Method ({}, 1) {{ Return (DerefOf ({path} [Arg0])) }}\n",
            method(n)
        );
    }
    text + "}\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_a_method_for_each_routing() {
        let text = text(&[("\\_SB.PCI0._PRT", 128), ("\\_SB.PCI1._PRT", 4)]);
        assert!(text.contains("Method (\\PR00, 1) { Return (DerefOf (\\_SB.PCI0._PRT [Arg0])) }"));
        assert!(text.contains("Method (\\PR01, 1) { Return (DerefOf (\\_SB.PCI1._PRT [Arg0])) }"));
    }
}
