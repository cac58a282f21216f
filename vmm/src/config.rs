//! What the user asked for: validated, comparable, with no handle open. Parsers make it, [`crate::machine::Plan`] reads it.

mod control;
mod guest_info;
mod image;
mod kernel;
mod numa;
mod options;
mod pci;
mod rtc;
mod timeline;
mod usb;
mod virtio;

use std::fmt;
use std::path::PathBuf;

pub use self::usb::{HostUsb, UsbConfig, UsbDevice, UsbKind, UsbStorage};
pub use self::virtio::{
    CloudInit, FsServer, NetConfig, PmemConfig, PortConfig, PortEnd, VhostUserConfig, VirtioBus,
    VirtioConfig, VsockConfig, Wire,
};
use ::virtio::blk;
pub use chardev::OutputFile;
pub use control::{
    ControlConfig, DebugArch, Debugger, DebuggerError, Endpoint, EndpointError, FdConfig, Monitor,
    OnPowerOff, Side, StartState,
};
pub use guest_info::{FwCfgFile, GuestInfo, SmbiosConfig, Source};
pub use image::{Cache, ImageConfig};
pub use kernel::KernelConfig;
pub use numa::{NodeAccess, NodeConfig, NodeDistance, NumaConfig};
pub use options::{ExtraDevice, GenerationId, Irqchip, MachineOptions, Switch};
pub use pci::{PciAddress, RootPort, VfioConfig};
use pcie::Messages;
pub use rtc::{RtcBase, RtcClock, RtcConfig};
pub use timeline::{TimelineConfig, TimelineError, TimelineFormat};

use crate::backing::Backing;
use crate::cpu::CpuModel;
use crate::topology::Topology;

/// A machine as the user describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Guest RAM in bytes, a multiple of 1 MiB.
    pub memory: u64,
    /// What the host makes it of.
    pub backing: Backing,
    /// The vCPUs, at least 1, and their arrangement.
    pub cpus: Topology,
    /// Which of them are near which memory.
    pub numa: NumaConfig,
    /// What each vCPU can do.
    pub cpu: CpuModel,
    /// The switches of the machine type.
    pub options: MachineOptions,
    /// What its real-time clock shows.
    pub rtc: RtcConfig,
    /// Devices beyond those that the switches stand for.
    pub extras: Vec<ExtraDevice>,
    /// The root ports of the PCI Express host bridge.
    pub root_ports: Vec<RootPort>,
    /// The host's PCI functions that the guest gets.
    pub vfio: Vec<VfioConfig>,
    /// What runs first.
    pub firmware: FirmwareChoice,
    /// The kernel to start instead of what is on a disk: without firmware, or handed over to it.
    pub kernel: Option<KernelConfig>,
    /// The disks in the order of the command line.
    pub disks: Vec<DiskConfig>,
    /// The devices on USB.
    pub usb: UsbConfig,
    /// The other virtio devices.
    pub virtio: VirtioConfig,
    /// What COM1 is connected to.
    pub console: Console,
    /// What comes before a command that is typed at the terminal.
    pub escape: EscapeKey,
    /// Where the firmware's log (port 0x402) goes, if anywhere.
    pub debugcon: Option<OutputFile>,
    /// Where the boot's timeline goes, if anywhere.
    pub timeline: Option<TimelineConfig>,
    /// What a reset by the guest does.
    pub on_reset: OnReset,
    /// What the guest is told that does not follow from its hardware.
    pub guest_info: GuestInfo,
    /// Who controls it from outside.
    pub control: ControlConfig,
    /// The KVM device.
    pub kvm: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            memory: 512 << 20,
            backing: Backing::default(),
            cpus: Topology::of_cores(1),
            numa: NumaConfig::default(),
            cpu: CpuModel::default(),
            options: MachineOptions::default(),
            rtc: RtcConfig::default(),
            extras: Vec::new(),
            root_ports: Vec::new(),
            vfio: Vec::new(),
            firmware: FirmwareChoice::Named("seabios".into()),
            kernel: None,
            disks: Vec::new(),
            usb: UsbConfig::default(),
            virtio: VirtioConfig::default(),
            console: Console::Stdio,
            escape: EscapeKey::default(),
            debugcon: None,
            timeline: None,
            on_reset: OnReset::default(),
            guest_info: GuestInfo::default(),
            control: ControlConfig::default(),
            kvm: "/dev/kvm".into(),
        }
    }
}

/// The firmware image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirmwareChoice {
    /// One of the bundle, as `tinderbox firmware list` names it.
    Named(String),
    /// A file of the user's.
    File(PathBuf),
    /// None: the machine starts in its kernel.
    None,
}

/// One disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskConfig {
    /// What programs know it by, if not by its number.
    pub name: Option<String>,
    /// What programs know the device by that shows it.
    pub id: Option<String>,
    /// The image or block device; none in a drive that is empty.
    pub path: PathBuf,
    /// How the guest reaches it.
    pub bus: DiskBus,
    /// What it is to the guest, on a bus that has both.
    pub media: Media,
    /// The root port it is behind, if it is on PCI and not on the root bus.
    pub port: Option<String>,
    /// Its place on its PCI bus, if it is not to be the next free one.
    pub addr: Option<PciAddress>,
    /// How it interrupts, if it is an NVMe controller.
    pub messages: Messages,
    /// The guest may not write.
    pub readonly: bool,
    /// Its place among the disks that firmware tries, smallest first; those without a place come after.
    pub bootindex: Option<u32>,
    /// What the guest can tell it by, as in `/dev/disk/by-id/virtio-…` and `nvme-…`.
    pub serial: blk::Serial,
    /// How its image is opened and used.
    pub image: ImageConfig,
}

impl DiskConfig {
    /// A writable disk on the default bus.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            name: None,
            id: None,
            path: path.into(),
            bus: DiskBus::default(),
            media: Media::default(),
            port: None,
            addr: None,
            messages: Messages::default(),
            readonly: false,
            bootindex: None,
            serial: blk::Serial::default(),
            image: ImageConfig::default(),
        }
    }

    /// Whether it is a drive without a medium.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.path.as_os_str().is_empty()
    }
}

/// How the guest reaches a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskBus {
    /// virtio-blk on a virtio-mmio transport.
    #[default]
    VirtioMmio,
    /// virtio-blk as a PCI function.
    VirtioPci,
    /// A target of the virtio SCSI host adapter.
    Scsi,
    /// An NVMe controller, a PCI function.
    Nvme,
    /// A mass storage device on USB.
    Usb,
}

/// As on the command line.
impl fmt::Display for DiskBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VirtioMmio => "virtio-mmio",
            Self::VirtioPci => "virtio-pci",
            Self::Scsi => "scsi",
            Self::Nvme => "nvme",
            Self::Usb => "usb",
        })
    }
}

/// What a disk is to the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Media {
    /// A hard disk.
    #[default]
    Disk,
    /// A disc in a CD-ROM drive.
    CdRom,
}

/// What COM1 is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Console {
    /// The terminal that tinderbox runs on.
    Stdio,
    /// Output goes to a file; there is no input.
    File(OutputFile),
    /// A stream in both directions.
    Stream(PortEnd),
    /// There is no COM1.
    None,
}

/// A key by its ASCII code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EscapeKey(pub u8);

/// `Ctrl-a`.
impl Default for EscapeKey {
    fn default() -> Self {
        Self(0x01)
    }
}

/// As it is written on keyboards.
impl fmt::Display for EscapeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            letter @ 0x01..=0x1a => write!(f, "Ctrl-{}", char::from(letter | 0x60)),
            sign @ 0x00..0x20 => write!(f, "Ctrl-{}", char::from(sign | 0x40)),
            key => write!(f, "{}", char::from(key)),
        }
    }
}

/// What a reset by the guest does: through a register, or by a triple fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnReset {
    /// The machine starts again.
    #[default]
    Reboot,
    /// The run ends, as after a power-off.
    End,
}
