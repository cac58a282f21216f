//! The virtio devices, each with what it uses of the host's. Transports are somebody else's affair.

use std::ffi::OsString;
use std::sync::Arc;

use anyhow::Context as _;
use net::{Null, Passt, Stream, Tap};
use virtio::VirtioDevice;
use virtio::blk::Blk;
use virtio::net::{Mac, Net, Options};
use virtio::rng::Rng;

use super::disks::Disk;
use super::plan::Virtio;
use crate::config::{NetConfig, VirtioConfig, Wire};

/// What the devices use of the host's.
pub(super) struct Backends {
    nets: Vec<Option<Net>>,
    rng: Option<Rng>,
}

impl Backends {
    /// Opens everything that `config` names.
    pub(super) fn open(config: &VirtioConfig) -> anyhow::Result<Self> {
        let rng = config.rng.then(Rng::new).transpose().context("--rng: open /dev/urandom")?;
        let nets = config.nets.iter().zip(0..).map(|(net, n)| open_net(net, n).map(Some));
        Ok(Self { nets: nets.collect::<anyhow::Result<_>>()?, rng })
    }

    /// Makes the device `which`, once, for whatever transport the plan has for it.
    pub(super) fn device(&mut self, which: Virtio, disks: &[Disk]) -> Option<Box<dyn VirtioDevice>> {
        match which {
            Virtio::Disk(n) => disks.get(n).map(|disk| {
                let backend = Arc::clone(&disk.backend);
                Box::new(Blk::new(backend, disk.virtio())) as _
            }),
            Virtio::Net(n) => self.nets.get_mut(n)?.take().map(|net| Box::new(net) as _),
            Virtio::Rng => self.rng.take().map(|rng| Box::new(rng) as _),
        }
    }
}

/// The `n`th interface, with its wire.
fn open_net(config: &NetConfig, n: u8) -> anyhow::Result<Net> {
    // QEMU's addresses, in a block that is free for use within a site.
    let mac = config.mac.unwrap_or(Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56_u8.wrapping_add(n)]));
    let backend: Box<dyn net::Backend> = match &config.wire {
        Wire::Tap(name) => Box::new(Tap::open(name).context("--net tap")?),
        Wire::Passt { tcp, udp } => Box::new(Passt::start(&passt_options(tcp, udp)).context("--net passt")?),
        Wire::Socket(path) => Box::new(Stream::connect(path).context("--net passt")?),
        Wire::Null => Box::new(Null),
    };
    Ok(Net::new(backend, Options { mac, mtu: config.mtu }))
}

fn passt_options(tcp: &Option<String>, udp: &Option<String>) -> Vec<OsString> {
    let option = |name: &str, ports: &Option<String>| ports.clone().map(|ports| [name.into(), ports.into()]);
    [option("--tcp-ports", tcp), option("--udp-ports", udp)].into_iter().flatten().flatten().collect()
}
