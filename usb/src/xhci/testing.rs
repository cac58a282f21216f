//! A controller without a thread, for tests and fuzzing: it works when it is told to, in a time that passes when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use bus::{Access, Device as _, Width};
use vm_memory::GuestMemoryMmap;

use super::control::{AttachError, Control, PortId};
use super::engine::{Engine, Turn};
use super::memory::Memory;
use super::shared::Shared;
use super::{Config, Interrupts, Registers};
use crate::UsbDevice;

/// A controller in the caller's hands.
pub struct Inline {
    registers: Registers,
    engine: Engine,
    nanos: Arc<AtomicU64>,
}

impl Inline {
    /// A controller with nothing plugged in, at time 0.
    #[must_use]
    pub fn new(config: Config, memory: GuestMemoryMmap, interrupts: Box<dyn Interrupts>) -> Self {
        let nanos = Arc::new(AtomicU64::new(0));
        let time = Arc::clone(&nanos);
        let clock = Box::new(move || Duration::from_nanos(time.load(Ordering::Relaxed)));
        let shared = Arc::new(Shared::new(config, Memory(memory), interrupts, clock, Box::new(|| {})));
        let (orders, inbox) = channel();
        let control = Control::new(orders, Arc::clone(&shared));
        let registers = Registers::new(Arc::clone(&shared), control, Box::new(|| {}));
        Self { registers, engine: Engine::new(shared, inbox), nanos }
    }

    /// Reads a register; all ones if the access is refused.
    pub fn read(&mut self, offset: u64, width: Width) -> u64 {
        self.registers.read(Access { offset, width }).unwrap_or(width.ones())
    }

    /// Writes a register; nothing happens if the access is refused.
    pub fn write(&mut self, offset: u64, width: Width, value: u64) {
        let _ = self.registers.write(Access { offset, width }, value);
    }

    /// Lets the worker run for at most `turns` turns; true if it came to rest.
    pub fn run(&mut self, turns: usize) -> bool {
        (0..turns).any(|_| self.engine.turn() != Turn::Again)
    }

    /// Does what a vCPU does when it rang a doorbell; true if nothing is left for the worker.
    pub fn run_at_once(&mut self) -> bool {
        self.engine.turn_at_once() != Turn::Again
    }

    /// Lets time pass.
    pub fn advance(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Power-on state.
    pub fn reset(&mut self) {
        self.engine.reset();
    }

    /// Plugs a device in, as [`Control::attach`].
    ///
    /// # Errors
    /// No such port is free.
    pub fn attach(
        &mut self,
        port: Option<PortId>,
        device: Box<dyn UsbDevice>,
    ) -> Result<PortId, AttachError> {
        self.engine.attach(port, device)
    }

    /// Pulls a device out, as [`Control::detach`].
    pub fn detach(&mut self, port: PortId) -> Option<Box<dyn UsbDevice>> {
        self.engine.detach(port, &[])
    }

    /// Plugs a device in behind a hub, as [`Control::attach_behind`].
    ///
    /// # Errors
    /// No such port is free.
    pub fn attach_behind(
        &mut self,
        port: PortId,
        path: &[u8],
        device: Box<dyn UsbDevice>,
    ) -> Result<(), AttachError> {
        self.engine.attach_behind(port, path, device)
    }

    /// Pulls a device out from behind a hub, as [`Control::detach_behind`].
    pub fn detach_behind(&mut self, port: PortId, path: &[u8]) -> Option<Box<dyn UsbDevice>> {
        self.engine.detach(port, path)
    }
}
