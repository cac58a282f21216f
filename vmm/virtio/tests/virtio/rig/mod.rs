//! A scripted driver: a transport on a bus, guest memory, a fake interrupt line, and the steps of real drivers.

pub(crate) mod firmware;
pub(crate) mod ring;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use block::Backend;
use block::testing::MemoryDisk;
use bus::{Bus, IrqLine};
use virtio::VirtioDevice;
use virtio::balloon::Balloon;
use virtio::blk::{Blk, Options, Serial};
use virtio::mmio::{MmioTransport, SIZE};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

pub(crate) use ring::{Buffer, Ring};

/// Where the transport is.
pub(crate) const BASE: u64 = 0xfeb0_2e00;
/// Where low guest memory ends: two regions meet at 1 MiB, and 1 MiB beyond that there is nothing.
pub(crate) const MEMORY_END: u64 = 0x20_0000;
/// Guest memory above 4 GiB, 1 MiB of it.
pub(crate) const HIGH_MEMORY: u64 = 0x1_0000_0000;
/// Longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Register offsets, from the standard and not from the crate under test.
pub(crate) mod reg {
    pub(crate) const MAGIC: u64 = 0x00;
    pub(crate) const VERSION: u64 = 0x04;
    pub(crate) const DEVICE_ID: u64 = 0x08;
    pub(crate) const VENDOR_ID: u64 = 0x0c;
    pub(crate) const DEVICE_FEATURES: u64 = 0x10;
    pub(crate) const DEVICE_FEATURES_SEL: u64 = 0x14;
    pub(crate) const DRIVER_FEATURES: u64 = 0x20;
    pub(crate) const DRIVER_FEATURES_SEL: u64 = 0x24;
    pub(crate) const QUEUE_SEL: u64 = 0x30;
    pub(crate) const QUEUE_NUM_MAX: u64 = 0x34;
    pub(crate) const QUEUE_NUM: u64 = 0x38;
    pub(crate) const QUEUE_READY: u64 = 0x44;
    pub(crate) const QUEUE_NOTIFY: u64 = 0x50;
    pub(crate) const INTERRUPT_STATUS: u64 = 0x60;
    pub(crate) const INTERRUPT_ACK: u64 = 0x64;
    pub(crate) const STATUS: u64 = 0x70;
    pub(crate) const QUEUE_DESC: u64 = 0x80;
    pub(crate) const QUEUE_DRIVER: u64 = 0x90;
    pub(crate) const QUEUE_DEVICE: u64 = 0xa0;
    pub(crate) const CONFIG_GENERATION: u64 = 0xfc;
    pub(crate) const CONFIG: u64 = 0x100;
}

/// Feature bits, from the standard.
pub(crate) mod feature {
    pub(crate) const SIZE_MAX: u64 = 1 << 1;
    pub(crate) const SEG_MAX: u64 = 1 << 2;
    pub(crate) const READ_ONLY: u64 = 1 << 5;
    pub(crate) const BLK_SIZE: u64 = 1 << 6;
    pub(crate) const FLUSH: u64 = 1 << 9;
    pub(crate) const TOPOLOGY: u64 = 1 << 10;
    pub(crate) const MULTI_QUEUE: u64 = 1 << 12;
    pub(crate) const EVENT_IDX: u64 = 1 << 29;
    pub(crate) const VERSION_1: u64 = 1 << 32;
    pub(crate) const ACCESS_PLATFORM: u64 = 1 << 33;
    pub(crate) const ALL: u64 = u64::MAX;
}

pub(crate) const NEEDS_RESET: u32 = 0x40;

/// An interrupt line that remembers.
#[derive(Default)]
pub(crate) struct Line {
    level: AtomicBool,
    raised: AtomicUsize,
}

impl Line {
    /// Whether the line is high.
    pub(crate) fn is_high(&self) -> bool {
        self.level.load(Ordering::SeqCst)
    }

    /// How often it went up.
    pub(crate) fn raised(&self) -> usize {
        self.raised.load(Ordering::SeqCst)
    }

    fn set(&self, level: bool) {
        if level && !self.level.swap(level, Ordering::SeqCst) {
            self.raised.fetch_add(1, Ordering::SeqCst);
        }
        self.level.store(level, Ordering::SeqCst);
    }
}

/// A machine with nothing in it but one transport.
pub(crate) struct Rig {
    pub(crate) bus: Bus,
    pub(crate) memory: GuestMemoryMmap,
    pub(crate) line: Arc<Line>,
    pub(crate) transport: Arc<Mutex<MmioTransport>>,
}

impl Rig {
    pub(crate) fn new(device: Option<Box<dyn VirtioDevice>>) -> Self {
        Self::with_memory(|_| device)
    }

    pub(crate) fn with_balloon(balloon: impl FnOnce(GuestMemoryMmap) -> Balloon) -> Self {
        Self::with_memory(|memory| Some(Box::new(balloon(memory))))
    }

    fn with_memory(device: impl FnOnce(GuestMemoryMmap) -> Option<Box<dyn VirtioDevice>>) -> Self {
        let regions = [(0, 0x10_0000), (0x10_0000, 0x10_0000), (HIGH_MEMORY, 0x10_0000)];
        let memory = GuestMemoryMmap::from_ranges(&regions.map(|(at, len)| (GuestAddress(at), len))).unwrap();
        Self::around(memory, device)
    }

    /// With memory of the test's own.
    pub(crate) fn around(
        memory: GuestMemoryMmap,
        device: impl FnOnce(GuestMemoryMmap) -> Option<Box<dyn VirtioDevice>>,
    ) -> Self {
        let line = Arc::new(Line::default());
        let wire = Arc::clone(&line);
        let wire = IrqLine::new(move |level| wire.set(level));
        let transport = MmioTransport::new(device(memory.clone()), memory.clone(), wire).unwrap();
        let transport = Arc::new(Mutex::new(transport));
        let mut bus = Bus::new();
        bus.insert("virtio-mmio", BASE, SIZE, Arc::clone(&transport) as _).unwrap();
        Self { bus, memory, line, transport }
    }

    /// A disk of 16 sectors, sector n filled with n, and the rig around it.
    pub(crate) fn with_disk() -> (Self, Arc<MemoryDisk>) {
        let disk = numbered_disk();
        (Self::with_backend(Arc::clone(&disk) as _), disk)
    }

    pub(crate) fn with_backend(backend: Arc<dyn Backend>) -> Self {
        Self::new(Some(Box::new(Blk::new(backend, Options { serial: serial(), ..Options::default() }))))
    }

    pub(crate) fn read(&self, offset: u64) -> u32 {
        let mut data = [0; 4];
        self.bus.read(BASE + offset, &mut data);
        u32::from_le_bytes(data)
    }

    pub(crate) fn write(&self, offset: u64, value: u32) {
        self.bus.write(BASE + offset, &value.to_le_bytes());
    }

    pub(crate) fn read_bytes<const N: usize>(&self, offset: u64) -> [u8; N] {
        let mut data = [0; N];
        self.bus.read(BASE + offset, &mut data);
        data
    }

    pub(crate) fn write_byte(&self, offset: u64, value: u8) {
        self.bus.write(BASE + offset, &[value]);
    }

    pub(crate) fn write_address(&self, offset: u64, address: u64) {
        self.write(offset, address as u32);
        self.write(offset + 4, (address >> 32) as u32);
    }

    pub(crate) fn device_features(&self) -> u64 {
        let half = |select| {
            self.write(reg::DEVICE_FEATURES_SEL, select);
            u64::from(self.read(reg::DEVICE_FEATURES))
        };
        half(0) | half(1) << 32
    }

    pub(crate) fn write_driver_features(&self, features: u64) {
        for (select, half) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.write(reg::DRIVER_FEATURES_SEL, select);
            self.write(reg::DRIVER_FEATURES, half);
        }
    }

    /// Brings the device up as Linux does, accepting what is offered of `wanted`, with `ring` as queue 0.
    pub(crate) fn start(&self, wanted: u64, ring: &Ring) {
        self.write(reg::STATUS, 0);
        self.write(reg::STATUS, 1);
        self.write(reg::STATUS, 3);
        self.write_driver_features(self.device_features() & wanted);
        self.write(reg::STATUS, 0xb);
        assert_eq!(self.read(reg::STATUS), 0xb, "features accepted");
        self.start_queue(0, ring);
        self.write(reg::STATUS, 0xf);
    }

    /// Makes `ring` queue `index`.
    pub(crate) fn start_queue(&self, index: u32, ring: &Ring) {
        self.write(reg::QUEUE_SEL, index);
        self.write(reg::QUEUE_NUM, ring.size.into());
        self.write_address(reg::QUEUE_DESC, ring.descriptors);
        self.write_address(reg::QUEUE_DRIVER, ring.avail);
        self.write_address(reg::QUEUE_DEVICE, ring.used);
        self.write(reg::QUEUE_READY, 1);
    }

    pub(crate) fn kick(&self) {
        self.write(reg::QUEUE_NOTIFY, 0);
    }

    /// Makes a chain available, kicks, and waits until it is used; returns its used length.
    pub(crate) fn request(&self, ring: &mut Ring, chain: &[Buffer]) -> u32 {
        let head = ring.add(&self.memory, chain);
        self.kick();
        let used = self.wait_used(ring);
        assert_eq!(used.0, u32::from(head), "the used id is the chain's head");
        used.1
    }

    /// Waits for the next used entry: id and length.
    pub(crate) fn wait_used(&self, ring: &mut Ring) -> (u32, u32) {
        self.wait_until("a used buffer", || ring.has_used(&self.memory));
        ring.take_used(&self.memory)
    }

    pub(crate) fn wait_until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// Returns when the worker has served every kick up to now, or has ignored it.
    ///
    /// A write to the configuration space is a call to the worker. It collects kicks before it answers the first, and serves them
    /// before it answers the second.
    pub(crate) fn settle(&self) {
        for _ in 0..2 {
            self.bus.write(BASE + reg::CONFIG, &[0]);
        }
    }

    pub(crate) fn needs_reset(&self) -> bool {
        self.read(reg::STATUS) & NEEDS_RESET != 0
    }

    pub(crate) fn wait_needs_reset(&self) {
        self.wait_until("DEVICE_NEEDS_RESET", || self.needs_reset());
    }

    pub(crate) fn store(&self, address: u64, bytes: &[u8]) {
        self.memory.write_slice(bytes, GuestAddress(address)).unwrap();
    }

    pub(crate) fn load(&self, address: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.memory.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        bytes
    }
}

pub(crate) fn serial() -> Serial {
    "tinderbox-0".parse().unwrap()
}

/// 16 sectors, sector n filled with n.
pub(crate) fn numbered_disk() -> Arc<MemoryDisk> {
    let disk = MemoryDisk::new(16);
    disk.with(|bytes| {
        for (sector, number) in bytes.chunks_mut(512).zip(0..) {
            sector.fill(number);
        }
    });
    Arc::new(disk)
}
