//! A Python environment of the tests' own: packages from PyPI, pinned by version and hash, never in the system.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use crate::{files, host, paths, progress};

/// The interpreter that finds the packages of `tests/qmp/requirements.txt`.
pub(crate) fn environment() -> anyhow::Result<PathBuf> {
    let requirements = paths::root().join("tests/qmp/requirements.txt");
    let home =
        paths::target_dir("python")?.join(files::sha256_of(&requirements)?.get(..16).unwrap_or_default());
    let (python, complete) = (home.join("bin/python"), home.join("complete"));
    if complete.exists() {
        return Ok(python);
    }
    host::ensure_packages("a client of QMP", &["python3-venv"])?;
    let step = progress::step("install qemu.qmp for the tests".to_owned());
    let log = paths::target_dir("log")?.join("python.log");
    step.command(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&home), &log)?;
    let mut install = Command::new(&python);
    install
        .args(["-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "-r"])
        .arg(&requirements);
    step.command(&mut install, &log)?;
    fs::write(&complete, "").with_context(|| format!("write {}", complete.display()))?;
    Ok(python)
}
