//! The virtio devices other than disks, each by its own option.

use std::str::FromStr;

use clap::Args;
use virtio::console;
use virtio::input::Kind;

use super::cloud_init::CLOUD_INIT;
use super::machine::MemorySize;
use super::net::NET;
use super::ports::{END, NAMED, NamedPort};
use super::vhost_user::{FS, Fs, VHOST_USER, VhostUser};
use crate::config::{
    CloudInit, NetConfig, PmemConfig, PortConfig, PortEnd, VirtioBus, VirtioConfig, VsockConfig,
};

/// Devices that guests have drivers for anyway.
#[derive(Args, Debug)]
#[command(next_help_heading = "Network and other devices")]
pub(crate) struct VirtioArgs {
    /// What the virtio devices of this list are plugged into
    #[arg(long = "virtio-bus", value_name = "mmio|pci", default_value = "mmio")]
    bus: VirtioBus,
    /// A network interface, repeatable. passt gives it the host's network without root; PORTS are passt's, such as 2222:22, a
    /// comma written twice
    #[arg(long = "net", value_name = NET)]
    nets: Vec<NetConfig>,
    /// A file system that the guest mounts by NAME (mount -t virtiofs NAME /mnt), repeatable: the folder DIR by a virtiofsd that
    /// is started, or whatever listens at PATH
    #[arg(long = "fs", value_name = FS)]
    file_systems: Vec<Fs>,
    /// A device that another process serves by vhost-user, repeatable
    #[arg(long = "vhost-user", value_name = VHOST_USER)]
    vhost_user: Vec<VhostUser>,
    /// A console on virtio, /dev/hvc0 and so on, repeatable. At unix:PATH a client finds the last 64 KiB
    #[arg(long = "virtio-console", value_name = END)]
    consoles: Vec<PortEnd>,
    /// A port /dev/virtio-ports/NAME, repeatable: for a guest agent, or scripts
    #[arg(long = "virtio-port", value_name = NAMED)]
    ports: Vec<NamedPort>,
    /// Streams between the guest and Unix sockets: a client of PATH writes CONNECT PORT; the guest's go to PATH_PORT. With cid=N
    /// alone, between the guest and AF_VSOCK sockets of the host's, by its kernel's vhost-vsock
    #[arg(long, value_name = "socket=PATH[,cid=N]|cid=N")]
    vsock: Option<VsockConfig>,
    /// Take this much memory from the guest for as long as it can do without, and what it has free: virtio-balloon
    #[arg(long, value_name = "SIZE")]
    balloon: Option<MemorySize>,
    /// A source of random bytes, virtio-rng: for guests whose CPU has none, or that trust it not
    #[arg(long)]
    rng: bool,
    /// A keyboard, tablet or mouse on virtio, repeatable: QMP's send-key and input-send-event work it
    #[arg(long = "input", value_name = "kbd|tablet|mouse")]
    inputs: Vec<InputKind>,
    /// A file as persistent memory, /dev/pmem0 and so on, repeatable: virtio-pmem
    #[arg(long = "pmem", value_name = "FILE,size=SIZE")]
    pmems: Vec<PmemConfig>,
    /// Orders for the guest's cloud-init, as its data source NoCloud finds them: on a disk called CIDATA
    #[arg(long = "cloud-init", value_name = CLOUD_INIT)]
    cloud_init: Option<CloudInit>,
}

impl VirtioArgs {
    /// The devices as described.
    pub(crate) fn into_config(self) -> VirtioConfig {
        let console = |end| PortConfig { kind: console::Kind::Console, end };
        let consoles = self.consoles.into_iter().map(console);
        let ports = consoles.chain(self.ports.into_iter().map(|port| port.0)).collect();
        let file_systems = self.file_systems.into_iter().map(|fs| fs.0);
        let vhost_user = file_systems.chain(self.vhost_user.into_iter().map(|device| device.0)).collect();
        let balloon = self.balloon.map(|size| size.0);
        let inputs = self.inputs.into_iter().map(|input| input.0).collect();
        let Self { bus, nets, vsock, rng, pmems, cloud_init, .. } = self;
        VirtioConfig {
            bus,
            nets,
            vhost_user,
            ports,
            vsock,
            balloon,
            balloon_id: None,
            rng,
            inputs,
            pmems,
            cloud_init,
        }
    }
}

/// A kind of input device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InputKind(Kind);

/// Why a text is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an input device, use kbd, tablet or mouse")]
struct InputKindError;

impl FromStr for InputKind {
    type Err = InputKindError;

    fn from_str(text: &str) -> Result<Self, InputKindError> {
        match text {
            "kbd" => Ok(Self(Kind::Keyboard)),
            "tablet" => Ok(Self(Kind::Tablet)),
            "mouse" => Ok(Self(Kind::Mouse)),
            _ => Err(InputKindError),
        }
    }
}

/// Why a text is no bus.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a bus of virtio devices, use mmio or pci")]
pub struct VirtioBusError;

impl FromStr for VirtioBus {
    type Err = VirtioBusError;

    fn from_str(text: &str) -> Result<Self, VirtioBusError> {
        match text {
            "mmio" | "virtio-mmio" => Ok(Self::Mmio),
            "pci" | "virtio-pci" => Ok(Self::Pci),
            _ => Err(VirtioBusError),
        }
    }
}
