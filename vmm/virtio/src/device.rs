//! What a device is to its transport and its worker.

use crate::{Chain, Features};

/// A virtio device: an identity, some configuration, and an answer to each chain of buffers.
///
/// A new device needs the three methods without a default. All calls come from one thread at a time: the transport's while
/// the machine is built, the device's own worker from then on, where [`handle`](Self::handle) may block.
pub trait VirtioDevice: Send {
    /// The device's type: virtio 1.2, 5.
    fn id(&self) -> u32;

    /// How many queues it has, at least 1.
    fn queues(&self) -> u16;

    /// Serves one request from queue `queue` and returns how many bytes, from the start of the chain's writable part, it wrote.
    ///
    /// # Errors
    /// [`Broken`] if the chain cannot be a request at all, so that the device needs a reset. Everything a request can report
    /// in itself, such as a failed transfer, is not an error here.
    fn handle(&mut self, queue: u16, chain: Chain<'_>) -> Result<u32, Broken>;

    /// The features of this type of device that it offers; those of rings and transports are added.
    fn features(&self) -> Features {
        Features::NONE
    }

    /// The configuration space as the driver would read it now.
    fn config(&self) -> &[u8] {
        &[]
    }

    /// The driver writes `data` at byte `offset` of the configuration space.
    fn write_config(&mut self, _offset: usize, _data: &[u8]) {}

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
}
