//! `tinderbox firmware`: what is bundled.

use std::process::ExitCode;

use clap::Subcommand;
use firmware::Catalogue;

use super::failure::Failure;
use super::print;

/// What can be done with the bundle.
#[derive(Debug, Subcommand)]
pub(crate) enum FirmwareCommand {
    /// List the bundled firmware, to be used as `--firmware NAME`
    List,
}

/// Carries out `command`.
pub(crate) fn run(command: &FirmwareCommand) -> Result<ExitCode, Failure> {
    match command {
        FirmwareCommand::List => list(&Catalogue::standard()),
    }
}

/// An entry that cannot be read does not hide the others.
fn list(catalogue: &Catalogue) -> Result<ExitCode, Failure> {
    for fault in catalogue.faults() {
        tracing::warn!(error = fault as &dyn std::error::Error, "skipped");
    }
    match catalogue.iter().next() {
        Some(_) => print(&catalogue.to_string())?,
        None => print("no firmware is bundled, build it with `cargo xtask firmware build`\n")?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_bundle_is_no_failure() {
        assert!(list(&Catalogue::discover(&[])).is_ok());
    }
}
