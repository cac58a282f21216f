//! `--virtio-console END` and `--virtio-port NAME,END`, where END is `stdio`, `file:PATH`, `pipe:PATH`, `unix:PATH` or `pty`.

use std::path::PathBuf;
use std::str::FromStr;

use virtio::console::Kind;

use crate::config::{PortConfig, PortEnd};

/// What a port is connected to, as its help has it.
pub(crate) const END: &str = "stdio|file:PATH|pipe:PATH|unix:PATH|pty";
/// The same with its name.
pub(crate) const NAMED: &str = "NAME,stdio|file:PATH|pipe:PATH|unix:PATH|pty";
/// The longest name: Linux has 64 bytes for it and the words around it.
const LONGEST: usize = 60;

/// Why a text is no port.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PortError {
    /// Not something to connect to.
    #[error("unknown end, use stdio, file:PATH, pipe:PATH, unix:PATH or pty")]
    End,
    /// A kind of end, and no path.
    #[error("no path after {0}, write {0}PATH")]
    NoPath(&'static str),
    /// No name before the comma, or one that no port can have.
    #[error(
        "a port needs a name of up to {LONGEST} letters, digits, dots, dashes and underscores, write NAME,unix:PATH"
    )]
    Name,
}

impl FromStr for PortEnd {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let path = |kind: &'static str| match text.strip_prefix(kind) {
            Some("") => Some(Err(PortError::NoPath(kind))),
            path => path.map(|path| Ok(PathBuf::from(path))),
        };
        match text {
            "stdio" => Ok(Self::Stdio),
            "pty" => Ok(Self::Pty),
            _ => path("file:")
                .map(|path| path.map(|path| Self::File(path.into())))
                .or_else(|| path("pipe:").map(|path| path.map(Self::Pipe)))
                .or_else(|| path("unix:").map(|path| path.map(Self::Socket)))
                .unwrap_or(Err(PortError::End)),
        }
    }
}

/// A port by name.
#[derive(Clone, Debug)]
pub(crate) struct NamedPort(pub(crate) PortConfig);

impl FromStr for NamedPort {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let (name, end) = text.split_once(',').ok_or(PortError::Name)?;
        Ok(Self(PortConfig { kind: Self::kind(name.into())?, end: end.parse()? }))
    }
}

impl NamedPort {
    /// A port of the name `name`.
    pub(crate) fn kind(name: String) -> Result<Kind, PortError> {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if !(1..=LONGEST).contains(&name.len()) || !name.bytes().all(is_good) {
            return Err(PortError::Name);
        }
        Ok(Kind::Named(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_known() {
        let ends = ["stdio", "file:a:b", "pipe:p", "unix:/run/s", "pty"].map(str::parse);
        let expected = [
            PortEnd::Stdio,
            PortEnd::File("a:b".into()),
            PortEnd::Pipe("p".into()),
            PortEnd::Socket("/run/s".into()),
            PortEnd::Pty,
        ];
        assert_eq!(ends, expected.map(Ok));
        assert_eq!("unix:".parse::<PortEnd>(), Err(PortError::NoPath("unix:")));
        assert_eq!("tcp:1".parse::<PortEnd>(), Err(PortError::End));
    }

    #[test]
    fn port_has_a_name_before_its_end() {
        let port = "org.qemu.guest_agent.0,unix:/run/s".parse::<NamedPort>().unwrap().0;
        assert_eq!(port.kind, Kind::Named("org.qemu.guest_agent.0".into()));
        assert_eq!(port.end, PortEnd::Socket("/run/s".into()));
        for text in ["", "name", ",pty", "a b,pty", "a/b,pty", &format!("{},pty", "n".repeat(61))] {
            assert_eq!(text.parse::<NamedPort>().map(|_| ()), Err(PortError::Name), "{text}");
        }
    }
}
