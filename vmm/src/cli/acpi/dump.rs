//! Tables as files, each by the lower-case signature, as `acpidump` and `acpixtract` name them.

use std::fs;
use std::path::Path;

use acpi::{Resolved, TableSet};
use anyhow::Context as _;

/// Writes the linked tables to `folder`, and what firmware gets to make them from to `folder/fw_cfg`.
pub(super) fn write(set: &TableSet, linked: &Resolved, folder: &Path) -> anyhow::Result<()> {
    file(&folder.join("rsdp.dat"), &linked.rsdp)?;
    for (signature, bytes) in linked.each() {
        file(&folder.join(format!("{}.dat", signature.to_lowercase())), bytes)?;
    }
    set.files().iter().try_for_each(|part| file(&folder.join("fw_cfg").join(part.name), &part.bytes))
}

fn file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().context("a file has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("--output: create {}", folder.display()))?;
    fs::write(path, bytes).with_context(|| format!("--output: write {}", path.display()))
}
