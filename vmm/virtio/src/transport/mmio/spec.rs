//! Registers of virtio over MMIO: names and numbers from virtio 1.2, 4.2.2, nothing else.

use virtio_bindings::bindings::virtio_mmio as bits;

/// Bytes of a transport's registers and configuration space, as this machine places them.
pub const SIZE: u64 = 0x200;
/// Byte offset of QueueNotify, where an ioeventfd listens for 32-bit writes of a queue's index.
pub const QUEUE_NOTIFY: u64 = bits::VIRTIO_MMIO_QUEUE_NOTIFY as u64;
/// Byte offset of the configuration space.
pub(super) const CONFIG: u64 = bits::VIRTIO_MMIO_CONFIG as u64;

/// "virt".
pub(super) const MAGIC: u32 = 0x7472_6976;
/// The version of the register layout that is not legacy.
pub(super) const VERSION: u32 = 2;
/// "QEMU", as the machine type this is part of. Drivers ignore it.
pub(super) const VENDOR: u32 = 0x554d_4551;

/// A 32-bit register below [`CONFIG`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    MagicValue,
    Version,
    DeviceId,
    VendorId,
    DeviceFeatures,
    DeviceFeaturesSel,
    DriverFeatures,
    DriverFeaturesSel,
    QueueSel,
    QueueNumMax,
    QueueNum,
    QueueReady,
    QueueNotify,
    InterruptStatus,
    InterruptAck,
    Status,
    QueueDesc(Word),
    QueueDriver(Word),
    QueueDevice(Word),
    /// Length and base of a shared memory region.
    Shm,
    ConfigGeneration,
}

/// The half of a 64-bit address that a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Low,
    High,
}

impl Register {
    /// The register at byte `offset`.
    pub(super) fn decode(offset: u64) -> Option<Self> {
        Some(match u32::try_from(offset).ok()? {
            bits::VIRTIO_MMIO_MAGIC_VALUE => Self::MagicValue,
            bits::VIRTIO_MMIO_VERSION => Self::Version,
            bits::VIRTIO_MMIO_DEVICE_ID => Self::DeviceId,
            bits::VIRTIO_MMIO_VENDOR_ID => Self::VendorId,
            bits::VIRTIO_MMIO_DEVICE_FEATURES => Self::DeviceFeatures,
            bits::VIRTIO_MMIO_DEVICE_FEATURES_SEL => Self::DeviceFeaturesSel,
            bits::VIRTIO_MMIO_DRIVER_FEATURES => Self::DriverFeatures,
            bits::VIRTIO_MMIO_DRIVER_FEATURES_SEL => Self::DriverFeaturesSel,
            bits::VIRTIO_MMIO_QUEUE_SEL => Self::QueueSel,
            bits::VIRTIO_MMIO_QUEUE_NUM_MAX => Self::QueueNumMax,
            bits::VIRTIO_MMIO_QUEUE_NUM => Self::QueueNum,
            bits::VIRTIO_MMIO_QUEUE_READY => Self::QueueReady,
            bits::VIRTIO_MMIO_QUEUE_NOTIFY => Self::QueueNotify,
            bits::VIRTIO_MMIO_INTERRUPT_STATUS => Self::InterruptStatus,
            bits::VIRTIO_MMIO_INTERRUPT_ACK => Self::InterruptAck,
            bits::VIRTIO_MMIO_STATUS => Self::Status,
            bits::VIRTIO_MMIO_QUEUE_DESC_LOW => Self::QueueDesc(Word::Low),
            bits::VIRTIO_MMIO_QUEUE_DESC_HIGH => Self::QueueDesc(Word::High),
            bits::VIRTIO_MMIO_QUEUE_AVAIL_LOW => Self::QueueDriver(Word::Low),
            bits::VIRTIO_MMIO_QUEUE_AVAIL_HIGH => Self::QueueDriver(Word::High),
            bits::VIRTIO_MMIO_QUEUE_USED_LOW => Self::QueueDevice(Word::Low),
            bits::VIRTIO_MMIO_QUEUE_USED_HIGH => Self::QueueDevice(Word::High),
            bits::VIRTIO_MMIO_SHM_LEN_LOW..=bits::VIRTIO_MMIO_SHM_BASE_HIGH if offset.is_multiple_of(4) => {
                Self::Shm
            }
            bits::VIRTIO_MMIO_CONFIG_GENERATION => Self::ConfigGeneration,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_where_the_standard_puts_them() {
        use Register::*;
        let table = [
            (0x000, MagicValue),
            (0x004, Version),
            (0x008, DeviceId),
            (0x00c, VendorId),
            (0x010, DeviceFeatures),
            (0x014, DeviceFeaturesSel),
            (0x020, DriverFeatures),
            (0x024, DriverFeaturesSel),
            (0x030, QueueSel),
            (0x034, QueueNumMax),
            (0x038, QueueNum),
            (0x044, QueueReady),
            (0x050, QueueNotify),
            (0x060, InterruptStatus),
            (0x064, InterruptAck),
            (0x070, Status),
            (0x080, QueueDesc(Word::Low)),
            (0x084, QueueDesc(Word::High)),
            (0x090, QueueDriver(Word::Low)),
            (0x094, QueueDriver(Word::High)),
            (0x0a0, QueueDevice(Word::Low)),
            (0x0a4, QueueDevice(Word::High)),
            (0x0b0, Shm),
            (0x0b4, Shm),
            (0x0b8, Shm),
            (0x0bc, Shm),
            (0x0fc, ConfigGeneration),
        ];
        for offset in 0..CONFIG {
            let expected = table.iter().find(|(at, _)| *at == offset).map(|(_, register)| *register);
            assert_eq!(Register::decode(offset), expected, "{offset:#x}");
        }
        assert_eq!((QUEUE_NOTIFY, CONFIG), (0x50, 0x100));
    }

    #[test]
    fn magic_and_vendor_spell_words() {
        assert_eq!(MAGIC.to_le_bytes(), *b"virt");
        assert_eq!(VENDOR.to_le_bytes(), *b"QEMU");
    }
}
