//! Queues that somebody else serves: another process, or the host's kernel.

use std::io;

use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::EventFd;

use crate::Features;

/// Who serves a device's queues instead of its worker. The worker gives it the rings and the events that belong to them; what
/// the guest and it do with these, nobody here sees.
///
/// Calls come from the worker's thread, and the guest's driver waits for each.
pub trait Outside: Send {
    /// Whether it serves queue `queue`, always or never. Others are served as if there were no outside.
    fn takes(&self, _queue: u16) -> bool {
        true
    }

    /// Serves `queues`, those that it [takes](Self::takes) and that the driver uses, in memory `memory`, for a driver that accepted `features`. Nothing is being served before.
    ///
    /// # Errors
    /// It is gone, or refuses. The device then needs a reset.
    fn start(
        &mut self,
        memory: &GuestMemoryMmap,
        features: Features,
        queues: &[OutsideQueue<'_>],
    ) -> io::Result<()>;

    /// Takes back what [`start`](Self::start) gave; afterwards nothing is in flight.
    ///
    /// # Errors
    /// It is gone.
    fn stop(&mut self) -> io::Result<()>;

    /// Whether it is still there, asked after each [host event](crate::VirtioDevice::host_event).
    ///
    /// # Errors
    /// It is gone.
    fn check(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A queue to be served outside. Its rings are possible and in memory.
#[derive(Clone, Copy, Debug)]
pub struct OutsideQueue<'a> {
    /// Which one.
    pub index: u16,
    /// Entries.
    pub size: u16,
    /// Guest physical address of the descriptor table.
    pub descriptors: u64,
    /// Guest physical address of the driver area, or available ring.
    pub driver: u64,
    /// Guest physical address of the device area, or used ring.
    pub device: u64,
    /// What the guest kicks.
    pub kick: &'a EventFd,
    /// What interrupts the guest.
    pub call: &'a EventFd,
}
