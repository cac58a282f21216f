//! `--cloud-init user-data=FILE[,meta-data=FILE][,network-config=FILE]`.

use std::str::FromStr;

use super::fields::{Fields, FieldsError};
use crate::config::CloudInit;

/// The option's value, for help.
pub(super) const CLOUD_INIT: &str = "user-data=FILE[,meta-data=FILE][,network-config=FILE]";

/// Why a text names no orders for cloud-init.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CloudInitError {
    /// Nothing to do.
    #[error("no orders, write user-data=FILE")]
    NoUserData,
    /// A key without a file.
    #[error("{0}= names no file, write {0}=FILE")]
    NoFile(String),
    /// A key that there is not.
    #[error("unknown key `{0}`, use user-data, meta-data or network-config")]
    Key(String),
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for CloudInit {
    type Err = CloudInitError;

    fn from_str(text: &str) -> Result<Self, CloudInitError> {
        let (mut user_data, mut meta_data, mut network_config) = (None, None, None);
        for (key, value) in Fields::pairs(text)? {
            let place = match key.as_str() {
                "user-data" => &mut user_data,
                "meta-data" => &mut meta_data,
                "network-config" => &mut network_config,
                _ => return Err(CloudInitError::Key(key)),
            };
            if value.is_empty() {
                return Err(CloudInitError::NoFile(key));
            }
            *place = Some(value.into());
        }
        let user_data = user_data.ok_or(CloudInitError::NoUserData)?;
        Ok(Self { user_data, meta_data, network_config })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud_init(text: &str) -> Result<CloudInit, CloudInitError> {
        text.parse()
    }

    #[test]
    fn user_data_is_needed_and_the_rest_is_not() {
        let least = CloudInit { user_data: "u".into(), meta_data: None, network_config: None };
        assert_eq!(cloud_init("user-data=u"), Ok(least.clone()));
        let all = CloudInit { meta_data: Some("m,n".into()), network_config: Some("n".into()), ..least };
        assert_eq!(cloud_init("network-config=n,meta-data=m,,n,user-data=u"), Ok(all));
    }

    #[test]
    fn wrong_orders_are_refused() {
        assert_eq!(cloud_init("meta-data=m"), Err(CloudInitError::NoUserData));
        assert_eq!(cloud_init("user-data="), Err(CloudInitError::NoFile("user-data".into())));
        assert_eq!(cloud_init("user-data=u,vendor-data=v"), Err(CloudInitError::Key("vendor-data".into())));
        assert_eq!(cloud_init("u"), Err(CloudInitError::Fields(FieldsError::NoValue("u".into()))));
    }
}
