//! virtio-pmem: a file of the host's as memory that lasts. virtio 1.2, 5.19.
//!
//! The guest reads and writes the memory itself, which whoever builds the machine maps; this device says where it is, and
//! makes it durable.

use std::fs::File;
use std::sync::Arc;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Broken, Chain, Requests, VirtioDevice};

/// Device type.
const ID: u32 = virtio_bindings::virtio_ids::VIRTIO_ID_PMEM;
/// The only type of request. virtio 1.2, 5.19.6.
const FLUSH: u32 = 0;
/// Answers: done, and not.
const OK: u32 = 0;
const FAILED: u32 = u32::MAX;

/// Configuration space. virtio 1.2, 5.19.4.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Config {
    /// The first address of the memory.
    start: U64,
    /// Bytes.
    size: U64,
}

/// A virtio pmem device.
pub struct Pmem {
    config: Config,
    file: Arc<File>,
    /// A failure of the host was logged; a broken disk fails for ever.
    warned: bool,
}

impl Pmem {
    /// The memory of `size` bytes at guest address `start`, whose contents are in `file`.
    #[must_use]
    pub fn new(start: u64, size: u64, file: Arc<File>) -> Self {
        Self { config: Config { start: start.into(), size: size.into() }, file, warned: false }
    }

    /// Answers one request.
    fn answer(&mut self, chain: &Chain<'_>) -> Result<u32, Broken> {
        let mut kind = U32::ZERO;
        if chain.readable.copy_to(kind.as_mut_bytes()) < size_of::<U32>() {
            return Err(Broken::Short);
        }
        let answer = if kind.get() == FLUSH && self.flush() { OK } else { FAILED };
        Ok(chain.writable.copy_from(&answer.to_le_bytes()) as u32)
    }

    /// Makes what was written to the memory durable.
    fn flush(&mut self) -> bool {
        let result = self.file.sync_data();
        if let Err(error) = &result
            && !std::mem::replace(&mut self.warned, true)
        {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, "a file of persistent memory fails; the guest sees I/O errors");
        }
        result.is_ok()
    }
}

impl VirtioDevice for Pmem {
    fn id(&self) -> u32 {
        ID
    }

    fn queues(&self) -> u16 {
        1
    }

    fn config(&self) -> &[u8] {
        self.config.as_bytes()
    }

    fn serve(&mut self, _queue: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        requests.each(|chain| self.answer(chain))
    }
}
