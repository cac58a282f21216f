//! What the host must have: packages of its distribution.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{paths, progress};

/// Makes sure that every one of `packages` (Debian names) is installed; `why` says in a few words what needs them.
///
/// # Errors
///
/// When one is missing and this process may not install it: the message holds the one command that does.
pub(crate) fn ensure_packages(why: &str, packages: &[&str]) -> anyhow::Result<()> {
    let missing = missing(packages)?;
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !rustix::process::geteuid().is_root() {
        bail!(
            "{why} needs packages that are not here; install them: sudo apt-get install --no-install-recommends {names}"
        );
    }
    install(why, &missing).with_context(|| format!("{why} needs these packages: {names}"))
}

/// Those of `packages` that are not fully installed.
fn missing<'a>(packages: &[&'a str]) -> anyhow::Result<Vec<&'a str>> {
    // A package that was never seen makes dpkg-query complain and end with 1; its output counts all the same.
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${Package} ${db:Status-Status}\n", "--"])
        .args(packages)
        .output()
        .context("start dpkg-query: only Debian and its descendants are supported as hosts")?;
    let known = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(absent_from(&known, packages))
}

/// Those of `packages` that `known` (lines of name and status) does not list as installed.
fn absent_from<'a>(known: &str, packages: &[&'a str]) -> Vec<&'a str> {
    let installed =
        |package: &str| known.lines().any(|line| line.split_once(' ') == Some((package, "installed")));
    packages.iter().copied().filter(|package| !installed(package)).collect()
}

/// Installs `packages` as root, with fresh package lists where the ones at hand are of no use.
fn install(why: &str, packages: &[&str]) -> anyhow::Result<()> {
    let step = progress::step(format!("install {} for {why}", packages.join(" ")));
    let lists_are_empty = !has_package_lists();
    if lists_are_empty {
        step.command(&mut update(), &log()?)?;
    }
    if let Err(error) = step.command(&mut install_command(packages), &log()?) {
        if lists_are_empty {
            return Err(error);
        }
        step.detail("package lists may be old: refreshing them");
        step.command(&mut update(), &log()?)?;
        step.command(&mut install_command(packages), &log()?)?;
    }
    step.done();
    Ok(())
}

fn log() -> anyhow::Result<PathBuf> {
    Ok(paths::target_dir("log")?.join("apt.log"))
}

/// Whether `apt-get update` has ever been run here: fresh container images come without lists.
fn has_package_lists() -> bool {
    let Ok(lists) = std::fs::read_dir("/var/lib/apt/lists") else { return false };
    lists.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
}

fn update() -> Command {
    apt_get(&["update"])
}

fn install_command(packages: &[&str]) -> Command {
    let mut command = apt_get(&["install", "--yes", "--no-install-recommends", "--"]);
    command.args(packages);
    command
}

/// apt-get that asks nothing and waits for another package manager to finish.
fn apt_get(args: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["--option", "DPkg::Lock::Timeout=300"]).args(args);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_from_reports_unknown_and_half_removed_packages() {
        let known = "bash installed\nnasm config-files\n";

        let absent = absent_from(known, &["bash", "nasm", "iasl"]);

        assert_eq!(absent, ["nasm", "iasl"]);
    }

    #[test]
    fn absent_from_needs_the_whole_name() {
        assert_eq!(absent_from("libfoo-dev installed\n", &["libfoo"]), ["libfoo"]);
    }
}
