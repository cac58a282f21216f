//! Several requests of a disk at a time.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use block::testing::{Gates, Held};
use block::{Backend, EngineKind};
use rstest::rstest;
use virtio::blk::{Blk, Options, WriteCache};

use crate::rig::{Buffer, Rig, Ring, feature, numbered_disk, reg};
use Buffer::{In, Out};

const HEADERS: u64 = 0x2_0000;
const DATA: u64 = 0x3_0000;
const STATUSES: u64 = 0x5_0000;

const IN: u32 = 0;
const OUT: u32 = 1;

/// How many sectors, from the first, are slow.
const SLOW: u64 = 2;

/// A started disk, its ring, and the hand on its slow sectors.
struct Setup {
    rig: Rig,
    ring: Ring,
    gates: Gates,
}

fn setup(features: u64) -> Setup {
    let (held, gates) = Held::new(numbered_disk(), SLOW as usize);
    let (rig, ring) = start(Arc::new(held), Options::default(), features);
    Setup { rig, ring, gates }
}

fn start(backend: Arc<dyn Backend>, options: Options, features: u64) -> (Rig, Ring) {
    let rig = Rig::new(Some(Box::new(Blk::new(backend, options))));
    let ring = Ring::new(256, 0x1_0000);
    rig.start(features, &ring);
    (rig, ring)
}

/// Makes request `number` available, of sector `sector`; its memory is its own.
fn add(rig: &Rig, ring: &mut Ring, number: u64, kind: u32, sector: u64) -> u16 {
    let (header, status) = (HEADERS + 16 * number, STATUSES + number);
    rig.store(header, &[kind.to_le_bytes(), [0; 4]].concat());
    rig.store(header + 8, &sector.to_le_bytes());
    rig.store(status, &[0xff]);
    let (data, len) = (DATA + 512 * number, 512);
    let data = if kind == IN { In(data, len) } else { Out(data, len) };
    ring.add(&rig.memory, &[Out(header, 16), data, In(status, 1)])
}

impl Setup {
    /// Makes reads of `sectors` available, and kicks once.
    fn read(&mut self, sectors: &[u64]) -> Vec<u32> {
        let heads = sectors.iter().map(|&sector| add(&self.rig, &mut self.ring, sector, IN, sector).into());
        let heads = heads.collect();
        self.rig.kick();
        heads
    }

    /// The heads of the next `count` requests that are done, in the order of their numbers.
    fn used(&mut self, count: usize) -> Vec<u32> {
        let mut heads: Vec<_> = (0..count).map(|_| self.rig.wait_used(&mut self.ring).0).collect();
        heads.sort_unstable();
        heads
    }
}

#[test]
fn slow_request_holds_up_none_behind_it() {
    let mut disk = setup(feature::VERSION_1);
    let heads = disk.read(&[0, 5, 6, 7]);
    assert_eq!(disk.used(3), heads[1..]);
    disk.rig.wait_until("the interrupt for them", || disk.rig.line.is_high());
    assert_eq!(disk.rig.load(DATA + 7 * 512, 512), [7; 512]);
    assert_eq!(disk.gates.entered(), Ok(0));
    disk.gates.open(0);
    assert_eq!(disk.used(1), heads[..1]);
}

#[test]
fn request_that_comes_while_others_are_under_way_waits_for_the_first_of_them() {
    let mut disk = setup(feature::VERSION_1);
    disk.read(&[0, 1]);
    let both = [disk.gates.entered().unwrap(), disk.gates.entered().unwrap()];
    assert!(both == [0, 1] || both == [1, 0]);
    let late = disk.read(&[9]);
    disk.gates.open(1);
    assert!(disk.used(2).contains(&late[0]));
    disk.gates.open(0);
    disk.used(1);
}

#[test]
fn reset_waits_for_all_that_are_under_way() {
    let mut disk = setup(feature::VERSION_1);
    disk.read(&[0, 1]);
    disk.gates.entered().unwrap();
    disk.gates.entered().unwrap();
    let rig = &disk.rig;
    std::thread::scope(|scope| {
        let (done, is_done) = channel();
        scope.spawn(move || {
            rig.write(reg::STATUS, 0);
            done.send(()).unwrap();
        });
        assert!(is_done.recv_timeout(Duration::from_millis(50)).is_err(), "both are under way");
        disk.gates.open(0);
        assert!(is_done.recv_timeout(Duration::from_millis(50)).is_err(), "one is under way");
        disk.gates.open(1);
        is_done.recv_timeout(Duration::from_secs(20)).unwrap();
    });
    assert_eq!((disk.rig.read(reg::STATUS), disk.rig.line.is_high()), (0, false));
}

#[test]
fn driver_hears_of_what_it_wants_to_hear_of() {
    let mut disk = setup(feature::ALL);
    disk.ring.set_used_event(&disk.rig.memory, 9); // the tenth
    let sectors: Vec<_> = (SLOW..SLOW + 9).chain([0]).collect();
    disk.read(&sectors);
    disk.used(9);
    disk.gates.entered().unwrap();
    assert_eq!(disk.rig.line.raised(), 0, "nine are not ten");
    disk.gates.open(0);
    disk.used(1);
    disk.rig.wait_until("the interrupt", || disk.rig.line.is_high());
    assert_eq!(disk.rig.line.raised(), 1);
}

#[test]
fn broken_request_ends_the_device_when_the_others_are_done() {
    let mut disk = setup(feature::VERSION_1);
    let heads: Vec<_> = [0, 5].map(|sector| add(&disk.rig, &mut disk.ring, sector, IN, sector)).into();
    disk.ring.add(&disk.rig.memory, &[In(STATUSES, 1)]); // no header
    disk.rig.kick();
    assert_eq!(disk.used(1), [u32::from(heads[1])]);
    assert!(!disk.rig.needs_reset(), "one is under way");
    disk.gates.open(0);
    disk.rig.wait_needs_reset();
    assert_eq!(disk.rig.load(DATA, 512), [0; 512]);
    disk.ring = Ring::new(256, 0x1_0000);
    disk.rig.start(feature::VERSION_1, &disk.ring);
    disk.read(&[6]);
    disk.used(1);
}

#[test]
fn busy_driver_lets_a_command_through() {
    let mut disk = setup(feature::VERSION_1);
    // More and more come while one is under way; a command does not wait for their end, nor they for it.
    disk.read(&[0, 5]);
    disk.used(1);
    disk.gates.entered().unwrap();
    let rig = &disk.rig;
    std::thread::scope(|scope| {
        let (done, is_done) = channel();
        scope.spawn(move || {
            rig.bus.write(crate::rig::BASE + 0x120, &[0]); // write-through
            done.send(()).unwrap();
        });
        (0..60).for_each(|_| _ = add(rig, &mut disk.ring, 6, IN, 6));
        disk.gates.open(0);
        is_done.recv_timeout(Duration::from_secs(20)).unwrap();
    });
    disk.rig.kick();
    assert_eq!(disk.used(61).len(), 61, "and goes on");
}

#[rstest]
fn every_write_through_is_durable_when_it_is_done(#[values(1, 16)] count: u64) {
    let disk = numbered_disk();
    let options = Options { cache: WriteCache::Through, ..Options::default() };
    let (rig, mut ring) = start(Arc::clone(&disk) as _, options, feature::ALL);
    (0..count).for_each(|number| _ = add(&rig, &mut ring, number, OUT, number));
    rig.kick();
    for _ in 0..count {
        rig.wait_used(&mut ring);
    }
    assert_eq!(disk.flushes(), count);
}

#[rstest]
fn raw_image_holds_what_many_requests_wrote(
    #[values(EngineKind::Threads, EngineKind::IoUring)] engine: EngineKind,
    #[values(WriteCache::Back, WriteCache::Through)] cache: WriteCache,
) {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(1 << 20).unwrap();
    let image = block::RawImage::open(&file, block::OpenMode::ReadWrite).unwrap();
    let options = Options { engine, cache, ..Options::default() };
    let (rig, mut ring) = start(Arc::new(image), options, feature::ALL);
    let mut all = |kind| {
        (0..64).for_each(|number| _ = add(&rig, &mut ring, number, kind, 2 * number));
        rig.kick();
        (0..64).for_each(|_| _ = rig.wait_used(&mut ring));
        assert_eq!(rig.load(STATUSES, 64), [0; 64]);
    };
    (0..64).for_each(|number| rig.store(DATA + 512 * number, &[number as u8; 512]));
    all(OUT);
    rig.store(DATA, &[0xee; 64 * 512]);
    all(IN);
    (0..64).for_each(|number| assert_eq!(rig.load(DATA + 512 * number, 512), [number as u8; 512]));
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!((bytes[2 * 9 * 512], bytes[(2 * 9 + 1) * 512]), (9, 0));
}
