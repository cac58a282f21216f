//! `cargo xtask test`

use std::process::ExitCode;

/// Options of the verb.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Does it.
pub(crate) fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("in the making")
}
