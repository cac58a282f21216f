//! What a device is to its transport and its worker.

use std::io;
use std::os::fd::BorrowedFd;

use crate::{Features, Outside, Requests};

/// A virtio device: an identity, some configuration, and an answer to each chain of buffers.
///
/// A new device needs the three methods without a default. All calls come from one thread at a time: the transport's while
/// the machine is built, the device's own worker from then on, where [`serve`](Self::serve) may block.
pub trait VirtioDevice: Send {
    /// The device's type: virtio 1.2, 5.
    fn id(&self) -> u32;

    /// How many queues it has, at least 1.
    fn queues(&self) -> u16;

    /// Serves the requests of queue `queue`, which was kicked, or may have got something to do from the host's side. What it
    /// leaves behind is served after the next [host event](Self::host_event) or kick.
    ///
    /// # Errors
    /// [`Broken`] if a chain cannot be a request at all, so that the device needs a reset. Everything a request can report
    /// in itself, such as a failed transfer, is not an error here.
    fn serve(&mut self, queue: u16, requests: &mut Requests<'_>) -> Result<(), Broken>;

    /// The features of this type of device that it offers; those of rings and transports are added.
    fn features(&self) -> Features {
        Features::NONE
    }

    /// The configuration space as the driver would read it now. If a [host event](Self::host_event) changes it, the driver
    /// is told.
    fn config(&self) -> &[u8] {
        &[]
    }

    /// The driver writes `data` at byte `offset` of the configuration space.
    fn write_config(&mut self, _offset: usize, _data: &[u8]) {}

    /// What becomes readable or writable when the host's side has something for the device: an event, a socket, or an epoll of
    /// several.
    /// It is watched for edges, so the device takes all that there is each time.
    fn host_events(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// The host's side has something. All queues are served after this.
    fn host_event(&mut self) {}

    /// Who serves queues instead of [`serve`](Self::serve), if somebody does, and always the same. What the device
    /// [offers](Self::features) must then be complete, what belongs to rings and transports too.
    fn outside(&mut self) -> Option<&mut dyn Outside> {
        None
    }

    /// Starts over, for a driver that accepted `features`: called after each negotiation, and with none after each reset.
    fn begin(&mut self, _features: Features) {}
}

/// The driver broke the rules of a queue: the device stops until it is reset. virtio 1.2, 2.1.2.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The rings are not in guest memory, not aligned, or of an impossible size.
    #[error("queue {0} has impossible rings")]
    Rings(u16),
    /// The available ring claims more entries than it has, or names a descriptor that is none.
    #[error("ring access")]
    Ring(#[from] virtio_queue::Error),
    /// A chain loops, leaves its table, or never ends.
    #[error("descriptor chain without end")]
    Endless,
    /// A buffer is not in guest memory.
    #[error("buffer outside memory")]
    Buffer(#[from] vm_memory::GuestMemoryError),
    /// A buffer to read stands behind one to write.
    #[error("readable buffer behind a writable one")]
    Order,
    /// The buffers are too small for what every request of the device has.
    #[error("buffers too small for a request")]
    Short,
    /// Whoever serves the queues is gone, or refuses. This is not the driver's doing.
    #[error("its queues are served no longer")]
    Outside(#[source] io::Error),
}
