//! The disks' contents, whatever the guest reaches them by.

use std::sync::Arc;

use block::{Backend, OpenMode, RawImage, ReadOnly};
use virtio::blk;

use crate::config::DiskConfig;

/// A disk's contents, and what the guest can tell it by.
#[derive(Clone)]
pub(super) struct Disk {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) serial: blk::Serial,
}

impl Disk {
    /// Opens what `config` names.
    pub(super) fn open(config: &DiskConfig) -> anyhow::Result<Self> {
        let backend: Arc<dyn Backend> = if config.readonly {
            Arc::new(ReadOnly::new(RawImage::open(&config.path, OpenMode::ReadOnly)?))
        } else {
            Arc::new(RawImage::open(&config.path, OpenMode::ReadWrite)?)
        };
        Ok(Self { backend, serial: config.serial })
    }
}
