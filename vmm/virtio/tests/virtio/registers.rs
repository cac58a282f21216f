//! Registers, one by one: `spec/virtio.md` 2 and 3.

use rstest::rstest;

use crate::rig::{HIGH_MEMORY, NEEDS_RESET, Rig, Ring, feature, reg};

fn rig() -> Rig {
    Rig::with_disk().0
}

#[test]
fn identity_is_that_of_a_modern_disk() {
    let rig = rig();
    assert_eq!(rig.read_bytes(reg::MAGIC), *b"virt");
    assert_eq!(rig.read(reg::VERSION), 2);
    assert_eq!(rig.read(reg::DEVICE_ID), 2);
    assert_eq!(rig.read_bytes(reg::VENDOR_ID), *b"QEMU");
}

#[test]
fn empty_transport_has_an_identity_and_nothing_else() {
    let rig = Rig::new(None);
    for offset in (0..0x200).step_by(4) {
        rig.write(offset, u32::MAX);
    }
    for offset in (0..0x200).step_by(4) {
        let expected = match offset {
            reg::MAGIC => 0x7472_6976,
            reg::VERSION => 2,
            reg::VENDOR_ID => 0x554d_4551,
            _ => 0,
        };
        assert_eq!(rig.read(offset), expected, "{offset:#x}");
    }
    assert_eq!(rig.transport.lock().unwrap().kicks().count(), 0);
}

#[test]
fn registers_take_aligned_32_bit_accesses_alone() {
    let rig = rig();
    rig.write(reg::STATUS, 3);
    assert_eq!(rig.read_bytes(reg::STATUS), [0], "8 bits");
    assert_eq!(rig.read_bytes(reg::STATUS), [0; 2], "16 bits");
    assert_eq!(rig.read_bytes(reg::STATUS), [0; 8], "64 bits");
    assert_eq!(rig.read(reg::MAGIC + 2), 0, "unaligned");
    assert_eq!(rig.read(reg::CONFIG - 2), 0, "half of it configuration");
    rig.bus.write(crate::rig::BASE + reg::STATUS, &[7]);
    rig.bus.write(crate::rig::BASE + reg::STATUS, &[7, 0]);
    rig.bus.write(crate::rig::BASE + reg::STATUS, &[7, 0, 0, 0, 0, 0, 0, 0]);
    rig.write(reg::STATUS + 1, 0x0700_0000);
    assert_eq!(rig.read(reg::STATUS), 3);
}

#[test]
fn write_only_and_unknown_registers_read_zero() {
    let rig = rig();
    let write_only = [
        reg::DEVICE_FEATURES_SEL,
        reg::DRIVER_FEATURES,
        reg::DRIVER_FEATURES_SEL,
        reg::QUEUE_SEL,
        reg::QUEUE_NUM,
        reg::QUEUE_NOTIFY,
        reg::INTERRUPT_ACK,
        reg::QUEUE_DESC,
        reg::QUEUE_DRIVER + 4,
        reg::QUEUE_DEVICE,
    ];
    let legacy_or_unknown = [0x18, 0x28, 0x3c, 0x40, 0xac, 0xc0, 0xfc];
    for offset in write_only.into_iter().chain(legacy_or_unknown) {
        rig.write(offset, 1);
        assert_eq!(rig.read(offset), 0, "{offset:#x}");
    }
}

#[test]
fn shared_memory_regions_do_not_exist() {
    let rig = rig();
    assert_eq!([0xb0, 0xb4, 0xb8, 0xbc].map(|offset| rig.read(offset)), [u32::MAX; 4]);
}

#[test]
fn features_are_those_of_the_disk_the_rings_and_version_1() {
    let offered = [2, 4, 6, 9, 10, 11, 13, 14, 28, 29, 32].map(|bit| 1_u64 << bit);
    assert_eq!(rig().device_features(), offered.iter().sum::<u64>());
}

#[test]
fn feature_selectors_survive_a_driver_reset_but_not_a_machine_reset() {
    let rig = rig();
    let (low, high) = (rig.device_features() as u32, 1);
    rig.write(reg::DEVICE_FEATURES_SEL, 7);
    rig.write(reg::STATUS, 0);
    assert_eq!(rig.read(reg::DEVICE_FEATURES), high, "anything but 0 selects the high half");
    rig.bus.reset();
    assert_eq!(rig.read(reg::DEVICE_FEATURES), low);
}

#[test]
fn features_that_were_not_offered_are_refused_with_the_whole_status() {
    let rig = rig();
    rig.write(reg::STATUS, 3);
    rig.write_driver_features(feature::VERSION_1 | feature::ACCESS_PLATFORM);
    rig.write(reg::STATUS, 0x8b);
    assert_eq!(rig.read(reg::STATUS), 3);
    rig.write_driver_features(feature::VERSION_1);
    rig.write(reg::STATUS, 0xb);
    assert_eq!(rig.read(reg::STATUS), 0xb, "the driver may try again");
}

#[test]
fn features_are_fixed_once_accepted() {
    let rig = rig();
    rig.write_driver_features(feature::VERSION_1);
    rig.write(reg::STATUS, 0xb);
    rig.write_driver_features(feature::ACCESS_PLATFORM); // would be refused
    rig.write(reg::STATUS, 3);
    rig.write(reg::STATUS, 0xb);
    assert_eq!(rig.read(reg::STATUS), 0xb);
}

#[test]
fn reset_forgets_features() {
    let rig = rig();
    rig.write_driver_features(feature::ACCESS_PLATFORM);
    rig.write(reg::STATUS, 0);
    rig.write(reg::STATUS, 8);
    assert_eq!(rig.read(reg::STATUS), 8);
}

#[rstest]
#[case(1)]
#[case(8)]
#[case(7)]
#[case(0x83)]
#[case(0xf)]
fn status_reads_back_in_any_order(#[case] status: u32) {
    let rig = rig();
    rig.write(reg::STATUS, status);
    assert_eq!(rig.read(reg::STATUS), status);
    rig.write(reg::STATUS, 1);
    assert_eq!(rig.read(reg::STATUS), 1);
    rig.write(reg::STATUS, 0);
    assert_eq!(rig.read(reg::STATUS), 0);
}

#[test]
fn needs_reset_is_the_devices_bit() {
    let rig = rig();
    rig.write(reg::STATUS, 3 | NEEDS_RESET);
    assert_eq!(rig.read(reg::STATUS), 3);
}

#[test]
fn queue_num_max_is_1024_for_queues_that_exist() {
    let rig = rig();
    for (queue, max) in [(0, 1024), (1, 0), (1023, 0)] {
        rig.write(reg::QUEUE_SEL, queue);
        assert_eq!(rig.read(reg::QUEUE_NUM_MAX), max);
    }
}

#[test]
fn queue_sel_beyond_1023_is_ignored() {
    let rig = rig();
    for queue in [1024, 0x1_0000, u32::MAX] {
        rig.write(reg::QUEUE_SEL, queue);
        assert_eq!(rig.read(reg::QUEUE_NUM_MAX), 1024, "queue 0 is still selected");
    }
}

#[test]
fn queue_ready_reads_back_until_reset() {
    let rig = rig();
    let ring = Ring::new(16, 0x1000);
    rig.start(feature::VERSION_1, &ring);
    assert_eq!(rig.read(reg::QUEUE_READY), 1);
    rig.write(reg::QUEUE_READY, 0);
    assert_eq!(rig.read(reg::QUEUE_READY), 0);
    rig.write(reg::QUEUE_READY, 1);
    rig.write(reg::STATUS, 0);
    assert_eq!(rig.read(reg::QUEUE_READY), 0);
}

#[test]
fn queue_ready_of_a_queue_that_does_not_exist_stays_zero() {
    let rig = rig();
    rig.write(reg::QUEUE_SEL, 1);
    rig.write(reg::QUEUE_READY, 1);
    assert_eq!(rig.read(reg::QUEUE_READY), 0);
    assert!(!rig.needs_reset());
}

#[test]
fn rings_above_4_gib_work() {
    let (rig, _) = Rig::with_disk();
    let mut ring = Ring::new(16, HIGH_MEMORY);
    rig.start(feature::VERSION_1, &ring);
    let id = HIGH_MEMORY + 0x1_0000;
    rig.store(id, &8_u32.to_le_bytes());
    rig.request(&mut ring, &[crate::rig::Buffer::Out(id, 16), crate::rig::Buffer::In(id + 16, 21)]);
    assert!(rig.load(id + 16, 20).starts_with(b"tinderbox-0\0"));
}

#[test]
fn config_has_the_disks_values_in_every_width() {
    let rig = rig();
    assert_eq!(rig.read_bytes(reg::CONFIG), 16_u64.to_le_bytes(), "capacity, 64 bits");
    assert_eq!([0x100, 0x104].map(|at| rig.read(at)), [16, 0], "capacity, 32 bits");
    assert_eq!(rig.read(0x108), 0, "size_max");
    assert_eq!(rig.read(0x10c), 254, "seg_max");
    assert_eq!(rig.read_bytes(0x110), 2_u16.to_le_bytes(), "cylinders");
    assert_eq!([rig.read_bytes(0x112), rig.read_bytes(0x113)], [[16], [63]], "heads, sectors");
    assert_eq!(rig.read(0x114), 512, "blk_size");
    assert_eq!(rig.read_bytes(0x118), [0, 0, 1, 0], "physical_block_exp, alignment_offset, min_io_size");
    assert_eq!(rig.read(0x11c), 0, "opt_io_size");
    assert_eq!(rig.read_bytes(0x122), 1_u16.to_le_bytes(), "num_queues");
    let limits = [0x124, 0x128, 0x12c, 0x130, 0x134].map(|at| rig.read(at));
    assert_eq!(limits, [1 << 19, 16, 1, 1 << 19, 16], "pieces to discard, and zeroes");
    assert_eq!(rig.read_bytes(0x138), [1], "write_zeroes_may_unmap");
}

#[test]
fn config_behind_its_end_reads_all_ones() {
    let rig = rig();
    for offset in (0x13c..0x200).step_by(4) {
        assert_eq!(rig.read(offset), u32::MAX, "{offset:#x}");
    }
    assert_eq!(rig.read_bytes(0x13b), [0, 0xff], "one byte inside");
    assert_eq!(rig.read_bytes(0x1ff), [0xff]);
}

#[test]
fn config_that_is_read_only_ignores_writes() {
    let rig = rig();
    let before: Vec<u32> = (0x100..0x200).step_by(4).map(|at| rig.read(at)).collect();
    for offset in (0x100..0x200).step_by(4) {
        rig.write(offset, 0x0101_0101);
    }
    let after: Vec<u32> = (0x100..0x200).step_by(4).map(|at| rig.read(at)).collect();
    assert_eq!(before, after);
}

#[test]
fn kicks_are_listed_for_ioeventfd() {
    let rig = rig();
    let transport = rig.transport.lock().unwrap();
    assert_eq!(transport.kicks().map(|(queue, _)| queue).collect::<Vec<_>>(), [0]);
    assert_eq!(virtio::mmio::QUEUE_NOTIFY, 0x50);
}
