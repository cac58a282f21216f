//! The NVM command set: what I/O queues carry. NVMe 1.4, 6.

mod serving;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use block::{Access, Engine, Error, Operation, Room, SECTOR};
use vm_memory::VolatileSlice;
use zerocopy::{FromZeros, IntoBytes};

use crate::data::{Data, Direction};
use crate::drive::Drive;
use crate::queue::{Batch, Executor};
use crate::session::Session;
use crate::spec::command::{Command, DatasetRange, nvm};
use crate::spec::status::Status;
use crate::spec::{BROADCAST, NAMESPACE};

use serving::Serving;

/// Bytes moved at once where data does not move in place.
const CHUNK: usize = 0x1_0000;

/// A failure of the host was logged; a broken disk fails for ever.
static WARNED: AtomicBool = AtomicBool::new(false);

/// Carries out the commands of an I/O queue.
pub(crate) struct NvmCommands {
    drive: Arc<Drive>,
    session: Arc<Session>,
    engine: Engine,
}

/// A range of the disk, all of it there.
#[derive(Clone, Copy, Debug)]
struct Range {
    /// First byte.
    offset: u64,
    /// Bytes.
    len: u64,
}

/// A command, begun.
enum Begun<'m> {
    /// It takes its time.
    Operation(Operation<'m>),
    /// It is done.
    Done,
}

/// What commands mean to the drive.
struct Commands<'m> {
    drive: &'m Drive,
    session: &'m Session,
}

impl Executor for NvmCommands {
    fn serve(&mut self, batch: &mut Batch<'_>) {
        let commands = Commands { drive: &self.drive, session: &self.session };
        self.engine.run(&mut Serving { commands, batch });
    }
}

impl NvmCommands {
    pub(crate) fn new(drive: &Arc<Drive>, session: &Arc<Session>) -> Self {
        Self { drive: Arc::clone(drive), session: Arc::clone(session), engine: drive.engine.another() }
    }
}

impl<'m> Commands<'m> {
    /// Reads, writes and flushes are for the engine. The others are rare, and carried out here and now.
    fn begin(&self, command: &Command) -> Result<Begun<'m>, Status> {
        let operation = match command.opcode {
            nvm::FLUSH => self.flush(command),
            nvm::READ => self.read(command),
            nvm::WRITE => self.write(command),
            _ => return self.carry_out(command).map(|()| Begun::Done),
        };
        operation.map(Begun::Operation)
    }

    fn carry_out(&self, command: &Command) -> Result<(), Status> {
        let act = match command.opcode {
            nvm::COMPARE => Self::compare,
            nvm::WRITE_ZEROES => Self::write_zeroes,
            nvm::VERIFY => Self::verify,
            nvm::DATASET_MANAGEMENT => return self.manage_dataset(command),
            _ => return Err(Status::INVALID_OPCODE),
        };
        act(self, command, self.range(command)?)
    }

    /// NVMe 1.4, 6.8.
    fn flush(&self, command: &Command) -> Result<Operation<'m>, Status> {
        check_flags(command)?;
        match command.namespace.get() {
            NAMESPACE | BROADCAST => Ok(Operation::Flush),
            _ => Err(Status::INVALID_NAMESPACE),
        }
    }

    /// NVMe 1.4, 6.9.
    fn read(&self, command: &Command) -> Result<Operation<'m>, Status> {
        let range = self.range(command)?;
        let data = Data::of(command, range.len, Direction::ToGuest, &self.drive.memory)?;
        Ok(Operation::read(range.offset, data.into_slices()))
    }

    /// NVMe 1.4, 6.15.
    fn write(&self, command: &Command) -> Result<Operation<'m>, Status> {
        let range = self.range(command)?;
        self.check_writable()?;
        let data = Data::of(command, range.len, Direction::FromGuest, &self.drive.memory)?;
        Ok(Operation::write(range.offset, data.into_slices(), self.is_durable(command)))
    }

    /// What became of a read, a write or a flush.
    fn conclude(&self, command: &Command, result: Result<(), Error>) -> Result<(), Status> {
        let bytes = command.blocks() * SECTOR;
        match (command.opcode, result) {
            (nvm::READ, Ok(())) => self.drive.health.reads.count(bytes),
            (nvm::WRITE, Ok(())) => self.drive.health.writes.count(bytes),
            (nvm::READ, Err(error)) => return Err(read_status(&error)),
            (_, Err(error)) => return Err(write_status(&error)),
            (_, Ok(())) => {}
        }
        Ok(())
    }

    /// NVMe 1.4, 6.17. With DEAC, the storage under the zeroes may go.
    fn write_zeroes(&self, command: &Command, range: Range) -> Result<(), Status> {
        let room = if command.may_deallocate() { Room::Free } else { Room::Keep };
        self.check_writable()?;
        let zeroed = self.drive.backend.write_zeroes(range.offset, range.len, room);
        zeroed.map_err(|error| write_status(&error))?;
        self.settle(command)
    }

    /// NVMe 1.4, 6.7. Hints on how ranges will be used change nothing; what is not used any more goes. All ranges are looked at
    /// before any goes.
    fn manage_dataset(&self, command: &Command) -> Result<(), Status> {
        check_flags(command)?;
        if command.namespace.get() != NAMESPACE {
            return Err(Status::INVALID_NAMESPACE);
        }
        let ranges = self.dataset_ranges(command)?;
        if !command.deallocates() {
            return Ok(());
        }
        self.check_writable()?;
        ranges.iter().try_for_each(|range| {
            self.drive.backend.discard(range.offset, range.len).map_err(|error| write_status(&error))
        })
    }

    /// The ranges of a Dataset Management command: up to 256, read once.
    fn dataset_ranges(&self, command: &Command) -> Result<Vec<Range>, Status> {
        let mut list = vec![DatasetRange::new_zeroed(); command.dataset_ranges()];
        let bytes = list.as_mut_bytes();
        let data = Data::of(command, bytes.len() as u64, Direction::FromGuest, &self.drive.memory)?;
        data.copy_to(bytes);
        list.iter().map(|range| self.blocks(range.first.get(), range.blocks.get().into())).collect()
    }

    /// NVMe 1.4, 6.6.
    fn compare(&self, command: &Command, range: Range) -> Result<(), Status> {
        let data = Data::of(command, range.len, Direction::FromGuest, &self.drive.memory)?;
        let mut disk = vec![0; range.len as usize];
        let slice = VolatileSlice::from(disk.as_mut_slice());
        self.drive.backend.read(range.offset, &[slice]).map_err(|error| read_status(&error))?;
        let mut rest = disk.as_slice();
        let same = data.each_chunk(CHUNK, |chunk| {
            let (now, later) = rest.split_at(rest.len().min(chunk.len()));
            rest = later;
            now == chunk
        });
        self.drive.health.reads.count(range.len);
        if same { Ok(()) } else { Err(Status::COMPARE_FAILURE) }
    }

    /// NVMe 1.4, 6.14.
    fn verify(&self, _command: &Command, range: Range) -> Result<(), Status> {
        let mut buffer = vec![0; CHUNK];
        let room = VolatileSlice::from(buffer.as_mut_slice());
        for start in (0..range.len).step_by(CHUNK) {
            let len = (range.len - start).min(CHUNK as u64) as usize;
            let room = room.subslice(0, len).map_err(|_| Status::INTERNAL_ERROR)?;
            self.drive.backend.read(range.offset + start, &[room]).map_err(|error| read_status(&error))?;
        }
        Ok(())
    }

    /// The blocks that a command means, if it is made as it should be.
    fn range(&self, command: &Command) -> Result<Range, Status> {
        check_flags(command)?;
        if command.namespace.get() != NAMESPACE {
            return Err(Status::INVALID_NAMESPACE);
        }
        self.blocks(command.first_block(), command.blocks())
    }

    fn blocks(&self, first: u64, blocks: u64) -> Result<Range, Status> {
        let end = first.checked_add(blocks).filter(|end| *end <= self.drive.geometry().sectors);
        end.ok_or(Status::LBA_OUT_OF_RANGE)?;
        Ok(Range { offset: first * SECTOR, len: blocks * SECTOR })
    }

    fn check_writable(&self) -> Result<(), Status> {
        match self.drive.geometry().access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(Status::WRITE_PROTECTED),
        }
    }

    /// Whether the driver wants what is written to be durable at once, or has turned the cache off.
    fn is_durable(&self, command: &Command) -> bool {
        command.is_forced() || !self.session.write_cache.load(Ordering::Relaxed)
    }

    fn settle(&self, command: &Command) -> Result<(), Status> {
        if self.is_durable(command) {
            self.drive.backend.flush().map_err(|error| write_status(&error))?;
        }
        Ok(())
    }
}

/// Neither fused operations nor reserved kinds of pointers. NVMe 1.4, 4.2.
pub(crate) fn check_flags(command: &Command) -> Result<(), Status> {
    if command.is_fused() || command.pointer().is_none() { Err(Status::INVALID_FIELD) } else { Ok(()) }
}

fn read_status(error: &Error) -> Status {
    match error {
        Error::OutOfRange { .. } => Status::LBA_OUT_OF_RANGE,
        Error::Host(source) => {
            warn(source);
            Status::READ_ERROR
        }
        _ => Status::INTERNAL_ERROR,
    }
}

fn write_status(error: &Error) -> Status {
    match error {
        Error::OutOfRange { .. } => Status::LBA_OUT_OF_RANGE,
        Error::ReadOnly => Status::WRITE_PROTECTED,
        Error::Disguise(_) => Status::OPERATION_DENIED,
        Error::Host(source) if source.kind() == std::io::ErrorKind::StorageFull => Status::CAPACITY_EXCEEDED,
        Error::Host(source) => {
            warn(source);
            Status::WRITE_FAULT
        }
        _ => Status::INTERNAL_ERROR,
    }
}

/// Tells the host's user of the host's failures; the guest's own mistakes are its affair.
fn warn(source: &std::io::Error) {
    if !WARNED.swap(true, Ordering::Relaxed) {
        let error = source as &dyn std::error::Error;
        tracing::warn!(error, "an NVMe disk fails; the guest sees I/O errors");
    }
}
