//! The guest's function against a host's function that records.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bus::{Device as _, IrqLine, Msi, MsiRoutes, Width};
use pcie::{DoorbellSink, Host, HostParts, Slot};
use vmm_sys_util::eventfd::EventFd;

use super::*;

/// A network card's header: BAR 0 of 16 KiB anywhere, BAR 2 with ports, BAR 3 of 32 KiB with MSI-X.
fn header() -> Vec<u8> {
    let mut bytes = vec![0; 0x100];
    let mut put = |at: usize, data: &[u8]| bytes[at..at + data.len()].copy_from_slice(data);
    put(0, &[0x86, 0x80, 0x33, 0x15]);
    put(8, &[3, 0, 0, 2]);
    put(0x10, &[0x0c, 0, 0, 0xf0, 1, 0, 0, 0]);
    put(0x18, &[0x01, 0xe0, 0, 0]);
    put(0x1c, &[0, 0, 0, 0xe0]);
    put(0x2c, &[0x86, 0x80, 0x01, 0]);
    put(0x34, &[0x40]);
    put(0x40, &[1, 0x50, 0, 0]); // power management
    put(0x50, &[0x11, 0, 4, 0, 3, 0, 0, 0, 3, 0x40, 0, 0]); // 5 vectors, BAR 3
    bytes
}

#[derive(Default)]
struct Log {
    writes: Vec<(u32, u64, Vec<u8>)>,
    resets: u32,
    events: Vec<EventFd>,
}

struct Fake {
    header: Vec<u8>,
    lens: [u64; 6],
    log: Mutex<Log>,
}

impl Fake {
    fn new(header: Vec<u8>) -> Arc<Self> {
        Arc::new(Self { header, lens: [0x4000, 0, 0x20, 0x8000, 0, 0], log: Mutex::default() })
    }
}

impl HostFunction for Fake {
    fn region_len(&self, region: u32) -> u64 {
        self.lens.get(region as usize).copied().unwrap_or(0x100)
    }

    fn read(&self, region: u32, offset: u64, buffer: &mut [u8]) {
        match region {
            CONFIG_REGION => buffer.copy_from_slice(&self.header[offset as usize..][..buffer.len()]),
            _ => buffer.fill(region as u8 | offset as u8),
        }
    }

    fn write(&self, region: u32, offset: u64, data: &[u8]) {
        self.log.lock().unwrap().writes.push((region, offset, data.to_vec()));
    }

    fn deliver(&self, events: &[&EventFd]) -> io::Result<()> {
        self.log.lock().unwrap().events = events.iter().map(|event| event.try_clone().unwrap()).collect();
        Ok(())
    }

    fn reset(&self) {
        self.log.lock().unwrap().resets += 1;
    }
}

#[derive(Default)]
struct Fired(Mutex<Vec<u32>>);

impl MsiRoutes for Fired {
    fn route(&self, _gsi: u32, _msi: Option<Msi>) {}

    fn fire(&self, gsi: u32) {
        self.0.lock().unwrap().push(gsi);
    }
}

struct NoBells;

impl DoorbellSink for NoBells {
    fn connect(&mut self, _address: u64, _event: &EventFd) {}
    fn disconnect(&mut self, _address: u64, _event: &EventFd) {}
}

const WINDOW: u64 = 0xc000_0000;

/// A host bridge with the function in slot 1.
struct Rig {
    bridge: Host,
    fake: Arc<Fake>,
    fired: Arc<Fired>,
}

impl Rig {
    fn new() -> Self {
        let (fake, fired) = (Fake::new(header()), Arc::<Fired>::default());
        let bridge = Host::new(HostParts {
            windows: [WINDOW..=0xdfff_ffff, 0xc0_0000_0000..=0xff_ffff_ffff],
            intx: [(); 4].map(|()| IrqLine::unconnected()),
            routes: fired.clone(),
            first_gsi: 48,
            doorbells: Box::new(NoBells),
        });
        bridge.plug(Slot::root(1), Box::new(PassThrough::new(fake.clone()).unwrap())).unwrap();
        let rig = Self { bridge, fake, fired };
        rig.config(0x10, WINDOW | 0xc);
        rig.config(0x1c, WINDOW + 0x1_0000);
        rig
    }

    fn config(&self, offset: u64, value: u64) {
        self.bridge.ecam().write(Access { offset: 1 << 15 | offset, width: Width::Dword }, value).unwrap();
    }

    fn read_config(&self, offset: u64) -> u64 {
        self.bridge.ecam().read(Access { offset: 1 << 15 | offset, width: Width::Dword }).unwrap()
    }

    fn poke(&self, address: u64, value: u64) {
        let at = Access { offset: address - WINDOW, width: Width::Dword };
        self.bridge.window(WINDOW).write(at, value).unwrap();
    }

    /// The offset of the guest's MSI-X capability.
    fn msix(&self) -> u64 {
        let mut at = self.read_config(0x34) & 0xff;
        while self.read_config(at) & 0xff != 0x11 {
            at = self.read_config(at) >> 8 & 0xff;
        }
        at
    }
}

/// The values that the host's command register got.
fn commands(fake: &Fake) -> Vec<u16> {
    let log = fake.log.lock().unwrap();
    let commands =
        log.writes.iter().filter(|(region, offset, _)| (*region, *offset) == (CONFIG_REGION, COMMAND));
    commands.map(|(.., data)| u16::from_le_bytes([data[0], data[1]])).collect()
}

#[test]
fn guest_sees_identity_and_memory_of_the_host() {
    let rig = Rig::new();

    assert_eq!(rig.read_config(0), 0x1533_8086);
    assert_eq!(rig.read_config(8) >> 8, 0x02_0000);
    assert_eq!(rig.read_config(0x2c), 0x0001_8086);
    for (bar, mask) in [(0x10, 0xffff_c00c), (0x18, 0), (0x1c, 0xffff_8000)] {
        rig.config(bar, 0xffff_ffff);
        assert_eq!(rig.read_config(bar), mask, "{bar:#x}");
    }
    assert_eq!(rig.read_config(rig.msix()) >> 16, 4, "five vectors");
}

#[test]
fn registers_are_those_of_the_host_wherever_the_guest_puts_them() {
    let rig = Rig::new();
    rig.config(4, 2);

    rig.poke(WINDOW + 0x10, 0xaabb_ccdd);
    let at = Access { offset: 0x1_2000, width: Width::Word };
    assert_eq!(rig.bridge.window(WINDOW).read(at).unwrap(), 0x0303);
    rig.config(0x10, (WINDOW + 0x10_0000) | 0xc);
    rig.poke(WINDOW + 0x10_0020, 1);

    let log = rig.fake.log.lock().unwrap();
    let bars: Vec<_> = log.writes.iter().filter(|(region, ..)| *region < 6).cloned().collect();
    assert_eq!(bars, [(0, 0x10, vec![0xdd, 0xcc, 0xbb, 0xaa]), (0, 0x20, vec![1, 0, 0, 0])]);
}

#[test]
fn messages_of_the_host_are_those_of_the_guests_table() {
    let rig = Rig::new();
    rig.config(4, 6);
    let table = WINDOW + 0x1_0000;
    for (offset, value) in [(0x20, 0xfee0_0000), (0x24, 0), (0x28, 0x41), (0x2c, 0)] {
        rig.poke(table + offset, value);
    }
    assert!(rig.fake.log.lock().unwrap().events.is_empty(), "no messages before the driver wants them");

    rig.config(rig.msix(), 0x8000_0000);
    let event = rig.fake.log.lock().unwrap().events[2].try_clone().unwrap();
    event.write(1).unwrap();

    let deadline = Instant::now() + Duration::from_secs(10);
    while rig.fired.0.lock().unwrap().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(*rig.fired.0.lock().unwrap(), [50], "vector 2");
    assert!(rig.fake.log.lock().unwrap().writes.iter().all(|(region, ..)| *region != 3), "the table is ours");
    rig.config(rig.msix(), 0);
    assert!(rig.fake.log.lock().unwrap().events.is_empty());
}

#[test]
fn host_uses_memory_while_the_guest_lets_it() {
    let rig = Rig::new();
    assert_eq!(commands(&rig.fake), [0x402], "no pin");

    rig.config(4, 6);
    rig.config(4, 2);

    assert_eq!(commands(&rig.fake), [0x402, 0x406, 0x402]);
}

#[test]
fn reset_reaches_the_host_and_so_does_the_end() {
    let rig = Rig::new();
    rig.config(4, 6);
    rig.config(rig.msix(), 0x8000_0000);

    rig.bridge.ecam().reset();
    assert_eq!(rig.fake.log.lock().unwrap().resets, 2, "at the beginning, and now");
    assert!(rig.fake.log.lock().unwrap().events.is_empty());
    assert_eq!(commands(&rig.fake).last(), Some(&0x402));

    let fake = rig.fake.clone();
    drop(rig);
    assert_eq!(fake.log.lock().unwrap().resets, 3);
}

#[test]
fn functions_that_cannot_be_shown_say_why() {
    let refused = |change: fn(&mut Vec<u8>)| {
        let mut header = header();
        change(&mut header);
        match PassThrough::new(Fake::new(header)).err() {
            Some(NewError::Layout(error)) => Some(error),
            _ => None,
        }
    };
    assert_eq!(refused(|_| ()), None);
    assert_eq!(refused(|header| header[0x0e] = 0x81), Some(LayoutError::Bridge));
    assert_eq!(refused(|header| header[0x34] = 0), Some(LayoutError::NoMsix));
    assert_eq!(refused(|header| header[0x41] = 0x40), Some(LayoutError::NoMsix), "a circle");
    assert_eq!(refused(|header| header[0x58] = 0), Some(LayoutError::SplitMsix));
    assert_eq!(refused(|header| header[0x55] = 0x80), Some(LayoutError::SplitMsix), "a table beyond its BAR");
}
