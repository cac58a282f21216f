//! From QEMU's command line to a running machine.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use super::{Aliases, Request, parse};
use crate::cli::failure::Failure;
use crate::cli::run::{self, Purpose};
use crate::cli::{log, print};

/// The name that makes this program take QEMU's command line.
const QEMU: &str = "qemu-system-x86_64";
/// The command that is followed by QEMU's options.
const COMMAND: &str = "qemu";
/// Set to `microvm`, it makes other names of machine types mean that.
const ALIAS: &str = "TINDERBOX_QEMU_ALIAS";

/// QEMU's options in the program's arguments `args`, if it was called by QEMU's name or told that they follow.
///
/// They never get to the parser of this program's own options, which would take `--help` and `-v` for its.
pub(crate) fn options_of(args: &[OsString]) -> Option<&[OsString]> {
    let (name, rest) = args.split_first()?;
    match rest.split_first() {
        _ if Path::new(name).file_name().is_some_and(|name| name == QEMU) => Some(rest),
        Some((command, options)) if command == COMMAND => Some(options),
        _ => None,
    }
}

/// Does what the options `args` ask for.
pub(crate) fn main(args: &[OsString]) -> Result<ExitCode, Failure> {
    let taken = std::env::var_os(ALIAS).is_some_and(|name| name == "microvm");
    let aliases = if taken { Aliases::Taken } else { Aliases::Refused };
    let request = parse(args, aliases).map_err(|error| Failure::Usage(error.to_string()))?;
    let parsed = match request {
        Request::Help(help) => return print(&help.text()).map(|()| ExitCode::SUCCESS),
        Request::Machine(parsed) => *parsed,
    };
    log::start(0)?;
    let purpose = if parsed.dry_run { Purpose::Text } else { Purpose::Boot };
    if let Some(status) = run::in_background(&parsed.config, purpose)? {
        return Ok(status);
    }
    parsed.notes.iter().for_each(|note| eprintln!("tinderbox: note: {note}"));
    run::run_config(&parsed.config, purpose)
}
