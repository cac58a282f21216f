//! `--console`, `--debugcon` and `--timeline`: where the guest's and the firmware's text goes, and what it tells of the boot.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::config::{Console, TimelineConfig};

/// Text from the guest.
#[derive(Args, Debug)]
#[command(next_help_heading = "Consoles")]
pub(crate) struct ConsoleArgs {
    /// The serial port COM1: stdio is this terminal, Ctrl-a h lists its keys; none removes the port
    #[arg(long, value_name = "stdio|file:PATH|none", default_value = "stdio")]
    pub(crate) console: Console,
    /// The firmware's log, port 0x402
    #[arg(long, value_name = "file:PATH")]
    pub(crate) debugcon: Option<LogFile>,
    /// Write the boot's phases here when the run ends, and what the guest did in each: a page for people or JSON for programs.
    /// The firmware's log (--debugcon) tells more than the serial port; TEXT is what the guest prints when it is ready
    #[arg(long, value_name = "FILE.html|FILE.json[,mark=TEXT]")]
    pub(crate) timeline: Option<TimelineConfig>,
}

/// A file that text is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFile(pub(crate) PathBuf);

/// Why a text is no console.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConsoleError {
    /// Not a way to connect COM1.
    #[error("unknown console, use stdio, file:PATH or none")]
    Console,
    /// Not a way to connect the debug console.
    #[error("unknown destination, use file:PATH")]
    Debugcon,
    /// `file:` and nothing after.
    #[error("no path after file:, write file:PATH")]
    NoPath,
}

impl FromStr for Console {
    type Err = ConsoleError;

    fn from_str(text: &str) -> Result<Self, ConsoleError> {
        match (text, text.strip_prefix("file:")) {
            ("stdio", _) => Ok(Self::Stdio),
            ("none", _) => Ok(Self::None),
            (_, Some(path)) => file(path).map(Self::File),
            _ => Err(ConsoleError::Console),
        }
    }
}

impl FromStr for LogFile {
    type Err = ConsoleError;

    fn from_str(text: &str) -> Result<Self, ConsoleError> {
        text.strip_prefix("file:").ok_or(ConsoleError::Debugcon).and_then(file).map(Self)
    }
}

fn file(path: &str) -> Result<PathBuf, ConsoleError> {
    if path.is_empty() { Err(ConsoleError::NoPath) } else { Ok(path.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn console_has_three_destinations() {
        assert_eq!("stdio".parse(), Ok(Console::Stdio));
        assert_eq!("none".parse(), Ok(Console::None));
        assert_eq!("file:a:b.log".parse(), Ok(Console::File("a:b.log".into())));
    }

    #[test]
    fn console_of_another_name_is_refused() {
        for text in ["", "pty", "Stdio", "file"] {
            assert_eq!(text.parse::<Console>(), Err(ConsoleError::Console), "{text}");
        }
        assert_eq!("file:".parse::<Console>(), Err(ConsoleError::NoPath));
    }

    #[test]
    fn debugcon_takes_files_only() {
        assert_eq!("file:fw.log".parse(), Ok(LogFile("fw.log".into())));
        assert_eq!("stdio".parse::<LogFile>(), Err(ConsoleError::Debugcon));
        assert_eq!("file:".parse::<LogFile>(), Err(ConsoleError::NoPath));
    }
}
