//! Real drivers' steps, start to first data.

use crate::rig::firmware::{edk2_disk, seabios_disk, seabios_scsi};
use crate::rig::{Buffer, Rig, Ring, feature, reg};

const NO_INTERRUPT: u16 = 1;
const HEADER: u64 = 0x2_0000;
const DATA: u64 = 0x2_1000;
const STATUS: u64 = 0x2_2000;

/// Reads sector `sector` as firmware does: header, data and status in descriptors of their own.
fn read_sector(rig: &Rig, ring: &mut Ring, sector: u8) -> Vec<u8> {
    rig.store(HEADER, &[0; 16]);
    rig.store(HEADER + 8, &[sector]);
    rig.store(STATUS, &[0xff]);
    let len = rig.request(ring, &[Buffer::Out(HEADER, 16), Buffer::In(DATA, 512), Buffer::In(STATUS, 1)]);
    assert_eq!((len, rig.load(STATUS, 1)), (513, vec![0]));
    rig.load(DATA, 512)
}

#[test]
fn seabios_reads_and_is_never_interrupted() {
    let (rig, _disk) = Rig::with_disk();
    let mut ring = Ring::new(256, 0x1_0000);
    ring.set_avail_flags(&rig.memory, NO_INTERRUPT);
    assert_eq!(seabios_disk(&rig, &ring), 16);
    for sector in [0, 5, 15] {
        assert_eq!(read_sector(&rig, &mut ring, sector), [sector; 512]);
        assert_eq!(rig.read(reg::INTERRUPT_STATUS), 0);
    }
    rig.settle();
    assert_eq!(rig.line.raised(), 0);
}

#[test]
fn edk2_reads_with_the_largest_ring() {
    let (rig, _disk) = Rig::with_disk();
    let mut ring = Ring::new(1024, 0x1_0000);
    ring.set_avail_flags(&rig.memory, NO_INTERRUPT);
    assert_eq!(edk2_disk(&rig, &ring), 16);
    for sector in 0..16 {
        assert_eq!(read_sector(&rig, &mut ring, sector), [sector; 512]);
    }
    assert_eq!(rig.line.raised(), 0);
}

#[test]
fn seabios_scsi_status_values_are_tolerated() {
    let (rig, _disk) = Rig::with_disk();
    let mut ring = Ring::new(128, 0x1_0000);
    seabios_scsi(&rig, 0, &ring);
    assert_eq!(rig.read(reg::STATUS), 7);
    assert_eq!(read_sector(&rig, &mut ring, 3), [3; 512]);
}

#[test]
fn linux_is_interrupted_until_it_acknowledges() {
    let (rig, _disk) = Rig::with_disk();
    let mut ring = Ring::new(1024, 0x1_0000);
    rig.start(feature::ALL, &ring);
    assert_eq!(read_sector(&rig, &mut ring, 7), [7; 512]);
    rig.wait_until("an interrupt", || rig.line.is_high());
    assert_eq!(rig.read(reg::INTERRUPT_STATUS), 1);
    assert_eq!(rig.read(reg::INTERRUPT_STATUS), 1, "reading does not clear");
    rig.write(reg::INTERRUPT_ACK, 2);
    assert!(rig.line.is_high(), "the other cause");
    rig.write(reg::INTERRUPT_ACK, 1);
    assert_eq!(rig.read(reg::INTERRUPT_STATUS), 0);
    assert!(!rig.line.is_high());
}

#[test]
fn linux_takes_over_from_firmware() {
    let (rig, _disk) = Rig::with_disk();
    let mut firmware = Ring::new(256, 0x1_0000);
    seabios_disk(&rig, &firmware);
    read_sector(&rig, &mut firmware, 1);
    let mut linux = Ring::new(1024, 0x3_0000);
    rig.start(feature::ALL, &linux);
    assert_eq!(rig.read(reg::INTERRUPT_STATUS), 0);
    assert_eq!(read_sector(&rig, &mut linux, 2), [2; 512]);
}

#[test]
fn kicked_queue_works_without_driver_ok() {
    let (rig, _disk) = Rig::with_disk();
    let mut ring = Ring::new(16, 0x1_0000);
    rig.start_queue(0, &ring);
    assert_eq!(read_sector(&rig, &mut ring, 4), [4; 512]);
}

#[test]
fn kick_through_the_event_works_like_the_register() {
    let (rig, _disk) = Rig::with_disk();
    let mut ring = Ring::new(16, 0x1_0000);
    rig.start(feature::VERSION_1, &ring);
    ring.add(&rig.memory, &[Buffer::Out(HEADER, 16), Buffer::In(DATA, 512), Buffer::In(STATUS, 1)]);
    rig.transport.lock().unwrap().kicks().next().unwrap().1.write(1).unwrap();
    assert_eq!(rig.wait_used(&mut ring).1, 513);
}

#[test]
fn machine_reset_forgets_everything() {
    let (rig, _disk) = Rig::with_disk();
    let mut ring = Ring::new(16, 0x1_0000);
    rig.start(feature::VERSION_1, &ring);
    read_sector(&rig, &mut ring, 1);
    rig.wait_until("an interrupt", || rig.line.is_high());
    rig.bus.reset();
    assert!(!rig.line.is_high());
    assert_eq!([reg::STATUS, reg::QUEUE_READY, reg::INTERRUPT_STATUS].map(|at| rig.read(at)), [0; 3]);
    ring.add(&rig.memory, &[Buffer::Out(HEADER, 16), Buffer::In(STATUS, 1)]);
    rig.kick();
    rig.settle();
    assert!(!ring.has_used(&rig.memory), "the rings are forgotten");
}
