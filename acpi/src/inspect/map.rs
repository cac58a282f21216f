//! Who has which memory, ports and interrupts, as the tables tell it.

use super::aml::{Namespace, Value};
use super::layout::Part;
use super::resources::{Resource, ResourceError, Trigger, WindowKind, resources};

/// Every I/O APIC of this machine has 24 inputs; the MADT does not say.
const PINS: u32 = 24;

/// How a range is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A device's registers.
    Registers,
    /// A bridge hands it out.
    Window,
    /// Claimed so that nobody else takes it, as PCI configuration space is.
    Reserved,
}

/// A range with its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first address.
    pub first: u64,
    /// The last address.
    pub last: u64,
    /// The device, or the table and the structure in it.
    pub owner: String,
    /// How the owner uses it.
    pub purpose: Use,
}

impl Region {
    /// Whether both have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// An interrupt input with its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupt {
    /// The input.
    pub gsi: u32,
    /// The device.
    pub owner: String,
    /// How it is signalled.
    pub trigger: Trigger,
    /// Whether others may have it too.
    pub shared: bool,
}

/// Everything that devices and interrupt controllers claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceMap {
    /// Memory by address.
    pub memory: Vec<Region>,
    /// Ports by number.
    pub ports: Vec<Region>,
    /// Interrupts by GSI.
    pub interrupts: Vec<Interrupt>,
    /// I/O APICs: id, first and last GSI.
    pub ioapics: Vec<(u64, u32, u32)>,
}

impl ResourceMap {
    /// Collects what the devices of `namespace` and the structures of the MADT, `madt`, claim. Descriptors that cannot be
    /// read come back with their device.
    pub fn collect(namespace: &Namespace, madt: &[Part]) -> (Self, Vec<(String, ResourceError)>) {
        let mut map = Self::default();
        let mut errors = Vec::new();
        for device in namespace.devices() {
            let Some(Value::Buffer(template)) = namespace.value(device, "_CRS") else { continue };
            match resources(template) {
                Ok(found) => found.iter().for_each(|resource| map.claim(device, *resource, namespace)),
                Err(error) => errors.push((device.to_owned(), error)),
            }
        }
        madt.iter().for_each(|part| map.controller(part));
        map.memory.sort_by_key(|region| region.first);
        map.ports.sort_by_key(|region| region.first);
        map.interrupts.sort_by_key(|interrupt| interrupt.gsi);
        (map, errors)
    }

    /// The I/O APIC that has the input of `gsi`.
    pub fn ioapic(&self, gsi: u32) -> Option<u64> {
        let found = self.ioapics.iter().find(|(_, first, last)| (*first..=*last).contains(&gsi));
        found.map(|(id, ..)| *id)
    }

    fn claim(&mut self, device: &str, resource: Resource, namespace: &Namespace) {
        let owner = device.to_owned();
        let id = namespace.value(device, "_HID").and_then(Value::hardware_id);
        let reserves = id.as_deref() == Some(MOTHERBOARD);
        let purpose = |otherwise| if reserves { Use::Reserved } else { otherwise };
        match resource {
            Resource::Memory { first, last } => {
                self.memory.push(Region { first, last, owner, purpose: purpose(Use::Registers) });
            }
            Resource::Ports { first, last } => {
                let (first, last) = (first.into(), last.into());
                self.ports.push(Region { first, last, owner, purpose: purpose(Use::Registers) });
            }
            Resource::Window { kind, first, last } => {
                let region = Region { first, last, owner, purpose: purpose(Use::Window) };
                match kind {
                    WindowKind::Memory => self.memory.push(region),
                    WindowKind::Ports => self.ports.push(region),
                    WindowKind::Buses => {}
                }
            }
            Resource::Interrupt { gsi, trigger, shared } => {
                self.interrupts.push(Interrupt { gsi, owner, trigger, shared });
            }
        }
    }

    /// The registers of the interrupt controllers.
    fn controller(&mut self, part: &Part) {
        let mut registers = |first, owner| {
            self.memory.push(Region { first, last: first + 0xfff, owner, purpose: Use::Registers });
        };
        if let Some(address) = part.number("local APIC address") {
            registers(address, "MADT local APICs".into());
        }
        if let (Some(id), Some(address), Some(base)) =
            (part.number("I/O APIC id"), part.number("address"), part.number("GSI base"))
        {
            registers(address, format!("MADT I/O APIC {id}"));
            let first = base as u32;
            self.ioapics.push((id, first, first.saturating_add(PINS - 1)));
        }
    }
}

/// The id of devices that only reserve resources.
pub(super) const MOTHERBOARD: &str = "PNP0C02";
