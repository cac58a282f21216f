//! The virtio devices, each with what it uses of the host's. Transports are somebody else's affair.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use ::scsi::Target;
use anyhow::{Context as _, ensure};
use chardev::{Chardev, Files, Keep, Pty, Socket};
use net::{Governed, Limits, Null, Passt, Plug, Stream, Tap};
use virtio::VirtioDevice;
use virtio::balloon::{self, Balloon};
use virtio::blk::{self, Blk};
use virtio::console::{Console, Kind, MAX_PORTS};
use virtio::input::{self, Input};
use virtio::net::{Mac, Net, Options};
use virtio::pmem::Pmem;
use virtio::rng::Rng;
use virtio::scsi::Scsi;
use virtio::vhost_kernel::{VhostNet, VhostVsock};
use virtio::vhost_user::{VhostUser, Virtiofsd};
use virtio::vsock::Vsock;
use vm_memory::GuestMemoryMmap;

use super::disks::Disk;
use super::drives::Drives;
use super::hands::{Hands, Owner};
use super::plan::{Plan, Virtio};
use super::pmem;
use super::seed::seed;
use crate::config::{
    CloudInit, FsServer, NetConfig, PortConfig, PortEnd, Switch, VhostUserConfig, VirtioConfig, VsockConfig,
    Wire,
};
use crate::kvm::release;

/// What the devices use of the host's.
pub(super) struct Backends {
    nets: Vec<Option<Box<dyn VirtioDevice>>>,
    /// The plug of each of these.
    plugs: Vec<Plug>,
    vhost_user: Vec<Option<VhostUser>>,
    console: Option<Console>,
    vsock: Option<Box<dyn VirtioDevice>>,
    balloon: Option<u64>,
    /// The host's hand on it, once it is made.
    hand: Option<balloon::Control>,
    /// Where a balloon takes its pages from, once it is known.
    memory: GuestMemoryMmap,
    rng: Option<Rng>,
    inputs: Vec<Option<Input>>,
    /// What works on the inputs.
    hands: Hands,
    /// What is behind the SCSI host adapter, once it is known.
    targets: Vec<Target>,
    pmems: Vec<Arc<File>>,
    seed: Option<Blk>,
}

impl Backends {
    /// Opens everything that `config` names.
    pub(super) fn open(config: &VirtioConfig) -> anyhow::Result<Self> {
        let rng = config.rng.then(Rng::new).transpose().context("--rng: open /dev/urandom")?;
        let nets = config.nets.iter().zip(0..).map(|(net, n)| open_net(net, n));
        let nets = nets.collect::<anyhow::Result<Vec<_>>>()?;
        let (nets, plugs) = nets.into_iter().map(|(device, plug)| (Some(device), plug)).unzip();
        let vhost_user = (config.nets.len()..).zip(&config.vhost_user);
        let vhost_user = vhost_user.map(|(n, device)| open_vhost_user(device, n).map(Some));
        let vhost_user = vhost_user.collect::<anyhow::Result<_>>()?;
        let (balloon, hand, memory) = (config.balloon, None, GuestMemoryMmap::new());
        let vsock = config.vsock.as_ref().map(open_vsock).transpose()?;
        let seed = config.cloud_init.as_ref().map(open_seed).transpose()?;
        let pmems = config.pmems.iter().map(pmem::open).collect::<anyhow::Result<_>>()?;
        let console = open_console(&config.ports)?;
        let hands = Hands::default();
        let inputs = config.inputs.iter().map(|&kind| open_input(kind, &hands).map(Some));
        let inputs = inputs.collect::<anyhow::Result<_>>().context("--input")?;
        let backends = Self {
            nets,
            plugs,
            vhost_user,
            console,
            vsock,
            balloon,
            hand,
            memory,
            rng,
            inputs,
            hands,
            targets: Vec::new(),
            pmems,
            seed,
        };
        Ok(backends)
    }

    /// The plugs of the network interfaces, in their order.
    pub(super) fn plugs(&self) -> Vec<Plug> {
        self.plugs.clone()
    }

    /// What types and points, so far on the devices here.
    pub(super) fn hands(&self) -> Hands {
        self.hands.clone()
    }

    /// The files that are memory.
    pub(super) fn pmems(&self) -> &[Arc<File>] {
        &self.pmems
    }

    /// Lets devices use `memory` other than by their queues.
    pub(super) fn with_memory(self, memory: &GuestMemoryMmap) -> Self {
        Self { memory: memory.clone(), ..self }
    }

    /// The disks of the SCSI host adapter; those whose medium can go join `drives`.
    pub(super) fn targets(&mut self, disks: &[Disk], drives: &Drives) {
        let targets = disks.iter().enumerate().filter_map(|(n, disk)| {
            let (target, tray) = disk.target(n)?;
            tray.into_iter().for_each(|tray| drives.add(disk.name(n), tray, disk.config.clone(), None));
            Some(target)
        });
        self.targets = targets.collect();
    }

    /// The host's hand on the balloon, if there is one; `changed` is told how many bytes it holds.
    pub(super) fn balloon(
        &mut self,
        changed: impl Fn(u64) + Send + Sync + 'static,
    ) -> anyhow::Result<Option<balloon::Control>> {
        let Some(bytes) = self.balloon.take() else { return Ok(None) };
        self.hand = Some(balloon::Control::new(bytes, changed).context("--balloon: make an eventfd")?);
        Ok(self.hand.clone())
    }

    /// Makes the device `which`, once, for whatever transport the plan has for it.
    pub(super) fn device(
        &mut self,
        which: Virtio,
        plan: &Plan,
        disks: &[Disk],
    ) -> Option<Box<dyn VirtioDevice>> {
        match which {
            Virtio::Disk(n) => disks.get(n).and_then(|disk| {
                let mut blk = Blk::new(disk.backend.clone()?, disk.virtio());
                // Without an event of the host's, the disk keeps its size.
                if let (Some(size), Ok(notice)) = (&disk.size, blk.resize_notice()) {
                    size.listen(notice);
                }
                Some(Box::new(blk) as _)
            }),
            Virtio::Scsi => Some(Box::new(Scsi::new(std::mem::take(&mut self.targets))) as _),
            Virtio::Net(n) => self.nets.get_mut(n)?.take(),
            Virtio::VhostUser(n) => self.vhost_user.get_mut(n)?.take().map(|device| Box::new(device) as _),
            Virtio::Console => self.console.take().map(|console| Box::new(console) as _),
            Virtio::Vsock => self.vsock.take(),
            Virtio::Balloon => self.hand.take().map(|hand| {
                let memory = self.memory.clone();
                Box::new(Balloon::new(hand, memory, release)) as _
            }),
            Virtio::Rng => self.rng.take().map(|rng| Box::new(rng) as _),
            Virtio::Input(n) => self.inputs.get_mut(n)?.take().map(|input| Box::new(input) as _),
            Virtio::Pmem(n) => {
                let (range, file) = (plan.pmems.get(n)?, self.pmems.get(n)?);
                Some(Box::new(Pmem::new(range.start, range.len, Arc::clone(file))) as _)
            }
            Virtio::Seed => self.seed.take().map(|seed| Box::new(seed) as _),
        }
    }
}

/// A device of this kind, in `hands`.
fn open_input(kind: input::Kind, hands: &Hands) -> anyhow::Result<Input> {
    let (hand, device) = Input::new(kind).context("make an eventfd")?;
    match kind {
        input::Kind::Keyboard => hands.keyboard(Owner::Machine, hand),
        input::Kind::Mouse => hands.mouse(Owner::Machine, hand),
        input::Kind::Tablet => hands.tablet(Owner::Machine, hand),
    }
    Ok(device)
}

/// The disk with orders for cloud-init.
fn open_seed(config: &CloudInit) -> anyhow::Result<Blk> {
    let options = blk::Options { serial: "cloud-init".parse()?, ..blk::Options::default() };
    Ok(Blk::new(Arc::new(seed(config)?), options))
}

/// The address of the `n`th interface: QEMU's, in a block that is free for use within a site.
fn nth_mac(n: usize) -> Mac {
    Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56_u8.wrapping_add(n as u8)])
}

/// The `n`th interface, with its wire and its plug.
fn open_net(config: &NetConfig, n: usize) -> anyhow::Result<(Box<dyn VirtioDevice>, Plug)> {
    let options = Options { mac: config.mac.unwrap_or(nth_mac(n)), mtu: config.mtu };
    let backend: Box<dyn net::Backend> = match &config.wire {
        Wire::Tap { name, queues, .. } => {
            return open_tap(name, config.vhost(), *queues, config.limits, options).context("--net tap");
        }
        Wire::Passt { tcp, udp } => Box::new(Passt::start(&passt_options(tcp, udp)).context("--net passt")?),
        Wire::Socket(path) => Box::new(Stream::connect(path).context("--net passt")?),
        Wire::Null => Box::new(Null),
    };
    let plug = Plug::new().context(PLUG)?;
    let governed = Governed::with_plug(backend, config.limits, plug.clone()).context(PLUG)?;
    Ok((Box::new(Net::new(Box::new(governed), options)), plug))
}

/// What may fail about any interface.
const PLUG: &str = "--net: watch its plug and limits";

/// An interface whose packets the kernel moves, or one of ours, and its plug.
fn open_tap(
    name: &str,
    vhost: Switch,
    queues: u16,
    limits: Limits,
    options: Options,
) -> anyhow::Result<(Box<dyn VirtioDevice>, Plug)> {
    let taps = match open_vhost(Tap::open_queues(name, queues)?, vhost, options)? {
        Ok(device) => {
            let plug = device.plug();
            return Ok((Box::new(device), plug));
        }
        Err(taps) => taps,
    };
    let plug = Plug::new().context(PLUG)?;
    let governed = taps.into_iter().map(|tap| {
        let governed = Governed::with_plug(Box::new(tap), limits, plug.clone())?;
        Ok(Box::new(governed) as Box<dyn net::Backend>)
    });
    let mut governed = governed.collect::<io::Result<Vec<_>>>().context(PLUG)?;
    let net = match governed.pop() {
        Some(one) if governed.is_empty() => Net::new(one, options),
        last => Net::with_queues(governed.into_iter().chain(last).collect(), options).context(PLUG)?,
    };
    Ok((Box::new(net), plug))
}

/// An interface whose packets the kernel moves, or the ends of the tap interface alone.
fn open_vhost(taps: Vec<Tap>, vhost: Switch, options: Options) -> anyhow::Result<Result<VhostNet, Vec<Tap>>> {
    if vhost == Switch::Off {
        return Ok(Err(taps));
    }
    match VhostNet::new(taps, options) {
        Ok(device) => Ok(Ok(device)),
        Err((_, error)) if vhost == Switch::On => Err(error).context("vhost=on"),
        Err((taps, error)) => {
            let error = &error as &dyn std::error::Error;
            tracing::info!(error, "packets of a tap interface pass through this process");
            Ok(Err(taps))
        }
    }
}

fn passt_options(tcp: &Option<String>, udp: &Option<String>) -> Vec<OsString> {
    let option = |name: &str, ports: &Option<String>| ports.clone().map(|ports| [name.into(), ports.into()]);
    [option("--tcp-ports", tcp), option("--udp-ports", udp)].into_iter().flatten().flatten().collect()
}

/// A device that another process serves; the `n`th interface, if it is one.
fn open_vhost_user(config: &VhostUserConfig, n: usize) -> anyhow::Result<VhostUser> {
    match config {
        VhostUserConfig::Fs { tag, server: FsServer::Socket(path) } => {
            VhostUser::fs(path, tag).with_context(|| format!("--fs tag={tag}"))
        }
        VhostUserConfig::Fs { tag, server: FsServer::Folder { dir, cache } } => {
            let device = Virtiofsd::start(dir, *cache).and_then(|daemon| VhostUser::fs_of(daemon, tag));
            device.with_context(|| format!("--fs tag={tag}"))
        }
        VhostUserConfig::Blk { socket, queues } => {
            VhostUser::blk(socket, *queues).context("--vhost-user blk")
        }
        VhostUserConfig::Net { socket, mac, mtu } => {
            VhostUser::net(socket, mac.unwrap_or(nth_mac(n)), *mtu).context("--vhost-user net")
        }
    }
}

fn open_vsock(config: &VsockConfig) -> anyhow::Result<Box<dyn VirtioDevice>> {
    let VsockConfig { cid, socket: Some(socket) } = config else {
        return Ok(Box::new(VhostVsock::new(config.cid).context("--vsock")?));
    };
    let listener = chardev::bind(socket).context("--vsock")?;
    Ok(Box::new(Vsock::new(*cid, listener, socket).context("--vsock")?))
}

/// The device with all consoles and ports. Its port 0 is a console even if nobody asked for one, for drivers take it for that.
fn open_console(ports: &[PortConfig]) -> anyhow::Result<Option<Console>> {
    if ports.is_empty() {
        return Ok(None);
    }
    let mut ends = ports.iter().map(open_port).collect::<anyhow::Result<Vec<_>>>()?;
    if !ports.iter().any(|port| port.kind == Kind::Console) {
        ends.insert(0, (Kind::Console, Box::new(Nobody) as _));
    }
    ensure!(ends.len() <= MAX_PORTS, "--virtio-port: a machine has at most {MAX_PORTS} consoles and ports");
    Console::new(ends).map(Some).context("make the virtio console")
}

fn open_port(port: &PortConfig) -> anyhow::Result<(Kind, Box<dyn Chardev>)> {
    let (option, keep) = match &port.kind {
        Kind::Console => ("--virtio-console", Keep::Last),
        Kind::Named(_) => ("--virtio-port", Keep::Nothing),
    };
    let end = open_end(&port.end, keep).context(option)?;
    Ok((port.kind.clone(), end))
}

/// The stream to `end`, now open.
pub(super) fn open_end(end: &PortEnd, keep: Keep) -> anyhow::Result<Box<dyn Chardev>> {
    Ok(match end {
        PortEnd::Stdio => Box::new(Files::stdio()?),
        PortEnd::File(file) => Box::new(Files::file(file)?),
        PortEnd::Pipe(path) => Box::new(Files::pipe(path)?),
        PortEnd::Socket(path) => Box::new(Socket::listen(path, keep)?),
        PortEnd::Pty => {
            let pty = Pty::open().context("make a pseudo-terminal")?;
            tracing::warn!(path = %pty.path().display(), "a port of the guest's is at a pseudo-terminal");
            Box::new(pty)
        }
    })
}

/// A console that nobody looks at.
struct Nobody;

impl Chardev for Nobody {
    fn events(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn read(&mut self, _to: &mut [u8]) -> usize {
        0
    }

    fn write(&mut self, from: &[u8]) -> usize {
        from.len()
    }
}
