//! A host bridge with recorders on all its ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bus::{Access, Device as _, IrqLine, Msi, MsiRoutes, Refused, Width};
use pcie::{
    Bar, BarKind, ConfigBuilder, ConfigSpace, Doorbell, DoorbellSink, Function, Host, HostParts, Identity,
    MsixLayout,
};
use vmm_sys_util::eventfd::EventFd;

pub(crate) const LOW: u64 = 0xc000_0000;
pub(crate) const HIGH: u64 = 0xc0_0000_0000;
pub(crate) const FIRST_GSI: u32 = 48;

/// What the routes were told, and what was fired.
#[derive(Default)]
pub(crate) struct Messages {
    pub(crate) routes: BTreeMap<u32, Msi>,
    pub(crate) fired: Vec<u32>,
}

#[derive(Clone, Default)]
pub(crate) struct Recorder(pub(crate) Arc<Mutex<Messages>>);

impl MsiRoutes for Recorder {
    fn route(&self, gsi: u32, msi: Option<Msi>) {
        let routes = &mut self.0.lock().unwrap().routes;
        match msi {
            Some(msi) => routes.insert(gsi, msi),
            None => routes.remove(&gsi),
        };
    }

    fn fire(&self, gsi: u32) {
        self.0.lock().unwrap().fired.push(gsi);
    }
}

/// Where doorbells are connected now.
#[derive(Clone, Default)]
pub(crate) struct Bells(pub(crate) Arc<Mutex<Vec<u64>>>);

impl DoorbellSink for Bells {
    fn connect(&mut self, address: u64, _event: &EventFd) {
        let mut connected = self.0.lock().unwrap();
        assert!(!connected.contains(&address), "connected twice");
        connected.push(address);
    }

    fn disconnect(&mut self, address: u64, _event: &EventFd) {
        let mut connected = self.0.lock().unwrap();
        let at = connected.iter().position(|&other| other == address).expect("never connected");
        connected.remove(at);
    }
}

/// A function with a latch behind BAR 0 and a doorbell at its end. Reads of BAR 1 tell the offset.
pub(crate) struct Latch {
    pub(crate) config: ConfigSpace,
    pub(crate) value: u64,
}

/// What the latch of a function holds while it wants to see what its doorbell is written with.
pub(crate) const LOUD: u64 = 0x10d;

pub(crate) const BAR0_SIZE: u64 = 0x1000;
pub(crate) const DOORBELL: u64 = 0xff0;
pub(crate) const TABLE: u32 = 0x2000;
pub(crate) const PENDING: u32 = 0x3000;

/// A function with nothing but a header.
pub(crate) fn identity() -> ConfigBuilder {
    ConfigSpace::endpoint(Identity {
        vendor: 0x1af4,
        device: 0x1042,
        revision: 1,
        class: [1, 0, 0],
        subsystem: [0x1af4, 0x1100],
    })
}

/// BAR 0 has 4 KiB below 4 GiB, BAR 2 16 KiB anywhere, with an MSI-X table of `vectors`.
pub(crate) fn latch(vectors: u16) -> Latch {
    let config = identity()
        .bar(0, Bar { size: BAR0_SIZE, kind: BarKind::Memory32 })
        .bar(2, Bar { size: 0x4000, kind: BarKind::Prefetchable64 })
        .pin()
        .power_management()
        .msi(4)
        .msix(MsixLayout { vectors, bar: 2, table: TABLE, pending: PENDING })
        .express()
        .build();
    Latch { config, value: 0 }
}

impl Function for Latch {
    fn config(&mut self) -> &mut ConfigSpace {
        &mut self.config
    }

    fn read_bar(&mut self, bar: usize, at: Access) -> Result<u64, Refused> {
        match bar {
            0 if at.offset == 0 => Ok(self.value),
            0 => Err(Refused),
            _ => Ok(at.offset),
        }
    }

    fn write_bar(&mut self, _bar: usize, _at: Access, value: u64) -> Result<(), Refused> {
        self.value = value;
        Ok(())
    }

    fn reset(&mut self) {
        self.value = 0;
    }

    fn doorbells_are_quiet(&self) -> bool {
        self.value != LOUD
    }

    fn doorbells(&mut self) -> Vec<Doorbell> {
        vec![Doorbell { bar: 0, offset: DOORBELL, event: EventFd::new(0).unwrap() }]
    }
}

/// A host bridge, driven through its bus devices.
pub(crate) struct Rig {
    pub(crate) host: Host,
    pub(crate) messages: Recorder,
    pub(crate) bells: Bells,
    /// The levels of INTA to INTD.
    pub(crate) pins: Arc<Mutex<[bool; 4]>>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let (messages, bells) = (Recorder::default(), Bells::default());
        let pins = Arc::new(Mutex::new([false; 4]));
        let line = |pin: usize| {
            let pins = Arc::clone(&pins);
            IrqLine::new(move |level| pins.lock().unwrap()[pin] = level)
        };
        let host = Host::new(HostParts {
            windows: [LOW..=LOW + 0x1fff_ffff, HIGH..=HIGH + 0x3f_ffff_ffff],
            intx: [line(0), line(1), line(2), line(3)],
            routes: Arc::new(messages.clone()),
            first_gsi: FIRST_GSI,
            doorbells: Box::new(bells.clone()),
        });
        Self { host, messages, bells, pins }
    }

    /// Reads configuration space of function 0 of a device.
    pub(crate) fn read(&self, (bus, device): (u64, u64), offset: u64, width: Width) -> u64 {
        let at = Access { offset: bus << 20 | device << 15 | offset, width };
        self.host.ecam().read(at).unwrap_or(width.ones())
    }

    pub(crate) fn read_dword(&self, bdf: (u64, u64), offset: u64) -> u32 {
        self.read(bdf, offset, Width::Dword) as u32
    }

    pub(crate) fn write(&self, (bus, device): (u64, u64), offset: u64, width: Width, value: u64) {
        let at = Access { offset: bus << 20 | device << 15 | offset, width };
        let _ = self.host.ecam().write(at, value);
    }

    pub(crate) fn write_dword(&self, bdf: (u64, u64), offset: u64, value: u32) {
        self.write(bdf, offset, Width::Dword, value.into());
    }

    /// Reads memory, all ones where nobody answers.
    pub(crate) fn peek(&self, address: u64, width: Width) -> u64 {
        let window = if address < HIGH { LOW } else { HIGH };
        let at = Access { offset: address - window, width };
        self.host.window(window).read(at).unwrap_or(width.ones())
    }

    pub(crate) fn poke(&self, address: u64, width: Width, value: u64) {
        let window = if address < HIGH { LOW } else { HIGH };
        let _ = self.host.window(window).write(Access { offset: address - window, width }, value);
    }

    /// Where the capability `id` is.
    pub(crate) fn capability(&self, bdf: (u64, u64), id: u8) -> u64 {
        let mut at = self.read(bdf, 0x34, Width::Byte);
        while at != 0 && self.read(bdf, at, Width::Byte) != u64::from(id) {
            at = self.read(bdf, at + 1, Width::Byte);
        }
        assert_ne!(at, 0, "no capability {id:#x}");
        at
    }

    pub(crate) fn fired(&self) -> Vec<u32> {
        std::mem::take(&mut self.messages.0.lock().unwrap().fired)
    }

    pub(crate) fn pins(&self) -> [bool; 4] {
        *self.pins.lock().unwrap()
    }

    pub(crate) fn bells(&self) -> Vec<u64> {
        self.bells.0.lock().unwrap().clone()
    }
}
