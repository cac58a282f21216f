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
use crate::net::{Net, Options};
use crate::{Broken, Features, Outside, OutsideQueue, Requests, VirtioDevice};

/// Where the kernel's help comes from, and the module that has it.
const DEVICE: (&str, &str) = ("/dev/vhost-net", "vhost_net");
/// The first queue that is no packets'.
const CONTROL: u16 = 2;

/// A network interface whose packets pass by this process.
pub struct VhostNet {
    // Fixed.
    offered: Features,
    /// What of it is the kernel's to know.
    kernels: Features,
    // Glue.
    net: Net,
    tap: File,
    kernel: Kernel<Memory>,
    memory: Memory,
    plug: Plug,
    // Volatile.
    serving: Vec<u16>,
    /// The kernel has the tap interface.
    connected: bool,
}

impl VhostNet {
    /// An interface on `tap`.
    ///
    /// # Errors
    /// [`VhostError`]: the kernel has no such help, or does not give it to this user. `tap` comes back.
    pub fn new(tap: Tap, options: Options) -> Result<Self, (Tap, VhostError)> {
        match open(&tap) {
            Ok((file, plug, kernel, memory, kernels)) => {
                let net = Net::new(Box::new(Wire { tap, plug: plug.clone() }), options);
                let offered = net.features().union(kernels.intersection(Features::RING));
                let (serving, connected) = (Vec::new(), false);
                Ok(Self { offered, kernels, net, tap: file, kernel, memory, plug, serving, connected })
            }
            Err(error) => Err((tap, error)),
        }
    }

    /// Its plug.
    #[must_use]
    pub fn plug(&self) -> Plug {
        self.plug.clone()
    }

    /// Gives the kernel the tap interface for all queues that it serves, or takes it away.
    fn connect(&mut self, connected: bool) -> io::Result<()> {
        self.connected = connected;
        let tap = connected.then_some(&self.tap);
        let mut queues = self.serving.iter();
        queues.try_for_each(|&queue| self.kernel.set_backend(queue.into(), tap)).map_err(io::Error::other)
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

fn open(tap: &Tap) -> Result<(File, Plug, Kernel<Memory>, Memory, Features), VhostError> {
    let (device, module) = DEVICE;
    let file = tap.share().map_err(VhostError::Share)?;
    let plug = Plug::new().map_err(VhostError::Share)?;
    let memory = no_memory();
    let kernel = Kernel::new(memory.clone()).map_err(|error| VhostError::Open(device, module, error))?;
    let refused = |error| VhostError::Refused(device, error);
    kernel.set_owner().map_err(refused)?;
    let kernels = Features::from_bits(kernel.get_features().map_err(refused)?);
    Ok((file, plug, kernel, memory, kernels))
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
        queue < CONTROL
    }

    fn start(
        &mut self,
        memory: &GuestMemoryMmap,
        features: Features,
        queues: &[OutsideQueue<'_>],
    ) -> io::Result<()> {
        self.serving = queues.iter().map(|queue| queue.index).collect();
        let features = features.intersection(self.kernels);
        set_up(&self.kernel, &self.memory, memory, features, queues).map_err(io::Error::other)?;
        self.connect(!self.plug.is_out())
    }

    fn stop(&mut self) -> io::Result<()> {
        let stopped = self.connect(false);
        self.serving.clear();
        stopped
    }

    /// The plug was moved.
    fn check(&mut self) -> io::Result<()> {
        let wanted = !self.plug.is_out();
        if wanted == self.connected { Ok(()) } else { self.connect(wanted) }
    }
}
