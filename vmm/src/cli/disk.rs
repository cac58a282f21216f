//! `--disk PATH[,bus=virtio-mmio][,readonly=on|off]` and the plain `DISK`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::fields::{Fields, FieldsError};
use crate::config::{DiskBus, DiskConfig};

/// The disks of a machine.
#[derive(Args, Debug)]
#[command(next_help_heading = "Disks, in boot order")]
pub(crate) struct DiskArgs {
    /// The first disk: a raw image or a block device
    #[arg(value_name = "DISK", display_order = 1)]
    first: Option<PathBuf>,
    /// A disk, repeatable; a comma in PATH is written twice
    #[arg(long = "disk", value_name = "PATH[,bus=virtio-mmio][,readonly=on|off]", display_order = 2)]
    more: Vec<DiskConfig>,
}

impl DiskArgs {
    /// All disks in boot order.
    pub(crate) fn into_disks(self) -> Vec<DiskConfig> {
        let first = self.first.map(|path| DiskConfig { path, bus: DiskBus::default(), readonly: false });
        first.into_iter().chain(self.more).collect()
    }
}

/// Why a text is no disk.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DiskError {
    /// Nothing before the first comma.
    #[error("no path, write PATH[,bus=virtio-mmio][,readonly=on|off]")]
    NoPath,
    /// A bus that this machine does not have.
    #[error("unknown bus `{0}`, use bus=virtio-mmio")]
    Bus(String),
    /// Neither yes nor no.
    #[error("readonly={0} is no choice, use readonly=on or readonly=off")]
    Readonly(String),
    /// A key that disks do not have.
    #[error("unknown key `{0}`, use bus or readonly; a comma in a path is written twice")]
    Key(String),
    /// Not of the shape.
    #[error(transparent)]
    Fields(#[from] FieldsError),
}

impl FromStr for DiskConfig {
    type Err = DiskError;

    fn from_str(text: &str) -> Result<Self, DiskError> {
        let Fields { first: path, pairs } = Fields::parse(text)?;
        if path.is_empty() {
            return Err(DiskError::NoPath);
        }
        let mut disk = Self { path: path.into(), bus: DiskBus::default(), readonly: false };
        for (key, value) in pairs {
            match key.as_str() {
                "bus" => disk.bus = value.parse()?,
                "readonly" => disk.readonly = on_or_off(&value)?,
                _ => return Err(DiskError::Key(key)),
            }
        }
        Ok(disk)
    }
}

impl FromStr for DiskBus {
    type Err = DiskError;

    fn from_str(text: &str) -> Result<Self, DiskError> {
        match text {
            "virtio-mmio" => Ok(Self::VirtioMmio),
            _ => Err(DiskError::Bus(text.into())),
        }
    }
}

fn on_or_off(text: &str) -> Result<bool, DiskError> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(DiskError::Readonly(text.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(text: &str) -> Result<DiskConfig, DiskError> {
        text.parse()
    }

    #[test]
    fn plain_path_is_a_writable_virtio_mmio_disk() {
        let expected = DiskConfig { path: "a.raw".into(), bus: DiskBus::VirtioMmio, readonly: false };
        assert_eq!(disk("a.raw"), Ok(expected));
    }

    #[test]
    fn keys_come_in_any_order() {
        assert!(disk("a.raw,readonly=on,bus=virtio-mmio").unwrap().readonly);
        assert!(!disk("a.raw,bus=virtio-mmio,readonly=off").unwrap().readonly);
    }

    #[test]
    fn doubled_comma_belongs_to_the_path() {
        assert_eq!(disk("a,,b.raw,readonly=on").unwrap().path, PathBuf::from("a,b.raw"));
    }

    #[test]
    fn wrong_values_are_named() {
        assert_eq!(disk(""), Err(DiskError::NoPath));
        assert_eq!(disk(",readonly=on"), Err(DiskError::NoPath));
        assert_eq!(disk("a,bus=ide"), Err(DiskError::Bus("ide".into())));
        assert_eq!(disk("a,bus="), Err(DiskError::Bus(String::new())));
        assert_eq!(disk("a,readonly=yes"), Err(DiskError::Readonly("yes".into())));
        assert_eq!(disk("a,format=raw"), Err(DiskError::Key("format".into())));
        assert_eq!(disk("a,b.raw"), Err(DiskError::Fields(FieldsError::NoValue("b.raw".into()))));
    }
}
