//! Disks that grow while they are open.

use std::io;

/// Why a disk keeps its size.
#[derive(Debug, thiserror::Error)]
pub enum ResizeError {
    /// Not whole sectors.
    #[error("a disk is made of sectors of 512 bytes, so its size must be a multiple of that")]
    Unaligned,
    /// Transfers may be under way to what would go.
    #[error("a disk that is in use can grow, not shrink: it has {0} bytes")]
    Shrinks(u64),
    /// A block device of the host's has the size that it has.
    #[error("the host's device has {0} bytes and no more, make that larger first")]
    Device(u64),
    /// Not a raw image that can be written.
    #[error("only a raw image that the guest may write to can be made larger")]
    Unsupported,
    /// The host could not do it.
    #[error("the host cannot make the image larger: {0}")]
    Host(#[from] io::Error),
}
