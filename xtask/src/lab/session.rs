//! From power-on to the exit status: bytes go both ways, and every way to end ends.

use std::io::Write;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::emulator::Emulator;
use super::interrupt::Interrupts;
use super::terminal::Raw;
use crate::{paths, progress};

/// The emulated host takes 4 s to start its job on an idle machine, a minute on one with far too much to do.
const BOOT_LIMIT: Duration = Duration::from_secs(300);
/// For the last output of an ended job, which is on its way.
const LAST_OUTPUT_LIMIT: Duration = Duration::from_secs(30);
/// How much of what went wrong is kept.
const LOG_LIMIT: usize = 1 << 20;

/// What a session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Output,
    Status,
    KernelLog,
    Complaints,
    /// Keys are there to be read.
    Keys,
    /// The emulator takes keys.
    Keyboard,
    Interrupt,
}

/// How far the emulated host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Booting,
    Running,
    /// The job has ended with `code`, after so many bytes of output (unknown if it had a terminal).
    Ended {
        code: u8,
        length: Option<u64>,
    },
}

/// One run of the lab.
pub(super) struct Session<'a> {
    emulator: Emulator,
    /// Channels from the emulator that are open: when none is, it is gone.
    open: Vec<Source>,
    interrupts: Interrupts,
    phase: Phase,
    deadline: Option<Instant>,
    /// How long the job may take.
    timeout: Option<Duration>,
    /// Where the job's output goes.
    output: &'a mut dyn Write,
    /// Bytes that have gone there.
    shown: u64,
    raw: Option<Raw>,
    /// Keys that the emulator has not taken yet.
    keys: Vec<u8>,
    status: Vec<u8>,
    log: Vec<u8>,
    starting: Option<progress::Step>,
}

impl<'a> Session<'a> {
    /// Takes over `emulator`, which has just been started.
    ///
    /// # Errors
    ///
    /// When signals cannot be caught.
    pub(super) fn new(
        emulator: Emulator,
        timeout: Option<Duration>,
        output: &'a mut dyn Write,
        starting: progress::Step,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            emulator,
            open: vec![Source::Output, Source::Status, Source::KernelLog, Source::Complaints],
            interrupts: Interrupts::catch().context("catch signals")?,
            phase: Phase::Booting,
            deadline: Some(Instant::now() + BOOT_LIMIT),
            timeout,
            output,
            shown: 0,
            raw: None,
            keys: Vec::new(),
            status: Vec::new(),
            log: Vec::new(),
            starting: Some(starting),
        })
    }

    /// Sees the session through and gives the exit status of its job.
    ///
    /// # Errors
    ///
    /// When the emulated host dies or hangs, time runs out, or a signal ends the session. The emulator is gone then, too.
    pub(super) fn run(mut self) -> anyhow::Result<u8> {
        while !self.open.is_empty() {
            for source in self.wait()? {
                self.serve(source)?;
            }
            if let Phase::Ended { code, length } = self.phase
                && self.has_all_output(length)?
            {
                return Ok(code);
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return self.out_of_time();
            }
        }
        match self.phase {
            Phase::Ended { code, .. } => Ok(code),
            Phase::Booting | Phase::Running => self.died(),
        }
    }

    /// The sources that have something, at the latest when time is up.
    fn wait(&self) -> anyhow::Result<Vec<Source>> {
        let watched = self.watched();
        let mut fds: Vec<_> =
            watched.iter().map(|&source| PollFd::from_borrowed_fd(self.fd(source), flags(source))).collect();
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match poll(&mut fds, left.and_then(|left| Timespec::try_from(left).ok()).as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for the lab"),
        }
        let ready = watched.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
        Ok(ready.map(|(&source, _)| source).collect())
    }

    /// Whether all output of the ended job is here. What a terminal shows was in the pipe before the job ended.
    fn has_all_output(&self, length: Option<u64>) -> anyhow::Result<bool> {
        if let Some(length) = length {
            return Ok(self.shown >= length);
        }
        let mut output = [PollFd::new(&self.emulator.output, PollFlags::IN)];
        Ok(poll(&mut output, Some(&Timespec::default())).context("wait for the lab")? == 0)
    }

    fn watched(&self) -> Vec<Source> {
        let mut watched = self.open.clone();
        watched.push(Source::Interrupt);
        if self.raw.is_some() {
            // Keys are read only as fast as they are taken.
            watched.push(if self.keys.is_empty() { Source::Keys } else { Source::Keyboard });
        }
        watched
    }

    fn fd(&self, source: Source) -> BorrowedFd<'_> {
        let emulator = &self.emulator;
        match source {
            Source::Output => emulator.output.as_fd(),
            Source::Status => emulator.status.as_fd(),
            Source::KernelLog => emulator.kernel_log.as_fd(),
            Source::Complaints => emulator.complaints.as_fd(),
            Source::Keys => rustix::stdio::stdin(),
            Source::Keyboard => {
                emulator.keyboard.as_ref().map_or(rustix::stdio::stdin(), |keyboard| keyboard.as_fd())
            }
            Source::Interrupt => self.interrupts.as_fd(),
        }
    }

    fn serve(&mut self, source: Source) -> anyhow::Result<()> {
        let mut buffer = [0; 16 * 1024];
        if source == Source::Keyboard {
            return self.type_keys();
        }
        let received = match rustix::io::read(self.fd(source), &mut buffer) {
            Ok(length) => buffer.get(..length).unwrap_or_default(),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("read the lab's {source:?}")),
        };
        if received.is_empty() {
            return self.closed(source);
        }
        match source {
            Source::Output => self.show(received)?,
            Source::Status => self.report(received)?,
            Source::KernelLog | Source::Complaints => self.record(received),
            Source::Keys | Source::Keyboard => self.keys.extend_from_slice(received),
            Source::Interrupt => bail!("interrupted"),
        }
        Ok(())
    }

    fn closed(&mut self, source: Source) -> anyhow::Result<()> {
        ensure!(source != Source::Keys, "the terminal went away");
        self.open.retain(|&open| open != source);
        Ok(())
    }

    fn show(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.shown += bytes.len() as u64;
        self.output.write_all(bytes).and_then(|()| self.output.flush()).context("pass on the lab's output")
    }

    /// Lines from the first process of the emulated host: see init.sh.
    fn report(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.status.extend_from_slice(bytes);
        while let Some(end) = self.status.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.status.drain(..=end).collect();
            self.advance(String::from_utf8_lossy(&line).trim())?;
        }
        Ok(())
    }

    fn advance(&mut self, line: &str) -> anyhow::Result<()> {
        if line != "ready" {
            self.phase = ended(line).with_context(|| format!("the lab says {line:?}"))?;
            self.deadline = Some(Instant::now() + LAST_OUTPUT_LIMIT);
            return Ok(());
        }
        self.phase = Phase::Running;
        self.deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        if let Some(step) = self.starting.take() {
            step.done();
        }
        self.connect_keyboard()
    }

    fn connect_keyboard(&mut self) -> anyhow::Result<()> {
        let Some(keyboard) = &self.emulator.keyboard else { return Ok(()) };
        // A host that takes no keys shall not stop this process.
        rustix::fs::fcntl_setfl(keyboard, rustix::fs::OFlags::NONBLOCK).context("set up the keyboard")?;
        self.raw = Some(Raw::enter().context("set up the terminal")?);
        Ok(())
    }

    fn type_keys(&mut self) -> anyhow::Result<()> {
        match rustix::io::write(self.fd(Source::Keyboard), &self.keys) {
            Ok(taken) => drop(self.keys.drain(..taken)),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            // The emulator is about to go; the other channels tell how.
            Err(_) => self.keys.clear(),
        }
        Ok(())
    }

    fn record(&mut self, bytes: &[u8]) {
        let room = LOG_LIMIT.saturating_sub(self.log.len());
        self.log.extend(bytes.iter().take(room));
    }

    fn died(mut self) -> anyhow::Result<u8> {
        let status = self.emulator.ended().context("wait for the emulator")?;
        // Status 0 is a host that switched itself off; its last words tell more.
        let how = if status.success() { String::new() } else { format!(" (emulator: {status})") };
        self.fail(&format!("the lab's host died{how}"))
    }

    fn out_of_time(self) -> anyhow::Result<u8> {
        match self.phase {
            Phase::Booting => self.fail(&format!("the lab did not start within {} s", BOOT_LIMIT.as_secs())),
            Phase::Running => bail!(
                "timed out after {} s: the lab was switched off (--timeout)",
                self.timeout.unwrap_or_default().as_secs()
            ),
            // A process that the job left behind was killed while it wrote.
            Phase::Ended { code, .. } => Ok(code),
        }
    }

    /// The error for a lab that failed: its last words, and where all of them are.
    fn fail(&self, what: &str) -> anyhow::Result<u8> {
        let path = paths::target_dir("log")?.join(format!("lab-{}.log", std::process::id()));
        std::fs::write(&path, &self.log).with_context(|| format!("write {}", path.display()))?;
        bail!("{what}: {} (log: {})", last_words(&self.log), path.display())
    }
}

/// What `exit CODE` and `exit CODE LENGTH` say.
fn ended(line: &str) -> Option<Phase> {
    let mut words = line.strip_prefix("exit ")?.split(' ');
    let code = words.next()?.parse().ok()?;
    let length = words.next().map(str::parse).transpose().ok()?;
    Some(Phase::Ended { code, length })
}

fn flags(source: Source) -> PollFlags {
    if source == Source::Keyboard { PollFlags::OUT } else { PollFlags::IN }
}

/// The line that says best why: a panic, our own first process, else the last line.
fn last_words(log: &[u8]) -> String {
    let log = String::from_utf8_lossy(log);
    let lines = || log.lines().map(str::trim).filter(|line| !line.is_empty());
    let telling = |line: &&str| ["Kernel panic", "lab: "].iter().any(|mark| line.contains(mark));
    lines().find(telling).or_else(|| lines().next_back()).unwrap_or("without a word").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_reads_code_and_length() {
        assert_eq!(ended("exit 7"), Some(Phase::Ended { code: 7, length: None }));
        assert_eq!(ended("exit 137 42"), Some(Phase::Ended { code: 137, length: Some(42) }));
    }

    #[test]
    fn ended_refuses_what_init_never_says() {
        assert_eq!(ended("ready?"), None);
        assert_eq!(ended("exit 256"), None);
        assert_eq!(ended("exit 0 x"), None);
    }

    #[test]
    fn last_words_prefers_what_explains() {
        let log = b"[    1.0] warning\n[    2.0] lab: no root over 9p\n[    2.1] reboot: Power down\n";

        assert_eq!(last_words(log), "[    2.0] lab: no root over 9p");
    }

    #[test]
    fn last_words_of_an_unexplained_end_is_the_last_line() {
        assert_eq!(
            last_words(b"qemu: warning\nqemu: cannot set up guest memory\n\n"),
            "qemu: cannot set up guest memory"
        );
    }
}
