//! `cargo xtask check`: what must hold before any machine test.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};

use crate::{conformance, host, paths};

/// Options of the verb.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Mend the formatting instead of finding fault with it
    #[arg(long)]
    fix: bool,
}

/// Runs every check; the first that fails ends it.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    all(args.fix)?;
    Ok(ExitCode::SUCCESS)
}

/// Formatting, lints, documentation, the tests that need no machine, and the ACPI tables of a few.
pub(crate) fn all(fix: bool) -> anyhow::Result<()> {
    host::ensure_packages("to check the ACPI tables with iasl", &["acpica-tools"])?;
    host::ensure_packages("to check disk images with qemu-img", &["qemu-utils"])?;
    cargo(if fix { &["fmt", "--all"] } else { &["fmt", "--all", "--check"] }, &[])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"], &[])?;
    // Machine tests are none of all targets, because a plain `cargo test` leaves them alone.
    cargo(
        &["clippy", "--package", "machine-tests", "--test", "*", "--quiet", "--", "--deny", "warnings"],
        &[],
    )?;
    cargo(
        &["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"],
        &[("RUSTDOCFLAGS", "-Dwarnings")],
    )?;
    cargo(&["test", "--workspace", "--quiet"], &[])?;
    conformance::golden_machines()
}

/// Runs cargo in the checkout with its output on our own.
pub(crate) fn cargo(args: &[&str], env: &[(&str, &str)]) -> anyhow::Result<()> {
    let line = format!("cargo {}", args.join(" "));
    eprintln!("-- {line}");
    let status = Command::new(cargo_program())
        .args(args)
        .envs(env.iter().copied())
        .current_dir(paths::root())
        .status()
        .with_context(|| format!("start {line}"))?;
    ensure!(status.success(), "{line} failed");
    Ok(())
}

/// The cargo that runs us.
pub(crate) fn cargo_program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
