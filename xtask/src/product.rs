//! The product itself: the release build of `tinderbox` with its firmware, and the programs that test it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::{check, firmware, paths, progress};

/// What boots a guest if nothing else is asked for.
pub(crate) const FIRMWARE: &str = "seabios";

/// Builds the firmware called `firmware` and the VMM; returns the VMM, which finds the firmware by itself.
pub(crate) fn build(firmware: &str) -> anyhow::Result<PathBuf> {
    firmware::build(firmware)?;
    let step = progress::step("build tinderbox");
    let mut cargo = Command::new(check::cargo_program());
    cargo.args(["build", "--release", "--package", "vmm", "--bin", "tinderbox"]).current_dir(paths::root());
    step.command(&mut cargo, &paths::target_dir("log")?.join("build.log"))?;
    step.done();
    Ok(paths::target().join("release/tinderbox"))
}

/// Builds the VMM alone, unoptimised, as the unit tests have it: for what needs no machine.
pub(crate) fn build_debug() -> anyhow::Result<PathBuf> {
    let step = progress::step("build tinderbox");
    let mut cargo = Command::new(check::cargo_program());
    cargo.args(["build", "--package", "vmm", "--bin", "tinderbox"]).current_dir(paths::root());
    step.command(&mut cargo, &paths::target_dir("log")?.join("build.log"))?;
    step.done();
    Ok(paths::target().join("debug/tinderbox"))
}

/// Builds the machine tests of the file `tests/tests/NAME.rs`; returns the program that runs them.
pub(crate) fn machine_tests(name: &str) -> anyhow::Result<PathBuf> {
    let args = ["test", "--quiet", "--package", "machine-tests", "--test", name, "--no-run"];
    let output = Command::new(check::cargo_program())
        .args(args)
        .arg("--message-format=json")
        .current_dir(paths::root())
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo")?;
    ensure!(output.status.success(), "build the machine tests `{name}` failed");
    executable(&output.stdout, name)
        .with_context(|| format!("cargo did not say where the tests `{name}` are"))
}

/// The program of the test target `name` among cargo's messages, one JSON object a line.
fn executable(messages: &[u8], name: &str) -> Option<PathBuf> {
    let lines = messages.split(|&byte| byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
    messages
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(Path::new).map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_is_that_of_the_target() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"machine_tests"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"machine"},"executable":"/t/machine-1"}"#,
            "\n",
        );
        assert_eq!(executable(messages.as_bytes(), "machine"), Some("/t/machine-1".into()));
        assert_eq!(executable(messages.as_bytes(), "firmware"), None);
    }
}
