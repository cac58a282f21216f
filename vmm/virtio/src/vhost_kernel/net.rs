//! vhost-net: a network interface on a tap interface, whose packets the kernel moves as long as the plug is in.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use ::net::{Backend, Offloads, Plug, Sent, Tap};
use ::vhost::VhostBackend as _;
use ::vhost::net::VhostNet as _;
use ::vhost::vhost_kern::net::Net as Kernel;
use vm_memory::GuestMemoryMmap;

use super::{Memory, VhostError, no_memory, set_up};
use crate::net::{MULTIQUEUE, Net, Options};
use crate::{Broken, Features, Outside, OutsideQueue, Requests, VirtioDevice};

/// Where the kernel's help comes from, and the module that has it.
const DEVICE: (&str, &str) = ("/dev/vhost-net", "vhost_net");
/// A network interface whose packets pass by this process.
pub struct VhostNet {
    // Fixed.
    offered: Features,
    /// What of it is the kernel's to know.
    kernels: Features,
    // Glue.
    net: Net,
    /// For each pair of queues.
    helpers: Vec<Helper>,
    plug: Plug,
    // Volatile.
    /// The kernel has the tap interface.
    connected: bool,
}

/// The kernel's help with a pair of queues.
struct Helper {
    tap: File,
    kernel: Kernel<Memory>,
    memory: Memory,
    /// Which of the two it serves.
    serving: Vec<usize>,
}

impl VhostNet {
    /// An interface on the ends `taps` of a tap interface, with a pair of queues for each.
    ///
    /// # Errors
    /// [`VhostError`]: the kernel has no such help, or does not give it to this user. `taps` come back.
    pub fn new(taps: Vec<Tap>, options: Options) -> Result<Self, (Vec<Tap>, VhostError)> {
        let opened = taps.iter().map(open).collect::<Result<Vec<_>, _>>();
        let plug = Plug::new().map_err(VhostError::Share);
        let (helpers, plug) = match opened.and_then(|helpers| Ok((helpers, plug?))) {
            Ok(opened) => opened,
            Err(error) => return Err((taps, error)),
        };
        let (helpers, features): (Vec<_>, Vec<_>) = helpers.into_iter().unzip();
        let kernels = features.into_iter().next().unwrap_or_default();
        let mut wires: Vec<_> = taps.into_iter().map(|tap| Wire { tap, plug: plug.clone() }).collect();
        let net = match (wires.pop(), wires.is_empty()) {
            (Some(wire), true) => Net::new(Box::new(wire), options),
            (last, _) => {
                let wires = wires.into_iter().chain(last).map(|wire| Box::new(wire) as _);
                Net::with_queues(wires.collect(), options)
                    .map_err(|error| (Vec::new(), VhostError::Share(error)))?
            }
        };
        let offered = net.features().union(kernels.intersection(Features::RING));
        Ok(Self { offered, kernels, net, helpers, plug, connected: false })
    }

    /// Its plug.
    #[must_use]
    pub fn plug(&self) -> Plug {
        self.plug.clone()
    }

    /// Gives the kernel the tap interface for all queues that it serves, or takes it away.
    fn connect(&mut self, connected: bool) -> io::Result<()> {
        self.connected = connected;
        self.helpers.iter().try_for_each(|helper| helper.connect(connected))
    }
}

impl Helper {
    fn connect(&self, connected: bool) -> io::Result<()> {
        let tap = connected.then_some(&self.tap);
        let mut queues = self.serving.iter();
        queues.try_for_each(|&queue| self.kernel.set_backend(queue, tap)).map_err(io::Error::other)
    }

    /// Tells the kernel of this pair's queues among `queues`.
    fn set_up(
        &mut self,
        pair: u16,
        memory: &GuestMemoryMmap,
        features: Features,
        queues: &[OutsideQueue<'_>],
    ) -> io::Result<()> {
        let queues = queues.iter().filter(|queue| queue.index / 2 == pair);
        let queues: Vec<_> = queues.map(|queue| OutsideQueue { index: queue.index % 2, ..*queue }).collect();
        self.serving = queues.iter().map(|queue| queue.index.into()).collect();
        if queues.is_empty() {
            return Ok(());
        }
        set_up(&self.kernel, &self.memory, memory, features, &queues).map_err(io::Error::other)
    }
}

/// The tap interface as the device sees it: no packets, and a plug.
struct Wire {
    tap: Tap,
    plug: Plug,
}

impl Backend for Wire {
    fn events(&self) -> Option<BorrowedFd<'_>> {
        Some(self.plug.events())
    }

    fn has_offloads(&self) -> bool {
        self.tap.has_offloads()
    }

    fn set_offloads(&mut self, offloads: Offloads) {
        self.tap.set_offloads(offloads);
    }

    fn set_used(&mut self, used: bool) {
        self.tap.set_used(used);
    }

    fn is_up(&self) -> bool {
        !self.plug.is_out()
    }

    fn receive(&mut self, _packet: &mut [u8]) -> io::Result<Option<usize>> {
        Ok(None)
    }

    fn send(&mut self, _packet: &[u8]) -> io::Result<Sent> {
        Ok(Sent::Done)
    }
}

/// The kernel's help with `tap`, and what it can do.
fn open(tap: &Tap) -> Result<(Helper, Features), VhostError> {
    let (device, module) = DEVICE;
    let tap = tap.share().map_err(VhostError::Share)?;
    let memory = no_memory();
    let kernel = Kernel::new(memory.clone()).map_err(|error| VhostError::Open(device, module, error))?;
    let refused = |error| VhostError::Refused(device, error);
    kernel.set_owner().map_err(refused)?;
    let features = Features::from_bits(kernel.get_features().map_err(refused)?);
    Ok((Helper { tap, kernel, memory, serving: Vec::new() }, features))
}

impl VirtioDevice for VhostNet {
    fn id(&self) -> u32 {
        self.net.id()
    }

    fn queues(&self) -> u16 {
        self.net.queues()
    }

    fn features(&self) -> Features {
        self.offered
    }

    fn config(&self) -> &[u8] {
        self.net.config()
    }

    fn host_events(&self) -> Option<BorrowedFd<'_>> {
        self.net.host_events()
    }

    fn host_event(&mut self) {
        self.net.host_event();
    }

    fn begin(&mut self, features: Features) {
        self.net.begin(features);
    }

    fn serve(&mut self, queue: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        self.net.serve(queue, requests)
    }

    fn outside(&mut self) -> Option<&mut dyn Outside> {
        Some(self)
    }
}

impl Outside for VhostNet {
    fn takes(&self, queue: u16) -> bool {
        queue + 1 < self.net.queues()
    }

    fn start(
        &mut self,
        memory: &GuestMemoryMmap,
        features: Features,
        queues: &[OutsideQueue<'_>],
    ) -> io::Result<()> {
        // The third queue is then the driver's for commands, and here the kernel's for packets.
        if self.helpers.len() > 1 && !features.contains(MULTIQUEUE) {
            return Err(io::Error::other(
                "a driver without VIRTIO_NET_F_MQ has no use for several queues with vhost",
            ));
        }
        let features = features.intersection(self.kernels);
        let mut helpers = self.helpers.iter_mut().zip(0..);
        helpers.try_for_each(|(helper, pair)| helper.set_up(pair, memory, features, queues))?;
        self.connect(!self.plug.is_out())
    }

    fn stop(&mut self) -> io::Result<()> {
        let stopped = self.connect(false);
        self.helpers.iter_mut().for_each(|helper| helper.serving.clear());
        stopped
    }

    /// The plug was moved.
    fn check(&mut self) -> io::Result<()> {
        let wanted = !self.plug.is_out();
        if wanted == self.connected { Ok(()) } else { self.connect(wanted) }
    }
}
