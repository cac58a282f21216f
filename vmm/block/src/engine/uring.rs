//! The engine for disks that are plain files: the kernel, through an io_uring.
#![expect(
    unsafe_code,
    reason = "the ring takes pointers, which the kernel uses until an operation completes"
)]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use io_uring::types::{Fd, FsyncFlags};
use io_uring::{IoUring, Probe, opcode, squeue};
use slab::Slab;

use super::{DEPTH, Work};
use crate::backend::total;
use crate::raw::iov::{MAX_SLICES, Vectors};
use crate::{Backend, Error, Operation};

/// A ring of [`DEPTH`] entries.
pub(super) struct Uring(IoUring);

/// Whether the kernel gives this process a ring that can do what is needed here.
///
/// # Errors
/// It does not: it is too old, or does not want to (`kernel.io_uring_disabled`, a seccomp filter).
pub fn probe() -> io::Result<()> {
    let ring = IoUring::new(1)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    let needed = [opcode::Readv::CODE, opcode::Writev::CODE, opcode::Fsync::CODE];
    let all = needed.into_iter().all(|code| probe.is_supported(code));
    if all { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
}

impl Uring {
    /// Makes the ring.
    ///
    /// # Errors
    /// The kernel gives none.
    pub(super) fn new() -> io::Result<Self> {
        IoUring::new(DEPTH as u32).map(Self)
    }

    /// As [`Engine::run`](super::Engine::run).
    pub(super) fn run<'m, W: Work<'m>>(&mut self, backend: &dyn Backend, work: &mut W) {
        let mut flight = Flight { ring: &mut self.0, jobs: Slab::with_capacity(DEPTH) };
        loop {
            while flight.jobs.len() < DEPTH
                && let Some((operation, token)) = work.next()
            {
                match backend.file_for(&operation).filter(|_| fits(&operation)) {
                    Some(file) => flight.start(file, operation, token),
                    None => {
                        flight.submit(); // what is in the ring goes on meanwhile
                        work.done(token, operation.carry_out(backend));
                        flight.report(backend, work);
                    }
                }
            }
            if flight.jobs.is_empty() {
                return;
            }
            work.pause();
            flight.enter(1);
            flight.report(backend, work);
        }
    }
}

/// Whether the kernel takes all of it at once.
fn fits(operation: &Operation<'_>) -> bool {
    operation.slices().len() <= MAX_SLICES
}

/// What became of an operation that completed with `code`: the bytes moved, or a negated error.
///
/// The call repeats what was interrupted or came out short, because it knows how to go on and when to give up. It does not
/// repeat what failed: the kernel tells of data that it could not save once, and a second flush would succeed.
pub(super) fn conclude(operation: &Operation<'_>, code: i32, backend: &dyn Backend) -> Result<(), Error> {
    match u64::try_from(code) {
        Ok(moved) if moved == total(operation.slices()) => Ok(()),
        Ok(_short) => operation.carry_out(backend),
        Err(_) if [libc::EINTR, libc::EAGAIN].contains(&-code) => operation.carry_out(backend),
        Err(_) => Err(io::Error::from_raw_os_error(-code).into()),
    }
}

/// An operation in the kernel's hands.
struct Job<'m, T> {
    operation: Operation<'m>,
    /// What the kernel reads of it.
    _vectors: Vectors,
    token: T,
}

/// All operations in the kernel's hands. Dropping it waits for them.
struct Flight<'r, 'm, T> {
    ring: &'r mut IoUring,
    /// By what the ring calls their user data.
    jobs: Slab<Job<'m, T>>,
}

impl<'m, T> Flight<'_, 'm, T> {
    /// Puts `operation` on `file` into the ring, which has room: it has as many entries as there are jobs at most.
    fn start(&mut self, file: BorrowedFd<'_>, operation: Operation<'m>, token: T) {
        let vectors = Vectors::new(operation.slices());
        let key = self.jobs.vacant_key();
        let entry = entry(file, &operation, &vectors).user_data(key as u64);
        self.jobs.insert(Job { operation, _vectors: vectors, token });
        // SAFETY: what the entry points to stays until it completes: the vectors, on the heap, in `jobs`, from where only `land`
        // takes them; the slices' memory for 'm, which is longer than `run`; the file as long as its backend, which `run`
        // borrows. `run` cannot end, nor unwind, before all have completed: see `drop`.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        debug_assert!(pushed.is_ok(), "there is room for all jobs");
    }

    /// Gives the kernel what is in the ring.
    fn submit(&mut self) {
        if !self.ring.submission().is_empty() {
            self.enter(0);
        }
    }

    /// Gives the kernel what is in the ring, and waits until `count` operations have completed.
    fn enter(&mut self, count: usize) {
        while let Err(error) = self.ring.submit_and_wait(count) {
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN | libc::EBUSY) => std::thread::yield_now(), // no memory for it at the moment
                _ => give_up(&error),
            }
        }
    }

    /// Tells of all that has completed.
    fn report(&mut self, backend: &dyn Backend, work: &mut impl Work<'m, Token = T>) {
        while let Some((Job { operation, token, .. }, code)) = self.land() {
            work.done(token, conclude(&operation, code, backend));
        }
    }

    /// Takes an operation that has completed, and its code.
    fn land(&mut self) -> Option<(Job<'m, T>, i32)> {
        let completion = self.ring.completion().next()?;
        let job = self.jobs.try_remove(completion.user_data() as usize)?;
        Some((job, completion.result()))
    }
}

impl<T> Drop for Flight<'_, '_, T> {
    fn drop(&mut self) {
        while !self.jobs.is_empty() {
            self.enter(1);
            while self.land().is_some() {}
        }
    }
}

/// The ring is of no use any more, and what the kernel still does to memory cannot be known.
fn give_up(error: &io::Error) -> ! {
    tracing::error!(error = error as &dyn std::error::Error, "an io_uring is broken");
    std::process::abort();
}

/// What the kernel is to do.
fn entry(file: BorrowedFd<'_>, operation: &Operation<'_>, vectors: &Vectors) -> squeue::Entry {
    let file = Fd(file.as_raw_fd());
    let (start, count) = (vectors.as_ptr(), vectors.len() as u32);
    match *operation {
        Operation::Read { offset, .. } => opcode::Readv::new(file, start, count).offset(offset).build(),
        Operation::Write { offset, durable, .. } => {
            let flags = if durable { libc::RWF_DSYNC } else { 0 };
            opcode::Writev::new(file, start, count).offset(offset).rw_flags(flags).build()
        }
        Operation::Flush => opcode::Fsync::new(file).flags(FsyncFlags::DATASYNC).build(),
    }
}
