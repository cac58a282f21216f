//! The controller as a PCI function. NVMe 1.4, 2.
//!
//! ```text
//!  BAR 0   0x0000  registers        0x2000  MSI-X table
//!          0x1000  doorbells        0x3000  pending bits
//! ```

use std::io;
use std::sync::Arc;

use block::Backend;
use bus::{Access, Device as _, Refused};
use pcie::{Bar, BarKind, ConfigSpace, Doorbell, Function, Identity, MsixLayout};
use vm_memory::GuestMemoryMmap;

use crate::{Controller, Interrupts, Options, SIZE};

/// 1AF4:10F0 is of the range that its owner leaves to everybody for experiments. Another emulator's number would be a claim to be
/// that: Linux takes QEMU's (1B36:0010) for a reason not to trust the namespace's names and not to use Write Zeroes. Drivers
/// find the controller by its class.
pub(crate) const VENDOR: u16 = 0x1af4;
const DEVICE: u16 = 0x10f0;
/// Mass storage, non-volatile memory, NVM Express I/O controller.
const CLASS: [u8; 3] = [0x01, 0x08, 0x02];

const BAR: usize = 0;
const BAR_SIZE: u64 = 0x4000;
const TABLE: u32 = SIZE as u32;
const PENDING: u32 = 0x3000;

/// An NVMe controller as a PCI function.
pub struct Nvme {
    config: ConfigSpace,
    controller: Controller,
}

/// Vectors of the function are those of the controller.
struct Vectors(pcie::Interrupts);

impl Interrupts for Vectors {
    fn raise(&self, vector: u16) {
        self.0.fire(vector);
    }
}

impl Nvme {
    /// A controller that keeps its blocks in `backend` and reads and writes `memory`.
    ///
    /// # Errors
    /// The host has no more descriptors.
    pub fn new(backend: Arc<dyn Backend>, options: Options, memory: GuestMemoryMmap) -> io::Result<Self> {
        let identity = Identity {
            vendor: VENDOR,
            device: DEVICE,
            revision: 1,
            class: CLASS,
            subsystem: [VENDOR, DEVICE],
        };
        let vectors = options.vectors();
        let config = ConfigSpace::endpoint(identity)
            .bar(BAR, Bar { size: BAR_SIZE, kind: BarKind::Memory64 })
            .power_management()
            .messages(options.messages, MsixLayout { vectors, bar: BAR, table: TABLE, pending: PENDING })
            .express()
            .build();
        let interrupts = Arc::new(Vectors(config.interrupts().clone()));
        Ok(Self { config, controller: Controller::new(backend, options, memory, interrupts)? })
    }
}

impl Nvme {
    /// See [`Controller::resize_notice`].
    pub fn resize_notice(&self) -> impl Fn() + Send + Sync + use<> {
        self.controller.resize_notice()
    }
}

impl Function for Nvme {
    fn config(&mut self) -> &mut ConfigSpace {
        &mut self.config
    }

    fn read_bar(&mut self, _bar: usize, at: Access) -> Result<u64, Refused> {
        if at.offset < SIZE { self.controller.read(at) } else { Err(Refused) }
    }

    fn write_bar(&mut self, _bar: usize, at: Access, value: u64) -> Result<(), Refused> {
        if at.offset < SIZE { self.controller.write(at, value) } else { Err(Refused) }
    }

    fn reset(&mut self) {
        self.controller.reset();
    }

    fn doorbells(&mut self) -> Vec<Doorbell> {
        let doorbell = |(offset, event): (u64, &vmm_sys_util::eventfd::EventFd)| {
            Some(Doorbell { bar: BAR, offset, event: event.try_clone().ok()? })
        };
        self.controller.doorbells().filter_map(doorbell).collect()
    }

    /// Without shadows, what is written to a doorbell is a value.
    fn doorbells_are_quiet(&self) -> bool {
        self.controller.has_shadows()
    }
}
