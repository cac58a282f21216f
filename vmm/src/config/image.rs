use std::path::PathBuf;

use block::{Aio, Format, Limits};

/// How a disk's image is opened and used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// Its format, to be found out if not said.
    pub format: Option<Format>,
    /// When a write is done, and whether the host keeps copies.
    pub cache: Cache,
    /// How several requests are carried out at a time; on SCSI and USB there is one.
    pub aio: Aio,
    /// What the guest writes is not kept.
    pub snapshot: bool,
    /// The folder that holds all files which the image refers to, if that is not its own.
    pub backing_dir: Option<PathBuf>,
    /// How fast it may be.
    pub limits: Limits,
    /// Queues of the device, from 1 to [`virtio::blk::MAX_QUEUES`]; virtio has one if it is not said, NVMe one for
    /// each vCPU, and two at least.
    pub queues: Option<u16>,
}

/// When a write is done, and whether the host keeps copies. The names are QEMU's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cache {
    /// When the host has it in its page cache; durable after a flush.
    #[default]
    WriteBack,
    /// When it is durable.
    WriteThrough,
    /// When the storage has it, past the page cache; durable after a flush.
    None,
}
