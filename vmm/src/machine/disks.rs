//! The disks' contents, whatever the guest reaches them by.

use std::sync::Arc;

use block::{Backend, Cached, OpenMode, OpenOptions, Throttled};
use virtio::blk::{Options, WriteCache};

use crate::config::{Cache, DiskConfig};

/// A disk's contents, and what the guest can tell it by.
#[derive(Clone)]
pub(super) struct Disk {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) options: Options,
}

impl Disk {
    /// Opens what `config` names.
    pub(super) fn open(config: &DiskConfig) -> anyhow::Result<Self> {
        let image = &config.image;
        let backend = block::open(&config.path, &open_options(config))?;
        let backend: Arc<dyn Backend> = match image.limits.is_none() {
            true => backend,
            false => Arc::new(Throttled::new(backend, image.limits)),
        };
        let cache = match image.cache {
            Cache::WriteBack | Cache::None => WriteCache::Back,
            Cache::WriteThrough => WriteCache::Through,
        };
        Ok(Self { backend, options: Options { serial: config.serial, cache, queues: image.queues } })
    }
}

fn open_options(config: &DiskConfig) -> OpenOptions {
    let image = &config.image;
    OpenOptions {
        format: image.format,
        mode: if config.readonly { OpenMode::ReadOnly } else { OpenMode::ReadWrite },
        cached: if image.cache == Cache::None { Cached::No } else { Cached::Yes },
        snapshot: image.snapshot,
        backing_dir: image.backing_dir.clone(),
    }
}
