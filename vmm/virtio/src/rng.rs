//! virtio-rng: entropy. virtio 1.2, 5.4.

use std::fs::File;
use std::io;

use vm_memory::{ReadVolatile, VolatileSlice};

use crate::{Broken, Requests, VirtioDevice};

/// Device type.
const ID: u32 = virtio_bindings::virtio_ids::VIRTIO_ID_RNG;

/// Most bytes a request gets; the standard asks for at least one, drivers take what they get.
const MAX_BYTES: u64 = 0x1_0000;

/// A source of random bytes: the host kernel's generator.
pub struct Rng {
    source: File,
}

impl Rng {
    /// Opens the host's generator.
    ///
    /// # Errors
    /// `/dev/urandom` cannot be opened.
    pub fn new() -> io::Result<Self> {
        Ok(Self { source: File::open("/dev/urandom")? })
    }

    /// Fills the slices; returns how many bytes, fewer than there is room for if the host fails.
    fn fill(&mut self, slices: &[VolatileSlice<'_>]) -> u64 {
        let mut filled = 0;
        for slice in slices {
            if self.source.read_exact_volatile(&mut slice.clone()).is_err() {
                break;
            }
            filled += slice.len() as u64;
        }
        filled
    }
}

impl VirtioDevice for Rng {
    fn id(&self) -> u32 {
        ID
    }

    fn queues(&self) -> u16 {
        1
    }

    fn serve(&mut self, _queue: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        requests.each(|chain| {
            let room = &mut chain.writable;
            room.split_off(room.len().min(MAX_BYTES));
            Ok(self.fill(room.slices()) as u32)
        })
    }
}
