//! virtio over MMIO, version 2. virtio 1.2, 4.2.

mod spec;

use std::io;
use std::sync::Arc;

use bus::{Access, IrqLine, Refused, Width};
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::EventFd;

use super::core::{Core, Queue};
use crate::VirtioDevice;
use crate::features::Half;
use crate::interrupt::StatusLine;
use crate::queue::MAX_SIZE;

pub use spec::{QUEUE_NOTIFY, SIZE};
use spec::{Register, Word};

/// A virtio-mmio transport: [`SIZE`] bytes of registers, with or without a device behind them.
///
/// Illegal accesses below the configuration space read 0 and write nothing; no access is refused.
pub struct MmioTransport {
    core: Option<Core>,
    interrupt: Arc<StatusLine>,
    selectors: Selectors,
}

/// Which half or queue the other registers mean. A machine reset clears them, a driver's does not.
#[derive(Default)]
struct Selectors {
    device_features: Half,
    driver_features: Half,
    queue: u16,
}

impl MmioTransport {
    /// A transport that interrupts on `line`. Its device, if there is one, gets a worker thread, which reads and writes `memory`
    /// and ends when the transport is dropped.
    ///
    /// # Errors
    /// The host has no more descriptors or threads.
    pub fn new(
        device: Option<Box<dyn VirtioDevice>>,
        memory: GuestMemoryMmap,
        line: IrqLine,
    ) -> io::Result<Self> {
        let interrupt = Arc::new(StatusLine::new(line));
        let start = |device| Core::new(device, memory, Arc::clone(&interrupt) as _);
        Ok(Self { core: device.map(start).transpose()?, interrupt, selectors: Selectors::default() })
    }

    /// The queues' indices and the events that kick them: a 32-bit write of the index to [`QUEUE_NOTIFY`] may signal the event
    /// instead of coming here.
    pub fn kicks(&self) -> impl Iterator<Item = (u32, &EventFd)> {
        (0..).zip(self.core.as_ref().map(Core::kicks).unwrap_or_default())
    }

    fn read_register(&mut self, register: Register) -> u32 {
        match (register, &mut self.core) {
            (Register::MagicValue, _) => spec::MAGIC,
            (Register::Version, _) => spec::VERSION,
            (Register::VendorId, _) => spec::VENDOR,
            (_, None) => 0,
            (Register::DeviceId, Some(core)) => core.id(),
            (Register::DeviceFeatures, Some(core)) => core.device_features(self.selectors.device_features),
            (Register::QueueNumMax, Some(core)) => {
                core.queue(self.selectors.queue).map_or(0, |_| MAX_SIZE.into())
            }
            (Register::QueueReady, Some(core)) => core.queue_ready(self.selectors.queue).into(),
            (Register::InterruptStatus, Some(_)) => self.interrupt.causes(),
            (Register::Status, Some(core)) => core.status().into(),
            (Register::Shm, Some(_)) => u32::MAX, // no such region
            (Register::ConfigGeneration, Some(core)) => core.config_generation(),
            (_, Some(_)) => 0, // write-only
        }
    }

    fn write_register(&mut self, register: Register, value: u32) {
        let Some(core) = &mut self.core else { return };
        let selectors = &mut self.selectors;
        match register {
            Register::DeviceFeaturesSel => selectors.device_features = half(value),
            Register::DriverFeaturesSel => selectors.driver_features = half(value),
            Register::DriverFeatures => core.set_driver_features(selectors.driver_features, value),
            Register::QueueSel if value < MAX_SIZE.into() => selectors.queue = value as u16,
            Register::QueueReady => core.set_queue_ready(selectors.queue, value & 1 != 0),
            Register::QueueNotify => core.notify(value as u16),
            Register::InterruptAck => self.interrupt.acknowledge(value),
            Register::Status => core.set_status(value as u8),
            _ => {
                if let Some(queue) = core.queue(selectors.queue) {
                    set_up(queue, register, value);
                }
            }
        }
    }

    fn read_config(&self, offset: u64, width: Width) -> u64 {
        let Some(core) = &self.core else { return 0 };
        let bytes = (offset..).take(width.len() as usize).map(|at| core.config_byte(at as usize));
        bytes.zip(0..).fold(0, |value, (byte, index)| value | u64::from(byte) << (8 * index))
    }

    fn write_config(&mut self, offset: u64, width: Width, value: u64) {
        let bytes = value.to_le_bytes();
        if let (Some(core), Some(data)) = (&mut self.core, bytes.get(..width.len() as usize)) {
            core.write_config(offset as usize, data);
        }
    }
}

impl bus::Device for MmioTransport {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        Ok(match Target::of(at) {
            Target::Register(register) => self.read_register(register).into(),
            Target::Config(offset) => self.read_config(offset, at.width),
            Target::Nothing => 0,
        })
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        match Target::of(at) {
            Target::Register(register) => self.write_register(register, value as u32),
            Target::Config(offset) => self.write_config(offset, at.width, value),
            Target::Nothing => {}
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.selectors = Selectors::default();
        if let Some(core) = &mut self.core {
            core.reset();
        }
    }
}

/// What an access is meant for.
enum Target {
    Register(Register),
    /// Byte offset in the configuration space, which has fields of every width.
    Config(u64),
    Nothing,
}

impl Target {
    fn of(at: Access) -> Self {
        match (at.offset.checked_sub(spec::CONFIG), at.width) {
            (Some(offset), _) => Self::Config(offset),
            (None, Width::Dword) => Register::decode(at.offset).map_or(Self::Nothing, Self::Register),
            (None, _) => Self::Nothing,
        }
    }
}

/// The half a selector stands for. The standard goes on counting; drivers of this machine know 64 bits.
fn half(selector: u32) -> Half {
    match selector {
        0 => Half::Low,
        _ => Half::High,
    }
}

/// Writes a register that describes `queue`.
fn set_up(queue: &mut Queue, register: Register, value: u32) {
    let setup = &mut queue.setup;
    match register {
        Register::QueueNum => setup.size = value,
        Register::QueueDesc(word) => set_word(&mut setup.descriptors, word, value),
        Register::QueueDriver(word) => set_word(&mut setup.driver, word, value),
        Register::QueueDevice(word) => set_word(&mut setup.device, word, value),
        _ => {} // read-only
    }
}

fn set_word(address: &mut u64, word: Word, value: u32) {
    let value = u64::from(value);
    *address = match word {
        Word::Low => *address & 0xffff_ffff << 32 | value,
        Word::High => *address & 0xffff_ffff | value << 32,
    };
}
