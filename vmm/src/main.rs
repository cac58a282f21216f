//! The program `tinderbox`.

use std::process::ExitCode;

fn main() -> ExitCode {
    vmm::cli::main(std::env::args_os())
}
