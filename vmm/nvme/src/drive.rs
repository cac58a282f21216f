//! What stays while the controller is reset.

use std::io;
use std::sync::Arc;

use block::{Backend, Engine, Geometry};
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EventFd};

use crate::health::Health;
use crate::interrupt::Interrupts;
use crate::options::Options;

/// The fixed parts of a controller, shared by its registers and its threads.
pub(crate) struct Drive {
    pub(crate) memory: GuestMemoryMmap,
    pub(crate) backend: Arc<dyn Backend>,
    /// What those of the I/O queues are made from.
    pub(crate) engine: Engine,
    pub(crate) options: Options,
    pub(crate) interrupts: Arc<dyn Interrupts>,
    /// What wakes the worker of each submission queue, used or not.
    kicks: Vec<EventFd>,
    /// What a drive remembers across resets.
    pub(crate) health: Health,
}

impl Drive {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        options: Options,
        memory: GuestMemoryMmap,
        interrupts: Arc<dyn Interrupts>,
    ) -> io::Result<Self> {
        let kicks = (0..options.vectors()).map(|_| EventFd::new(EFD_CLOEXEC)).collect::<Result<_, _>>()?;
        let engine = Engine::new(Arc::clone(&backend), options.engine);
        Ok(Self { memory, backend, engine, options, interrupts, kicks, health: Health::default() })
    }

    /// The disk's shape as it is now.
    pub(crate) fn geometry(&self) -> Geometry {
        self.backend.geometry()
    }

    /// Interrupt vectors, and pairs of queues, the admin pair included.
    pub(crate) fn vectors(&self) -> u16 {
        self.options.vectors()
    }

    /// The event that wakes the worker of submission queue `queue`.
    pub(crate) fn kick_event(&self, queue: u16) -> Option<&EventFd> {
        self.kicks.get(usize::from(queue))
    }

    /// Wakes the worker of submission queue `queue`, if it has one.
    pub(crate) fn kick(&self, queue: u16) {
        // Fails only when the counter is full of unread kicks; one more makes no difference.
        let _ = self.kick_event(queue).map(|kick| kick.write(1));
    }

    /// Sleeps until submission queue `queue` is kicked.
    pub(crate) fn wait(&self, queue: u16) {
        // Fails only when a signal interrupts it, which the caller takes for a kick.
        let _ = self.kick_event(queue).map(EventFd::read);
    }
}
