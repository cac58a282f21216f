//! Opening the host's files: kinds, locks, sizes.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, FlockOperation, Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::{Access, Geometry, OpenError, SECTOR};

/// What the image will be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// The guest reads and writes it.
    ReadWrite,
    /// The guest reads it.
    ReadOnly,
}

/// Whether the host's page cache holds what is read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cached {
    /// It does.
    #[default]
    Yes,
    /// Transfers go straight to the storage, O_DIRECT.
    No,
}

/// What an image is to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    BlockDevice,
}

/// An open image, locked for as long as it is open.
pub(crate) struct HostFile {
    pub(crate) path: PathBuf,
    pub(crate) mode: OpenMode,
    pub(crate) cached: Cached,
    pub(crate) kind: Kind,
    file: File,
    block_size: u32,
}

/// Device and inode: what makes a file the same under another name.
pub(crate) type Identity = (u64, u64);

impl HostFile {
    /// Opens and locks the image at `path`, which stays as it is.
    pub(crate) fn open(path: &Path, mode: OpenMode, cached: Cached) -> Result<Self, OpenError> {
        let file = open_file(path, mode, cached)?;
        let (kind, block_size) = check_kind(path, &file)?;
        lock(path, &file, mode)?;
        Ok(Self { path: path.into(), mode, cached, kind, file, block_size })
    }

    /// What the guest may do with it.
    pub(crate) fn access(&self) -> Access {
        match self.mode {
            OpenMode::ReadWrite => Access::ReadWrite,
            OpenMode::ReadOnly => Access::ReadOnly,
        }
    }

    /// Its shape as a raw disk.
    pub(crate) fn geometry(&self) -> Result<Geometry, OpenError> {
        let sectors = measure(&self.path, &self.file)?;
        Ok(Geometry { sectors, block_size: self.block_size, access: self.access() })
    }

    /// The block size that its file system prefers, in bytes.
    pub(crate) fn block_size(&self) -> u32 {
        self.block_size
    }

    /// Its first bytes, as many as there are, up to a sector.
    pub(crate) fn header(&self) -> Result<Vec<u8>, OpenError> {
        let mut header = Vec::new();
        // Not the file itself, which may be open for direct I/O and then reads whole blocks alone.
        let again = File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        let read = again.and_then(|file| file.take(SECTOR).read_to_end(&mut header));
        read.map_err(|source| OpenError::Host { path: self.path.clone(), source })?;
        Ok(header)
    }

    /// Which file it is.
    pub(crate) fn identity(&self) -> Result<Identity, OpenError> {
        let stat = rustix::fs::fstat(&self.file).map_err(host(&self.path))?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// The file once more; the lock goes when all of them are gone.
    pub(crate) fn share(&self) -> Result<File, OpenError> {
        let shared = self.file.try_clone();
        shared.map_err(|source| OpenError::Host { path: self.path.clone(), source })
    }

    /// The file, with the lock.
    pub(crate) fn into_file(self) -> File {
        self.file
    }
}

fn open_file(path: &Path, mode: OpenMode, cached: Cached) -> Result<File, OpenError> {
    let access = match mode {
        OpenMode::ReadWrite => OFlags::RDWR,
        OpenMode::ReadOnly => OFlags::RDONLY,
    };
    // NONBLOCK: a FIFO must be refused below, not waited for here. Files and block devices do not mind.
    let direct = if cached == Cached::No { OFlags::DIRECT } else { OFlags::empty() };
    let flags = access | direct | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => Ok(file.into()),
        Err(Errno::NOENT | Errno::NOTDIR) => Err(OpenError::Missing(path.into())),
        Err(Errno::ISDIR) => Err(OpenError::Directory(path.into())),
        Err(Errno::NXIO) => Err(OpenError::Kind(path.into())), // a socket
        Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => {
            duplicate(path, mode, direct).map(File::from).ok_or_else(|| forbidden(path, mode))
        }
        Err(Errno::INVAL) if cached == Cached::No => Err(OpenError::Direct(path.into())),
        Err(errno) => Err(host(path)(errno)),
    }
}

/// A descriptor of this process's may allow more than its file does: whoever gave it meant that.
fn duplicate(path: &Path, mode: OpenMode, direct: OFlags) -> Option<OwnedFd> {
    let number = path.to_str()?.strip_prefix("/proc/self/fd/")?.parse().ok()?;
    let this = pidfd_open(getpid(), PidfdFlags::empty()).ok()?;
    let fd = pidfd_getfd(this, number, PidfdGetfdFlags::empty()).ok()?;
    let flags = rustix::fs::fcntl_getfl(&fd).ok()?;
    let allowed = match flags & OFlags::ACCMODE {
        OFlags::RDWR => true,
        OFlags::RDONLY => mode == OpenMode::ReadOnly,
        _ => false,
    };
    if !flags.contains(direct) {
        rustix::fs::fcntl_setfl(&fd, flags | direct).ok()?;
    }
    allowed.then_some(fd)
}

fn forbidden(path: &Path, mode: OpenMode) -> OpenError {
    match mode {
        OpenMode::ReadWrite => OpenError::Unwritable(path.into()),
        OpenMode::ReadOnly => OpenError::Unreadable(path.into()),
    }
}

/// Checks that the file can be a disk; returns what it is, and the block size it prefers.
fn check_kind(path: &Path, file: &File) -> Result<(Kind, u32), OpenError> {
    let stat = rustix::fs::fstat(file).map_err(host(path))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok((Kind::File, preferred_block(stat.st_blksize))),
        FileType::BlockDevice => Ok((Kind::BlockDevice, preferred_block(stat.st_blksize))),
        FileType::Directory => Err(OpenError::Directory(path.into())),
        _ => Err(OpenError::Kind(path.into())),
    }
}

/// The block size worth telling a guest: file systems report from 512 bytes up to megabytes (network, compression), of which
/// the latter are no unit of allocation.
pub(crate) fn preferred_block(reported: impl TryInto<u32>) -> u32 {
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
