//! virtio over PCI, without the legacy interface. virtio 1.2, 4.1.
//!
//! ```text
//!  BAR 1  MSI-X table, pending bits      one vector for each queue, the last for the configuration
//!  BAR 4  0x0000 common configuration    0x1000 ISR status    0x2000 device configuration    0x3000 notifications
//! ```

mod interrupt;
mod spec;
mod window;

use std::io;
use std::sync::Arc;

use bus::{Access, Refused, Width};
use pcie::{Bar, BarKind, ConfigBuilder, ConfigSpace, Doorbell, Effect, Function, Identity, MsixLayout};
use vm_memory::GuestMemoryMmap;

use super::core::Core;
use crate::VirtioDevice;
use crate::features::Half;
use crate::queue::{MAX_SIZE, Setup};

use interrupt::Vectors;
use spec::{Field, Structure, Word};
use window::Window;

/// A virtio device as a PCI function.
///
/// Accesses of other widths than a field has are refused.
pub struct PciTransport {
    config: ConfigSpace,
    window: Window,
    doorbells: Vec<Doorbell>,
    vectors: Arc<Vectors>,
    queues: u16,
    core: Core,
    selectors: Selectors,
}

/// Which part of the features or which queue the other fields mean.
#[derive(Default)]
struct Selectors {
    device_features: u32,
    driver_features: u32,
    queue: u16,
}

impl PciTransport {
    /// A function with `device` behind it, which gets a worker thread that reads and writes `memory` and ends when the
    /// transport is dropped.
    ///
    /// # Errors
    /// The host has no more descriptors or threads.
    pub fn new(device: Box<dyn VirtioDevice>, memory: GuestMemoryMmap) -> io::Result<Self> {
        let (id, queues) = (device.id(), device.queues());
        let count = queues.saturating_add(1);
        let (config, window) = config_space(id, count);
        let vectors = Arc::new(Vectors::new(config.interrupts().clone(), queues, count));
        let core = Core::new(device, memory, Arc::clone(&vectors) as _)?;
        let doorbells = doorbells(&core)?;
        Ok(Self { config, window, doorbells, vectors, queues, core, selectors: Selectors::default() })
    }

    fn read_field(&mut self, field: Field) -> u32 {
        let queue = self.selectors.queue;
        match field {
            Field::DeviceFeatureSelect => self.selectors.device_features,
            Field::DeviceFeature => {
                half(self.selectors.device_features).map_or(0, |half| self.core.device_features(half))
            }
            Field::DriverFeatureSelect => self.selectors.driver_features,
            Field::DriverFeature => {
                half(self.selectors.driver_features).map_or(0, |half| self.core.driver_features(half))
            }
            Field::ConfigMsixVector => self.vectors.config_vector().into(),
            Field::NumQueues => self.queues.into(),
            Field::DeviceStatus => self.core.status().into(),
            Field::ConfigGeneration => self.core.config_generation(),
            Field::QueueSelect => queue.into(),
            Field::QueueMsixVector => self.vectors.queue_vector(queue).into(),
            Field::QueueEnable => self.core.queue_ready(queue).into(),
            Field::QueueNotifyOff if queue < self.queues => queue.into(),
            Field::QueueNotifyOff => 0,
            _ => self.core.queue(queue).map_or(0, |queue| describe(&queue.setup, field)),
        }
    }

    fn write_field(&mut self, field: Field, value: u32) {
        let queue = self.selectors.queue;
        match field {
            Field::DeviceFeatureSelect => self.selectors.device_features = value,
            Field::DriverFeatureSelect => self.selectors.driver_features = value,
            Field::DriverFeature => {
                if let Some(half) = half(self.selectors.driver_features) {
                    self.core.set_driver_features(half, value);
                }
            }
            Field::ConfigMsixVector => self.vectors.set_config_vector(value as u16),
            Field::DeviceStatus => self.core.set_status(value as u8),
            Field::QueueSelect => self.selectors.queue = value as u16,
            Field::QueueMsixVector => self.vectors.set_queue_vector(queue, value as u16),
            Field::QueueEnable if value == 1 => self.enable_queue(queue),
            _ => {
                if let Some(queue) = self.core.queue(queue) {
                    set_up(&mut queue.setup, field, value);
                }
            }
        }
    }

    /// A queue whose size the driver left alone has the largest.
    fn enable_queue(&mut self, index: u16) {
        if let Some(queue) = self.core.queue(index) {
            queue.setup.size = size(&queue.setup);
        }
        self.core.set_queue_ready(index, true);
    }

    fn read_device_config(&self, offset: u64, width: Width) -> u64 {
        let bytes = (offset..).take(width.len() as usize).map(|at| self.core.config_byte(at as usize));
        bytes.zip(0..).fold(0, |value, (byte, index)| value | u64::from(byte) << (8 * index))
    }

    fn write_device_config(&mut self, offset: u64, width: Width, value: u64) {
        if let Some(data) = value.to_le_bytes().get(..width.len() as usize) {
            self.core.write_config(offset as usize, data);
        }
    }

    /// Does what the window asks for when its data is read: the data is then what the BAR had.
    fn read_through_window(&mut self) {
        let Some(target) = self.window.target(&mut self.config) else { return };
        let value = self.read_bar(target.bar, target.access).unwrap_or(target.access.width.ones());
        self.window.show(&mut self.config, value);
    }

    fn write_through_window(&mut self) {
        let Some(target) = self.window.target(&mut self.config) else { return };
        let value = self.window.data(&mut self.config, target.access.width);
        // As if the driver had made the access, which it would not hear of either.
        let _ = self.write_bar(target.bar, target.access, value);
    }
}

impl Function for PciTransport {
    fn config(&mut self) -> &mut ConfigSpace {
        &mut self.config
    }

    fn read_bar(&mut self, bar: usize, at: Access) -> Result<u64, Refused> {
        match structure(bar, at).ok_or(Refused)? {
            (Structure::Common, at) => {
                Field::decode(at.offset, at.width).map(|field| self.read_field(field).into()).ok_or(Refused)
            }
            (Structure::Isr, Access { offset: 0, width: Width::Byte }) => Ok(self.vectors.take_isr().into()),
            (Structure::Isr, _) => Err(Refused),
            (Structure::Device, at) => Ok(self.read_device_config(at.offset, at.width)),
            (Structure::Notify, _) => Ok(0),
        }
    }

    fn write_bar(&mut self, bar: usize, at: Access, value: u64) -> Result<(), Refused> {
        match structure(bar, at).ok_or(Refused)? {
            (Structure::Common, at) => {
                let field = Field::decode(at.offset, at.width).ok_or(Refused)?;
                self.write_field(field, value as u32);
            }
            (Structure::Isr, _) => return Err(Refused),
            (Structure::Device, at) => self.write_device_config(at.offset, at.width, value),
            (Structure::Notify, at) => {
                self.core.notify((at.offset / u64::from(spec::NOTIFY_MULTIPLIER)) as u16);
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.selectors = Selectors::default();
        self.core.reset();
    }

    fn doorbells(&mut self) -> Vec<Doorbell> {
        std::mem::take(&mut self.doorbells)
    }

    fn read_config(&mut self, at: Access) -> u64 {
        if self.window.is_data(at) {
            self.read_through_window();
        }
        self.config.read(at)
    }

    fn write_config(&mut self, at: Access, value: u64) -> Effect {
        let effect = self.config.write(at, value);
        if self.window.is_data(at) {
            self.write_through_window();
        }
        effect
    }
}

/// The structure that the whole of an access is in, and where.
fn structure(bar: usize, at: Access) -> Option<(Structure, Access)> {
    let structure = Structure::at(at.offset).filter(|_| bar == spec::BAR)?;
    let offset = at.offset - structure.start();
    (offset + at.width.len() <= structure.len().into()).then_some((structure, Access { offset, ..at }))
}

/// Every queue has a notification register of its own, so no value is needed to tell which was kicked.
fn doorbells(core: &Core) -> io::Result<Vec<Doorbell>> {
    let offsets = (Structure::Notify.start()..).step_by(spec::NOTIFY_MULTIPLIER as usize);
    let bell = |(kick, offset): (&vmm_sys_util::eventfd::EventFd, u64)| {
        Ok(Doorbell { bar: spec::BAR, offset, event: kick.try_clone()? })
    };
    core.kicks().iter().zip(offsets).map(bell).collect()
}

/// The configuration space of device type `id` with `vectors` of MSI-X, and its window.
fn config_space(id: u32, vectors: u16) -> (ConfigSpace, Window) {
    let [class, subclass] = spec::class(id);
    let identity = Identity {
        vendor: spec::VENDOR,
        device: spec::DEVICE_BASE + id as u16,
        revision: spec::REVISION,
        class: [class, subclass, 0],
        subsystem: spec::SUBSYSTEM,
    };
    // The table in the lower half, the pending bits in the upper.
    let half_size = (u32::from(vectors) * 16).next_power_of_two().max(0x800);
    let msix = MsixLayout { vectors, bar: spec::MSIX_BAR, table: 0, pending: half_size };
    let builder = ConfigSpace::endpoint(identity)
        .bar(spec::MSIX_BAR, Bar { size: 2 * u64::from(half_size), kind: BarKind::Memory32 })
        .bar(spec::BAR, Bar { size: spec::BAR_SIZE, kind: BarKind::Prefetchable64 })
        .pin()
        .msix(msix);
    let builder = [Structure::Common, Structure::Isr, Structure::Device].into_iter().fold(builder, place);
    let builder = place_notifications(builder);
    let (builder, window) = place_window(builder);
    (builder.express().power_management().build(), window)
}

/// A capability that says where a structure is. virtio 1.2, 4.1.4.
fn place(builder: ConfigBuilder, structure: Structure) -> ConfigBuilder {
    builder.capability(spec::CAP_VENDOR, body(structure), [0; spec::CAP_BODY])
}

/// The same with the distance of two registers. virtio 1.2, 4.1.4.4.
fn place_notifications(builder: ConfigBuilder) -> ConfigBuilder {
    const LEN: usize = spec::CAP_BODY + 4;
    let mut capability = [0; LEN];
    let bytes = body(Structure::Notify).into_iter().chain(spec::NOTIFY_MULTIPLIER.to_le_bytes());
    capability.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    if let Some(len) = capability.first_mut() {
        *len = LEN as u8 + 2;
    }
    builder.capability(spec::CAP_VENDOR, capability, [0; LEN])
}

/// The window: the driver writes BAR, offset, length and data. virtio 1.2, 4.1.4.9.
fn place_window(builder: ConfigBuilder) -> (ConfigBuilder, Window) {
    const LEN: usize = spec::CAP_BODY + 4;
    let mut reset = [0; LEN];
    let mut writable = [0xff; LEN];
    let fixed = [LEN as u8 + 2, spec::KIND_WINDOW];
    reset.iter_mut().zip(fixed).for_each(|(to, from)| *to = from);
    // Length and type, then, behind the BAR, what is reserved.
    writable.iter_mut().zip([0, 0, 0xff, 0, 0, 0]).for_each(|(to, from)| *to = from);
    let builder = builder.capability(spec::CAP_VENDOR, reset, writable);
    let at = builder.last_capability() as u64;
    (builder, Window { at })
}

/// `cap_len`, `cfg_type`, `bar`, padding, `offset`, `length`.
fn body(structure: Structure) -> [u8; spec::CAP_BODY] {
    let [o0, o1, o2, o3] = (structure.start() as u32).to_le_bytes();
    let [l0, l1, l2, l3] = structure.len().to_le_bytes();
    let len = spec::CAP_BODY as u8 + 2;
    [len, structure.kind(), spec::BAR as u8, 0, 0, 0, o0, o1, o2, o3, l0, l1, l2, l3]
}

/// The features that a selector stands for; those beyond are none.
fn half(selector: u32) -> Option<Half> {
    match selector {
        0 => Some(Half::Low),
        1 => Some(Half::High),
        _ => None,
    }
}

/// The size of a queue: the largest until the driver chooses another.
fn size(setup: &Setup) -> u32 {
    if setup.size == 0 { MAX_SIZE.into() } else { setup.size }
}

/// Reads a field that describes a queue.
fn describe(setup: &Setup, field: Field) -> u32 {
    match field {
        Field::QueueSize => size(setup),
        Field::QueueDesc(word) => word_of(setup.descriptors, word),
        Field::QueueDriver(word) => word_of(setup.driver, word),
        Field::QueueDevice(word) => word_of(setup.device, word),
        _ => 0,
    }
}

/// Writes a field that describes a queue.
fn set_up(setup: &mut Setup, field: Field, value: u32) {
    match field {
        Field::QueueSize => setup.size = value,
        Field::QueueDesc(word) => set_word(&mut setup.descriptors, word, value),
        Field::QueueDriver(word) => set_word(&mut setup.driver, word, value),
        Field::QueueDevice(word) => set_word(&mut setup.device, word, value),
        _ => {} // read-only
    }
}

fn word_of(address: u64, word: Word) -> u32 {
    match word {
        Word::Low => address as u32,
        Word::High => (address >> 32) as u32,
    }
}

fn set_word(address: &mut u64, word: Word, value: u32) {
    let value = u64::from(value);
    *address = match word {
        Word::Low => *address & 0xffff_ffff << 32 | value,
        Word::High => *address & 0xffff_ffff | value << 32,
    };
}
