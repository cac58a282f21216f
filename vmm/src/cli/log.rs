//! The program's own log, on stderr: `-v`, or `TINDERBOX_LOG` for the full filter syntax of `tracing`.

use std::env;
use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use super::failure::Failure;
use crate::terminal;

const VARIABLE: &str = "TINDERBOX_LOG";

/// Starts the log. `TINDERBOX_LOG` wins over `-v`, given `verbose` times.
pub(crate) fn start(verbose: u8) -> Result<(), Failure> {
    let directives = env::var(VARIABLE).unwrap_or_else(|_| level(verbose).into());
    let filter = EnvFilter::try_new(&directives).map_err(|error| {
        Failure::Usage(format!("{VARIABLE}={directives}: {error}, write for example {VARIABLE}=vmm=debug"))
    })?;
    let colours = io::stderr().is_terminal();
    // A subscriber that is already there, as in a test, stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(terminal::Stderr::default)
        .try_init();
    Ok(())
}

fn level(verbose: u8) -> &'static str {
    match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    }
}
