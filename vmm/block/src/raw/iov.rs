//! Vectored I/O straight between a file and guest memory: the only unsafe code of this crate.
//!
//! Safe wrappers (`std`, `rustix`) take `&mut [u8]`. Of guest memory no reference may exist, because the guest writes it at
//! any time; so the system calls are made with raw pointers.
#![expect(unsafe_code, reason = "guest memory can be given to the kernel by pointer only")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use vm_memory::VolatileSlice;

/// Most slices the kernel takes in one call (`IOV_MAX`, `UIO_MAXIOV` in Linux).
pub(super) const MAX_SLICES: usize = 1024;

/// Fills a beginning of `to` from byte `offset` of `file`; returns how many bytes, 0 at the end of the file.
pub(super) fn read(file: &File, offset: u64, to: &[VolatileSlice<'_>]) -> io::Result<usize> {
    let guards: Vec<_> = batch(to).map(VolatileSlice::ptr_guard_mut).collect();
    let vectors: Vec<_> = guards.iter().map(|guard| vector(guard.as_ptr(), guard.len())).collect();
    // SAFETY: `vectors` has as many entries as the kernel is told (at most MAX_SLICES, so the cast is exact). Each spans one
    // slice, mapped and writable while its guard in `guards` lives, and no Rust reference to that memory exists.
    let moved = unsafe {
        libc::preadv(file.as_raw_fd(), vectors.as_ptr(), vectors.len() as i32, file_offset(offset)?)
    };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// Writes a beginning of `from` to byte `offset` of `file`; returns how many bytes.
pub(super) fn write(file: &File, offset: u64, from: &[VolatileSlice<'_>]) -> io::Result<usize> {
    let guards: Vec<_> = batch(from).map(VolatileSlice::ptr_guard).collect();
    let vectors: Vec<_> = guards.iter().map(|guard| vector(guard.as_ptr().cast_mut(), guard.len())).collect();
    // SAFETY: as in `read`; the kernel only reads through the pointers, so that mapped is enough.
    let moved = unsafe {
        libc::pwritev(file.as_raw_fd(), vectors.as_ptr(), vectors.len() as i32, file_offset(offset)?)
    };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// What one call moves: empty slices would make an end of file of it.
fn batch<'a, 'm>(slices: &'a [VolatileSlice<'m>]) -> impl Iterator<Item = &'a VolatileSlice<'m>> {
    slices.iter().filter(|slice| !slice.is_empty()).take(MAX_SLICES)
}

fn vector(base: *mut u8, len: usize) -> libc::iovec {
    libc::iovec { iov_base: base.cast(), iov_len: len }
}

fn file_offset(offset: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}
