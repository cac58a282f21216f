//! The commands of an I/O queue on their way through the disk's engine.

use block::{Error, Operation, Work};

use super::{Begun, Commands};
use crate::queue::{Batch, Slot};
use crate::spec::command::Command;

/// A queue that is being served.
pub(super) struct Serving<'s, 'q, 'm> {
    pub(super) commands: Commands<'m>,
    pub(super) batch: &'s mut Batch<'q>,
}

impl<'q, 'm> Work<'m> for Serving<'_, 'q, 'm> {
    /// A command under way, and the place of its completion.
    type Token = (Command, Slot<'q>);

    /// The next command that takes its time. The others complete on the way to it.
    fn next(&mut self) -> Option<(Operation<'m>, Self::Token)> {
        loop {
            let slot = self.batch.reserve()?;
            let command = self.batch.fetch()?;
            let outcome = match self.commands.begin(&command) {
                Ok(Begun::Operation(operation)) => return Some((operation, (command, slot))),
                Ok(Begun::Done) => Ok(0),
                Err(status) => Err(status),
            };
            self.batch.complete(slot, &command, outcome);
        }
    }

    fn done(&mut self, (command, slot): Self::Token, result: Result<(), Error>) {
        let outcome = self.commands.conclude(&command, result);
        self.batch.complete(slot, &command, outcome.map(|()| 0));
    }

    fn pause(&mut self) {
        self.batch.announce();
    }
}
