//! The engine for every backend: its blocking calls, made by a few threads.

use std::io;
use std::sync::mpsc::{Sender, channel};

use rayon::{ThreadPool, ThreadPoolBuilder};
use slab::Slab;

use super::{DEPTH, Work};
use crate::{Backend, Error};

/// Threads of a disk: calls that block at a time.
const THREADS: usize = 8;

/// The threads of one engine. They sleep while there is nothing to do.
pub(super) struct Threads(ThreadPool);

impl Threads {
    /// Starts them.
    ///
    /// # Errors
    /// The host has no more threads.
    pub(super) fn new() -> io::Result<Self> {
        let builder =
            ThreadPoolBuilder::new().num_threads(THREADS).thread_name(|index| format!("disk-{index}"));
        builder.build().map(Self).map_err(io::Error::other)
    }

    /// As [`Engine::run`](super::Engine::run). The scope ends, or unwinds, only when all calls have returned.
    pub(super) fn run<'m, W: Work<'m>>(&self, backend: &dyn Backend, work: &mut W) {
        self.0.in_place_scope(|scope| {
            let (reports, reported) = channel();
            let mut tokens = Slab::with_capacity(DEPTH);
            loop {
                while tokens.len() < DEPTH
                    && let Some((operation, token)) = work.next()
                {
                    let report = Report::new(tokens.insert(token), &reports);
                    scope.spawn(move |_| report.send(operation.carry_out(backend)));
                }
                if tokens.is_empty() {
                    return;
                }
                work.pause();
                // One at least, and what else is there.
                for (key, result) in reported.recv().into_iter().chain(reported.try_iter()) {
                    work.done(tokens.remove(key), result);
                }
            }
        });
    }
}

/// The end of a call, which comes even if that panics: somebody waits for it.
struct Report {
    key: usize,
    result: Result<(), Error>,
    to: Sender<(usize, Result<(), Error>)>,
}

impl Report {
    fn new(key: usize, to: &Sender<(usize, Result<(), Error>)>) -> Self {
        Self { key, result: Err(io::Error::other("the call panicked").into()), to: to.clone() }
    }

    fn send(mut self, result: Result<(), Error>) {
        self.result = result;
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let result = std::mem::replace(&mut self.result, Ok(()));
        // Nobody waits if the receiver is unwinding.
        let _ = self.to.send((self.key, result));
    }
}
