//! The disks' contents, whatever the guest reaches them by.

use std::sync::Arc;

use anyhow::Context as _;
use block::{Backend, Cached, EngineKind, OpenMode, OpenOptions, Throttled};
use virtio::blk;

use super::disk_size::DiskSize;
use super::drives::Name;
use super::fd_sets::FdSets;
use crate::config::{Cache, DiskBus, DiskConfig, Media};

/// A disk's contents, and how they were described.
#[derive(Clone)]
pub(super) struct Disk {
    /// None in an empty drive.
    pub(super) backend: Option<Arc<dyn Backend>>,
    /// What does several things at a time, where that is possible.
    engine: EngineKind,
    /// The hand on its size, if it is there.
    pub(super) size: Option<DiskSize>,
    pub(super) config: DiskConfig,
}

impl Disk {
    /// Opens what `config` names, which may be one of `fds`.
    pub(super) fn open(config: &DiskConfig, fds: &FdSets) -> anyhow::Result<Self> {
        let backend = (!config.is_empty()).then(|| open(config, fds)).transpose()?;
        let engine =
            backend.as_deref().map_or(Ok(EngineKind::default()), |disk| config.image.aio.choose(disk));
        let engine = engine.with_context(|| format!("disk image {}", config.path.display()))?;
        let size = backend.clone().map(DiskSize::new);
        Ok(Self { backend, engine, size, config: config.clone() })
    }

    /// What programs know it by: disk `index` of the machine.
    pub(super) fn name(&self, index: usize) -> Name {
        let DiskConfig { name, id, .. } = &self.config;
        Name { drive: Some(name.clone().unwrap_or_else(|| format!("disk{index}"))), id: id.clone() }
    }

    const fn cache(&self) -> Cache {
        self.config.image.cache
    }

    /// The disk as virtio-blk has it.
    pub(super) fn virtio(&self) -> blk::Options {
        let cache = match self.cache() {
            Cache::WriteBack | Cache::None => blk::WriteCache::Back,
            Cache::WriteThrough => blk::WriteCache::Through,
        };
        let queues = self.config.image.queues.unwrap_or(1);
        blk::Options { serial: self.config.serial, cache, queues, engine: self.engine }
    }

    /// What the guest can tell it by, if there is anything.
    pub(super) fn serial(&self) -> Option<&str> {
        self.config.serial.as_text().filter(|text| !text.is_empty())
    }

    /// The disk as a target of the SCSI host adapter, if it is one: number `index` of the machine. Also the host's hand on its
    /// medium, if that can go.
    pub(super) fn target(&self, index: usize) -> Option<(scsi::Target, Option<scsi::Tray>)> {
        let kind = match self.config.media {
            _ if self.config.bus != DiskBus::Scsi => return None,
            Media::Disk => scsi::Kind::Disk,
            Media::CdRom => scsi::Kind::CdRom,
        };
        let serial = self.serial().map_or_else(|| format!("{index}"), str::to_owned);
        // What fits virtio-blk fits here.
        let serial = serial.parse().ok()?;
        let unit = scsi::Unit::new(kind, scsi::Loading::Fixed, serial).with_cache(self.scsi_cache());
        let unit = match &self.backend {
            Some(backend) => unit.with(Arc::clone(backend)),
            None => unit,
        };
        let tray = unit.tray();
        Some((scsi::Target::new(vec![unit]), tray))
    }

    /// When a write is done on a SCSI disk.
    pub(super) fn scsi_cache(&self) -> scsi::WriteCache {
        match self.cache() {
            Cache::WriteBack | Cache::None => scsi::WriteCache::Back,
            Cache::WriteThrough => scsi::WriteCache::Through,
        }
    }

    /// The disk as NVMe has it: number `index` of a machine with `cpus` vCPUs.
    pub(super) fn nvme(&self, index: usize, cpus: usize) -> nvme::Options {
        let write_cache = match self.cache() {
            Cache::WriteBack | Cache::None => nvme::WriteCache::On,
            Cache::WriteThrough => nvme::WriteCache::Off,
        };
        let identity = nvme::Identity::new(self.serial(), index as u32);
        let queues = self.config.image.queues.unwrap_or_else(|| u16::try_from(cpus).unwrap_or(u16::MAX));
        let (messages, engine) = (self.config.messages, self.engine);
        nvme::Options { identity, queues, write_cache, messages, engine }
    }
}

fn open(config: &DiskConfig, fds: &FdSets) -> anyhow::Result<Arc<dyn Backend>> {
    let limits = config.image.limits;
    let path = fds.resolve(&config.path, config.readonly)?;
    let backend = block::open(&path, &open_options(config))?;
    Ok(match limits.is_none() {
        true => backend,
        false => Arc::new(Throttled::new(backend, limits)),
    })
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
