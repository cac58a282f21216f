//! Registers and capabilities of virtio over PCI: names and numbers from virtio 1.2, 4.1, nothing else.

use bus::Width;

/// Red Hat, for virtio. virtio 1.2, 4.1.2.
pub(super) const VENDOR: u16 = 0x1af4;
/// Device 0 of virtio 1.0 and later.
pub(super) const DEVICE_BASE: u16 = 0x1040;
/// Drivers of version 1.0 and later want at least this. virtio 1.2, 4.1.2.1.
pub(super) const REVISION: u8 = 1;
/// QEMU's subsystem, which drivers ignore.
pub(super) const SUBSYSTEM: [u16; 2] = [VENDOR, 0x1100];

/// Capability id for the vendor's own. PCI Code and ID Assignment 1.11, 2.
pub(super) const CAP_VENDOR: u8 = 0x09;
/// Bytes of a `virtio_pci_cap` behind its id and link. virtio 1.2, 4.1.4.
pub(super) const CAP_BODY: usize = 14;
/// Byte offset of `pci_cfg_data` in the capability of the configuration access window. virtio 1.2, 4.1.4.9.
pub(super) const WINDOW_DATA: u64 = 16;

/// "No vector" of MSI-X. virtio 1.2, 4.1.5.1.2.
pub(super) const NO_VECTOR: u16 = 0xffff;
/// ISR status: a queue has used buffers. virtio 1.2, 4.1.4.5.
pub(super) const ISR_QUEUE: u8 = 1;
/// ISR status: configuration or status changed.
pub(super) const ISR_CONFIG: u8 = 2;

/// BAR of the MSI-X table.
pub(super) const MSIX_BAR: usize = 1;
/// BAR of everything else.
pub(super) const BAR: usize = 4;
/// Bytes of [`BAR`].
pub(super) const BAR_SIZE: u64 = 4 * REGION_SIZE;
/// Bytes of each structure in [`BAR`], which stand in the order of [`Structure`].
pub(super) const REGION_SIZE: u64 = 0x1000;
/// Bytes between the notification registers of two queues.
pub(super) const NOTIFY_MULTIPLIER: u32 = 4;
/// Bytes of the common configuration without the fields that need features we do not offer.
const COMMON_LEN: u32 = 0x38;

/// A structure in a BAR. virtio 1.2, 4.1.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Structure {
    Common,
    Isr,
    Device,
    Notify,
}

impl Structure {
    /// The structure that holds byte `offset` of [`BAR`].
    pub(super) fn at(offset: u64) -> Option<Self> {
        [Self::Common, Self::Isr, Self::Device, Self::Notify]
            .into_iter()
            .find(|structure| (structure.start()..structure.start() + REGION_SIZE).contains(&offset))
    }

    /// Where it begins in [`BAR`].
    pub(super) const fn start(self) -> u64 {
        REGION_SIZE
            * match self {
                Self::Common => 0,
                Self::Isr => 1,
                Self::Device => 2,
                Self::Notify => 3,
            }
    }

    /// Its bytes.
    pub(super) const fn len(self) -> u32 {
        match self {
            Self::Common => COMMON_LEN,
            Self::Isr => 1,
            Self::Device | Self::Notify => REGION_SIZE as u32,
        }
    }

    /// Its `cfg_type`.
    pub(super) const fn kind(self) -> u8 {
        match self {
            Self::Common => 1,
            Self::Notify => 2,
            Self::Isr => 3,
            Self::Device => 4,
        }
    }
}

/// `cfg_type` of the configuration access window.
pub(super) const KIND_WINDOW: u8 = 5;

/// A field of the common configuration. virtio 1.2, 4.1.4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    DeviceFeatureSelect,
    DeviceFeature,
    DriverFeatureSelect,
    DriverFeature,
    ConfigMsixVector,
    NumQueues,
    DeviceStatus,
    ConfigGeneration,
    QueueSelect,
    QueueSize,
    QueueMsixVector,
    QueueEnable,
    QueueNotifyOff,
    QueueDesc(Word),
    QueueDriver(Word),
    QueueDevice(Word),
}

/// The half of a 64-bit field that an access is for; they are accessed as two halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Low,
    High,
}

impl Field {
    /// The field at byte `offset` of that width; drivers use no other. virtio 1.2, 4.1.3.1.
    pub(super) fn decode(offset: u64, width: Width) -> Option<Self> {
        use Width::{Byte, Dword, Word as Half};
        Some(match (offset, width) {
            (0x00, Dword) => Self::DeviceFeatureSelect,
            (0x04, Dword) => Self::DeviceFeature,
            (0x08, Dword) => Self::DriverFeatureSelect,
            (0x0c, Dword) => Self::DriverFeature,
            (0x10, Half) => Self::ConfigMsixVector,
            (0x12, Half) => Self::NumQueues,
            (0x14, Byte) => Self::DeviceStatus,
            (0x15, Byte) => Self::ConfigGeneration,
            (0x16, Half) => Self::QueueSelect,
            (0x18, Half) => Self::QueueSize,
            (0x1a, Half) => Self::QueueMsixVector,
            (0x1c, Half) => Self::QueueEnable,
            (0x1e, Half) => Self::QueueNotifyOff,
            (0x20, Dword) => Self::QueueDesc(Word::Low),
            (0x24, Dword) => Self::QueueDesc(Word::High),
            (0x28, Dword) => Self::QueueDriver(Word::Low),
            (0x2c, Dword) => Self::QueueDriver(Word::High),
            (0x30, Dword) => Self::QueueDevice(Word::Low),
            (0x34, Dword) => Self::QueueDevice(Word::High),
            _ => return None,
        })
    }
}

/// Base class and sub-class of a type of device, as QEMU has them. PCI Code and ID Assignment 1.11, 1.
pub(super) const fn class(id: u32) -> [u8; 2] {
    match id {
        1 => [0x02, 0x00],      // network: Ethernet
        2 | 8 => [0x01, 0x00],  // block, SCSI: storage, SCSI
        3 | 19 => [0x07, 0x80], // console, vsock: other communication
        9 => [0x00, 0x02],      // 9P
        18 => [0x09, 0x80],     // input: other input
        26 => [0x01, 0x80],     // file system: other storage
        _ => [0x00, 0xff],      // unclassified
    }
}
