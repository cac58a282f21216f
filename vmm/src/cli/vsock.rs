//! `--vsock socket=PATH[,cid=N]`.

use std::str::FromStr;

use super::fields::{Fields, FieldsError};
use super::machine::decimal;
use crate::config::VsockConfig;

/// The address of a guest that nobody gives one: the first that is free for guests.
const FIRST_CID: u32 = 3;

/// Why a text is no vsock device.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VsockError {
    /// Nowhere to listen.
    #[error("no socket, write socket=PATH")]
    NoSocket,
    /// No address for a guest.
    #[error("cid={0} is no address of a guest, use {FIRST_CID} to 4294967294")]
    Cid(String),
    /// A key that there is not.
    #[error("unknown key `{0}`, use socket or cid")]
    Key(String),
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for VsockConfig {
    type Err = VsockError;

    fn from_str(text: &str) -> Result<Self, VsockError> {
        let (mut cid, mut socket) = (FIRST_CID, None);
        for (key, value) in Fields::pairs(text)? {
            match key.as_str() {
                "cid" => cid = address(value)?,
                "socket" => socket = Some(value).filter(|path| !path.is_empty()),
                _ => return Err(VsockError::Key(key)),
            }
        }
        let socket = socket.ok_or(VsockError::NoSocket)?.into();
        Ok(Self { cid, socket })
    }
}

fn address(text: String) -> Result<u32, VsockError> {
    decimal(&text).filter(|cid| (FIRST_CID..u32::MAX).contains(cid)).ok_or(VsockError::Cid(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vsock(text: &str) -> Result<VsockConfig, VsockError> {
        text.parse()
    }

    #[test]
    fn vsock_has_a_socket_and_an_address() {
        let expected = |cid| VsockConfig { cid, socket: "/run/v".into() };
        assert_eq!(vsock("socket=/run/v"), Ok(expected(3)));
        assert_eq!(vsock("cid=42,socket=/run/v"), Ok(expected(42)));
        assert_eq!(vsock("cid=42"), Err(VsockError::NoSocket));
        assert_eq!(vsock("socket="), Err(VsockError::NoSocket));
        for cid in ["2", "4294967295", "x"] {
            assert_eq!(vsock(&format!("socket=a,cid={cid}")), Err(VsockError::Cid(cid.into())));
        }
        assert_eq!(vsock("path=a"), Err(VsockError::Key("path".into())));
    }
}
