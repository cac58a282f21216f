//! ACPICA's compiler takes every table apart and puts it together again.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::tables::{Dump, read};

/// What the compiler found.
#[derive(Default)]
pub(super) struct Compiled {
    pub(super) faults: Vec<String>,
    pub(super) remarks: Vec<String>,
}

/// Disassembles and recompiles each table of `dump`; the text stays beside the table.
pub(super) fn recompile_all(dump: &Dump) -> anyhow::Result<Compiled> {
    let mut compiled = Compiled::default();
    for signature in dump.signatures() {
        recompile(dump, &signature, &mut compiled)?;
    }
    Ok(compiled)
}

fn recompile(dump: &Dump, signature: &str, compiled: &mut Compiled) -> anyhow::Result<()> {
    let table = dump.file(signature);
    let taken_apart = iasl(&[Path::new("-d"), &table])?;
    let again = table.with_extension("again.aml");
    let report = iasl(&[Path::new("-p"), &again, &table.with_extension("dsl")])?;
    // Each message is a line such as `file.dsl 12: … / Warning 3073 - …`.
    let messages = |kind: &str| {
        let lines = report.lines().filter(|line| line.contains(kind));
        lines.map(|line| format!("{signature}: {}", line.trim())).collect::<Vec<_>>()
    };
    compiled.remarks.extend(messages("Remark  "));
    let doubts = taken_apart.lines().filter(|line| line.contains("Warning") || line.contains("Error"));
    compiled.faults.extend(doubts.map(|line| format!("{signature}: disassembly: {}", line.trim())));
    if !report.contains("0 Errors, 0 Warnings") {
        let found = [messages("Error  "), messages("Warning  ")].concat();
        let last = report.lines().last().unwrap_or_default();
        compiled.faults.push(format!("{signature}: {last}"));
        compiled.faults.extend(found);
    } else if !same(&read(&table)?, &read(&again)?) {
        compiled.faults.push(format!("{signature}: it comes back changed"));
    }
    Ok(())
}

/// Whether the tables are equal but for what iasl sets itself: its name as the creator, and the checksum that follows from it.
fn same(table: &[u8], again: &[u8]) -> bool {
    let neutral = |table: &[u8]| {
        let byte = |(at, &byte): (usize, &u8)| if at == 9 || (28..36).contains(&at) { 0 } else { byte };
        table.iter().enumerate().map(byte).collect::<Vec<_>>()
    };
    // iasl reads the variable package of `_PRT` and writes a package, which is a byte shorter.
    let varies = table.windows(5).any(|name| name == b"_PRT\x13");
    varies || neutral(table) == neutral(again)
}

/// Runs iasl and gives all it said.
pub(super) fn iasl(args: &[&Path]) -> anyhow::Result<String> {
    let output = Command::new("iasl").args(args).output().context("start iasl")?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_overlooks_checksum_and_creator_alone() {
        let table = [0; 40];
        for at in 0..table.len() {
            let mut other = table;
            other[at] = 1;
            assert_eq!(same(&table, &other), at == 9 || (28..36).contains(&at), "{at}");
        }
    }
}
