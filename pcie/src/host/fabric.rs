//! All functions of a host bridge, and who decodes what.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bus::{Access, MsiRoutes, Refused, Width};

use super::doorbells::Bell;
use super::intx::{WiredOr, swizzle};
use super::{HostParts, PlugError, PortId, Slot};
use crate::config::{Header, PortType, spec};
use crate::root_port::{self, Forwarding};
use crate::{ConfigSpace, DoorbellSink, Effect, Function};

/// A function in its slot.
pub(super) struct Plugged {
    pub(super) slot: Slot,
    pub(super) function: Box<dyn Function>,
    bells: Vec<Bell>,
    /// The function let its doorbells be connected when it was last asked.
    quiet: bool,
}

impl Plugged {
    pub(super) fn config(&mut self) -> &mut ConfigSpace {
        self.function.config()
    }

    fn reset(&mut self) {
        self.function.reset();
        self.config().reset();
    }
}

/// Memory that a BAR decodes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    start: u64,
    last: u64,
    function: usize,
    bar: usize,
}

pub(super) struct Fabric {
    pub(super) windows: [RangeInclusive<u64>; 2],
    intx: [Arc<WiredOr>; 4],
    routes: Arc<dyn MsiRoutes>,
    next_gsi: u32,
    sink: Box<dyn DoorbellSink>,
    /// In the order in which they were plugged in. A port's id is its index.
    pub(super) functions: Vec<Plugged>,
    /// In the order of the functions; the first of two at one address counts.
    regions: Vec<Region>,
}

impl Fabric {
    pub(super) fn new(parts: HostParts) -> Self {
        let mut fabric = Self {
            windows: parts.windows,
            intx: parts.intx.map(WiredOr::new),
            routes: parts.routes,
            next_gsi: parts.first_gsi,
            sink: parts.doorbells,
            functions: Vec::new(),
            regions: Vec::new(),
        };
        // The first slot of an empty bus is free.
        let _ = fabric.plug(Slot::root(0), Box::new(root_port::host_bridge()));
        fabric
    }

    pub(super) fn next_gsi(&self) -> u32 {
        self.next_gsi
    }

    pub(super) fn add_root_port(&mut self, device: u8) -> Result<PortId, PlugError> {
        self.plug(Slot::root(device), Box::new(root_port::root_port())).map(PortId)
    }

    /// Plugs a function in; returns its index.
    pub(super) fn plug(&mut self, slot: Slot, mut function: Box<dyn Function>) -> Result<usize, PlugError> {
        self.check(slot)?;
        let index = self.functions.len();
        let config = function.config();
        self.connect_interrupts(slot, config);
        config.set_port_type(port_type(slot, config.header()));
        let bells = function.doorbells().into_iter().map(Bell::new).collect();
        let quiet = function.doorbells_are_quiet();
        self.functions.push(Plugged { slot, function, bells, quiet });
        self.mark_multifunction(slot);
        if let Some(PortId(port)) = slot.port
            && let Some(port) = self.functions.get_mut(port)
        {
            port.config().set_slot_occupied();
        }
        Ok(index)
    }

    fn check(&mut self, slot: Slot) -> Result<(), PlugError> {
        let devices = if slot.port.is_some() { 1 } else { 32 };
        let port_exists = slot.port.is_none_or(|PortId(port)| {
            self.functions.get_mut(port).is_some_and(|port| port.config().header() == Header::Bridge)
        });
        if slot.device >= devices || slot.function >= 8 || !port_exists {
            return Err(PlugError::NoSlot(slot));
        }
        match self.functions.iter().any(|other| other.slot == slot) {
            true => Err(PlugError::Taken(slot)),
            false => Ok(()),
        }
    }

    fn connect_interrupts(&mut self, slot: Slot, config: &ConfigSpace) {
        let line = config.pin().and_then(|pin| self.intx.get(usize::from(self.root_pin(slot, pin))));
        let line = line.map_or_else(bus::IrqLine::unconnected, WiredOr::input);
        config.interrupts().connect(line, Arc::clone(&self.routes), self.next_gsi);
        self.next_gsi += u32::from(config.vectors());
    }

    /// Which of the host bridge's wires a pin leads to.
    fn root_pin(&self, slot: Slot, pin: u8) -> u8 {
        let pin = swizzle(slot.device, pin);
        let port = slot.port.and_then(|PortId(port)| self.functions.get(port));
        port.map_or(pin, |port| swizzle(port.slot.device, pin))
    }

    fn mark_multifunction(&mut self, slot: Slot) {
        let same = |other: &Plugged| other.slot.port == slot.port && other.slot.device == slot.device;
        if self.functions.iter().filter(|other| same(other)).count() > 1 {
            self.functions
                .iter_mut()
                .filter(|other| same(other))
                .for_each(|f| f.config().set_multifunction());
        }
    }

    // Configuration space.

    pub(super) fn read_config(&mut self, at: Access) -> Result<u64, Refused> {
        let (index, at) = self.locate(at).ok_or(Refused)?;
        self.functions.get_mut(index).map(|f| f.function.read_config(at)).ok_or(Refused)
    }

    pub(super) fn write_config(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        let (index, at) = self.locate(at).ok_or(Refused)?;
        let effect = self.functions.get_mut(index).map(|f| f.function.write_config(at, value));
        self.follow(index, effect.unwrap_or_default());
        Ok(())
    }

    /// The function that an offset in ECAM is for, and the offset in its configuration space. PCIe 5.0, 7.2.2.
    fn locate(&mut self, at: Access) -> Option<(usize, Access)> {
        let bus = (at.offset >> 20) as u8;
        let (device, function) = ((at.offset >> 15 & 0x1f) as u8, (at.offset >> 12 & 7) as u8);
        let offset = at.offset & (spec::EXTENDED_SIZE as u64 - 1);
        let inside = offset + at.width.len() <= spec::EXTENDED_SIZE as u64;
        let candidates: Vec<_> = self
            .functions
            .iter()
            .enumerate()
            .filter(|(_, f)| inside && f.slot.device == device && f.slot.function == function)
            .map(|(index, f)| (index, f.slot.port))
            .collect();
        let index = candidates.into_iter().find(|&(_, port)| self.bus(port) == Some(bus))?.0;
        Some((index, Access { offset, width: at.width }))
    }

    /// The number of the bus behind `port`, or of the root bus.
    fn bus(&mut self, port: Option<PortId>) -> Option<u8> {
        let Some(PortId(port)) = port else { return Some(0) };
        root_port::secondary_bus(self.functions.get_mut(port)?.config())
    }

    /// Does what a write to configuration space asks for.
    fn follow(&mut self, index: usize, effect: Effect) {
        if effect.function_reset
            && let Some(plugged) = self.functions.get_mut(index)
        {
            plugged.reset();
        }
        if effect.bus_reset {
            let behind = |f: &&mut Plugged| f.slot.port == Some(PortId(index));
            self.functions.iter_mut().filter(behind).for_each(Plugged::reset);
        }
        if effect != Effect::default() {
            self.decode();
        }
    }

    /// Power-on state of everything.
    pub(super) fn reset(&mut self) {
        self.functions.iter_mut().for_each(Plugged::reset);
        self.decode();
    }

    // Memory.

    pub(super) fn read_memory(&mut self, address: u64, width: Width) -> Result<u64, Refused> {
        let (region, at) = self.resolve(address, width).ok_or(Refused)?;
        let plugged = self.functions.get_mut(region.function).ok_or(Refused)?;
        let config = plugged.function.config();
        match config.msix_access(region.bar, at) {
            Some(access) => Ok(access.read(config.interrupts())),
            None => plugged.function.read_bar(region.bar, at),
        }
    }

    pub(super) fn write_memory(&mut self, address: u64, width: Width, value: u64) -> Result<(), Refused> {
        let (region, at) = self.resolve(address, width).ok_or(Refused)?;
        let plugged = self.functions.get_mut(region.function).ok_or(Refused)?;
        let config = plugged.function.config();
        match config.msix_access(region.bar, at) {
            Some(access) => {
                access.write(config.interrupts(), value);
                Ok(())
            }
            None => {
                let done = plugged.function.write_bar(region.bar, at, value);
                if plugged.function.doorbells_are_quiet() != plugged.quiet {
                    self.move_doorbells();
                }
                done
            }
        }
    }

    fn resolve(&self, address: u64, width: Width) -> Option<(Region, Access)> {
        let last = address.checked_add(width.len() - 1)?;
        let region = *self.regions.iter().find(|region| region.start <= address && last <= region.last)?;
        Some((region, Access { offset: address - region.start, width }))
    }

    /// Finds out anew who decodes what, and takes the doorbells along.
    pub(super) fn decode(&mut self) {
        let forwarding: Vec<_> = self.functions.iter_mut().map(|f| Forwarding::of(f.config())).collect();
        self.regions.clear();
        for (function, plugged) in self.functions.iter_mut().enumerate() {
            let port = plugged.slot.port.and_then(|PortId(port)| forwarding.get(port));
            for bar in 0..plugged.config().bars().len() {
                let Some((start, last)) = plugged.config().decoded(bar) else { continue };
                let inside = self.windows.iter().any(|w| w.contains(&start) && w.contains(&last));
                if inside && port.is_none_or(|port| port.forwards(start, last)) {
                    self.regions.push(Region { start, last, function, bar });
                }
            }
        }
        self.move_doorbells();
    }

    /// First all leave their old places, because two may trade them.
    fn move_doorbells(&mut self) {
        self.functions.iter_mut().for_each(|plugged| plugged.quiet = plugged.function.doorbells_are_quiet());
        let addresses: Vec<Vec<_>> = (0..self.functions.len()).map(|f| self.doorbell_addresses(f)).collect();
        let steps: [Step; 2] = [Bell::leave, Bell::enter];
        for step in steps {
            for (plugged, addresses) in self.functions.iter_mut().zip(&addresses) {
                for (bell, address) in plugged.bells.iter_mut().zip(addresses) {
                    step(bell, *address, self.sink.as_mut());
                }
            }
        }
    }

    /// Where the doorbells of a function are: nowhere if their BAR does not decode, or another decodes in its place, or while
    /// the function wants to see their values.
    fn doorbell_addresses(&self, function: usize) -> Vec<Option<u64>> {
        let Some(plugged) = self.functions.get(function) else { return Vec::new() };
        let address = |bell: &Bell| {
            let doorbell = plugged.quiet.then_some(&bell.doorbell)?;
            let own = |region: &&Region| region.function == function && region.bar == doorbell.bar;
            let region = self.regions.iter().find(own)?;
            let address = region.start.checked_add(doorbell.offset)?;
            let (answers, _) = self.resolve(address, Width::Byte)?;
            (answers == *region).then_some(address)
        };
        plugged.bells.iter().map(address).collect()
    }
}

/// Half of a doorbell's move.
type Step = fn(&mut Bell, Option<u64>, &mut dyn DoorbellSink);

fn port_type(slot: Slot, header: Header) -> PortType {
    match (header, slot.port) {
        (Header::Bridge, _) => PortType::RootPort { number: slot.device },
        (Header::Endpoint, Some(_)) => PortType::Endpoint,
        (Header::Endpoint, None) => PortType::Integrated,
    }
}
