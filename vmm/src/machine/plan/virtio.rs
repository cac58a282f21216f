//! Which virtio devices there are, and where each is plugged in.

use std::fmt;

use ::virtio::scsi::MAX_TARGETS;

use super::{Gsi, PlanError, Range};
use crate::backing::Backing;
use crate::config::{Config, Console, DiskBus, MachineOptions, PortEnd, UsbKind, VirtioBus};

/// A virtio device: its kind, and which of that kind in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Virtio {
    /// A disk, as an index into [`Config::disks`].
    Disk(usize),
    /// The SCSI host adapter, with all disks that are on it.
    Scsi,
    /// A network interface, as an index into [`VirtioConfig::nets`](crate::config::VirtioConfig::nets).
    Net(usize),
    /// A device that another process serves, as an index into [`VirtioConfig::vhost_user`](crate::config::VirtioConfig::vhost_user).
    VhostUser(usize),
    /// The consoles and ports.
    Console,
    /// Streams to the host.
    Vsock,
    /// The balloon.
    Balloon,
    /// The source of random bytes.
    Rng,
    /// A keyboard, mouse or tablet, as an index into [`VirtioConfig::inputs`](crate::config::VirtioConfig::inputs).
    Input(usize),
    /// A file as memory, as an index into [`VirtioConfig::pmems`](crate::config::VirtioConfig::pmems).
    Pmem(usize),
    /// The disk with orders for cloud-init.
    Seed,
}

impl fmt::Display for Virtio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(n) => write!(f, "disk {n}"),
            Self::Scsi => f.write_str("SCSI"),
            Self::Net(n) => write!(f, "net {n}"),
            Self::VhostUser(n) => write!(f, "vhost-user {n}"),
            Self::Console => f.write_str("console"),
            Self::Vsock => f.write_str("vsock"),
            Self::Balloon => f.write_str("balloon"),
            Self::Rng => f.write_str("rng"),
            Self::Input(n) => write!(f, "input {n}"),
            Self::Pmem(n) => write!(f, "pmem {n}"),
            Self::Seed => f.write_str("cloud-init"),
        }
    }
}

/// One virtio-mmio transport, populated or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportPlan {
    /// Its number, counted from 0.
    pub index: u32,
    /// Its registers.
    pub mmio: Range,
    /// Its interrupt, level-triggered.
    pub gsi: Gsi,
    /// What is plugged into it.
    pub device: Option<Virtio>,
}

/// Transports are filled from index 0 upwards: with the disks in their order, then with the other devices.
pub(super) fn transports(config: &Config) -> Result<Vec<TransportPlan>, PlanError> {
    const BASE: u64 = 0xfeb0_0000;
    const LEN: u64 = 0x200;
    let (count, first_gsi) = places(&config.options);
    check_stdio(config)?;
    check_scsi(config)?;
    let devices = devices(config);
    if devices.len() > count as usize {
        return Err(PlanError::Transports { devices: devices.len(), transports: count as usize });
    }
    let transport = |index: u32| TransportPlan {
        index,
        mmio: Range::new(BASE + u64::from(index) * LEN, LEN),
        gsi: first_gsi + index,
        device: devices.get(index as usize).copied(),
    };
    Ok((0..count).map(transport).collect())
}

/// Whoever reads the standard input must be alone.
fn check_stdio(config: &Config) -> Result<(), PlanError> {
    let ports = config.virtio.ports.iter().filter(|port| port.end == PortEnd::Stdio).count();
    let usb = config.usb.devices.iter();
    let ports = ports + usb.filter(|device| device.kind == UsbKind::Serial(PortEnd::Stdio)).count();
    let com1 = usize::from(config.console == Console::Stdio);
    if ports > 0 && ports + com1 > 1 { Err(PlanError::StdioTaken) } else { Ok(()) }
}

/// The adapter has so many targets.
fn check_scsi(config: &Config) -> Result<(), PlanError> {
    let disks = config.scsi_disks().count();
    if disks > MAX_TARGETS { Err(PlanError::ScsiTargets(disks)) } else { Ok(()) }
}

/// How many transports there are, and the interrupt of the first.
fn places(options: &MachineOptions) -> (u32, Gsi) {
    match (options.has_acpi(), options.has_ioapic2()) {
        (true, true) => (24, 24),
        (true, false) => (8, 16),
        (false, _) => (8, 5),
    }
}

/// The devices that want a transport.
fn devices(config: &Config) -> Vec<Virtio> {
    let on_mmio =
        |disk: &usize| config.disks.get(*disk).is_some_and(|disk| matches!(disk.bus, DiskBus::VirtioMmio));
    let disks = (0..config.disks.len()).filter(on_mmio).map(Virtio::Disk);
    disks.chain(others(config).filter(|_| config.virtio.bus == VirtioBus::Mmio)).collect()
}

/// The devices that are no disks, whatever they are plugged into.
pub(super) fn others(config: &Config) -> impl Iterator<Item = Virtio> {
    let scsi = config.scsi_disks().next().map(|_| Virtio::Scsi);
    let config = &config.virtio;
    let nets = (0..config.nets.len()).map(Virtio::Net);
    let vhost_user = (0..config.vhost_user.len()).map(Virtio::VhostUser);
    let console = (!config.ports.is_empty()).then_some(Virtio::Console);
    let vsock = config.vsock.as_ref().map(|_| Virtio::Vsock);
    let balloon = config.balloon.map(|_| Virtio::Balloon);
    let rng = config.rng.then_some(Virtio::Rng);
    let inputs = (0..config.inputs.len()).map(Virtio::Input);
    let seed = config.cloud_init.as_ref().map(|_| Virtio::Seed);
    let pmems = (0..config.pmems.len()).map(Virtio::Pmem);
    let ours = scsi.into_iter().chain(nets).chain(vhost_user).chain(console).chain(vsock).chain(balloon);
    ours.chain(rng).chain(inputs).chain(pmems).chain(seed)
}

/// What RAM is made of: of files, if other processes map it.
pub(super) fn backing(config: &Config) -> Result<Backing, PlanError> {
    let mapped = !config.virtio.vhost_user.is_empty();
    match config.backing {
        Backing { merge: true, .. } if mapped => Err(PlanError::MergedAndShared),
        backing => Ok(Backing { shared: backing.shared || mapped, ..backing }),
    }
}
