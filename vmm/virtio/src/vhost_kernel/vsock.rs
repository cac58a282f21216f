//! vhost-vsock: streams between the guest and `AF_VSOCK` sockets of the host's. virtio 1.2, 5.10.

use std::io;

use ::vhost::vhost_kern::vsock::Vsock as Kernel;
use ::vhost::vsock::VhostVsock as _;
use ::vhost::{Error, VhostBackend as _};
use rustix::io::Errno;
use virtio_bindings::virtio_ids::VIRTIO_ID_VSOCK;
use vm_memory::GuestMemoryMmap;

use super::{Memory, VhostError, no_memory, set_up};
use crate::{Broken, Features, Outside, OutsideQueue, Requests, VirtioDevice};

/// Where the kernel's help comes from, and the module that has it.
const DEVICE: (&str, &str) = ("/dev/vhost-vsock", "vhost_vsock");
/// The queue of events, of which there are none.
const EVENTS: u16 = 2;

/// A socket device whose streams pass by this process.
pub struct VhostVsock {
    // Fixed.
    cid: [u8; 8],
    offered: Features,
    // Glue.
    kernel: Kernel<Memory>,
    memory: Memory,
}

impl VhostVsock {
    /// A device for the guest of address `cid`, from 3 on, by which programs of the host reach it.
    ///
    /// # Errors
    /// [`VhostError`]: the kernel has no such help, does not give it to this user, or has given the address to another guest.
    pub fn new(cid: u32) -> Result<Self, VhostError> {
        let (device, module) = DEVICE;
        let memory = no_memory();
        let kernel = Kernel::new(memory.clone()).map_err(|error| VhostError::Open(device, module, error))?;
        let refused = |error| match error {
            Error::IoctlError(error) if Errno::from_io_error(&error) == Some(Errno::ADDRINUSE) => {
                VhostError::Taken(cid)
            }
            error => VhostError::Refused(device, error),
        };
        kernel.set_owner().map_err(refused)?;
        kernel.set_guest_cid(cid.into()).map_err(refused)?;
        let offered = Features::from_bits(kernel.get_features().map_err(refused)?);
        let offered = offered.intersection(Features::RING);
        Ok(Self { cid: u64::from(cid).to_le_bytes(), offered, kernel, memory })
    }
}

impl VirtioDevice for VhostVsock {
    fn id(&self) -> u32 {
        VIRTIO_ID_VSOCK
    }

    fn queues(&self) -> u16 {
        3
    }

    fn features(&self) -> Features {
        self.offered
    }

    fn config(&self) -> &[u8] {
        &self.cid
    }

    fn serve(&mut self, _queue: u16, _requests: &mut Requests<'_>) -> Result<(), Broken> {
        Ok(()) // nothing ever happens
    }

    fn outside(&mut self) -> Option<&mut dyn Outside> {
        Some(self)
    }
}

impl Outside for VhostVsock {
    fn takes(&self, queue: u16) -> bool {
        queue < EVENTS
    }

    fn start(
        &mut self,
        memory: &GuestMemoryMmap,
        features: Features,
        queues: &[OutsideQueue<'_>],
    ) -> io::Result<()> {
        let set_up = set_up(&self.kernel, &self.memory, memory, features, queues);
        set_up.and_then(|()| self.kernel.start()).map_err(io::Error::other)
    }

    fn stop(&mut self) -> io::Result<()> {
        self.kernel.stop().map_err(io::Error::other)
    }
}
