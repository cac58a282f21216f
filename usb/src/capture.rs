//! All transfers of a bus in a file that Wireshark opens: pcap with the records of Linux's usbmon.
//!
//! ```text
//!  controller ──► Tap ──► the device
//!                  └────► Capture ──► pcap file: a submission and a completion for each transfer
//! ```
//!
//! A [`Capture`] is a wrapper around devices, so that neither they nor the controller know of it. What the controller does in
//! several windows shows as several transfers; what a device had nothing for (NAK) does not show. SET_ADDRESS is the
//! controller's own and does not show either: devices are numbered in the order in which they were tapped.

mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use vm_memory::VolatileSlice;

use crate::{
    Data, Direction, EndpointAddress, Hub, Outcome, Setup, Speed, UsbDevice, Waker, descriptor, request,
};
use record::{Event, FILE_HEADER, MAX_DATA, Record, TransferType};

/// A file that transfers are recorded in.
#[derive(Clone)]
pub struct Capture(Arc<Mutex<Log>>);

struct Log {
    /// Nothing once a write failed.
    output: Option<Box<dyn Write + Send>>,
    devices: u8,
    transfers: u64,
}

impl Capture {
    /// Begins a recording.
    ///
    /// # Errors
    /// The beginning of the file cannot be written.
    pub fn begin(mut output: Box<dyn Write + Send>) -> io::Result<Self> {
        output.write_all(&FILE_HEADER)?;
        Ok(Self(Arc::new(Mutex::new(Log { output: Some(output), devices: 0, transfers: 0 }))))
    }

    /// The same device, recorded from now on.
    #[must_use]
    pub fn tap(&self, mut device: Box<dyn UsbDevice>) -> Box<dyn UsbDevice> {
        let types = transfer_types(&mut *device);
        let number = self.with(|log| {
            log.devices = log.devices.saturating_add(1);
            log.devices
        });
        Box::new(Tap { capture: self.clone(), device, number, types })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Log) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes both records of a transfer.
    fn record(&self, records: [Record<'_>; 2]) {
        self.with(|log| {
            log.transfers += 1;
            for record in records {
                log.write(&record.bytes(log.transfers));
            }
        });
    }
}

impl Log {
    /// A recording that cannot go on ends; the guest goes on.
    fn write(&mut self, bytes: &[u8]) {
        let Some(output) = &mut self.output else { return };
        if let Err(error) = output.write_all(bytes) {
            tracing::warn!(%error, "the recording of USB transfers ends here");
            self.output = None;
        }
    }
}

/// A device that is recorded.
struct Tap {
    capture: Capture,
    device: Box<dyn UsbDevice>,
    number: u8,
    /// By endpoint, as the device describes them.
    types: BTreeMap<EndpointAddress, TransferType>,
}

impl Tap {
    /// Carries `call` out and records it.
    fn recorded(
        &mut self,
        endpoint: EndpointAddress,
        setup: Option<Setup>,
        data: &mut Data<'_>,
        call: impl FnOnce(&mut dyn UsbDevice, &mut Data<'_>) -> Outcome,
    ) -> Outcome {
        let pieces = data.unmoved(usize::MAX);
        let (before, begin) = (data.moved(), SystemTime::now());
        let outcome = call(&mut *self.device, data);
        let moved = data.moved() - before;
        if outcome == Outcome::Nak && moved == 0 {
            return outcome;
        }
        let bytes = copy(&pieces, moved);
        let room: usize = pieces.iter().map(VolatileSlice::len).sum();
        let record = |event, time, len| Record {
            event,
            time,
            transfer: self.types.get(&endpoint).copied().unwrap_or(TransferType::Bulk),
            endpoint,
            device: self.number,
            setup: setup.filter(|_| event == Event::Submission),
            len,
            data: if event.carries(endpoint.direction()) { &bytes } else { &[] },
        };
        let submission = record(Event::Submission, begin, room);
        let completion = record(Event::Completion(outcome), SystemTime::now(), moved);
        self.capture.record([submission, completion]);
        outcome
    }
}

/// The first `len` bytes of `pieces`, or as many as a record takes.
fn copy(pieces: &[VolatileSlice<'_>], len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len.min(MAX_DATA)];
    let mut rest = bytes.as_mut_slice();
    for piece in pieces {
        let copied = piece.copy_to(rest);
        rest = rest.get_mut(copied..).unwrap_or_default();
    }
    bytes
}

impl UsbDevice for Tap {
    fn speed(&self) -> Speed {
        self.device.speed()
    }

    fn attach(&mut self, waker: Waker) {
        self.device.attach(waker);
    }

    fn reset(&mut self) {
        self.device.reset();
    }

    fn control(&mut self, setup: Setup, data: &mut Data<'_>) -> Outcome {
        let endpoint = EndpointAddress::new(0, setup.direction());
        self.recorded(endpoint, Some(setup), data, |device, data| device.control(setup, data))
    }

    fn transfer(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Outcome {
        self.recorded(endpoint, None, data, |device, data| device.transfer(endpoint, data))
    }

    fn cancel(&mut self, endpoint: EndpointAddress) {
        self.device.cancel(endpoint);
    }

    fn signals_wakeup(&self) -> bool {
        self.device.signals_wakeup()
    }

    fn downstream(&mut self, port: u8) -> Option<&mut dyn UsbDevice> {
        self.device.downstream(port)
    }

    fn as_hub(&mut self) -> Option<&mut Hub> {
        self.device.as_hub()
    }
}

/// Asks a device for its configuration, as a driver would, to know how its endpoints transfer.
fn transfer_types(device: &mut dyn UsbDevice) -> BTreeMap<EndpointAddress, TransferType> {
    let control = [Direction::In, Direction::Out]
        .map(|direction| (EndpointAddress::new(0, direction), TransferType::Control));
    let configuration = configuration(device);
    let mut types = BTreeMap::from(control);
    let mut rest = configuration.as_slice();
    while let [len, _, ..] = rest
        && let Some((part, later)) = rest.split_at_checked(usize::from(*len).max(2))
    {
        if let [_, descriptor::ENDPOINT, address, attributes, ..] = part {
            types.insert(EndpointAddress::from_byte(*address), TransferType::of(*attributes));
        }
        rest = later;
    }
    types
}

fn configuration(device: &mut dyn UsbDevice) -> Vec<u8> {
    const MAX: u16 = 1024;
    let value = u16::from(descriptor::CONFIGURATION) << 8;
    let setup = Setup { request_type: 0x80, request: request::GET_DESCRIPTOR, value, index: 0, length: MAX };
    let mut bytes = vec![0; MAX.into()];
    let pieces = [VolatileSlice::from(bytes.as_mut_slice())];
    let mut data = Data::new(Direction::In, &pieces);
    device.control(setup, &mut data);
    let moved = data.moved();
    bytes.truncate(moved);
    bytes
}
