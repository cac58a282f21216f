//! The virtio devices other than disks.

use std::fmt;
use std::path::PathBuf;

use virtio::net::Mac;

use super::{Config, DiskBus, OutputFile, Switch};

/// What is plugged in besides disks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VirtioConfig {
    /// What they are plugged into.
    pub bus: VirtioBus,
    /// Network interfaces in the order of the command line.
    pub nets: Vec<NetConfig>,
    /// Devices that other processes serve.
    pub vhost_user: Vec<VhostUserConfig>,
    /// Ports of the virtio console: all consoles, then the named ones.
    pub ports: Vec<PortConfig>,
    /// Streams between the guest and Unix sockets.
    pub vsock: Option<VsockConfig>,
    /// Bytes that the guest shall do without, if there is a balloon for them.
    pub balloon: Option<u64>,
    /// What programs know the balloon by, if not by a name of the machine's choice.
    pub balloon_id: Option<String>,
    /// A source of random bytes.
    pub rng: bool,
    /// What a person works with.
    pub inputs: Vec<virtio::input::Kind>,
    /// Files that are memory of the guest's.
    pub pmems: Vec<PmemConfig>,
    /// Orders for cloud-init, on a disk of their own.
    pub cloud_init: Option<CloudInit>,
}

/// A file that is memory of the guest's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PmemConfig {
    /// The file, which is made if it is not there.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

/// The files of cloud-init's data source NoCloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudInit {
    /// What is to be done.
    pub user_data: PathBuf,
    /// What the instance is called; it has a name if nobody gives it one.
    pub meta_data: Option<PathBuf>,
    /// How the network is set up, if not by cloud-init's own judgement.
    pub network_config: Option<PathBuf>,
}

impl Config {
    /// The disks that are targets of the SCSI host adapter, in their order, as indices into [`Config::disks`].
    pub fn scsi_disks(&self) -> impl Iterator<Item = usize> {
        let disks = self.disks.iter().enumerate();
        disks.filter(|(_, disk)| disk.bus == DiskBus::Scsi).map(|(n, _)| n)
    }
}

/// What virtio devices are plugged into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VirtioBus {
    /// virtio-mmio transports.
    #[default]
    Mmio,
    /// The PCI root bus.
    Pci,
}

/// A device that another process serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VhostUserConfig {
    /// A file system.
    Fs {
        /// By which the guest mounts it.
        tag: String,
        /// Who serves it.
        server: FsServer,
    },
    /// A disk.
    Blk {
        /// Where its back end listens.
        socket: PathBuf,
        /// How many queues.
        queues: u16,
    },
    /// A network interface.
    Net {
        /// Where its back end listens.
        socket: PathBuf,
        /// Its address, if not one of the machine's choice.
        mac: Option<Mac>,
        /// The longest datagram, if the guest is to be told.
        mtu: Option<u16>,
    },
}

/// Who serves a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FsServer {
    /// A virtiofsd of our own.
    Folder {
        /// What it shows.
        dir: PathBuf,
        /// What the guest may keep.
        cache: virtio::vhost_user::Cache,
    },
    /// Somebody who listens there.
    Socket(PathBuf),
}

/// The vsock device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VsockConfig {
    /// The guest's address, from 3 on.
    pub cid: u32,
    /// Where clients of the host's connect; with `_PORT` behind it, where those of the guest do. Without one, the host's kernel
    /// has the streams.
    pub socket: Option<PathBuf>,
}

/// A port of the virtio console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// What it is to the guest.
    pub kind: virtio::console::Kind,
    /// What it is connected to.
    pub end: PortEnd,
}

/// What a port is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortEnd {
    /// The standard streams of tinderbox.
    Stdio,
    /// A file for output.
    File(OutputFile),
    /// FIFOs.
    Pipe(PathBuf),
    /// A Unix socket to listen at.
    Socket(PathBuf),
    /// A pseudo-terminal.
    Pty,
}

/// As on the command line.
impl fmt::Display for PortEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdio => f.write_str("stdio"),
            Self::Pty => f.write_str("pty"),
            Self::File(file) => write!(f, "file:{file}"),
            Self::Pipe(path) => write!(f, "pipe:{}", path.display()),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetConfig {
    /// What programs know it by, besides its number.
    pub names: Vec<String>,
    /// What its wire ends in.
    pub wire: Wire,
    /// Its address, if not one of the machine's choice.
    pub mac: Option<Mac>,
    /// The longest datagram, if the guest is to be told.
    pub mtu: Option<u16>,
    /// What may pass in each direction.
    pub limits: net::Limits,
}

impl NetConfig {
    /// Whether the kernel moves its packets. It knows no limits, so where there are some, it does not.
    #[must_use]
    pub fn vhost(&self) -> Switch {
        match self.wire {
            Wire::Tap { vhost, .. } if self.limits.is_none() => vhost,
            _ => Switch::Off,
        }
    }
}

/// What the wire of a network interface ends in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// A tap interface of the host's.
    Tap {
        /// Its name.
        name: String,
        /// Whether the kernel moves its packets; `auto` is if it can.
        vhost: Switch,
        /// Its pairs of queues.
        queues: u16,
    },
    /// A passt of our own, with these ports of the host's forwarded to the guest, as passt writes them.
    Passt {
        /// Of TCP.
        tcp: Option<String>,
        /// Of UDP.
        udp: Option<String>,
    },
    /// A Unix socket on which somebody takes frames as passt does.
    Socket(PathBuf),
    /// Nothing.
    Null,
}
