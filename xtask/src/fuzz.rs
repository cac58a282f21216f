//! `cargo xtask fuzz SUBJECT --runs N`: random programs against what a guest can reach, the same ones for the same seed.

use std::process::ExitCode;

use clap::ValueEnum;

use crate::check;

/// What to fuzz, and how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the programs drive
    subject: Subject,
    /// How many programs
    #[arg(long, default_value_t = 100_000)]
    runs: u64,
    /// Which programs
    #[arg(long, default_value_t = 1)]
    seed: u32,
}

/// Something with a harness of its own.
#[derive(Clone, Copy, ValueEnum)]
enum Subject {
    /// The xHCI controller: registers, doorbells, rings and contexts in guest memory
    Xhci,
}

/// Runs the programs; a failure prints the one that failed.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (runs, seed) = (args.runs.to_string(), args.seed.to_string());
    let (package, example) = match args.subject {
        Subject::Xhci => ("usb", "fuzz_xhci"),
    };
    let program = ["run", "--release", "-q", "-p", package, "--features", "testing", "--example", example];
    check::cargo(&[program.as_slice(), &["--", &runs, &seed]].concat(), &[])?;
    Ok(ExitCode::SUCCESS)
}
