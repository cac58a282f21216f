//! A Python environment of the tests' own: packages from PyPI, pinned by version and hash, never in the system.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use crate::{files, host, paths, progress};

/// The folder of programs, the interpreter among them, that find the packages of `tests/NAME/requirements.txt`.
pub(crate) fn environment(name: &str) -> anyhow::Result<PathBuf> {
    let requirements = paths::root().join("tests").join(name).join("requirements.txt");
    let home =
        paths::target_dir("python")?.join(files::sha256_of(&requirements)?.get(..16).unwrap_or_default());
    let (programs, complete) = (home.join("bin"), home.join("complete"));
    if complete.exists() {
        return Ok(programs);
    }
    host::ensure_packages("tests with tools from PyPI", &["python3-venv"])?;
    let step = progress::step(format!("install tests/{name}/requirements.txt"));
    let log = paths::target_dir("log")?.join("python.log");
    step.command(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&home), &log)?;
    let mut install = Command::new(programs.join("python"));
    install
        .args(["-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "-r"])
        .arg(&requirements);
    step.command(&mut install, &log)?;
    fs::write(&complete, "").with_context(|| format!("write {}", complete.display()))?;
    Ok(programs)
}
