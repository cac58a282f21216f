//! The disks' contents, whatever the guest reaches them by.

use std::sync::Arc;

use block::{Backend, Cached, OpenMode, OpenOptions, Throttled};
use virtio::blk;

use crate::config::{Cache, DiskBus, DiskConfig, Media};

/// A disk's contents, and what the guest can tell it by.
#[derive(Clone)]
pub(super) struct Disk {
    pub(super) backend: Arc<dyn Backend>,
    serial: blk::Serial,
    cache: Cache,
    queues: Option<u16>,
    /// What it is on the SCSI host adapter, if it is there.
    scsi: Option<scsi::Kind>,
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
        let kind = match config.media {
            Media::Disk => scsi::Kind::Disk,
            Media::CdRom => scsi::Kind::CdRom,
        };
        let scsi = (config.bus == DiskBus::Scsi).then_some(kind);
        Ok(Self { backend, serial: config.serial, cache: image.cache, queues: image.queues, scsi })
    }

    /// The disk as virtio-blk has it.
    pub(super) fn virtio(&self) -> blk::Options {
        let cache = match self.cache {
            Cache::WriteBack | Cache::None => blk::WriteCache::Back,
            Cache::WriteThrough => blk::WriteCache::Through,
        };
        blk::Options { serial: self.serial, cache, queues: self.queues.unwrap_or(1) }
    }

    /// What the guest can tell it by, if there is anything.
    pub(super) fn serial(&self) -> Option<&str> {
        self.serial.as_text().filter(|text| !text.is_empty())
    }

    /// The disk as a target of the SCSI host adapter: number `index` of the machine.
    pub(super) fn target(&self, index: usize) -> Option<scsi::Target> {
        let serial = self.serial().map_or_else(|| format!("{index}"), str::to_owned);
        // What fits virtio-blk fits here.
        let serial = serial.parse().ok()?;
        let unit = scsi::Unit::new(self.scsi?, scsi::Loading::Fixed, serial).with(Arc::clone(&self.backend));
        Some(scsi::Target::new(vec![unit.with_cache(self.scsi_cache())]))
    }

    /// When a write is done on a SCSI disk.
    pub(super) fn scsi_cache(&self) -> scsi::WriteCache {
        match self.cache {
            Cache::WriteBack | Cache::None => scsi::WriteCache::Back,
            Cache::WriteThrough => scsi::WriteCache::Through,
        }
    }

    /// The disk as NVMe has it: number `index` of a machine with `cpus` vCPUs.
    pub(super) fn nvme(&self, index: usize, cpus: usize) -> nvme::Options {
        let write_cache = match self.cache {
            Cache::WriteBack | Cache::None => nvme::WriteCache::On,
            Cache::WriteThrough => nvme::WriteCache::Off,
        };
        let identity = nvme::Identity::new(self.serial(), index as u32);
        let queues = self.queues.unwrap_or_else(|| u16::try_from(cpus).unwrap_or(u16::MAX));
        nvme::Options { identity, queues, write_cache }
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
