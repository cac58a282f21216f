//! A command under way: its data, and how it ends.

use std::sync::Arc;

use vm_memory::VolatileSlice;

use crate::medium::{Medium, Transfer, total};
use crate::provisioning::Parameters;
use crate::sense::Sense;
use crate::spec::Status;
/// Which way the data of a command moves, and how many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// None at all.
    None,
    /// To the initiator.
    In(u64),
    /// From the initiator.
    Out(u64),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Its status.
    pub status: Status,
    /// What happened, with CHECK CONDITION.
    pub sense: Option<Sense>,
}

/// What a command has to do with data.
pub(crate) enum Flow {
    /// Nothing.
    Nothing,
    /// These bytes go to the initiator.
    Reply(Vec<u8>),
    /// Blocks go to the initiator.
    Read(Transfer),
    /// Blocks come from the initiator.
    Write(Transfer),
    /// Blocks come from the initiator, and are durable when the command ends.
    WriteThrough(Transfer, Arc<Medium>),
    /// Parameters come from the initiator.
    Parameters(Parameters),
}

/// A command that was accepted or refused. The transport moves its data, then [finishes](Self::finish) it; one that is
/// dropped instead stops where it is.
pub struct Task {
    flow: Flow,
    failure: Option<Sense>,
}

impl Task {
    pub(crate) fn new(flow: Result<Flow, Sense>) -> Self {
        match flow {
            Ok(flow) => Self { flow, failure: None },
            Err(sense) => Self { flow: Flow::Nothing, failure: Some(sense) },
        }
    }

    /// The data still to move; none once the command failed.
    #[must_use]
    pub fn data(&self) -> Data {
        let data = match &self.flow {
            _ if self.failure.is_some() => Data::None,
            Flow::Nothing => Data::None,
            Flow::Reply(bytes) => Data::In(bytes.len() as u64),
            Flow::Read(transfer) => Data::In(transfer.left()),
            Flow::Write(transfer) | Flow::WriteThrough(transfer, _) => Data::Out(transfer.left()),
            Flow::Parameters(parameters) => Data::Out(parameters.left()),
        };
        match data {
            Data::In(0) | Data::Out(0) => Data::None,
            data => data,
        }
    }

    /// Fills the slices, in order, with the next bytes for the initiator; returns how many. Fewer than there is room for
    /// means the end of the data, or a failure that [`finish`](Self::finish) will tell.
    pub fn read(&mut self, to: &[VolatileSlice<'_>]) -> u64 {
        let moved = match (&mut self.flow, self.failure) {
            (Flow::Reply(bytes), None) => Ok(drain(bytes, to)),
            (Flow::Read(transfer), None) => transfer.read(to),
            _ => Ok(0),
        };
        self.record(moved)
    }

    /// Takes the next bytes of the initiator from the slices, in order; returns how many were wanted.
    pub fn write(&mut self, from: &[VolatileSlice<'_>]) -> u64 {
        let moved = match (&mut self.flow, self.failure) {
            (Flow::Write(transfer) | Flow::WriteThrough(transfer, _), None) => transfer.write(from),
            (Flow::Parameters(parameters), None) => Ok(gather(parameters, from)),
            _ => Ok(0),
        };
        self.record(moved)
    }

    fn record(&mut self, moved: Result<u64, Sense>) -> u64 {
        moved.unwrap_or_else(|sense| {
            self.failure = Some(sense);
            0
        })
    }

    /// Ends the command, whether or not all its data moved.
    #[must_use]
    pub fn finish(self) -> Completion {
        let last = match (&self.flow, self.failure) {
            (Flow::WriteThrough(_, medium), None) => medium.flush(),
            (Flow::Parameters(parameters), None) => parameters.carry_out(),
            _ => Ok(()),
        };
        let sense = self.failure.or(last.err());
        let status = if sense.is_some() { Status::CheckCondition } else { Status::Good };
        Completion { status, sense }
    }
}

/// Collects parameters until they are complete; returns how many bytes were wanted.
fn gather(parameters: &mut Parameters, from: &[VolatileSlice<'_>]) -> u64 {
    let before = parameters.bytes.len();
    for slice in from {
        let (start, wanted) = (parameters.bytes.len(), slice.len().min(parameters.left() as usize));
        parameters.bytes.resize(start + wanted, 0);
        slice.copy_to(parameters.bytes.get_mut(start..).unwrap_or_default());
    }
    (parameters.bytes.len() - before) as u64
}

/// Moves bytes from the front of `bytes` to the slices; returns how many.
fn drain(bytes: &mut Vec<u8>, to: &[VolatileSlice<'_>]) -> u64 {
    let len = total(to).min(bytes.len() as u64) as usize;
    let rest = bytes.split_off(len);
    let mut left = std::mem::replace(bytes, rest).into_iter();
    for slice in to {
        let piece: Vec<u8> = left.by_ref().take(slice.len()).collect();
        slice.copy_from(&piece);
    }
    len as u64
}
