//! Devices of the host's, through the crate nusb: what the controller asks goes to the host's USB stack, which has taken the
//! device from its own drivers.
//!
//! Requests to endpoint 0 wait in a thread of the device's, because nusb waits for them; other transfers wake by themselves.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake};
use std::thread::Builder;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nusb::descriptors::TransferType;
use nusb::transfer::{
    Buffer, Bulk, BulkOrInterrupt, ControlIn, ControlOut, ControlType, In, Interrupt, Out, Recipient,
    TransferError,
};
use nusb::{Device, Endpoint, Interface, MaybeFuture as _};
use usb::host::{Completion, Fault, HostDevice, Load, Request, Transport};
use usb::{Direction, EndpointAddress, Setup, Speed, Waker};

use crate::config::HostUsb;

/// How long a device may take for a request. USB 2.0, 9.2.6.1.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes the device `wanted` from the host.
pub(super) fn open(wanted: HostUsb) -> anyhow::Result<HostDevice> {
    let devices = nusb::list_devices().wait();
    let mut devices = devices.with_context(|| format!("--usb host={wanted}: list the host's USB devices"))?;
    let found =
        devices.find(|device| device.vendor_id() == wanted.vendor && device.product_id() == wanted.product);
    let Some(found) = found else {
        bail!("--usb host={wanted}: the host has no such device, see lsusb");
    };
    let device = found.open().wait().with_context(|| {
        format!("--usb host={wanted}: open the device, for which its node in /dev/bus/usb must be writable")
    })?;
    let transport = NusbTransport::start(device).with_context(|| format!("--usb host={wanted}"))?;
    Ok(HostDevice::new(Box::new(transport)))
}

/// Wakes the controller when the host is done with something.
#[derive(Default)]
struct Bell(Mutex<Option<Waker>>);

impl Bell {
    fn ring(&self) {
        if let Some(waker) = lock(&self.0).as_ref() {
            waker.wake();
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

/// The interfaces that are ours, by number.
type Interfaces = Arc<Mutex<BTreeMap<u8, Interface>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The device, as the host has it.
struct NusbTransport {
    speed: Speed,
    bell: Arc<Bell>,
    interfaces: Interfaces,
    requests: Sender<(u64, Request)>,
    answers: Receiver<(u64, Completion)>,
    /// Number of the last request; what answers an earlier one is too late.
    asked: u64,
    pipes: BTreeMap<EndpointAddress, Box<dyn Pipe>>,
    /// Transfers for which there is no pipe.
    refused: BTreeMap<EndpointAddress, Fault>,
}

impl NusbTransport {
    fn start(device: Device) -> anyhow::Result<Self> {
        let speed = match device.speed() {
            Some(nusb::Speed::Low) => Speed::Low,
            Some(nusb::Speed::Full) => Speed::Full,
            Some(nusb::Speed::Super | nusb::Speed::SuperPlus) => Speed::Super,
            _ => Speed::High,
        };
        let (bell, interfaces) = (Arc::<Bell>::default(), Interfaces::default());
        claim(&device, &interfaces).context("take the device from the host's drivers")?;
        let ((requests, inbox), (outbox, answers)) = (channel(), channel());
        let (clerk_bell, clerk_interfaces) = (Arc::clone(&bell), Arc::clone(&interfaces));
        let work = move || {
            while let Ok((number, request)) = inbox.recv() {
                let answer = carry_out(&device, &clerk_interfaces, request);
                if outbox.send((number, answer)).is_err() {
                    return;
                }
                clerk_bell.ring();
            }
        };
        Builder::new().name("usb-host".into()).spawn(work).context("start the device's thread")?;
        let (pipes, refused) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { speed, bell, interfaces, requests, answers, asked: 0, pipes, refused })
    }

    /// The pipe of an endpoint, opened when it is first used.
    fn pipe(&mut self, endpoint: EndpointAddress) -> Option<&mut Box<dyn Pipe>> {
        if !self.pipes.contains_key(&endpoint) {
            let pipe =
                lock(&self.interfaces).values().find_map(|interface| open_pipe(interface, endpoint))?;
            self.pipes.insert(endpoint, pipe);
        }
        self.pipes.get_mut(&endpoint)
    }
}

impl Transport for NusbTransport {
    fn speed(&self) -> Speed {
        self.speed
    }

    fn connect(&mut self, waker: Waker) {
        *lock(&self.bell.0) = Some(waker);
    }

    fn request(&mut self, request: Request) {
        match request {
            Request::Control(..) => {}
            // The host changes them only if nobody has them open.
            Request::Configure(_) | Request::SetInterface { .. } => self.pipes.clear(),
            Request::ClearHalt(endpoint) => drop(self.pipes.remove(&endpoint)),
        }
        self.asked += 1;
        // Without its thread the request is never answered, as by a device that is not there.
        let _ = self.requests.send((self.asked, request));
    }

    fn answer(&mut self) -> Option<Completion> {
        let asked = self.asked;
        self.answers.try_iter().find(|(number, _)| *number == asked).map(|(_, answer)| answer)
    }

    fn submit(&mut self, endpoint: EndpointAddress, load: Load) {
        match self.pipe(endpoint) {
            Some(pipe) => pipe.submit(load),
            None => {
                self.refused.insert(endpoint, Fault::Stall);
                self.bell.ring();
            }
        }
    }

    fn completion(&mut self, endpoint: EndpointAddress) -> Option<Completion> {
        if let Some(fault) = self.refused.remove(&endpoint) {
            return Some(Err(fault));
        }
        let bell = Arc::clone(&self.bell);
        self.pipes.get_mut(&endpoint)?.poll(&mut Context::from_waker(&bell.into()))
    }

    fn cancel(&mut self, endpoint: EndpointAddress) {
        self.refused.remove(&endpoint);
        // What is under way is cancelled with the last handle; the next transfer opens the endpoint anew.
        self.pipes.remove(&endpoint);
        if endpoint.number() == 0 {
            self.asked += 1;
        }
    }
}

/// Takes all interfaces of the active configuration.
fn claim(device: &Device, interfaces: &Interfaces) -> Result<(), nusb::Error> {
    let numbers: Vec<u8> = match device.active_configuration() {
        Ok(configuration) => {
            configuration.interfaces().map(|interface| interface.interface_number()).collect()
        }
        Err(_) => Vec::new(), // not configured
    };
    let mut interfaces = lock(interfaces);
    interfaces.clear();
    for number in numbers {
        interfaces.insert(number, device.detach_and_claim_interface(number).wait()?);
    }
    Ok(())
}

/// Does a request, and waits for it.
fn carry_out(device: &Device, interfaces: &Interfaces, request: Request) -> Completion {
    match request {
        Request::Control(setup, bytes) => control(device, setup, &bytes),
        Request::Configure(value) => {
            let active =
                device.active_configuration().map(|active| active.configuration_value()).unwrap_or(0);
            if active != value {
                lock(interfaces).clear();
                device.set_configuration(value).wait().map_err(|error| fault_of(&error))?;
                claim(device, interfaces).map_err(|error| fault_of(&error))?;
            }
            Ok(Vec::new())
        }
        Request::SetInterface { number, setting } => {
            let interface = lock(interfaces).get(&number).cloned().ok_or(Fault::Stall)?;
            interface.set_alt_setting(setting).wait().map_err(|error| fault_of(&error))?;
            Ok(Vec::new())
        }
        Request::ClearHalt(endpoint) => {
            let pipe = lock(interfaces).values().find_map(|interface| open_pipe(interface, endpoint));
            pipe.ok_or(Fault::Stall)?.clear_halt().map_err(|error| fault_of(&error))?;
            Ok(Vec::new())
        }
    }
}

fn control(device: &Device, setup: Setup, bytes: &[u8]) -> Completion {
    let control_type = match setup.request_type >> 5 & 3 {
        0 => ControlType::Standard,
        1 => ControlType::Class,
        2 => ControlType::Vendor,
        _ => return Err(Fault::Stall),
    };
    let recipient = match setup.request_type & 0x1f {
        0 => Recipient::Device,
        1 => Recipient::Interface,
        2 => Recipient::Endpoint,
        3 => Recipient::Other,
        _ => return Err(Fault::Stall),
    };
    let Setup { request, value, index, length, .. } = setup;
    let result = match setup.direction() {
        Direction::In => {
            let request = ControlIn { control_type, recipient, request, value, index, length };
            device.control_in(request, PATIENCE).wait()
        }
        Direction::Out => {
            let request = ControlOut { control_type, recipient, request, value, index, data: bytes };
            device.control_out(request, PATIENCE).wait().map(|()| Vec::new())
        }
    };
    result.map_err(fault)
}

const fn fault(error: TransferError) -> Fault {
    match error {
        TransferError::Stall | TransferError::InvalidArgument => Fault::Stall,
        _ => Fault::Gone,
    }
}

fn fault_of(error: &nusb::Error) -> Fault {
    match error.kind() {
        nusb::ErrorKind::Disconnected => Fault::Gone,
        _ => Fault::Stall,
    }
}

/// An open endpoint with at most one transfer under way.
trait Pipe: Send {
    fn submit(&mut self, load: Load);
    fn poll(&mut self, context: &mut Context<'_>) -> Option<Completion>;
    fn clear_halt(&mut self) -> Result<(), nusb::Error>;
}

impl<Kind: BulkOrInterrupt + 'static> Pipe for Endpoint<Kind, In> {
    fn submit(&mut self, load: Load) {
        if let Load::In(len) = load {
            let packet = self.max_packet_size().max(1);
            Endpoint::submit(self, Buffer::new(len.div_ceil(packet).max(1) * packet));
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Option<Completion> {
        poll(self, context).map(|done| done.map(Buffer::into_vec))
    }

    fn clear_halt(&mut self) -> Result<(), nusb::Error> {
        Endpoint::clear_halt(self).wait()
    }
}

impl<Kind: BulkOrInterrupt + 'static> Pipe for Endpoint<Kind, Out> {
    fn submit(&mut self, load: Load) {
        if let Load::Out(bytes) = load {
            Endpoint::submit(self, bytes.into());
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Option<Completion> {
        poll(self, context).map(|done| done.map(|_| Vec::new()))
    }

    fn clear_halt(&mut self) -> Result<(), nusb::Error> {
        Endpoint::clear_halt(self).wait()
    }
}

fn poll<Kind: BulkOrInterrupt, Dir: nusb::transfer::EndpointDirection>(
    endpoint: &mut Endpoint<Kind, Dir>,
    context: &mut Context<'_>,
) -> Option<Result<Buffer, Fault>> {
    if endpoint.pending() == 0 {
        return Some(Err(Fault::Gone));
    }
    match endpoint.poll_next_complete(context) {
        Poll::Ready(done) => Some(done.into_result().map_err(fault)),
        Poll::Pending => None,
    }
}

/// Opens `endpoint` if this interface has it.
fn open_pipe(interface: &Interface, endpoint: EndpointAddress) -> Option<Box<dyn Pipe>> {
    let kind = interface.descriptor()?.endpoints().find(|known| known.address() == endpoint.byte())?;
    let address = endpoint.byte();
    Some(match (kind.transfer_type(), endpoint.direction()) {
        (TransferType::Bulk, Direction::In) => Box::new(interface.endpoint::<Bulk, In>(address).ok()?),
        (TransferType::Bulk, Direction::Out) => Box::new(interface.endpoint::<Bulk, Out>(address).ok()?),
        (TransferType::Interrupt, Direction::In) => {
            Box::new(interface.endpoint::<Interrupt, In>(address).ok()?)
        }
        (TransferType::Interrupt, Direction::Out) => {
            Box::new(interface.endpoint::<Interrupt, Out>(address).ok()?)
        }
        _ => return None,
    })
}
