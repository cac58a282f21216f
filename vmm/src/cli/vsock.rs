//! `--vsock socket=PATH[,cid=N]`, or `cid=N` alone for the kernel's.

use std::str::FromStr;

use super::fields::{Fields, FieldsError};
use super::machine::decimal;
use crate::config::VsockConfig;

/// The address of a guest that nobody gives one: the first that is free for guests.
const FIRST_CID: u32 = 3;

/// Why a text is no vsock device.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VsockError {
    /// Neither a place to listen at, nor an address.
    #[error("write socket=PATH, or cid=N for the kernel's own sockets")]
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
        let (mut cid, mut socket) = (None, None);
        for (key, value) in Fields::pairs(text)? {
            match key.as_str() {
                "cid" => cid = Some(address(value)?),
                "socket" if value.is_empty() => return Err(VsockError::NoSocket),
                "socket" => socket = Some(value.into()),
                _ => return Err(VsockError::Key(key)),
            }
        }
        match (cid, &socket) {
            (None, None) => Err(VsockError::NoSocket),
            _ => Ok(Self { cid: cid.unwrap_or(FIRST_CID), socket }),
        }
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
        let expected = |cid| VsockConfig { cid, socket: Some("/run/v".into()) };
        assert_eq!(vsock("socket=/run/v"), Ok(expected(3)));
        assert_eq!(vsock("cid=42,socket=/run/v"), Ok(expected(42)));
        assert_eq!(vsock("cid=42"), Ok(VsockConfig { cid: 42, socket: None }));
        assert!(vsock("").is_err());
        assert_eq!(vsock("socket="), Err(VsockError::NoSocket));
        for cid in ["2", "4294967295", "x"] {
            assert_eq!(vsock(&format!("socket=a,cid={cid}")), Err(VsockError::Cid(cid.into())));
        }
        assert_eq!(vsock("path=a"), Err(VsockError::Key("path".into())));
    }
}
