//! Which engine a disk gets.

use std::fmt;
use std::io;
use std::str::FromStr;

use crate::{Backend, Operation, probe_io_uring};

/// What the user says of the engine of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aio {
    /// The kernel's ring, if the disk is a plain file and the kernel lets us; threads otherwise.
    #[default]
    Auto,
    /// The kernel's ring.
    IoUring,
    /// Threads.
    Threads,
}

/// The engine that a disk gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// Threads of this process; for every backend.
    #[default]
    Threads,
    /// The kernel, through a ring; for a disk that is a plain file.
    IoUring,
}

/// Why a disk cannot have the engine that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum AioError {
    /// It is no plain file.
    #[error("aio=io_uring is for raw images without snapshot=on and without limits; use aio=threads")]
    NotPlain,
    /// The kernel does not let us.
    #[error(
        "aio=io_uring: the kernel gives this process no ring ({0}); allow it with sysctl kernel.io_uring_disabled=0 and in the container's seccomp profile, or use aio=threads"
    )]
    Kernel(io::Error),
}

impl Aio {
    /// The engine for the disk in `backend`.
    ///
    /// # Errors
    /// It is to be one that this disk, or this host, cannot have.
    pub fn choose(self, backend: &dyn Backend) -> Result<EngineKind, AioError> {
        match self {
            Self::Threads => Ok(EngineKind::Threads),
            Self::Auto if is_plain(backend) && probe_io_uring().is_ok() => Ok(EngineKind::IoUring),
            Self::Auto => Ok(EngineKind::Threads),
            Self::IoUring if !is_plain(backend) => Err(AioError::NotPlain),
            Self::IoUring => probe_io_uring().map(|()| EngineKind::IoUring).map_err(AioError::Kernel),
        }
    }
}

/// Whether the kernel could read from the disk without the backend.
pub(super) fn is_plain(backend: &dyn Backend) -> bool {
    backend.file_for(&Operation::read(0, Vec::new())).is_some()
}

impl fmt::Display for Aio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::IoUring => "io_uring",
            Self::Threads => "threads",
        })
    }
}

/// No engine has this name.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("not auto, io_uring or threads")]
pub struct UnknownAio;

impl FromStr for Aio {
    type Err = UnknownAio;

    fn from_str(text: &str) -> Result<Self, UnknownAio> {
        match text {
            "auto" => Ok(Self::Auto),
            "io_uring" => Ok(Self::IoUring),
            "threads" => Ok(Self::Threads),
            _ => Err(UnknownAio),
        }
    }
}
