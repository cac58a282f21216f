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
    print(&catalogue.to_string())?;
    Ok(ExitCode::SUCCESS)
}
