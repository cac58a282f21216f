//! virtio over PCI, driven through a host bridge. virtio 1.2, 4.1.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bus::{Access, Device as _, IrqLine, Msi, MsiRoutes, Width};
use pcie::{DoorbellSink, Host, HostParts, Slot};
use proptest::prelude::*;
use virtio::blk::{Blk, Options};
use virtio::pci::PciTransport;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmm_sys_util::eventfd::EventFd;

use crate::rig::{Buffer, Ring, feature, numbered_disk};

const LOW: u64 = 0xc000_0000;
const HIGH: u64 = 0xc0_0000_0000;
const FIRST_GSI: u32 = 48;
/// The function under test: device 1 of bus 0.
const CONFIG: u64 = 1 << 15;

/// Registers in BAR 4, from the standard and the places that QEMU gives its structures.
mod reg {
    pub(super) const DEVICE_FEATURE_SELECT: u64 = 0x00;
    pub(super) const DEVICE_FEATURE: u64 = 0x04;
    pub(super) const DRIVER_FEATURE_SELECT: u64 = 0x08;
    pub(super) const DRIVER_FEATURE: u64 = 0x0c;
    pub(super) const CONFIG_VECTOR: u64 = 0x10;
    pub(super) const NUM_QUEUES: u64 = 0x12;
    pub(super) const STATUS: u64 = 0x14;
    pub(super) const QUEUE_SELECT: u64 = 0x16;
    pub(super) const QUEUE_SIZE: u64 = 0x18;
    pub(super) const QUEUE_VECTOR: u64 = 0x1a;
    pub(super) const QUEUE_ENABLE: u64 = 0x1c;
    pub(super) const QUEUE_DESC: u64 = 0x20;
    pub(super) const ISR: u64 = 0x1000;
    pub(super) const CAPACITY: u64 = 0x2000;
    pub(super) const NOTIFY: u64 = 0x3000;
}

#[derive(Default)]
struct Messages {
    routes: Mutex<BTreeMap<u32, Msi>>,
    fired: Mutex<Vec<u32>>,
}

impl MsiRoutes for Messages {
    fn route(&self, gsi: u32, msi: Option<Msi>) {
        let mut routes = self.routes.lock().unwrap();
        match msi {
            Some(msi) => routes.insert(gsi, msi),
            None => routes.remove(&gsi),
        };
    }

    fn fire(&self, gsi: u32) {
        self.fired.lock().unwrap().push(gsi);
    }
}

/// Where doorbells are, with their events.
#[derive(Clone, Default)]
struct Bells(Arc<Mutex<BTreeMap<u64, EventFd>>>);

impl DoorbellSink for Bells {
    fn connect(&mut self, address: u64, event: &EventFd) {
        self.0.lock().unwrap().insert(address, event.try_clone().unwrap());
    }

    fn disconnect(&mut self, address: u64, _event: &EventFd) {
        self.0.lock().unwrap().remove(&address);
    }
}

/// A machine with a disk on PCI, its BARs at the beginning of the windows.
struct Rig {
    host: Host,
    memory: GuestMemoryMmap,
    messages: Arc<Messages>,
    bells: Bells,
    pin: Arc<AtomicBool>,
}

impl Rig {
    fn new() -> Self {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x20_0000)]).unwrap();
        let (messages, bells) = (Arc::new(Messages::default()), Bells::default());
        let pin = Arc::new(AtomicBool::new(false));
        let wire = Arc::clone(&pin);
        let wire = IrqLine::new(move |level| wire.store(level, Ordering::SeqCst));
        let host = Host::new(HostParts {
            windows: [LOW..=LOW + 0xff_ffff, HIGH..=HIGH + 0xff_ffff],
            intx: [wire.clone(), wire.clone(), wire.clone(), wire],
            routes: Arc::clone(&messages) as _,
            first_gsi: FIRST_GSI,
            doorbells: Box::new(bells.clone()),
        });
        let disk = Blk::new(numbered_disk(), Options::default());
        let transport = PciTransport::new(Box::new(disk), memory.clone()).unwrap();
        host.plug(Slot::root(1), Box::new(transport)).unwrap();
        host.assign();
        let rig = Self { host, memory, messages, bells, pin };
        rig.write_config(4, Width::Word, 6);
        rig
    }

    fn read_config(&self, offset: u64, width: Width) -> u64 {
        self.host.ecam().read(Access { offset: CONFIG + offset, width }).unwrap()
    }

    fn write_config(&self, offset: u64, width: Width, value: u64) {
        self.host.ecam().write(Access { offset: CONFIG + offset, width }, value).unwrap();
    }

    fn read(&self, offset: u64, width: Width) -> u64 {
        self.host.window(HIGH).read(Access { offset, width }).unwrap_or(width.ones())
    }

    fn write(&self, offset: u64, width: Width, value: u64) {
        let _ = self.host.window(HIGH).write(Access { offset, width }, value);
    }

    /// The capability of structure type `kind`.
    fn structure(&self, kind: u64) -> u64 {
        let is_it = |&at: &u64| {
            self.read_config(at, Width::Byte) == 9 && self.read_config(at + 3, Width::Byte) == kind
        };
        self.capabilities().find(is_it).unwrap()
    }

    fn msix_capability(&self) -> u64 {
        self.capabilities().find(|&at| self.read_config(at, Width::Byte) == 0x11).unwrap()
    }

    fn capabilities(&self) -> impl Iterator<Item = u64> {
        let next = |at: u64| Some(self.read_config(at, Width::Byte)).filter(|&next| next != 0);
        std::iter::successors(next(0x34), move |at| next(at + 1))
    }

    /// Enables MSI-X with both vectors unmasked.
    fn enable_msix(&self) {
        self.write_config(self.msix_capability() + 2, Width::Word, 1 << 15);
        for vector in 0..2 {
            let write = |offset, value| {
                let at = Access { offset: vector * 16 + offset, width: Width::Dword };
                self.host.window(LOW).write(at, value).unwrap();
            };
            write(0, 0xfee0_0000);
            write(8, 0x40 + vector);
            write(12, 0);
        }
    }

    /// Brings the device up as Linux does, with `ring` as queue 0.
    fn start(&self, ring: &Ring, before_enable: impl FnOnce(&Self)) {
        for status in [0, 1, 3] {
            self.write(reg::STATUS, Width::Byte, status);
        }
        self.write(reg::DRIVER_FEATURE_SELECT, Width::Dword, 1);
        self.write(reg::DRIVER_FEATURE, Width::Dword, feature::VERSION_1 >> 32);
        self.write(reg::STATUS, Width::Byte, 0xb);
        assert_eq!(self.read(reg::STATUS, Width::Byte), 0xb, "features accepted");
        self.write(reg::QUEUE_SELECT, Width::Word, 0);
        self.write(reg::QUEUE_SIZE, Width::Word, ring.size.into());
        for (n, address) in (0..).zip([ring.descriptors, ring.avail, ring.used]) {
            self.write(reg::QUEUE_DESC + 8 * n, Width::Dword, address & 0xffff_ffff);
            self.write(reg::QUEUE_DESC + 8 * n + 4, Width::Dword, address >> 32);
        }
        before_enable(self);
        self.write(reg::QUEUE_ENABLE, Width::Word, 1);
        self.write(reg::STATUS, Width::Byte, 0xf);
    }

    /// Reads sector 3 and returns its first byte; `kick` tells the device.
    fn read_sector(&self, ring: &mut Ring, kick: impl FnOnce(&Self)) -> u8 {
        let header = [0_u32, 0, 3, 0].map(u32::to_le_bytes).concat();
        self.memory.write_slice(&header, GuestAddress(0x2_0000)).unwrap();
        let chain = [Buffer::Out(0x2_0000, 16), Buffer::In(0x3_0000, 512), Buffer::In(0x4_0000, 1)];
        ring.add(&self.memory, &chain);
        kick(self);
        wait("a used buffer", || ring.has_used(&self.memory));
        ring.take_used(&self.memory);
        self.memory.read_obj(GuestAddress(0x3_0000)).unwrap()
    }
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        std::thread::sleep(Duration::from_micros(50));
    }
}

fn notify(rig: &Rig) {
    rig.write(reg::NOTIFY, Width::Word, 0);
}

#[test]
fn function_is_a_modern_disk() {
    let rig = Rig::new();
    let dwords = [0, 8, 0x2c].map(|at| rig.read_config(at, Width::Dword));
    assert_eq!(dwords, [0x1042_1af4, 0x0100_0001, 0x1100_1af4]);
}

#[test]
fn structures_are_where_their_capabilities_say() {
    let rig = Rig::new();
    for (kind, len, start) in [(1, 16, 0), (3, 16, 0x1000), (4, 16, 0x2000), (2, 20, 0x3000), (5, 20, 0)] {
        let at = rig.structure(kind);
        assert_eq!(rig.read_config(at + 2, Width::Byte), len, "length of capability {kind}");
        assert_eq!(rig.read_config(at + 8, Width::Dword), start, "offset of structure {kind}");
        assert_eq!(rig.read_config(at + 4, Width::Byte), if kind == 5 { 0 } else { 4 });
    }
    assert_eq!(rig.read_config(rig.structure(2) + 16, Width::Dword), 4, "notify multiplier");
    assert_eq!(rig.read_config(rig.msix_capability() + 2, Width::Word), 1, "two vectors");
}

#[test]
fn driver_reads_a_sector_and_hears_of_it_by_its_vector() {
    let (rig, mut ring) = (Rig::new(), Ring::new(16, 0x1_0000));
    rig.enable_msix();
    rig.start(&ring, |rig| rig.write(reg::QUEUE_VECTOR, Width::Word, 1));
    assert_eq!(rig.read_sector(&mut ring, notify), 3);
    wait("a message", || *rig.messages.fired.lock().unwrap() == [FIRST_GSI + 1]);
    assert!(!rig.pin.load(Ordering::SeqCst));
    assert_eq!(rig.messages.routes.lock().unwrap()[&(FIRST_GSI + 1)].data, 0x41);
}

#[test]
fn driver_without_messages_hears_by_the_pin() {
    let (rig, mut ring) = (Rig::new(), Ring::new(16, 0x1_0000));
    rig.start(&ring, |_| {});
    assert_eq!(rig.read_sector(&mut ring, notify), 3);
    wait("the pin", || rig.pin.load(Ordering::SeqCst));
    assert_eq!(rig.read(reg::ISR, Width::Byte), 1);
    assert!(!rig.pin.load(Ordering::SeqCst), "reading the ISR status releases the pin");
    assert_eq!(rig.read(reg::ISR, Width::Byte), 0);
}

#[test]
fn doorbell_kicks_the_queue_wherever_its_bar_is() {
    let (rig, mut ring) = (Rig::new(), Ring::new(16, 0x1_0000));
    rig.write_config(0x20, Width::Dword, 0x40_0000);
    rig.write_config(0x20, Width::Dword, 0);
    rig.start(&ring, |_| {});
    let ring_bell = |rig: &Rig| rig.bells.0.lock().unwrap()[&(HIGH + reg::NOTIFY)].write(1).unwrap();
    assert_eq!(rig.read_sector(&mut ring, ring_bell), 3);
    assert_eq!(rig.bells.0.lock().unwrap().len(), 1);
}

#[test]
fn queue_has_its_largest_size_until_the_driver_chooses() {
    let rig = Rig::new();
    assert_eq!(rig.read(reg::QUEUE_SIZE, Width::Word), 1024);
    rig.write(reg::QUEUE_SIZE, Width::Word, 64);
    assert_eq!(rig.read(reg::QUEUE_SIZE, Width::Word), 64);
    rig.write(reg::QUEUE_SELECT, Width::Word, 1);
    assert_eq!(rig.read(reg::QUEUE_SIZE, Width::Word), 0, "there is no such queue");
    assert_eq!(rig.read(reg::NUM_QUEUES, Width::Word), 1);
}

#[test]
fn vector_that_does_not_exist_reads_back_as_none() {
    let rig = Rig::new();
    for register in [reg::CONFIG_VECTOR, reg::QUEUE_VECTOR] {
        assert_eq!(rig.read(register, Width::Word), 0xffff);
        rig.write(register, Width::Word, 1);
        assert_eq!(rig.read(register, Width::Word), 1);
        rig.write(register, Width::Word, 2);
        assert_eq!(rig.read(register, Width::Word), 0xffff);
    }
}

#[test]
fn features_beyond_the_second_half_are_none() {
    let rig = Rig::new();
    rig.write(reg::DEVICE_FEATURE_SELECT, Width::Dword, 1);
    assert_eq!(rig.read(reg::DEVICE_FEATURE, Width::Dword) & 1, 1, "VERSION_1");
    rig.write(reg::DEVICE_FEATURE_SELECT, Width::Dword, 2);
    assert_eq!(rig.read(reg::DEVICE_FEATURE, Width::Dword), 0);
}

#[test]
fn window_in_configuration_space_reaches_the_bar() {
    let rig = Rig::new();
    let window = rig.structure(5);
    let aim = |offset, len| {
        rig.write_config(window + 4, Width::Byte, 4);
        rig.write_config(window + 8, Width::Dword, offset);
        rig.write_config(window + 12, Width::Dword, len);
    };
    aim(reg::STATUS, 1);
    rig.write_config(window + 16, Width::Byte, 3);
    assert_eq!(rig.read(reg::STATUS, Width::Byte), 3);
    aim(reg::CAPACITY, 4);
    assert_eq!(rig.read_config(window + 16, Width::Dword), 16, "sectors");
    aim(reg::CAPACITY, 3);
    rig.write_config(window + 16, Width::Dword, 7);
    assert_eq!(rig.read_config(window + 16, Width::Dword), 7, "no such width, no access");
}

#[test]
fn reset_of_the_function_resets_the_device() {
    let (rig, ring) = (Rig::new(), Ring::new(16, 0x1_0000));
    rig.start(&ring, |rig| rig.write(reg::QUEUE_VECTOR, Width::Word, 1));
    rig.host.ecam().reset();
    rig.host.assign();
    rig.write_config(4, Width::Word, 6);
    assert_eq!(rig.read(reg::STATUS, Width::Byte), 0);
    assert_eq!(rig.read(reg::QUEUE_VECTOR, Width::Word), 0xffff);
    assert_eq!(rig.read(reg::QUEUE_ENABLE, Width::Word), 0);
}

proptest! {
    #[test]
    fn register_accesses_of_every_kind_are_harmless(
        accesses in prop::collection::vec(
            (any::<bool>(), 0u64..0x4100, prop::sample::select(Width::ALL.to_vec()), any::<u64>()),
            1..60,
        ),
    ) {
        let rig = Rig::new();
        let window = rig.structure(5);
        for (through_window, offset, width, value) in accesses {
            if through_window {
                rig.write_config(window + 8, Width::Dword, offset);
                rig.write_config(window + 4 + value % 16, width, value);
            }
            let _ = rig.read(offset, width);
            rig.write(offset, width, value & width.ones());
        }
        let header = rig.read_config(0, Width::Dword);
        prop_assert_eq!(header, 0x1042_1af4);
    }
}
