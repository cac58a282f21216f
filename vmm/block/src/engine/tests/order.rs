//! Who waits for whom.

use std::io::{PipeReader, PipeWriter, Write as _, pipe};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, ThreadId};

use rstest::rstest;
use tempfile::NamedTempFile;

use super::*;
use crate::testing::MemoryDisk;
use crate::{Geometry, OpenMode, RawImage, SECTOR};

/// A disk that is slow at offset 0: reading there waits for a byte in a pipe, or for its writer's end.
struct Slow {
    disk: RawImage,
    pipe: PipeReader,
    /// Who made calls.
    callers: Mutex<Vec<ThreadId>>,
}

impl Slow {
    fn new(pipe: PipeReader) -> Self {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(&file, [0xaa; 64 * SECTOR as usize]).unwrap();
        let disk = RawImage::open(&file, OpenMode::ReadWrite).unwrap();
        Self { disk, pipe, callers: Mutex::default() }
    }
}

impl Backend for Slow {
    fn geometry(&self) -> Geometry {
        self.disk.geometry()
    }

    fn read(&self, offset: u64, to: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.callers.lock().unwrap().push(thread::current().id());
        if offset == 0 {
            rustix::io::read(&self.pipe, &mut [0; 512]).unwrap();
        }
        self.disk.read(offset, to)
    }

    fn write(&self, offset: u64, from: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.disk.write(offset, from)
    }

    fn flush(&self) -> Result<(), Error> {
        self.disk.flush()
    }

    /// The ring reads the pipe itself.
    fn file_for(&self, operation: &Operation<'_>) -> Option<BorrowedFd<'_>> {
        match operation {
            Operation::Read { offset: 0, .. } => Some(self.pipe.as_fd()),
            _ => self.disk.file_for(operation),
        }
    }
}

/// A read of the sector that is slow, and `count` of others.
fn slow_and_fast(memory: &MmapRegion, count: usize) -> impl Iterator<Item = Operation<'_>> {
    let sector = |index| vec![page(memory, index).subslice(0, 512).unwrap()];
    (0..=count).map(move |index| Operation::read(index as u64 * SECTOR, sector(index)))
}

#[rstest]
fn slow_operation_holds_up_none_behind_it(
    #[values(EngineKind::Threads, EngineKind::IoUring)] kind: EngineKind,
) {
    if !is_here(kind) {
        return;
    }
    let (reader, mut writer) = pipe().unwrap();
    let mut engine = Engine::new(Arc::new(Slow::new(reader)), kind);
    let (memory, mut fast) = (memory(33), 0);
    // The slow one ends when the fast ones are done, which none would be if they waited for it.
    let mut script = Script::watched(slow_and_fast(&memory, 32), |number| {
        fast += usize::from(number > 0);
        if fast == 32 {
            writer.write_all(&[0xaa; 512]).unwrap();
        }
    });
    engine.run(&mut script);
    script.assert_all_well();
    assert_eq!(script.done.last().map(|(number, _)| *number), Some(0));
}

#[rstest]
fn one_operation_alone_is_carried_out_by_who_asks(
    #[values(EngineKind::Threads, EngineKind::IoUring)] kind: EngineKind,
) {
    let slow = Arc::new(Slow::new(pipe().unwrap().0));
    let mut engine = Engine::new(slow.clone(), kind);
    let memory = memory(2);
    let mut script = Script::new(slow_and_fast(&memory, 1).take(1));
    engine.run(&mut script);
    script.assert_all_well();
    assert_eq!(*slow.callers.lock().unwrap(), [thread::current().id()]);
}

/// Frees the slow operation as soon as it is told to, and then says so.
fn rescuer(tell: Receiver<()>, mut pipe: PipeWriter) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        tell.recv().unwrap();
        thread::yield_now();
        pipe.write_all(&[0xaa; 512]).unwrap();
    })
}

#[rstest]
fn panic_waits_for_what_is_under_way(#[values(EngineKind::Threads, EngineKind::IoUring)] kind: EngineKind) {
    if !is_here(kind) {
        return;
    }
    let (reader, writer) = pipe().unwrap();
    let slow = Arc::new(Slow::new(reader));
    let mut engine = Engine::new(slow, kind);
    let memory = memory(9);
    let (told, tell) = channel();
    let rescuer = rescuer(tell, writer);
    let mut script = Script::watched(slow_and_fast(&memory, 8), |_| {
        told.send(()).unwrap();
        panic!("a device's mistake");
    });
    let result = catch_unwind(AssertUnwindSafe(|| engine.run(&mut script)));
    assert!(result.is_err());
    // The slow one filled its memory before the panic came here: nobody writes there any more.
    assert_eq!(bytes(&page(&memory, 0))[..512], [0xaa; 512]);
    rescuer.join().unwrap();
}

/// A host whose flush fails once, as Linux has it: what was lost is reported to one flush.
struct Forgetful(MemoryDisk);

impl Backend for Forgetful {
    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }

    fn read(&self, offset: u64, to: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.0.read(offset, to)
    }

    fn write(&self, offset: u64, from: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.0.write(offset, from)
    }

    fn flush(&self) -> Result<(), Error> {
        match self.0.flushes() {
            0 => self.0.flush(),
            _ => panic!("flushed twice"),
        }
    }
}

#[test]
fn ring_repeats_what_was_cut_short_and_not_what_failed() {
    let disk = Forgetful(MemoryDisk::new(8));
    let memory = memory(1);
    let conclude = |operation: &Operation<'_>, code| uring::conclude(operation, code, &disk);
    let write = Operation::write(0, vec![filled(&memory, 0, 7)], true);
    assert!(matches!(conclude(&write, -libc::EIO), Err(Error::Host(_))));
    assert!(matches!(conclude(&Operation::Flush, -libc::EIO), Err(Error::Host(_))));
    assert!(conclude(&write, PAGE as i32).is_ok());
    assert!(disk.0.with(|bytes| bytes[0] == 0) && disk.0.flushes() == 0, "the kernel has done it");
    conclude(&write, 512).unwrap();
    assert!(disk.0.with(|bytes| bytes[..PAGE].iter().all(|&byte| byte == 7)));
    assert_eq!(disk.0.flushes(), 1);
    let read = Operation::read(0, vec![filled(&memory, 0, 0)]);
    conclude(&read, -libc::EINTR).unwrap();
    assert_eq!(bytes(&page(&memory, 0)), [7; PAGE]);
}

#[test]
fn choice_is_what_the_disk_allows() {
    let disk = MemoryDisk::new(8);
    assert_eq!(Aio::Auto.choose(&disk).unwrap(), EngineKind::Threads);
    let error = Aio::IoUring.choose(&disk).unwrap_err().to_string();
    assert!(error.contains("raw images") && error.contains("use aio=threads"), "{error}");
    let plain = Slow::new(pipe().unwrap().0);
    let best = if is_here(EngineKind::IoUring) { EngineKind::IoUring } else { EngineKind::Threads };
    assert_eq!(Aio::Auto.choose(&plain).unwrap(), best);
    assert_eq!(Aio::Threads.choose(&plain).unwrap(), EngineKind::Threads);
    for aio in [Aio::Auto, Aio::IoUring, Aio::Threads] {
        assert_eq!(aio.to_string().parse(), Ok(aio));
    }
}
