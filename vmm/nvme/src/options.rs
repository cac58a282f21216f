//! What a machine chooses about a controller.

use block::EngineKind;
use pcie::Messages;

use crate::Identity;

/// What a machine chooses about a controller.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the guest can tell it by.
    pub identity: Identity,
    /// Most pairs of I/O queues, [`MIN_QUEUES`] to [`MAX_QUEUES`]; each has a thread while it exists, and an interrupt
    /// vector.
    pub queues: u16,
    /// The write cache, until the driver decides about it.
    pub write_cache: WriteCache,
    /// How the function interrupts.
    pub messages: Messages,
    /// What does several things at a time for an I/O queue.
    pub engine: EngineKind,
}

impl Options {
    /// I/O queue pairs.
    pub(crate) fn pairs(&self) -> u16 {
        self.queues.clamp(MIN_QUEUES, MAX_QUEUES)
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

/// Fewest pairs of I/O queues: edk2 makes two without asking how many there may be.
pub const MIN_QUEUES: u16 = 2;

/// Most pairs of I/O queues.
pub const MAX_QUEUES: u16 = crate::spec::registers::IO_QUEUES;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_pairs_are_two_at_least_and_64_at_most() {
        let pairs = |queues| {
            let identity = Identity::new(None, 0);
            let (write_cache, messages) = (WriteCache::On, Messages::Either);
            Options { identity, queues, write_cache, messages, engine: EngineKind::Threads }.pairs()
        };
        assert_eq!([0, 1, 2, 64, 65].map(pairs), [2, 2, 2, 64, 64]);
    }
}
