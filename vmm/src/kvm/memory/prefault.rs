//! Takes memory from the host ahead of time, with several threads: the kernel clears every page.
#![expect(unsafe_code, reason = "madvise takes addresses")]

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::mm::Advice;

use crate::terminal::Stderr;

/// What a thread takes at a time; a multiple of 2 MiB.
const CHUNK: usize = 64 << 20;
/// More threads fight for the kernel's locks.
const MAX_THREADS: usize = 16;
/// A person wonders after this long, and again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Populates the mapping of `size` bytes at `start`, and says how far it is if that takes long.
pub(super) fn populate(start: *mut u8, size: usize) -> io::Result<()> {
    let base = start as usize;
    let chunks = size.div_ceil(CHUNK);
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || -> io::Result<()> {
        loop {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            if chunk >= chunks {
                return Ok(());
            }
            let offset = chunk * CHUNK;
            // The others have nothing more to do once one failed.
            populate_chunk(base + offset, CHUNK.min(size - offset))
                .inspect_err(|_| next.store(chunks, Ordering::Relaxed))?;
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS).min(chunks);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        report(|| workers.iter().all(thread::ScopedJoinHandle::is_finished), &done, chunks);
        let panicked = |_| io::Error::other("a thread ended");
        workers.into_iter().try_for_each(|worker| worker.join().map_err(panicked)?)
    })
}

/// One madvise call; a signal interrupts it, and it goes on from the start, where pages are there already.
fn populate_chunk(address: usize, size: usize) -> io::Result<()> {
    let start = std::ptr::without_provenance_mut(address);
    // SAFETY: the range is our own mapping; populating writes no content.
    rustix::io::retry_on_intr(|| unsafe { rustix::mm::madvise(start, size, Advice::LinuxPopulateWrite) })?;
    Ok(())
}

/// Waits until `finished`, and tells a waiting person.
fn report(finished: impl Fn() -> bool, done: &AtomicUsize, chunks: usize) {
    let mut said = Instant::now();
    while !finished() {
        thread::sleep(Duration::from_millis(1));
        if said.elapsed() >= PATIENCE {
            said = Instant::now();
            let percent = done.load(Ordering::Relaxed) * 100 / chunks.max(1);
            // Nobody reads: go on all the same.
            let _ = writeln!(
                Stderr::default(),
                "tinderbox: prefault: {percent} % of {} MiB",
                chunks * (CHUNK >> 20)
            );
        }
    }
}
