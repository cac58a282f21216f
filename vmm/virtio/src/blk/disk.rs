//! What requests mean to the disk.

use std::sync::Arc;

use block::{Backend, Error, Operation, SECTOR};

use super::request::Request;
use super::spec::{Kind, Status};
use super::{Serial, pieces};

/// The disk behind the queues.
pub(super) struct Disk {
    // Fixed.
    pub(super) backend: Arc<dyn Backend>,
    pub(super) serial: Serial,
    // Volatile.
    /// A failure of the host was logged; a broken disk fails for ever.
    warned: bool,
}

/// A request, begun.
pub(super) enum Begun<'m> {
    /// It takes its time, and fills so many bytes of its room.
    Operation(Operation<'m>, u64),
    /// It is done: its status, and how much of its room is filled.
    Done(Status, u64),
}

impl Disk {
    pub(super) fn new(backend: Arc<dyn Backend>, serial: Serial) -> Self {
        Self { backend, serial, warned: false }
    }

    /// Takes from `request` what is to be done. What it changes is made durable at once if it is `durable`.
    pub(super) fn begin<'m>(&mut self, request: &mut Request<'m>, durable: bool) -> Begun<'m> {
        match request.kind {
            Kind::IN | Kind::OUT => match self.offset(request) {
                Some(offset) => transfer(request, offset, durable),
                None => Begun::Done(Status::IoErr, 0),
            },
            Kind::FLUSH => Begun::Operation(Operation::Flush, 0),
            Kind::GET_ID => Begun::Done(Status::Ok, request.room.copy_from(&self.serial.0) as u64),
            Kind::DISCARD | Kind::WRITE_ZEROES => match pieces::parse(request) {
                Some(pieces) => {
                    let changed = self.change(&pieces, durable);
                    Begun::Done(self.status(changed), 0)
                }
                None => Begun::Done(Status::Unsupp, 0),
            },
            _ => Begun::Done(Status::Unsupp, 0),
        }
    }

    /// The status of a request that ended like this. Tells the host's user of the host's failures; the guest's own mistakes
    /// are its affair.
    pub(super) fn status(&mut self, result: Result<(), Error>) -> Status {
        let Err(error) = result else { return Status::Ok };
        if let Error::Host(source) = &error
            && !std::mem::replace(&mut self.warned, true)
        {
            let error = source as &dyn std::error::Error;
            tracing::warn!(error, "a disk fails; the guest sees I/O errors");
        }
        Status::IoErr
    }

    /// Not in the engine: it is rare, and quick where the storage knows what a hole is.
    fn change(&self, pieces: &[pieces::Change], durable: bool) -> Result<(), Error> {
        pieces.iter().try_for_each(|piece| piece.apply(&*self.backend))?;
        if durable { self.backend.flush() } else { Ok(()) }
    }

    /// Where on the disk a request begins, in bytes.
    fn offset(&self, request: &Request<'_>) -> Option<u64> {
        request.sector.checked_mul(SECTOR)
    }
}

fn transfer<'m>(request: &mut Request<'m>, offset: u64, durable: bool) -> Begun<'m> {
    if request.kind == Kind::OUT {
        let from = std::mem::take(&mut request.out).into_slices();
        return Begun::Operation(Operation::write(offset, from, durable), 0);
    }
    let to = std::mem::take(&mut request.room);
    let len = to.len();
    Begun::Operation(Operation::read(offset, to.into_slices()), len)
}
