//! vhost: queues that the host's kernel serves, so that neither packets nor streams pass through this process.
//!
//! What is not data stays here: configuration space, and the control queue of a network interface.
//!
//! Interface: Linux, `include/uapi/linux/vhost.h`, by the crate `vhost`.

mod net;
mod vsock;

use std::io;

use ::vhost::{VhostBackend, VhostUserMemoryRegionInfo};
use vm_memory::{
    GuestMemoryAtomic, GuestMemoryBackend as _, GuestMemoryMmap, GuestMemoryRegion as _, GuestRegionMmap,
};

use crate::{Features, OutsideQueue, vhost_rings};

pub use net::VhostNet;
pub use vsock::VhostVsock;

/// Why the kernel does not help.
#[derive(Debug, thiserror::Error)]
pub enum VhostError {
    /// Its device cannot be opened.
    #[error("open {0}; is the module {1} loaded, and may this user open it?")]
    Open(&'static str, &'static str, #[source] ::vhost::Error),
    /// It refuses.
    #[error("set up {0}")]
    Refused(&'static str, #[source] ::vhost::Error),
    /// The host has no more descriptors.
    #[error("share the tap interface")]
    Share(#[source] io::Error),
    /// Another guest has the address.
    #[error("another guest has cid={0}, choose another number")]
    Taken(u32),
}

/// Guest memory, known when the first driver comes.
type Memory = GuestMemoryAtomic<GuestMemoryMmap>;

fn no_memory() -> Memory {
    Memory::new(GuestMemoryMmap::new())
}

/// Tells `kernel` everything about `queues` but to begin.
fn set_up(
    kernel: &impl VhostBackend,
    known: &Memory,
    memory: &GuestMemoryMmap,
    features: Features,
    queues: &[OutsideQueue<'_>],
) -> Result<(), ::vhost::Error> {
    if let Ok(guard) = known.lock() {
        guard.replace(memory.clone());
    }
    let regions: Vec<_> = memory.iter().map(region).collect();
    vhost_rings::set_up(kernel, features, &regions, queues)
}

/// Where in this process a piece of guest memory is.
fn region(region: &GuestRegionMmap) -> VhostUserMemoryRegionInfo {
    VhostUserMemoryRegionInfo {
        guest_phys_addr: region.start_addr().0,
        memory_size: region.len(),
        userspace_addr: region.as_ptr() as u64,
        mmap_offset: 0,
        mmap_handle: -1,
    }
}
