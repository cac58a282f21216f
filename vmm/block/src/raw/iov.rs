//! Vectored I/O straight between a file and guest memory.
//!
//! Safe wrappers (`std`, `rustix`) take `&mut [u8]`. Of guest memory no reference may exist, because the guest writes it at
//! any time; so the system calls are made with raw pointers.
#![expect(unsafe_code, reason = "guest memory can be given to the kernel by pointer only")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use vm_memory::VolatileSlice;
use vm_memory::volatile_memory::PtrGuardMut;

/// Most slices the kernel takes in one call (`IOV_MAX`, `UIO_MAXIOV` in Linux).
pub(crate) const MAX_SLICES: usize = 1024;

/// Slices as the kernel wants them.
pub(crate) struct Vectors {
    vectors: Vec<libc::iovec>,
    /// They keep the memory mapped.
    _guards: Vec<PtrGuardMut>,
}

impl Vectors {
    /// A beginning of `slices`, all if there are no more than [`MAX_SLICES`]. Empty ones would make an end of file of it.
    pub(crate) fn new(slices: &[VolatileSlice<'_>]) -> Self {
        let filled = slices.iter().filter(|slice| !slice.is_empty()).take(MAX_SLICES);
        let guards: Vec<_> = filled.map(VolatileSlice::ptr_guard_mut).collect();
        let vectors = guards.iter().map(|guard| vector(guard.as_ptr(), guard.len())).collect();
        Self { vectors, _guards: guards }
    }

    /// The first of [`len`](Self::len). They stay where they are when `self` moves.
    pub(crate) fn as_ptr(&self) -> *const libc::iovec {
        self.vectors.as_ptr()
    }

    /// How many there are, [`MAX_SLICES`] at most.
    pub(crate) fn len(&self) -> usize {
        self.vectors.len()
    }
}

/// Fills a beginning of `to` from byte `offset` of `file`; returns how many bytes, 0 at the end of the file.
pub(super) fn read(file: &File, offset: u64, to: &[VolatileSlice<'_>]) -> io::Result<usize> {
    let vectors = Vectors::new(to);
    // SAFETY: there are as many vectors as the kernel is told (at most MAX_SLICES, so the cast is exact). Each spans one slice,
    // mapped and writable while `vectors` lives, and no Rust reference to that memory exists.
    let moved = unsafe {
        libc::preadv(file.as_raw_fd(), vectors.as_ptr(), vectors.len() as i32, file_offset(offset)?)
    };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// Writes a beginning of `from` to byte `offset` of `file`; returns how many bytes.
pub(super) fn write(file: &File, offset: u64, from: &[VolatileSlice<'_>]) -> io::Result<usize> {
    let vectors = Vectors::new(from);
    // SAFETY: as in `read`; the kernel only reads through the pointers, so that mapped is enough.
    let moved = unsafe {
        libc::pwritev(file.as_raw_fd(), vectors.as_ptr(), vectors.len() as i32, file_offset(offset)?)
    };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

fn vector(base: *mut u8, len: usize) -> libc::iovec {
    libc::iovec { iov_base: base.cast(), iov_len: len }
}

fn file_offset(offset: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}
