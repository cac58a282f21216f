//! `--fs` and `--vhost-user`: devices that other processes serve.

use std::path::PathBuf;
use std::str::FromStr;

use virtio::vhost_user::{Cache, MAX_QUEUES, MAX_TAG};

use super::fields::{Fields, FieldsError};
use super::machine::decimal;
use super::net::{NetError, longest_datagram};
use crate::config::{FsServer, VhostUserConfig};

/// What an `--fs` looks like.
pub(crate) const FS: &str = "tag=NAME,dir=DIR[,cache=auto|always|never]|tag=NAME,socket=PATH";
/// What a `--vhost-user` looks like.
pub(crate) const VHOST_USER: &str = "blk,socket=PATH[,queues=N]|net,socket=PATH[,mac=ADDRESS][,mtu=N]";

/// A file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fs(pub(crate) VhostUserConfig);

/// Another device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VhostUser(pub(crate) VhostUserConfig);

/// Why a text is no such device.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum VhostUserError {
    /// No name.
    #[error("no name, write tag=NAME")]
    NoTag,
    /// Not a name.
    #[error("tag={0}: a name has 1 to {MAX_TAG} bytes")]
    Tag(String),
    /// Nothing to show, or two things.
    #[error("give it dir=DIR or socket=PATH, one of them")]
    Server,
    /// A key for the other kind of server.
    #[error("cache= is for a virtiofsd that tinderbox starts, leave out that or socket=")]
    Running,
    /// No cache mode.
    #[error("cache={0} is no choice, use auto, always or never")]
    Cache(String),
    /// Another kind of device.
    #[error("unknown kind of device `{0}`, use blk or net; a file system is --fs tag=NAME,socket=PATH")]
    Kind(String),
    /// Nowhere to connect to.
    #[error("no socket, write socket=PATH")]
    NoSocket,
    /// Not a number of queues.
    #[error("queues={0} is out of range, use 1 to {MAX_QUEUES}")]
    Queues(String),
    /// A key that it does not have.
    #[error("unknown key `{0}`, use {1}")]
    Key(String, &'static str),
    /// As for other networks.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for Fs {
    type Err = VhostUserError;

    fn from_str(text: &str) -> Result<Self, VhostUserError> {
        let (mut tag, mut dir, mut socket, mut cache) = (None, None, None, None);
        for (key, value) in Fields::pairs(text)? {
            match key.as_str() {
                "tag" => tag = Some(value),
                "dir" => dir = Some(PathBuf::from(value)),
                "socket" => socket = Some(PathBuf::from(value)),
                "cache" => cache = Some(cache_mode(value)?),
                _ => return Err(VhostUserError::Key(key, "tag, dir, socket or cache")),
            }
        }
        let tag = checked_tag(tag.ok_or(VhostUserError::NoTag)?)?;
        let server = match (dir, socket, cache) {
            (None, Some(_), Some(_)) => return Err(VhostUserError::Running),
            (None, Some(socket), None) => FsServer::Socket(socket),
            (Some(dir), None, cache) => FsServer::Folder { dir, cache: cache.unwrap_or_default() },
            _ => return Err(VhostUserError::Server),
        };
        Ok(Self(VhostUserConfig::Fs { tag, server }))
    }
}

/// A name that fits.
pub(super) fn checked_tag(tag: String) -> Result<String, VhostUserError> {
    if (1..=MAX_TAG).contains(&tag.len()) { Ok(tag) } else { Err(VhostUserError::Tag(tag)) }
}

fn cache_mode(text: String) -> Result<Cache, VhostUserError> {
    match text.as_str() {
        "auto" => Ok(Cache::Auto),
        "always" => Ok(Cache::Always),
        "never" | "none" => Ok(Cache::Never),
        _ => Err(VhostUserError::Cache(text)),
    }
}

impl FromStr for VhostUser {
    type Err = VhostUserError;

    fn from_str(text: &str) -> Result<Self, VhostUserError> {
        let Fields { first: kind, pairs } = Fields::parse(text)?;
        let (mut socket, mut own) = (None, Vec::new());
        for (key, value) in pairs {
            match key.as_str() {
                "socket" => socket = Some(PathBuf::from(value)),
                _ => own.push((key, value)),
            }
        }
        let socket = || socket.filter(|path| !path.as_os_str().is_empty()).ok_or(VhostUserError::NoSocket);
        Ok(Self(match kind.as_str() {
            "blk" => blk(socket()?, own)?,
            "net" => net(socket()?, own)?,
            _ => return Err(VhostUserError::Kind(kind)),
        }))
    }
}

fn blk(socket: PathBuf, keys: Vec<(String, String)>) -> Result<VhostUserConfig, VhostUserError> {
    let mut queues = 1;
    for (key, value) in keys {
        match key.as_str() {
            "queues" => queues = checked_queues(value)?,
            _ => return Err(VhostUserError::Key(key, "socket or queues")),
        }
    }
    Ok(VhostUserConfig::Blk { socket, queues })
}

/// A number of queues that a device can have.
pub(super) fn checked_queues(text: String) -> Result<u16, VhostUserError> {
    decimal(&text).filter(|count| (1..=MAX_QUEUES).contains(count)).ok_or(VhostUserError::Queues(text))
}

fn net(socket: PathBuf, keys: Vec<(String, String)>) -> Result<VhostUserConfig, VhostUserError> {
    let (mut mac, mut mtu) = (None, None);
    for (key, value) in keys {
        match key.as_str() {
            "mac" => mac = Some(value.parse().map_err(|error| NetError::Mac(value, error))?),
            "mtu" => mtu = Some(longest_datagram(value)?),
            _ => return Err(VhostUserError::Key(key, "socket, mac or mtu")),
        }
    }
    Ok(VhostUserConfig::Net { socket, mac, mtu })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fs(text: &str) -> Result<VhostUserConfig, String> {
        text.parse().map(|Fs(config)| config).map_err(|error: VhostUserError| error.to_string())
    }

    fn device(text: &str) -> Result<VhostUserConfig, String> {
        text.parse().map(|VhostUser(config)| config).map_err(|error: VhostUserError| error.to_string())
    }

    #[test]
    fn file_system_is_a_folder_or_a_socket() {
        let expected = |server| Ok(VhostUserConfig::Fs { tag: "src".into(), server });
        let folder = |cache| FsServer::Folder { dir: "/a,b".into(), cache };
        assert_eq!(fs("tag=src,dir=/a,,b"), expected(folder(Cache::Auto)));
        assert_eq!(fs("tag=src,dir=/a,,b,cache=never"), expected(folder(Cache::Never)));
        assert_eq!(fs("socket=/s,tag=src"), expected(FsServer::Socket("/s".into())));
    }

    #[test]
    fn what_is_no_file_system_is_named() {
        assert_eq!(fs("dir=a").unwrap_err(), "no name, write tag=NAME");
        assert_eq!(fs("tag=a").unwrap_err(), "give it dir=DIR or socket=PATH, one of them");
        assert_eq!(fs("tag=a,dir=b,socket=c").unwrap_err(), "give it dir=DIR or socket=PATH, one of them");
        assert_eq!(fs("tag=,dir=b").unwrap_err(), "tag=: a name has 1 to 36 bytes");
        assert!(fs(&format!("tag={},dir=b", "x".repeat(37))).unwrap_err().contains("1 to 36 bytes"));
        assert!(fs("tag=a,socket=c,cache=auto").unwrap_err().starts_with("cache= is for a virtiofsd"));
        assert!(fs("tag=a,dir=c,cache=on").unwrap_err().starts_with("cache=on is no choice"));
        assert!(fs("tag=a,dir=c,path=x").unwrap_err().starts_with("unknown key `path`"));
    }

    #[test]
    fn disks_and_networks_have_their_keys() {
        let blk = |queues| Ok(VhostUserConfig::Blk { socket: "s".into(), queues });
        assert_eq!(device("blk,socket=s"), blk(1));
        assert_eq!(device("blk,queues=4,socket=s"), blk(4));
        let mac = "52:54:00:00:00:01".parse().ok();
        let net = VhostUserConfig::Net { socket: "s".into(), mac, mtu: Some(1400) };
        assert_eq!(device("net,socket=s,mac=52:54:00:00:00:01,mtu=1400"), Ok(net));
        assert_eq!(device("blk").unwrap_err(), "no socket, write socket=PATH");
        assert!(device("fs,socket=s").unwrap_err().contains("--fs tag=NAME,socket=PATH"));
        assert!(device("blk,socket=s,queues=65").unwrap_err().contains("1 to 64"));
        assert!(device("blk,socket=s,mac=1").unwrap_err().starts_with("unknown key `mac`"));
        assert!(device("net,socket=s,mtu=1").unwrap_err().starts_with("mtu=1 is no longest datagram"));
    }
}
