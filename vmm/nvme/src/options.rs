//! What a machine chooses about a controller.

use crate::Identity;

/// What a machine chooses about a controller.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the guest can tell it by.
    pub identity: Identity,
    /// Most pairs of I/O queues, 1 to [`MAX_QUEUES`]; each has a thread while it exists, and an interrupt vector.
    pub queues: u16,
    /// The write cache, until the driver decides about it.
    pub write_cache: WriteCache,
}

impl Options {
    /// I/O queue pairs, of which there is one at least.
    pub(crate) fn pairs(&self) -> u16 {
        self.queues.clamp(1, MAX_QUEUES)
    }

    /// Interrupt vectors: one for each I/O queue pair, and one for the admin queue.
    pub(crate) fn vectors(&self) -> u16 {
        self.pairs() + 1
    }
}

/// Whether writes wait for a flush to become durable. NVMe 1.4, 5.21.1.6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteCache {
    /// They do.
    #[default]
    On,
    /// Each write is durable when it completes.
    Off,
}

/// Most pairs of I/O queues.
pub const MAX_QUEUES: u16 = crate::spec::registers::IO_QUEUES;
