//! The host bridge: configuration space by ECAM, memory windows, interrupt pins. PCIe 5.0, 7.2.2.
//!
//! One lock holds all functions. What is fast does not pass here: doorbells signal events, and interrupts leave by
//! [`Interrupts`](crate::Interrupts).

mod assign;
mod doorbells;
mod fabric;
mod intx;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::{Access, Device, IrqLine, MsiRoutes, Refused};

use crate::{DoorbellSink, Function};
use fabric::Fabric;

/// What the machine gives its host bridge.
pub struct HostParts {
    /// Memory for BARs below 4 GiB, and for 64-bit prefetchable BARs. What lies outside is never decoded.
    pub windows: [RangeInclusive<u64>; 2],
    /// The wires of INTA to INTD of slot 0; other slots rotate them.
    pub intx: [IrqLine; 4],
    /// Where messages are left.
    pub routes: Arc<dyn MsiRoutes>,
    /// The first route; functions take as many as they have vectors, in the order in which they are plugged in.
    pub first_gsi: u32,
    /// Who signals doorbells.
    pub doorbells: Box<dyn DoorbellSink>,
}

/// A root port of a host bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortId(pub(crate) usize);

/// Where a function is plugged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The root port it is behind; none for the root bus.
    pub port: Option<PortId>,
    /// Device number, below 32; 0 behind a port.
    pub device: u8,
    /// Function number, below 8. A device without function 0 is not found.
    pub function: u8,
}

impl Slot {
    /// Function 0 of `device` on the root bus.
    #[must_use]
    pub const fn root(device: u8) -> Self {
        Self { port: None, device, function: 0 }
    }

    /// The function behind `port`.
    #[must_use]
    pub const fn behind(port: PortId) -> Self {
        Self { port: Some(port), device: 0, function: 0 }
    }
}

/// Why a function cannot be plugged in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlugError {
    /// No such device or function number, or no such port.
    #[error("there is no PCI slot {0}")]
    NoSlot(Slot),
    /// Another function is there.
    #[error("PCI slot {0} is taken")]
    Taken(Slot),
}

/// On the root bus `01.0`, behind a port `port 0:00.0`.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(PortId(port)) = self.port {
            write!(f, "port {port}:")?;
        }
        write!(f, "{:02x}.{}", self.device, self.function)
    }
}

/// A PCI Express host bridge with 256 buses. Clones are the same.
#[derive(Clone)]
pub struct Host(Arc<Mutex<Fabric>>);

impl Host {
    /// A host bridge with nothing on its root bus but its own function, 00.0.
    #[must_use]
    pub fn new(parts: HostParts) -> Self {
        Self(Arc::new(Mutex::new(Fabric::new(parts))))
    }

    /// Plugs a function in.
    ///
    /// # Errors
    /// When the slot does not exist, or is taken.
    pub fn plug(&self, slot: Slot, function: Box<dyn Function>) -> Result<(), PlugError> {
        self.lock().plug(slot, function).map(|_| ())
    }

    /// Makes device `device` of the root bus a root port.
    ///
    /// # Errors
    /// When the slot does not exist, or is taken.
    pub fn add_root_port(&self, device: u8) -> Result<PortId, PlugError> {
        self.lock().add_root_port(device)
    }

    /// The first route that no function has.
    #[must_use]
    pub fn next_gsi(&self) -> u32 {
        self.lock().next_gsi()
    }

    /// The configuration space of all buses: 256 MiB.
    #[must_use]
    pub fn ecam(&self) -> Ecam {
        Ecam(self.clone())
    }

    /// The window that begins at `start`.
    #[must_use]
    pub fn window(&self, start: u64) -> Window {
        Window { host: self.clone(), start }
    }

    /// Gives out bus numbers and addresses, as firmware does where there is none. BARs that do not fit are left out.
    pub fn assign(&self) {
        self.lock().assign();
    }

    fn lock(&self) -> MutexGuard<'_, Fabric> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}

/// The configuration space of all functions, 4 KiB each: bus, device and function number are bits of the offset.
#[derive(Debug)]
pub struct Ecam(Host);

impl Device for Ecam {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        self.0.lock().read_config(at)
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        self.0.lock().write_config(at, value)
    }

    /// Resets every function.
    fn reset(&mut self) {
        self.0.lock().reset();
    }
}

/// A window of memory that BARs can be in.
#[derive(Debug)]
pub struct Window {
    host: Host,
    start: u64,
}

impl Device for Window {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        self.host.lock().read_memory(self.start + at.offset, at.width)
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        self.host.lock().write_memory(self.start + at.offset, at.width, value)
    }

    /// The functions are reset with their configuration space.
    fn reset(&mut self) {}
}
