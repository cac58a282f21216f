//! Opening an image: every way in which that goes wrong has its own sentence.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, FlockOperation, Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use crate::{Access, Geometry, SECTOR};

/// What the image will be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// The guest reads and writes it.
    ReadWrite,
    /// The guest reads it.
    ReadOnly,
}

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
    /// Somebody else uses it.
    #[error("disk image {0} is in use by another process; stop that one, or work on a copy")]
    Locked(PathBuf),
    /// Anything else the host said.
    #[error("open disk image {path}")]
    Host {
        /// The image.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
}

/// Opens, locks and measures the image.
pub(super) fn open(path: &Path, mode: OpenMode) -> Result<(File, Geometry), OpenError> {
    let file = open_file(path, mode)?;
    let block_size = check_kind(path, &file)?;
    lock(path, &file, mode)?;
    let sectors = measure(path, &file)?;
    let access = match mode {
        OpenMode::ReadWrite => Access::ReadWrite,
        OpenMode::ReadOnly => Access::ReadOnly,
    };
    Ok((file, Geometry { sectors, block_size, access }))
}

fn open_file(path: &Path, mode: OpenMode) -> Result<File, OpenError> {
    let access = match mode {
        OpenMode::ReadWrite => OFlags::RDWR,
        OpenMode::ReadOnly => OFlags::RDONLY,
    };
    // NONBLOCK: a FIFO must be refused below, not waited for here. Files and block devices do not mind.
    let flags = access | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => Ok(file.into()),
        Err(Errno::NOENT | Errno::NOTDIR) => Err(OpenError::Missing(path.into())),
        Err(Errno::ISDIR) => Err(OpenError::Directory(path.into())),
        Err(Errno::NXIO) => Err(OpenError::Kind(path.into())), // a socket
        Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Err(forbidden(path, mode)),
        Err(errno) => Err(host(path)(errno)),
    }
}

fn forbidden(path: &Path, mode: OpenMode) -> OpenError {
    match mode {
        OpenMode::ReadWrite => OpenError::Unwritable(path.into()),
        OpenMode::ReadOnly => OpenError::Unreadable(path.into()),
    }
}

/// Checks that the file can be a disk; returns the block size it prefers.
fn check_kind(path: &Path, file: &File) -> Result<u32, OpenError> {
    let stat = rustix::fs::fstat(file).map_err(host(path))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile | FileType::BlockDevice => Ok(preferred_block(stat.st_blksize)),
        FileType::Directory => Err(OpenError::Directory(path.into())),
        _ => Err(OpenError::Kind(path.into())),
    }
}

/// The block size worth telling a guest: file systems report from 512 bytes up to megabytes (network, compression), of which
/// the latter are no unit of allocation.
pub(super) fn preferred_block(reported: impl TryInto<u32>) -> u32 {
    let reported = reported.try_into().unwrap_or(0);
    if reported.is_power_of_two() { reported.clamp(512, 4096) } else { 512 }
}

/// Takes the lock: exclusive to write, shared to read.
fn lock(path: &Path, file: &File, mode: OpenMode) -> Result<(), OpenError> {
    let operation = match mode {
        OpenMode::ReadWrite => FlockOperation::NonBlockingLockExclusive,
        OpenMode::ReadOnly => FlockOperation::NonBlockingLockShared,
    };
    match rustix::fs::flock(file, operation) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(OpenError::Locked(path.into())),
        // A file system without locks cannot protect the image, but it can hold one.
        Err(Errno::NOSYS | Errno::NOLCK | Errno::OPNOTSUPP) => Ok(()),
        Err(errno) => Err(host(path)(errno)),
    }
}

/// The size in sectors. Block devices report none in their metadata, hence the seek.
fn measure(path: &Path, file: &File) -> Result<u64, OpenError> {
    let len = rustix::fs::seek(file, SeekFrom::End(0)).map_err(host(path))?;
    match len {
        0 => Err(OpenError::Empty(path.into())),
        len if len.is_multiple_of(SECTOR) => Ok(len / SECTOR),
        len => Err(OpenError::Unaligned { path: path.into(), len }),
    }
}

fn host(path: &Path) -> impl FnOnce(Errno) -> OpenError {
    move |errno| OpenError::Host { path: path.into(), source: errno.into() }
}
