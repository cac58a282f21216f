//! The debug console: one port, where firmware writes its log.
//!
//! The port has no way to say "not now", and a processor that waits for a log file would make the log change what it
//! observes. So a write never waits. Bytes go into a bounded queue, whose other end a host thread empties; a thread that
//! writes to a file is faster than any guest, since each byte costs the guest an exit. Should the reader fall behind all
//! the same, the oldest bytes make room, because the last words before a hang are the ones that are wanted, and a line
//! in the log tells how many are missing.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::{Access, Device, Refused};

use crate::isa::byte_wide;

/// Where SeaBIOS and edk2 look for it.
pub const PORT: u64 = 0x402;

/// What a read gives. Firmware sends nothing to a port that reads otherwise.
pub const PRESENT: u8 = 0xe9;

/// Bytes that wait for the reader, at most.
pub const CAPACITY: usize = 1 << 20;

/// The device and the other end of its queue.
///
/// `notify` is called, on the thread of a vCPU, when the queue is no longer empty; it should do little.
pub fn pair(notify: impl Fn() + Send + Sync + 'static) -> (DebugCon, LogReader) {
    let queue = Arc::new(Mutex::new(Queue::default()));
    (DebugCon { queue: queue.clone(), notify: Box::new(notify) }, LogReader(queue))
}

/// The port.
pub struct DebugCon {
    queue: Arc<Mutex<Queue>>,
    notify: Box<dyn Fn() + Send + Sync>,
}

impl Device for DebugCon {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        byte_wide(at)?;
        Ok(PRESENT.into())
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        byte_wide(at)?;
        let first = lock(&self.queue).push(value as u8);
        if first {
            (self.notify)();
        }
        Ok(())
    }

    /// The log survives: it is about resets, too.
    fn reset(&mut self) {}
}

/// The reader's end of the queue.
#[derive(Clone)]
pub struct LogReader(Arc<Mutex<Queue>>);

impl LogReader {
    /// Moves everything that was written since the last call to the end of `into`.
    pub fn take_output(&self, into: &mut Vec<u8>) {
        lock(&self.0).drain(into);
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogReader")
    }
}

#[derive(Default)]
struct Queue {
    bytes: VecDeque<u8>,
    lost: u64,
}

impl Queue {
    /// Appends `byte`; true if the queue was empty.
    fn push(&mut self, byte: u8) -> bool {
        let first = self.bytes.is_empty();
        if self.bytes.len() == CAPACITY {
            self.bytes.pop_front();
            self.lost += 1;
        }
        self.bytes.push_back(byte);
        first
    }

    fn drain(&mut self, into: &mut Vec<u8>) {
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            into.extend_from_slice(format!("\n[{lost} bytes of this log are lost]\n").as_bytes());
        }
        into.extend(self.bytes.drain(..));
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bus::Width;

    use super::*;

    const BYTE: Access = Access { offset: 0, width: Width::Byte };

    fn write(port: &mut DebugCon, bytes: &[u8]) {
        for &byte in bytes {
            port.write(BYTE, byte.into()).unwrap();
        }
    }

    fn take(reader: &LogReader) -> Vec<u8> {
        let mut log = Vec::new();
        reader.take_output(&mut log);
        log
    }

    #[test]
    fn read_tells_firmware_that_the_port_is_there() {
        let (mut port, _reader) = pair(|| {});
        assert_eq!(port.read(BYTE), Ok(0xe9));
    }

    #[test]
    fn what_is_written_is_read_once() {
        let (mut port, reader) = pair(|| {});
        write(&mut port, b"SeaBIOS");
        assert_eq!(take(&reader), b"SeaBIOS");
        assert_eq!(take(&reader), b"");
    }

    #[test]
    fn output_is_appended() {
        let (mut port, reader) = pair(|| {});
        write(&mut port, b"def");
        let mut log = b"abc".to_vec();
        reader.take_output(&mut log);
        assert_eq!(log, b"abcdef");
    }

    #[test]
    fn wider_accesses_are_refused() {
        let (mut port, reader) = pair(|| {});
        for width in [Width::Word, Width::Dword, Width::Qword] {
            let at = Access { offset: 0, width };
            assert_eq!((port.read(at), port.write(at, 0x4141)), (Err(Refused), Err(Refused)));
        }
        assert_eq!(take(&reader), b"");
    }

    #[test]
    fn reader_is_called_for_the_first_byte_after_it_took_all() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = calls.clone();
        let (mut port, reader) = pair(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        write(&mut port, b"abc");
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        take(&reader);
        write(&mut port, b"d");
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn log_outlives_a_reset() {
        let (mut port, reader) = pair(|| {});
        write(&mut port, b"before");
        port.reset();
        assert_eq!(take(&reader), b"before");
    }

    #[test]
    fn slow_reader_loses_the_oldest_bytes_and_is_told_how_many() {
        let (mut port, reader) = pair(|| {});
        write(&mut port, b"old");
        write(&mut port, &vec![b'.'; CAPACITY - 3]);
        write(&mut port, b"ne");
        let log = take(&reader);
        assert!(log.starts_with(b"\n[2 bytes of this log are lost]\nd..."));
        assert!(log.ends_with(b"...ne"));
        write(&mut port, b"on");
        assert_eq!(take(&reader), b"on");
    }
}
