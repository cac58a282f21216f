//! A scripted driver: a controller on a bus, guest memory, and vectors that remember.

pub(crate) mod queue;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use block::testing::MemoryDisk;
use block::{Backend, EngineKind};
use bus::Bus;
use nvme::{Controller, Identity, Interrupts, MAX_QUEUES, Options, SIZE, WriteCache};
use pcie::Messages;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

pub(crate) use queue::{Command, Completion, Queue};

/// Where the registers are.
pub(crate) const BASE: u64 = 0xfe00_0000;
/// Where guest memory ends.
pub(crate) const MEMORY_END: u64 = 0x40_0000;
/// Blocks of the disk.
pub(crate) const BLOCKS: u16 = 8192;
/// Longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Register offsets, from the standard and not from the crate under test.
pub(crate) mod reg {
    pub(crate) const CAP: u64 = 0x00;
    pub(crate) const VS: u64 = 0x08;
    pub(crate) const INTMS: u64 = 0x0c;
    pub(crate) const INTMC: u64 = 0x10;
    pub(crate) const CC: u64 = 0x14;
    pub(crate) const CSTS: u64 = 0x1c;
    pub(crate) const AQA: u64 = 0x24;
    pub(crate) const ASQ: u64 = 0x28;
    pub(crate) const ACQ: u64 = 0x30;
    pub(crate) const DOORBELLS: u64 = 0x1000;
}

/// CC as Linux writes it: enabled, entries of 64 and 16 bytes.
pub(crate) const ENABLE: u32 = 0x0046_0001;
/// Where the admin queues are.
pub(crate) const ADMIN_SQ: u64 = 0x1_0000;
pub(crate) const ADMIN_CQ: u64 = 0x1_1000;
/// Where I/O queue pair n is: this and twice n pages.
pub(crate) const IO_QUEUES: u64 = 0x2_0000;
/// Free for data.
pub(crate) const DATA: u64 = 0x10_0000;

/// Counts what each vector was raised for.
pub(crate) struct Vectors(Mutex<Vec<usize>>);

impl Interrupts for Vectors {
    fn raise(&self, vector: u16) {
        self.0.lock().unwrap()[usize::from(vector)] += 1;
    }
}

/// A machine with nothing in it but one controller.
pub(crate) struct Rig {
    bus: Bus,
    pub(crate) memory: GuestMemoryMmap,
    vectors: Arc<Vectors>,
    /// Tells the controller of another size of its disk.
    pub(crate) resized: Box<dyn Fn() + Send + Sync>,
}

impl Rig {
    /// A controller that is not enabled.
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        Self::with_engine(backend, EngineKind::default())
    }

    pub(crate) fn with_engine(backend: Arc<dyn Backend>, engine: EngineKind) -> Self {
        let regions = [(0, 0x20_0000), (0x20_0000, 0x20_0000)];
        let memory = GuestMemoryMmap::from_ranges(&regions.map(|(at, len)| (GuestAddress(at), len))).unwrap();
        let vectors = Arc::new(Vectors(Mutex::new(vec![0; usize::from(MAX_QUEUES) + 1])));
        let identity = Identity { serial: "test disk".parse().unwrap(), index: 0 };
        let (write_cache, messages) = (WriteCache::On, Messages::Either);
        let options = Options { identity, queues: MAX_QUEUES, write_cache, messages, engine };
        let controller =
            Controller::new(backend, options, memory.clone(), Arc::clone(&vectors) as _).unwrap();
        let resized = Box::new(controller.resize_notice());
        let mut bus = Bus::new();
        bus.insert("nvme", BASE, SIZE, Arc::new(Mutex::new(controller))).unwrap();
        Self { bus, memory, vectors, resized }
    }

    /// An enabled controller on a disk whose block n is filled with n, its admin queue, and the disk.
    pub(crate) fn enabled() -> (Self, Queue, Arc<MemoryDisk>) {
        let disk = numbered_disk();
        let rig = Self::new(Arc::clone(&disk) as _);
        let admin = rig.enable();
        (rig, admin, disk)
    }

    /// The same with I/O queue pair 1.
    pub(crate) fn with_io() -> (Self, Queue, Queue, Arc<MemoryDisk>) {
        let (rig, mut admin, disk) = Self::enabled();
        let io = rig.create_pair(&mut admin, 1, 16);
        (rig, admin, io, disk)
    }

    pub(crate) fn read(&self, offset: u64) -> u32 {
        let mut data = [0; 4];
        self.bus.read(BASE + offset, &mut data);
        u32::from_le_bytes(data)
    }

    pub(crate) fn read_wide(&self, offset: u64) -> u64 {
        let mut data = [0; 8];
        self.bus.read(BASE + offset, &mut data);
        u64::from_le_bytes(data)
    }

    pub(crate) fn write(&self, offset: u64, value: u32) {
        self.bus.write(BASE + offset, &value.to_le_bytes());
    }

    pub(crate) fn write_wide(&self, offset: u64, value: u64) {
        self.bus.write(BASE + offset, &value.to_le_bytes());
    }

    pub(crate) fn write_bytes(&self, offset: u64, bytes: &[u8]) {
        self.bus.write(BASE + offset, bytes);
    }

    pub(crate) fn read_bytes(&self, offset: u64, bytes: &mut [u8]) {
        self.bus.read(BASE + offset, bytes);
    }

    pub(crate) fn reset(&self) {
        self.bus.reset();
    }

    /// Brings the controller up with admin queues of 16 entries.
    pub(crate) fn enable(&self) -> Queue {
        self.store(ADMIN_SQ, &[0; 0x2000]);
        self.write(reg::AQA, 15 << 16 | 15);
        self.write_wide(reg::ASQ, ADMIN_SQ);
        self.write_wide(reg::ACQ, ADMIN_CQ);
        self.write(reg::CC, ENABLE);
        assert_eq!(self.read(reg::CSTS), 1, "ready");
        Queue::new(0, ADMIN_SQ, ADMIN_CQ, 16)
    }

    /// Creates I/O queue pair `id` on vector `id`.
    pub(crate) fn create_pair(&self, admin: &mut Queue, id: u16, entries: u16) -> Queue {
        let at = IO_QUEUES + u64::from(id) * 0x2000;
        self.store(at, &[0; 0x2000]);
        let size = u32::from(entries - 1) << 16 | u32::from(id);
        let vector = u32::from(id) << 16 | 3;
        let create = Command::new(0x05).prp(at + 0x1000).cdw10(size).cdw11(vector);
        assert_eq!(self.command(admin, create).status, 0);
        let create = Command::new(0x01).prp(at).cdw10(size).cdw11(u32::from(id) << 16 | 1);
        assert_eq!(self.command(admin, create).status, 0);
        Queue::new(id, at, at + 0x1000, entries)
    }

    /// Submits a command and waits for its completion, which must be the next.
    pub(crate) fn command(&self, queue: &mut Queue, command: Command) -> Completion {
        let id = queue.submit(&self.memory, command);
        self.ring(queue);
        let completion = self.wait(queue);
        assert_eq!(completion.id, id);
        completion
    }

    /// The status of a command; see [`command`](Self::command).
    pub(crate) fn status(&self, queue: &mut Queue, command: Command) -> u16 {
        self.command(queue, command).status
    }

    /// Tells the controller of what was submitted.
    pub(crate) fn ring(&self, queue: &Queue) {
        self.write(reg::DOORBELLS + 8 * u64::from(queue.id), queue.tail.into());
    }

    /// Waits for the next completion and consumes it.
    pub(crate) fn wait(&self, queue: &mut Queue) -> Completion {
        self.wait_until("a completion", || queue.peek(&self.memory).is_some());
        let completion = queue.take(&self.memory);
        self.write(reg::DOORBELLS + 8 * u64::from(queue.id) + 4, queue.head.into());
        completion
    }

    pub(crate) fn wait_until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// How often a vector was raised.
    pub(crate) fn raised(&self, vector: u16) -> usize {
        self.vectors.0.lock().unwrap()[usize::from(vector)]
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

/// A disk whose block n is filled with n, as far as a byte counts.
pub(crate) fn numbered_disk() -> Arc<MemoryDisk> {
    let disk = MemoryDisk::new(BLOCKS);
    disk.with(|bytes| {
        for (block, number) in bytes.chunks_mut(512).zip(0_usize..) {
            block.fill(number as u8);
        }
    });
    Arc::new(disk)
}
