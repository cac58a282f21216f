//! Engines: how several operations of one disk are under way at a time.
//!
//! ```text
//!  a device's worker ──► Engine ──┬─► one operation: the backend's call, here and now
//!   (dyn Work)                    ├─► Uring: those on a plain file, by the kernel
//!                                 └─► Threads: any, by calls of a few threads
//! ```
//!
//! Guest memory is borrowed, and the kernel or other threads use it: so [`Engine::run`] ends, however it does, only when
//! nothing is under way any more.

mod aio;
mod threads;
mod uring;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, OnceLock};

use crate::{Backend, Error, Operation};

pub use aio::{Aio, AioError, EngineKind, UnknownAio};
pub use uring::probe as probe_io_uring;

use threads::Threads;
use uring::Uring;

/// Most operations under way at a time in one engine.
pub const DEPTH: usize = 64;

/// Where operations come from, and who hears that they are done.
///
/// There is no order between operations under way. A flush covers the writes that were done before it was taken.
pub trait Work<'m> {
    /// What tells operations apart.
    type Token;

    /// The next operation, if there is one now.
    fn next(&mut self) -> Option<(Operation<'m>, Self::Token)>;

    /// The operation of `token` is done, or has failed.
    fn done(&mut self, token: Self::Token, result: Result<(), Error>);

    /// Operations are under way, and nothing can be done before one of them is: the moment to tell others of those that are.
    fn pause(&mut self) {}
}

/// Carries out operations on a disk, several at a time.
pub struct Engine {
    backend: Arc<dyn Backend>,
    means: Means,
}

/// What an engine works with. Nothing is taken from the host before it is needed; where the host has nothing to give, calls
/// will do.
enum Means {
    /// Threads of all engines of the disk.
    Threads(Arc<OnceLock<Option<Threads>>>),
    /// A ring of this engine.
    Uring(Box<OnceLock<Option<Uring>>>),
}

impl Engine {
    /// An engine for the disk in `backend`.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, kind: EngineKind) -> Self {
        let means = match kind {
            EngineKind::Threads => Means::Threads(Arc::default()),
            EngineKind::IoUring => Means::Uring(Box::default()),
        };
        Self { backend, means }
    }

    /// Another engine for the same disk. Threads are shared with it.
    #[must_use]
    pub fn another(&self) -> Self {
        let means = match &self.means {
            Means::Threads(threads) => Means::Threads(Arc::clone(threads)),
            Means::Uring(_) => Means::Uring(Box::default()),
        };
        Self { backend: Arc::clone(&self.backend), means }
    }

    /// Carries out operations of `work` until it has no more and all are done.
    ///
    /// One that comes alone is carried out by a call: to hand it over would cost more than it gains.
    pub fn run<'m>(&mut self, work: &mut impl Work<'m>) {
        while let Some(first) = work.next() {
            match work.next() {
                Some(second) => self.run_several([first, second], work),
                None => work.done(first.1, first.0.carry_out(&*self.backend)),
            }
        }
    }

    fn run_several<'m, W: Work<'m>>(&mut self, first: [Job<'m, W::Token>; 2], work: &mut W) {
        let (backend, mut work) = (&*self.backend, Ahead { first: first.into_iter(), work });
        match &mut self.means {
            Means::Threads(threads) => match threads.get_or_init(|| made(Threads::new())) {
                Some(threads) => threads.run(backend, &mut work),
                None => run_by_calls(backend, &mut work),
            },
            Means::Uring(uring) => {
                uring.get_or_init(|| made(Uring::new()));
                match uring.get_mut() {
                    Some(Some(uring)) => uring.run(backend, &mut work),
                    _ => run_by_calls(backend, &mut work),
                }
            }
        }
    }
}

fn made<T>(made: io::Result<T>) -> Option<T> {
    made.inspect_err(|error| {
        let error = error as &dyn std::error::Error;
        tracing::warn!(error, "a disk does one thing at a time");
    })
    .ok()
}

/// An operation and what tells it apart.
type Job<'m, T> = (Operation<'m>, T);

/// Work of which the first two operations were taken already.
struct Ahead<'w, 'm, W: Work<'m>> {
    first: std::array::IntoIter<Job<'m, W::Token>, 2>,
    work: &'w mut W,
}

impl<'m, W: Work<'m>> Work<'m> for Ahead<'_, 'm, W> {
    type Token = W::Token;

    fn next(&mut self) -> Option<Job<'m, W::Token>> {
        self.first.next().or_else(|| self.work.next())
    }

    fn done(&mut self, token: W::Token, result: Result<(), Error>) {
        self.work.done(token, result);
    }

    fn pause(&mut self) {
        self.work.pause();
    }
}

fn run_by_calls<'m>(backend: &dyn Backend, work: &mut impl Work<'m>) {
    while let Some((operation, token)) = work.next() {
        work.done(token, operation.carry_out(backend));
    }
}
