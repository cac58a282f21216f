//! Between the vCPUs and the devices: what goes by is recorded.

use std::sync::Arc;

use bus::Bus;
use chipset::debugcon;

use super::Recorder;
use super::record::{DeviceId, Reason, Source};
use crate::kvm::Exit;
use crate::machine::ExitHandler;

/// What is no device.
const ABSENT: &str = "no device";
/// Exits that no device caused.
const PROCESSOR: &str = "processor";

/// Who is where.
pub(crate) struct Places {
    ports: Vec<Place>,
    registers: Vec<Place>,
    names: Vec<String>,
    /// Where the serial port takes text.
    serial: Option<u64>,
}

struct Place {
    start: u64,
    last: u64,
    device: DeviceId,
    /// An interrupt controller that kernels use, and firmware does not.
    is_kernels: bool,
}

impl Places {
    /// The places on both buses; text for the serial port goes to the port `serial`.
    pub(crate) fn new(ports: &Bus, registers: &Bus, serial: Option<u64>) -> Self {
        let mut names = vec![ABSENT.to_owned(), PROCESSOR.to_owned()];
        let (ports, registers) = (places(ports, &mut names), places(registers, &mut names));
        Self { ports, registers, names, serial }
    }
}

/// A device with several ranges has one name.
fn places(bus: &Bus, names: &mut Vec<String>) -> Vec<Place> {
    let place = |(start, last, name): (u64, u64, &str)| {
        let known = names.iter().position(|known| known == name);
        let device = known.unwrap_or_else(|| {
            names.push(name.into());
            names.len() - 1
        });
        Place { start, last, device, is_kernels: name.starts_with("ioapic") }
    };
    bus.ranges().map(place).collect()
}

fn find(places: &[Place], address: u64) -> Option<&Place> {
    let at = places.partition_point(|place| place.start <= address).checked_sub(1)?;
    places.get(at).filter(|place| address <= place.last)
}

/// A handler of exits that tells a recorder.
pub(crate) struct Watched<H> {
    handler: Arc<H>,
    recorder: Arc<Recorder>,
    places: Places,
}

impl<H> Watched<H> {
    /// What goes to `handler` is told to `recorder`.
    pub(crate) fn new(handler: Arc<H>, recorder: Arc<Recorder>, places: Places) -> Self {
        recorder.name_devices(places.names.clone());
        Self { handler, recorder, places }
    }

    fn port(&self, reason: Reason, port: u16) {
        let device = find(&self.places.ports, port.into()).map_or(0, |place| place.device);
        self.recorder.with(|record, now| record.exit(reason, device, now));
    }

    fn register(&self, reason: Reason, address: u64) {
        let place = find(&self.places.registers, address);
        self.recorder.with(|record, now| {
            if let Some(place) = place.filter(|place| place.is_kernels) {
                let name = self.places.names.get(place.device);
                record.kernel_device(name.map_or("", String::as_str), now);
            }
            record.exit(reason, place.map_or(0, |place| place.device), now);
        });
    }

    fn processor(&self, reason: Reason) {
        const DEVICE: DeviceId = 1;
        self.recorder.with(|record, now| record.exit(reason, DEVICE, now));
    }
}

impl<H: ExitHandler> ExitHandler for Watched<H> {
    fn mmio_read(&self, address: u64, data: &mut [u8]) {
        self.register(Reason::RegisterRead, address);
        self.handler.mmio_read(address, data);
    }
    fn mmio_write(&self, address: u64, data: &[u8]) {
        self.register(Reason::RegisterWrite, address);
        self.handler.mmio_write(address, data);
    }
    fn pio_read(&self, port: u16, data: &mut [u8]) {
        self.port(Reason::PortRead, port);
        self.handler.pio_read(port, data);
    }
    fn pio_write(&self, port: u16, data: &[u8]) {
        self.port(Reason::PortWrite, port);
        let source = match u64::from(port) {
            debugcon::PORT => Some(Source::Log),
            port if self.places.serial == Some(port) => Some(Source::Serial),
            _ => None,
        };
        if let (Some(source), [byte]) = (source, data) {
            self.recorder.with(|record, now| record.text(source, *byte, now));
        }
        self.handler.pio_write(port, data);
    }
    fn end_of_interrupt(&self, vector: u8) {
        self.processor(Reason::EndOfInterrupt);
        self.handler.end_of_interrupt(vector);
    }
    fn has_external_interrupt(&self) -> bool {
        self.handler.has_external_interrupt()
    }
    fn acknowledge_external_interrupt(&self) -> u8 {
        self.handler.acknowledge_external_interrupt()
    }
    fn entering(&self) {
        self.recorder.entering();
    }
    fn interrupt_window(&self) {
        self.processor(Reason::InterruptWindow);
    }
    fn came_back(&self, exit: Exit) {
        match exit {
            // Its cause was told before.
            Exit::Handled => {}
            Exit::Woken => self.processor(Reason::Woken),
            Exit::TripleFault => self.processor(Reason::TripleFault),
            Exit::Debug(_) => self.processor(Reason::Debug),
        }
    }
}
