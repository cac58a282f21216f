//! The disassembly of a few machines' tables, kept as text so that a change of a table is reviewed as text.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;

use super::golden_folder;
use super::tables::Dump;
use crate::files;

/// Removes all golden text, before it is written anew.
pub(super) fn forget_all() -> anyhow::Result<()> {
    let folder = golden_folder();
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    Ok(())
}

/// Takes the disassembly beside the tables of `dump` for golden.
pub(super) fn bless(machine: &str, dump: &Dump) -> anyhow::Result<()> {
    let folder = golden_folder().join(machine);
    files::create_dir(&folder)?;
    current(dump)?.iter().try_for_each(|(name, text)| files::write(&folder.join(name), text))
}

/// Compares the disassembly beside the tables of `dump` with the golden one.
pub(super) fn compare(machine: &str, dump: &Dump) -> anyhow::Result<Vec<String>> {
    let folder = golden_folder().join(machine);
    let current = current(dump)?;
    let mut faults = Vec::new();
    for (name, text) in &current {
        let golden = fs::read_to_string(folder.join(name)).unwrap_or_default();
        faults.extend(difference(&golden, text).map(|difference| format!("{machine}/{name}: {difference}")));
    }
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !current.iter().any(|(known, _)| *known == name) {
            faults.push(format!("{machine}/{name}: the table is gone"));
        }
    }
    Ok(faults)
}

/// Name and text of each table.
fn current(dump: &Dump) -> anyhow::Result<Vec<(String, String)>> {
    let text = |signature: &String| {
        let path: PathBuf = dump.file(signature).with_extension("dsl");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Ok((files::file_name(&path).into_owned(), lasting(&text)))
    };
    dump.signatures().iter().map(text).collect()
}

/// Without the comment at the top, which has iasl's version and the time, and without the bytes at the end.
fn lasting(text: &str) -> String {
    let body = text.split_once("*/\n").map_or(text, |(_, body)| body);
    let body = body.split("Raw Table Data").next().unwrap_or_default();
    body.trim().lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The first line that differs.
fn difference(golden: &str, text: &str) -> Option<String> {
    if golden == text {
        return None;
    }
    if golden.is_empty() {
        return Some("there is no golden text; write it with --bless".into());
    }
    let (mut old, mut new) = (golden.lines(), text.lines());
    (1..).find_map(|line| match (old.next(), new.next()) {
        (None, None) => Some("line ends differ".into()),
        (old, new) if old != new => {
            let (old, new) = (old.unwrap_or("nothing").trim(), new.unwrap_or("nothing").trim());
            Some(format!("line {line} was `{old}` and is `{new}`"))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lasting_text_has_neither_time_nor_bytes() {
        let text = "/*\n * Disassembly of a, Sun\n */\n\n[000h]  Signature : \"APIC\"   \n\nRaw Table Data: 12\n 00 01\n";
        assert_eq!(lasting(text), "[000h]  Signature : \"APIC\"\n");
    }

    #[test]
    fn difference_names_the_line() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("a\nb\n", "a\nc\n").unwrap(), "line 2 was `b` and is `c`");
        assert_eq!(difference("a\n", "a\nc\n").unwrap(), "line 2 was `nothing` and is `c`");
        assert!(difference("", "a\n").unwrap().contains("--bless"));
    }
}
