//! vhost-net: a network interface on a tap interface, whose packets the kernel moves.

use std::fs::File;
use std::io;

use ::net::Tap;
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
    // Volatile.
    serving: Vec<u16>,
}

impl VhostNet {
    /// An interface on `tap`.
    ///
    /// # Errors
    /// [`VhostError`]: the kernel has no such help, or does not give it to this user. `tap` comes back.
    pub fn new(tap: Tap, options: Options) -> Result<Self, (Tap, VhostError)> {
        match open(&tap) {
            Ok((file, kernel, memory, kernels)) => {
                let net = Net::new(Box::new(tap), options);
                let offered = net.features().union(kernels.intersection(Features::RING));
                Ok(Self { offered, kernels, net, tap: file, kernel, memory, serving: Vec::new() })
            }
            Err(error) => Err((tap, error)),
        }
    }
}

fn open(tap: &Tap) -> Result<(File, Kernel<Memory>, Memory, Features), VhostError> {
    let (device, module) = DEVICE;
    let file = tap.share().map_err(VhostError::Share)?;
    let memory = no_memory();
    let kernel = Kernel::new(memory.clone()).map_err(|error| VhostError::Open(device, module, error))?;
    let refused = |error| VhostError::Refused(device, error);
    kernel.set_owner().map_err(refused)?;
    let kernels = Features::from_bits(kernel.get_features().map_err(refused)?);
    Ok((file, kernel, memory, kernels))
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
        let mut queues = self.serving.iter();
        queues
            .try_for_each(|&queue| self.kernel.set_backend(queue.into(), Some(&self.tap)))
            .map_err(io::Error::other)
    }

    fn stop(&mut self) -> io::Result<()> {
        let serving = std::mem::take(&mut self.serving);
        let mut queues = serving.into_iter();
        queues.try_for_each(|queue| self.kernel.set_backend(queue.into(), None)).map_err(io::Error::other)
    }
}
