//! The project's own tasks: `cargo xtask VERB`. One verb a file; each builds what it needs and is a no-op where that is fresh.
#![forbid(unsafe_code)]

mod accel;
mod bench;
mod check;
mod conformance;
mod debian;
mod dist;
mod files;
mod firmware;
mod fuzz;
mod guest;
mod host;
mod image;
mod lab;
mod matrix;
mod paths;
mod product;
mod progress;
mod python;
mod run;
mod smoke;
mod test;
mod vng;
mod xhci_platform;

use clap::{Parser, Subcommand};

/// Builds, runs and tests Tinderbox.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// From a fresh checkout to a login prompt: firmware, VMM, image, boot
    Run(run::Args),
    /// Every test there is: unit tests, firmware on /dev/kvm, machine tests
    Test(test::Args),
    /// What CI checks before any machine test: fmt, clippy, doc, unit tests
    Check(check::Args),
    /// Hold the product against standards
    #[command(subcommand)]
    Conformance(conformance::Subject),
    /// Drive what a guest can reach with random programs
    Fuzz(fuzz::Args),
    /// Build firmware from source
    Firmware(firmware::Args),
    /// What is handed to users: program, man pages, completions, firmware
    Dist(dist::Args),
    /// Build guest disk images
    Image(image::Args),
    /// Run a command in an emulated host with a real nested /dev/kvm
    Lab(lab::Args),
    /// Compare with QEMU's microvm, in one run
    Bench(bench::Args),
    /// The part of `run --smoke` that runs beside the machine
    #[command(hide = true)]
    Smoke(smoke::Args),
}

fn main() -> std::process::ExitCode {
    let result = match Cli::parse().verb {
        Verb::Run(args) => run::run(args),
        Verb::Test(args) => test::run(args),
        Verb::Check(args) => check::run(args),
        Verb::Conformance(subject) => conformance::run(subject),
        Verb::Fuzz(args) => fuzz::run(args),
        Verb::Firmware(args) => firmware::run(args),
        Verb::Dist(args) => dist::run(args),
        Verb::Image(args) => image::run(args),
        Verb::Lab(args) => lab::run(args),
        Verb::Bench(args) => bench::run(args),
        Verb::Smoke(args) => smoke::run(args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        std::process::ExitCode::FAILURE
    })
}
