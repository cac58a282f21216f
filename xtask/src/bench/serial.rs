//! What the guest prints, and when.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Now, on the clock that the kernel's trace uses.
pub(super) fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::try_from(time).unwrap_or_default()
}

/// A named pipe into which a VMM writes what its guest prints. It expects certain words, in their order.
pub(super) struct Channel {
    path: PathBuf,
    pipe: File,
    text: Vec<u8>,
    /// So much of `text` holds nothing that is still expected.
    searched: usize,
    expected: Vec<&'static str>,
    /// When each of the first of `expected` came.
    came: Vec<Duration>,
}

impl Channel {
    /// Makes the pipe at `path`.
    pub(super) fn create(path: PathBuf, expected: &[&'static str]) -> anyhow::Result<Self> {
        let failed = || format!("make a pipe at {}", path.display());
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, mode, 0).with_context(failed)?;
        // Open for writing, too: then it neither waits for the VMM to open its end, nor ends with it.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = rustix::fs::open(&path, flags, Mode::empty()).with_context(failed)?;
        let (text, came) = (Vec::new(), Vec::new());
        Ok(Self { pipe: pipe.into(), path, text, searched: 0, expected: expected.into(), came })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// When each of the expected words came; those that did not are not there.
    pub(super) fn came(&self) -> &[Duration] {
        &self.came
    }

    /// Whether no word is expected.
    pub(super) const fn expects_nothing(&self) -> bool {
        self.expected.is_empty()
    }

    /// Whether all expected words came.
    pub(super) fn is_complete(&self) -> bool {
        self.came.len() == self.expected.len()
    }

    /// The last lines, for an error message.
    pub(super) fn tail(&self) -> String {
        let text = String::from_utf8_lossy(&self.text);
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n")
    }

    /// Takes what is there.
    fn read(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; 4096];
        let length = match rustix::io::read(&self.pipe, &mut buffer) {
            Ok(length) => length,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => 0,
            Err(error) => return Err(error).context("read what the guest prints"),
        };
        self.take(buffer.get(..length).unwrap_or_default(), now());
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], at: Duration) {
        self.text.extend_from_slice(bytes);
        while let Some(word) = self.expected.get(self.came.len()) {
            let unread = self.text.get(self.searched..).unwrap_or_default();
            let Some(place) = unread.windows(word.len()).position(|window| window == word.as_bytes()) else {
                // The end may be the beginning of the word.
                self.searched += (unread.len() + 1).saturating_sub(word.len());
                return;
            };
            self.searched += place + word.len();
            self.came.push(at);
        }
    }
}

/// Waits up to `patience` for anything on `channels` and takes it.
pub(super) fn wait(channels: &mut [&mut Channel], patience: Duration) -> anyhow::Result<()> {
    let mut fds: Vec<_> = channels
        .iter()
        .map(|channel| PollFd::from_borrowed_fd(channel.pipe.as_fd(), PollFlags::IN))
        .collect();
    let patience = Timespec::try_from(patience).context("a time to wait")?;
    match poll(&mut fds, Some(&patience)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error).context("wait for the guest"),
    }
    let ready: Vec<_> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
    let ready = channels.iter_mut().zip(ready).filter_map(|(channel, is_ready)| is_ready.then_some(channel));
    ready.into_iter().try_for_each(|channel| channel.read())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn channel(expected: &[&'static str]) -> (tempfile::TempDir, Channel) {
        let dir = tempfile::tempdir().unwrap();
        let channel = Channel::create(dir.path().join("pipe"), expected).unwrap();
        (dir, channel)
    }

    #[test]
    fn take_finds_a_word_that_comes_in_pieces() {
        let (_dir, mut channel) = channel(&["Booting from", " login: "]);

        channel.take(b"x\nBooting", Duration::from_secs(1));
        channel.take(b" from 0000", Duration::from_secs(2));

        assert_eq!(channel.came(), [Duration::from_secs(2)]);
        assert!(!channel.is_complete());
    }

    #[test]
    fn take_expects_words_in_their_order() {
        let (_dir, mut channel) = channel(&["first", "second"]);

        channel.take(b"second, then first", Duration::from_secs(1));
        assert_eq!(channel.came().len(), 1);

        channel.take(b"second", Duration::from_secs(2));
        assert_eq!(channel.came(), [Duration::from_secs(1), Duration::from_secs(2)]);
        assert!(channel.is_complete());
    }

    #[test]
    fn wait_reads_what_a_writer_that_left_has_written() {
        let (_dir, mut channel) = channel(&["login"]);
        File::options().write(true).open(channel.path()).unwrap().write_all(b"debian login: ").unwrap();

        wait(&mut [&mut channel], Duration::from_secs(5)).unwrap();

        assert!(channel.is_complete());
        assert_eq!(channel.tail(), "debian login: ");
    }

    #[test]
    fn wait_returns_when_time_is_up() {
        let (_dir, mut channel) = channel(&["login"]);

        wait(&mut [&mut channel], Duration::from_millis(1)).unwrap();

        assert!(channel.came().is_empty());
    }
}
