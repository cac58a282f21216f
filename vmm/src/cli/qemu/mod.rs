//! `tinderbox qemu …`: QEMU's command line for its machine type `microvm`, with QEMU's own syntax.
//!
//! ```text
//!  argv ── words ──► option, value ── CommandLine ──► machine, processor, memory, drives, chardev, monitors
//!            │                                            │ merged, references resolved
//!            └─ unknown, unsupported: one line            └──► Config, and notes on what changes nothing
//! ```
//!
//! The parser is pure: it opens no file, and its [`Config`] is the one that `tinderbox run` would make. Every option of
//! QEMU's x86 programs is in [`options`]: it means something, it changes nothing, or it is an error that says what to do.
//! Defaults are QEMU's where a guest sees them (128 MiB of memory); else ours: a kernel starts at once unless `-bios` is
//! given, and the processor is the host's.
//!
//! Left out: what this machine does not have (displays, migration), each with a message of its own.

mod chardev;
mod clock;
mod command_line;
mod drives;
mod guest;
mod help;
mod machine;
mod memory;
mod monitors;
mod nets;
mod numa;
mod options;
mod opts;
mod ports;
mod processor;
mod run;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tools;
mod usb;
mod vhost_user;

pub(crate) use run::{main, options_of};

use std::ffi::OsString;

use crate::config::Config;
use command_line::CommandLine;
use help::Help;
use options::Treatment;

/// Why a value is wrong, and what to do: one line.
type Reason = Box<dyn std::error::Error + Send + Sync>;

/// Which option is wrong, its value, and why: found out when all options are known.
type Wrong = (&'static str, String, Reason);

/// What is wrong with a command line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QemuError {
    /// Not an option of QEMU's.
    #[error("unknown option {option}, {hint}")]
    Unknown {
        /// As written.
        option: String,
        /// What was meant, or where to look.
        hint: String,
    },
    /// An option at the end that needs a value.
    #[error("{0} needs a value, see `tinderbox qemu -help`")]
    NoValue(String),
    /// Bytes that are no text.
    #[error("`{0}` is not UTF-8, rename what it names")]
    NotUtf8(String),
    /// Not to be had here.
    #[error("{option} is not supported: {instead}")]
    Unsupported {
        /// As written.
        option: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// A wrong value.
    #[error("{option}{}{value}: {reason}", if .value.is_empty() { "" } else { " " })]
    Value {
        /// The option.
        option: String,
        /// As written.
        value: String,
        /// What is wrong, and what to do.
        reason: Reason,
    },
}

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Request {
    /// A machine.
    Machine(Box<Parsed>),
    /// A text.
    Help(Help),
}

/// A machine, as QEMU's options describe it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// The machine.
    pub(crate) config: Config,
    /// What was accepted and changes nothing, one line each.
    pub(crate) notes: Vec<String>,
    /// Show it instead of starting it.
    pub(crate) dry_run: bool,
}

/// Whether `q35` and other names of QEMU's machine types are taken for `microvm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Aliases {
    /// They are refused: the machine is none of those.
    #[default]
    Refused,
    /// The user knows, and wants them taken.
    Taken,
}

/// Parses the options `args`, without the program's name.
pub(crate) fn parse(args: &[OsString], aliases: Aliases) -> Result<Request, QemuError> {
    let mut line = CommandLine::new(aliases);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let word = text(word)?;
        if !word.starts_with('-') || word == "-" {
            line.option("hda", "-hda", word)?;
            continue;
        }
        let known = options::find(word)?;
        let value = match known.has_value {
            true => text(words.next().ok_or_else(|| QemuError::NoValue(word.into()))?)?,
            false => "",
        };
        match known.treatment {
            Treatment::Unsupported(instead) => {
                return Err(QemuError::Unsupported { option: word.into(), instead });
            }
            Treatment::Harmless(why) => line.note(word, why),
            Treatment::Meant => {
                if let Some(help) = line.option(known.name, word, value)? {
                    return Ok(Request::Help(help));
                }
            }
        }
    }
    line.finish().map(|parsed| Request::Machine(Box::new(parsed)))
}

fn text(word: &OsString) -> Result<&str, QemuError> {
    word.to_str().ok_or_else(|| QemuError::NotUtf8(word.to_string_lossy().into_owned()))
}
