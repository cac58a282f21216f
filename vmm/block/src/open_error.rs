//! Why an image cannot be used: every way in which that goes wrong has its own sentence.

use std::io;
use std::path::PathBuf;

use crate::Format;

/// Why an image cannot be used. Each message is one line that names the image and the way out.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No such file.
    #[error("disk image {0} does not exist; check the path, or create the image first")]
    Missing(PathBuf),
    /// A directory.
    #[error("disk image {0} is a directory; name the image file in it")]
    Directory(PathBuf),
    /// Neither a regular file nor a block device.
    #[error("disk image {0} is neither a file nor a block device")]
    Kind(PathBuf),
    /// No bytes.
    #[error("disk image {0} is empty; give it a size (truncate -s SIZE) or name another image")]
    Empty(PathBuf),
    /// Not whole sectors.
    #[error("disk image {path} has {len} bytes, not a multiple of 512; is it complete, and a raw image?")]
    Unaligned {
        /// The image.
        path: PathBuf,
        /// Its size in bytes.
        len: u64,
    },
    /// The file's permissions forbid it.
    #[error("disk image {0} may not be read by this user; change its permissions or owner")]
    Unreadable(PathBuf),
    /// The file's permissions, or the file system's, forbid to write.
    #[error("disk image {0} may not be written by this user; change its permissions, or add readonly=on")]
    Unwritable(PathBuf),
    /// Its file system has no direct I/O.
    #[error("disk image {0} is on a file system without direct I/O; use another cache= than none")]
    Direct(PathBuf),
    /// Somebody else uses it.
    #[error("disk image {0} is in use by another process; stop that one, or work on a copy")]
    Locked(PathBuf),
    /// It is not what its format says.
    #[error("disk image {path} cannot be used as {format}")]
    Format {
        /// The image.
        path: PathBuf,
        /// What it should be.
        format: Format,
        /// What is wrong.
        source: io::Error,
    },
    /// It looks like one format and is called another.
    #[error(
        "disk image {path} begins like {found} but {but}, which a guest could have arranged; say format=raw or format={found}"
    )]
    Doubtful {
        /// The image.
        path: PathBuf,
        /// What it looks like.
        found: Format,
        /// What speaks against that.
        but: &'static str,
    },
    /// Images of this format can only be read.
    #[error(
        "disk image {path} is of format {format}, which can only be read; add readonly=on or snapshot=on"
    )]
    ReadOnlyFormat {
        /// The image.
        path: PathBuf,
        /// Its format.
        format: Format,
    },
    /// It keeps its contents elsewhere.
    #[error("disk image {0} keeps its data in another file; make one file of them with qemu-img convert")]
    DataFile(PathBuf),
    /// It stands on a file that it may not name.
    #[error(
        "disk image {path} refers to {other}, outside {dir}; if you trust the image, add backing-dir=DIR with a folder that holds it"
    )]
    Outside {
        /// The image.
        path: PathBuf,
        /// What it refers to.
        other: PathBuf,
        /// Where that would have to be.
        dir: PathBuf,
    },
    /// It stands on a file, and does not say how that is to be read.
    #[error(
        "disk image {path} does not name the format of its backing file; add it with qemu-img rebase -u -F FORMAT -b {backing} {path}"
    )]
    BackingFormat {
        /// The image.
        path: PathBuf,
        /// The file.
        backing: PathBuf,
    },
    /// It stands on itself, or on too many others.
    #[error(
        "disk image {0} is backed by itself, or by more than {MAX_BACKING} images; rebase or commit it with qemu-img"
    )]
    Backing(PathBuf),
    /// There is no place for the writes of a snapshot.
    #[error(
        "disk image {path}: make a temporary file for its snapshot in {dir}; choose another folder with TMPDIR"
    )]
    Snapshot {
        /// The image.
        path: PathBuf,
        /// Where it was tried.
        dir: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// Anything else the host said.
    #[error("open disk image {path}")]
    Host {
        /// The image.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
}

/// Most images that an image may stand on.
pub(crate) const MAX_BACKING: usize = 32;
