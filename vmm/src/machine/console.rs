//! The thread between the guest's serial port and the host's terminal or file. It also writes the firmware's log.
//!
//! ```text
//!  COM1 ─── wake ───► poll ◄─── stdin, or a stream
//!  port 0x402 ──┘      │
//!                      ├─► stdout, file or stream, log file
//!                      ├─► COM1's receiver, as it has room
//!                      └─► escape key's commands to the control thread
//! ```

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use chipset::debugcon::LogReader;
use chipset::uart::UartHost;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;

use super::control::{Cause, Control, Event};
use super::stream::Stream;
use crate::config::EscapeKey;
use crate::terminal::{Command, EscapeFilter, Input, Stderr, help};

/// Wakes the thread; callable from anywhere.
#[derive(Clone)]
pub(super) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(super) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(event)))
    }

    pub(super) fn wake(&self) {
        // A full counter means that it is awake already.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

/// COM1 and what it is connected to.
pub(super) struct Serial {
    pub(super) uart: UartHost,
    pub(super) end: End,
}

/// What COM1 is connected to, opened.
pub(super) enum End {
    /// Standard output, and input, whose keys are the guest's but for the escape key.
    Terminal,
    /// A file for the guest's output.
    File(File),
    /// A stream in both directions.
    Stream(Stream),
}

/// The firmware's log and its file.
pub(super) struct Log {
    pub(super) reader: LogReader,
    pub(super) file: File,
}

/// The running thread.
pub(super) struct Console {
    thread: JoinHandle<()>,
    ending: Arc<AtomicBool>,
    waker: Waker,
}

impl Console {
    /// Starts the thread.
    pub(super) fn start(
        serial: Option<Serial>,
        log: Option<Log>,
        waker: Waker,
        control: Arc<Control>,
        key: EscapeKey,
    ) -> io::Result<Self> {
        let ending = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            typing: serial.as_ref().is_some_and(|serial| matches!(serial.end, End::Terminal)),
            serial,
            log,
            waker: waker.clone(),
            control,
            key,
            escape: EscapeFilter::new(key),
            pending: Vec::new(),
            buffer: Vec::new(),
        };
        let end = Arc::clone(&ending);
        let thread = Builder::new().name("console".into()).spawn(move || worker.run(&end))?;
        Ok(Self { thread, ending, waker })
    }

    /// Writes what the guest sent before its end, and ends the thread.
    pub(super) fn finish(self) {
        self.ending.store(true, Ordering::Release);
        self.waker.wake();
        let _ = self.thread.join();
    }
}

struct Worker {
    serial: Option<Serial>,
    log: Option<Log>,
    waker: Waker,
    control: Arc<Control>,
    key: EscapeKey,
    escape: EscapeFilter,
    /// Typed, and not yet taken by the guest.
    pending: Vec<u8>,
    /// Stdin has not ended.
    typing: bool,
    buffer: Vec<u8>,
}

impl Worker {
    fn run(mut self, ending: &AtomicBool) {
        loop {
            // Asked before the last drain, so that nothing is left behind.
            let last = ending.load(Ordering::Acquire);
            self.drain();
            self.type_pending();
            if last {
                return;
            }
            let ready = self.wait();
            self.look(ready);
        }
    }

    /// Sleeps until there is something to do; true if there is something to read.
    fn wait(&self) -> bool {
        let stdin = io::stdin();
        let mut fds = vec![PollFd::new(&*self.waker.0, PollFlags::IN)];
        // While the guest does not take what was typed, more is left with the terminal.
        if self.typing && self.pending.is_empty() {
            fds.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN));
        }
        if let Some(Serial { end: End::Stream(stream), .. }) = &self.serial {
            fds.push(PollFd::from_borrowed_fd(stream.events(), PollFlags::IN));
        }
        // An interrupted wait is a wait that ended early.
        let _ = poll(&mut fds, None);
        let _ = rustix::io::read(&*self.waker.0, &mut [0; 8]);
        fds.get(1).is_some_and(|fd| !fd.revents().is_empty())
    }

    /// Looks at what is `ready`: keys, or the stream.
    fn look(&mut self, ready: bool) {
        match &mut self.serial {
            _ if !ready => {}
            Some(Serial { end: End::Stream(stream), .. }) => stream.look(),
            _ => self.read_keys(),
        }
    }

    fn drain(&mut self) {
        if let Some(Serial { uart, end }) = &mut self.serial {
            let mut write = |output: &mut dyn Write| {
                self.buffer.clear();
                uart.take_output(&mut self.buffer);
                // Whoever listened has gone; the guest goes on.
                let _ = output.write_all(&self.buffer).and_then(|()| output.flush());
            };
            match end {
                End::Terminal => write(&mut io::stdout()),
                End::File(file) => write(file),
                End::Stream(stream) => stream.send(uart),
            }
        }
        if let Some(log) = &mut self.log {
            self.buffer.clear();
            log.reader.take_output(&mut self.buffer);
            let _ = log.file.write_all(&self.buffer);
        }
    }

    /// Gives the guest what came in, as it has room. While it has none, more is left where it is.
    fn type_pending(&mut self) {
        let Some(Serial { uart, end }) = &mut self.serial else { return };
        loop {
            if let (true, End::Stream(stream)) = (self.pending.is_empty(), &mut *end) {
                stream.receive(&mut self.pending);
            }
            if self.pending.is_empty() {
                return;
            }
            let taken = uart.push_input(&self.pending);
            self.pending.drain(..taken);
            if !self.pending.is_empty() {
                return;
            }
        }
    }

    fn read_keys(&mut self) {
        let mut keys = [0; 1024];
        // Not through std, whose buffer would keep keys that poll does not see.
        let count = match rustix::io::read(io::stdin(), &mut keys) {
            Ok(count) => count,
            Err(Errno::INTR) => return,
            Err(_) => 0,
        };
        self.typing = count > 0;
        let (pending, control, key) = (&mut self.pending, &self.control, self.key);
        self.escape.feed(keys.get(..count).unwrap_or_default(), |input| match input {
            Input::Bytes(bytes) => pending.extend_from_slice(bytes),
            Input::Command(command) => obey(command, control, key),
        });
    }
}

fn obey(command: Command, control: &Control, key: EscapeKey) {
    match command {
        // The help is for the person, whatever stderr is.
        Command::Help => drop(Stderr::default().write_all(help(key).as_bytes())),
        Command::Quit => control.tell(Event::Quit),
        Command::PowerButton => control.tell(Event::PowerButton),
        Command::SleepButton => control.tell(Event::SleepButton),
        Command::NewGeneration => control.tell(Event::NewGeneration),
        Command::Reset => control.ask(Event::Reset(Cause::User)),
    }
}
