//! What the guest reads with `dmidecode`: who made the machine, its identity, its processors and memory, and strings for
//! its software.
//!
//! ```text
//!  Smbios (names)      ┐                      ┌─► files(): fw_cfg, firmware copies and patches them
//!  Hardware (numbers)  ├─ encode ──► Tables ──┤
//!  Uuid                ┘                      └─► entry_point(), structures(): memory of a guest without firmware
//! ```
//!
//! One module a structure type, each with its layout. Handles are the type in the upper byte and a count in the lower, so
//! references between structures need no bookkeeping.
//!
//! SeaBIOS 1.16 and edk2 know the anchors of both generations, by size: 31 bytes (2.1) and 24 bytes (3.0); this is the
//! latter. SeaBIOS holds the length of the structures in 16 bits. Both add a type 0 of their own if there is none.
//!
//! Standard: DMTF DSP0134 3.0, cited by section. Left out: types that a machine without slots, connectors and sensors has
//! nothing to say in (8, 9, 38 and others), and the 32-bit entry point, which nothing in use needs beside this one.

#![deny(clippy::indexing_slicing)]

mod bios;
mod boot_information;
mod cache;
mod chassis;
mod end_of_table;
mod entry_point;
mod mapped_address;
mod memory_array;
mod memory_device;
mod oem_strings;
mod processor;
mod structure;
mod system;
#[cfg(test)]
mod tests;
mod text;
mod uuid;

pub use bios::Bios;
pub use cache::{Cache, CacheKind};
pub use chassis::Chassis;
pub use entry_point::Tables;
pub use memory_device::MemoryDevice;
pub use processor::Processor;
pub use system::System;
pub use text::{BadText, Text};
pub use uuid::{BadUuid, Uuid};

use structure::Writer;

/// Name of the fw_cfg file with the entry point.
pub const ANCHOR_FILE: &str = "etc/smbios/smbios-anchor";
/// Name of the fw_cfg file with the structures.
pub const TABLES_FILE: &str = "etc/smbios/smbios-tables";

/// Bytes that the structures may take together: SeaBIOS counts them in 16 bits.
pub const MAX_LEN: usize = u16::MAX as usize;

/// The names in the structures: all that does not follow from the hardware.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Smbios {
    /// Type 0; without it firmware describes itself.
    pub bios: Option<Bios>,
    /// Type 1.
    pub system: System,
    /// Type 3.
    pub chassis: Chassis,
    /// Type 4, the same for each socket.
    pub processor: Processor,
    /// Type 11, in this order. An empty one is left out: the standard has no way to write it.
    pub oem_strings: Vec<Text>,
    /// Type 17, the same for each device.
    pub memory_device: MemoryDevice,
}

/// What the structures say of the hardware.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardware {
    /// Processor packages, at most 254.
    pub sockets: u8,
    /// Cores in each of them.
    pub cores: u16,
    /// Threads in each core.
    pub threads: u16,
    /// CPUID leaf 1 of a processor: EAX in the lower half, EDX in the upper. 0 if not known.
    pub processor_id: u64,
    /// The caches of each package, the first level first. Only levels 1 to 3 are described, each once.
    pub caches: Vec<Cache>,
    /// Memory by address: start and length in bytes, none empty. At most 256 ranges.
    pub memory: Vec<(u64, u64)>,
}

/// The structures do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the SMBIOS structures take {len} bytes, more than the {MAX_LEN} that firmware takes: shorten the strings"
)]
pub struct TooLong {
    /// Bytes they would take.
    pub len: usize,
}

impl Smbios {
    /// All structures for a machine of this `uuid` and `hardware`.
    ///
    /// # Errors
    /// When they take more than [`MAX_LEN`] bytes.
    pub fn encode(&self, uuid: Option<Uuid>, hardware: &Hardware) -> Result<Tables, TooLong> {
        let mut writer = Writer::default();
        if let Some(bios) = &self.bios {
            bios.append(&mut writer);
        }
        self.system.append(uuid, &mut writer);
        self.chassis.append(&mut writer);
        self.processor.append(hardware, &mut writer);
        oem_strings::append(&self.oem_strings, &mut writer);
        let size = hardware.memory.iter().map(|(_, len)| len).sum();
        let devices = memory_device::divide(size);
        memory_array::append(size, devices.len(), &mut writer);
        self.memory_device.append(&devices, &mut writer);
        mapped_address::append(&hardware.memory, &mut writer);
        boot_information::append(&mut writer);
        end_of_table::append(&mut writer);
        Tables::new(writer.finish())
    }
}
