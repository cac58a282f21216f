//! The virtio devices, each with what it uses of the host's. Transports are somebody else's affair.

use anyhow::Context as _;
use virtio::VirtioDevice;
use virtio::blk::Blk;
use virtio::rng::Rng;

use super::disks::Disk;
use super::plan::Virtio;
use crate::config::VirtioConfig;

/// What the devices use of the host's.
pub(super) struct Backends {
    rng: Option<Rng>,
}

impl Backends {
    /// Opens everything that `config` names.
    pub(super) fn open(config: &VirtioConfig) -> anyhow::Result<Self> {
        let rng = config.rng.then(Rng::new).transpose().context("--rng: open /dev/urandom")?;
        Ok(Self { rng })
    }

    /// Makes the device `which`, once, for whatever transport the plan has for it.
    pub(super) fn device(&mut self, which: Virtio, disks: &[Disk]) -> Option<Box<dyn VirtioDevice>> {
        match which {
            Virtio::Disk(n) => disks.get(n).map(|disk| {
                let disk = disk.clone();
                Box::new(Blk::new(disk.backend, disk.options)) as _
            }),
            Virtio::Rng => self.rng.take().map(|rng| Box::new(rng) as _),
        }
    }
}
