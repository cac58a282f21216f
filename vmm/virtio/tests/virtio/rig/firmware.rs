//! The steps of SeaBIOS and edk2 with a virtio-mmio disk, as `spec/virtio.md` 5 and 6 record them.

use super::{Rig, Ring, feature, reg};

/// SeaBIOS 1.17, virtio-blk. Returns the capacity it reads.
pub(crate) fn seabios_disk(rig: &Rig, ring: &Ring) -> u64 {
    assert_eq!([0, 4, 8].map(|at| rig.read(at)), [0x7472_6976, 2, 2]);
    rig.write(reg::STATUS, 0);
    assert_eq!(rig.read(reg::INTERRUPT_STATUS), 0);
    rig.write(reg::STATUS, 3);
    let wanted = feature::VERSION_1 | feature::BLK_SIZE | feature::SEG_MAX | feature::SIZE_MAX;
    rig.write_driver_features(rig.device_features() & wanted);
    rig.write(reg::STATUS, 0xb);
    assert_eq!(rig.read(reg::STATUS), 0xb);
    seabios_queue(rig, 0, ring);
    let capacity = [0x100, 0x104].map(|at| rig.read(at));
    assert!(rig.read(reg::CONFIG + 0x0c) > 0, "seg_max");
    assert_eq!(rig.read(reg::CONFIG + 0x14), 512, "blk_size");
    let [cylinders_low, cylinders_high] = rig.read_bytes(reg::CONFIG + 0x10);
    let ([heads], [sectors]) = (rig.read_bytes(reg::CONFIG + 0x12), rig.read_bytes(reg::CONFIG + 0x13));
    assert!(cylinders_low | cylinders_high > 0 && heads > 0 && sectors > 0, "geometry");
    rig.write(reg::STATUS, 0xf);
    u64::from(capacity[0]) | u64::from(capacity[1]) << 32
}

/// SeaBIOS 1.17, virtio-scsi: the same device driven with its odd status values. The ring is queue `index`.
pub(crate) fn seabios_scsi(rig: &Rig, index: u32, ring: &Ring) {
    rig.write(reg::STATUS, 0);
    rig.write(reg::STATUS, 3);
    let wanted = feature::VERSION_1 | feature::ACCESS_PLATFORM;
    rig.write_driver_features(rig.device_features() & wanted);
    rig.write(reg::STATUS, 8);
    assert_eq!(rig.read(reg::STATUS), 8);
    seabios_queue(rig, index, ring);
    rig.write(reg::STATUS, 7);
}

fn seabios_queue(rig: &Rig, index: u32, ring: &Ring) {
    rig.write(reg::QUEUE_SEL, index);
    assert_eq!(rig.read(reg::QUEUE_NUM_MAX), 1024);
    rig.write(reg::QUEUE_NUM, ring.size.into());
    assert_eq!(rig.read(reg::VERSION), 2);
    rig.write_address(reg::QUEUE_DESC, ring.descriptors);
    rig.write_address(reg::QUEUE_DRIVER, ring.avail);
    rig.write_address(reg::QUEUE_DEVICE, ring.used);
    rig.write(reg::QUEUE_READY, 1);
}

/// edk2 2026.05, VirtioBlkDxe: reads the configuration byte by byte and uses every entry of the queue.
/// Returns the capacity it reads.
pub(crate) fn edk2_disk(rig: &Rig, ring: &Ring) -> u64 {
    for status in [0, 1, 3] {
        rig.write(reg::STATUS, status);
    }
    let offered = rig.device_features();
    let capacity = config_bytes(rig, 0);
    assert_eq!(config_bytes::<4>(rig, 0x14), 512_u32.to_le_bytes(), "blk_size");
    assert_eq!(config_bytes::<1>(rig, 0x19), [0], "alignment_offset");
    let wanted = feature::BLK_SIZE | feature::TOPOLOGY | feature::READ_ONLY | feature::FLUSH;
    rig.write_driver_features(offered & (wanted | feature::VERSION_1 | feature::ACCESS_PLATFORM));
    rig.write(reg::STATUS, 0xb);
    assert_eq!(rig.read(reg::STATUS), 0xb);
    rig.write(reg::QUEUE_SEL, 0);
    assert_eq!(rig.read(reg::QUEUE_NUM_MAX), u32::from(ring.size));
    rig.start_queue(0, ring);
    rig.write(reg::STATUS, 0xf);
    u64::from_le_bytes(capacity)
}

fn config_bytes<const N: usize>(rig: &Rig, offset: u64) -> [u8; N] {
    std::array::from_fn(|index| rig.read_bytes::<1>(reg::CONFIG + offset + index as u64)[0])
}
