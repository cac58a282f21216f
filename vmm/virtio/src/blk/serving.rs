//! The requests of a queue on their way through the disk's engine.

use block::{Error, Operation, Work};

use super::disk::{Begun, Disk};
use super::request::{Reply, Request};
use crate::{Broken, Requests, requests};

/// A queue that is being served.
pub(super) struct Serving<'s, 'm> {
    disk: &'s mut Disk,
    requests: &'s mut Requests<'m>,
    /// Changes are durable at once.
    durable: bool,
    under_way: usize,
    /// The first error, after which nothing is taken any more.
    broken: Result<(), Broken>,
}

/// A request under way.
pub(super) struct UnderWay<'m> {
    request: requests::Request<'m>,
    reply: Reply<'m>,
    /// Bytes that it fills if all is well.
    written: u64,
}

impl<'s, 'm> Serving<'s, 'm> {
    pub(super) fn new(disk: &'s mut Disk, requests: &'s mut Requests<'m>, durable: bool) -> Self {
        Self { disk, requests, durable, under_way: 0, broken: Ok(()) }
    }

    /// # Errors
    /// The driver broke the rules meanwhile.
    pub(super) fn finish(self) -> Result<(), Broken> {
        self.broken
    }

    /// The next request that takes its time. The others are done on the way to it.
    fn take(&mut self) -> Result<Option<(Operation<'m>, UnderWay<'m>)>, Broken> {
        // Those that came while others are under way shall not wait for the last of these.
        if self.under_way > 0 {
            self.requests.look_again()?;
        }
        while let Some(mut request) = self.requests.next()? {
            let mut parsed = Request::parse(std::mem::take(&mut request.chain))?;
            match self.disk.begin(&mut parsed, self.durable) {
                Begun::Operation(operation, written) => {
                    self.under_way += 1;
                    return Ok(Some((operation, UnderWay { request, reply: parsed.reply, written })));
                }
                Begun::Done(status, written) => {
                    self.requests.complete(&request, parsed.reply.finish(status, written))?;
                }
            }
        }
        Ok(None)
    }

    fn note(&mut self, result: Result<(), Broken>) {
        if self.broken.is_ok() {
            self.broken = result;
        }
    }
}

impl<'m> Work<'m> for Serving<'_, 'm> {
    type Token = UnderWay<'m>;

    fn next(&mut self) -> Option<(Operation<'m>, UnderWay<'m>)> {
        if self.broken.is_err() {
            return None;
        }
        self.take().unwrap_or_else(|broken| {
            self.broken = Err(broken);
            None
        })
    }

    fn done(&mut self, ended: UnderWay<'m>, result: Result<(), Error>) {
        self.under_way -= 1;
        let written = if result.is_ok() { ended.written } else { 0 };
        let len = ended.reply.finish(self.disk.status(result), written);
        let completed = self.requests.complete(&ended.request, len);
        self.note(completed);
    }

    fn pause(&mut self) {
        let announced = self.requests.announce();
        self.note(announced);
    }
}
