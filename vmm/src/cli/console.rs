//! `--console`, `--debugcon` and `--timeline`: where the guest's and the firmware's text goes, and what it tells of the boot.

use std::str::FromStr;

use clap::Args;

use super::ports::PortError;
use crate::config::{Console, EscapeKey, OutputFile, TimelineConfig};

/// Text from the guest.
#[derive(Args, Debug)]
#[command(next_help_heading = "Consoles")]
pub(crate) struct ConsoleArgs {
    /// The serial port COM1: stdio is this terminal, Ctrl-a h lists its keys; none removes the port. A client of the socket that
    /// comes late finds the last 64 KiB
    #[arg(long, value_name = "stdio|file:PATH|unix:PATH|pty|pipe:PATH|none", default_value = "stdio")]
    pub(crate) console: Console,
    /// The key that begins commands at the terminal
    #[arg(long, value_name = "ctrl-LETTER", default_value = "ctrl-a")]
    pub(crate) escape: EscapeKey,
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
pub(crate) struct LogFile(pub(crate) OutputFile);

/// Why a text is no console.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConsoleError {
    /// Not a way to connect COM1.
    #[error("unknown console, use stdio, file:PATH, unix:PATH, pty, pipe:PATH or none")]
    Console,
    /// Not a way to connect the debug console.
    #[error("unknown destination, use file:PATH")]
    Debugcon,
    /// `file:` and nothing after.
    #[error("no path after file:, write file:PATH")]
    NoPath,
    /// No key for it.
    #[error("no key to begin commands with, use ctrl-a to ctrl-z")]
    Key,
    /// No stream.
    #[error(transparent)]
    Stream(#[from] PortError),
}

impl FromStr for Console {
    type Err = ConsoleError;

    fn from_str(text: &str) -> Result<Self, ConsoleError> {
        match (text, text.split_once(':')) {
            ("stdio", _) => Ok(Self::Stdio),
            ("none", _) => Ok(Self::None),
            (_, Some(("file", path))) => file(path).map(Self::File),
            ("pty", _) | (_, Some(("unix" | "pipe", _))) => Ok(Self::Stream(text.parse()?)),
            _ => Err(ConsoleError::Console),
        }
    }
}

/// `ctrl-a` to `ctrl-z`.
impl FromStr for EscapeKey {
    type Err = ConsoleError;

    fn from_str(text: &str) -> Result<Self, ConsoleError> {
        match text.to_ascii_lowercase().strip_prefix("ctrl-").map(str::as_bytes) {
            Some(&[letter @ b'a'..=b'z']) => Ok(Self(letter & 0x1f)),
            _ => Err(ConsoleError::Key),
        }
    }
}

impl FromStr for LogFile {
    type Err = ConsoleError;

    fn from_str(text: &str) -> Result<Self, ConsoleError> {
        text.strip_prefix("file:").ok_or(ConsoleError::Debugcon).and_then(file).map(Self)
    }
}

fn file(path: &str) -> Result<OutputFile, ConsoleError> {
    if path.is_empty() { Err(ConsoleError::NoPath) } else { Ok(path.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PortEnd;

    #[test]
    fn console_has_its_destinations() {
        assert_eq!("stdio".parse(), Ok(Console::Stdio));
        assert_eq!("none".parse(), Ok(Console::None));
        assert_eq!("file:a:b.log".parse(), Ok(Console::File("a:b.log".into())));
        assert_eq!("unix:s".parse(), Ok(Console::Stream(PortEnd::Socket("s".into()))));
        assert_eq!("pty".parse(), Ok(Console::Stream(PortEnd::Pty)));
    }

    #[test]
    fn console_of_another_name_is_refused() {
        for text in ["", "Stdio", "file", "tcp:1"] {
            assert_eq!(text.parse::<Console>(), Err(ConsoleError::Console), "{text}");
        }
        assert_eq!("file:".parse::<Console>(), Err(ConsoleError::NoPath));
    }

    #[test]
    fn escape_is_a_letter() {
        assert_eq!(["ctrl-a", "Ctrl-T"].map(str::parse), [Ok(EscapeKey(1)), Ok(EscapeKey(20))]);
        for text in ["", "a", "ctrl-", "ctrl-1", "ctrl-aa"] {
            assert_eq!(text.parse::<EscapeKey>(), Err(ConsoleError::Key), "{text}");
        }
    }

    #[test]
    fn debugcon_takes_files_only() {
        assert_eq!("file:fw.log".parse(), Ok(LogFile("fw.log".into())));
        assert_eq!("stdio".parse::<LogFile>(), Err(ConsoleError::Debugcon));
        assert_eq!("file:".parse::<LogFile>(), Err(ConsoleError::NoPath));
    }
}
