//! A Unix socket that waits for a client, and for the next one when that has gone.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, epoll, poll};

use crate::files::write_some;
use crate::{Chardev, OpenError};

/// How much of its past a console tells a client that comes late.
pub const KEPT: usize = 64 << 10;

/// What becomes of output that nobody is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The last [`KEPT`] bytes, of all output, wait for each client: a console.
    Last,
    /// It waits, all of it: the guest is told that nobody is there.
    Nothing,
}

/// A listening socket with at most one client.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    events: OwnedFd,
    client: Option<UnixStream>,
    keep: Keep,
    /// The last output, for the next client.
    past: VecDeque<u8>,
    /// What the client that came last has not read of it.
    greeting: Vec<u8>,
}

impl Socket {
    /// Listens at `path`. A socket of that name that nobody listens at any more is replaced.
    ///
    /// # Errors
    /// Somebody listens there, or it cannot be made.
    pub fn listen(path: &Path, keep: Keep) -> Result<Self, OpenError> {
        let listener = bind(path)?;
        let events = watch(&listener).map_err(|source| OpenError::Watch(path.into(), source))?;
        // The process's folder may be another one when the socket goes.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        Ok(Self { listener, path, events, client: None, keep, past: VecDeque::new(), greeting: Vec::new() })
    }

    fn accept(&mut self) -> io::Result<()> {
        let (client, _) = self.listener.accept()?;
        client.set_nonblocking(true)?;
        let interest = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&self.events, &client, epoll::EventData::new_u64(1), interest)?;
        self.greeting = self.past.iter().copied().collect();
        self.client = Some(client);
        Ok(())
    }

    /// Whoever left takes nothing more.
    fn leave(&mut self) {
        self.client = None;
        self.greeting.clear();
    }

    fn remember(&mut self, bytes: &[u8]) {
        self.past.extend(bytes);
        self.past.drain(..self.past.len().saturating_sub(KEPT));
    }

    /// Sends what is left of the past. False if there still is some.
    fn greet(&mut self) -> bool {
        let Some(client) = &mut self.client else { return true };
        match write_some(client, &self.greeting) {
            Some(count) => _ = self.greeting.drain(..count),
            None => self.leave(),
        }
        self.greeting.is_empty()
    }
}

/// Listens at `path`. A socket of that name that nobody listens at any more is replaced.
///
/// # Errors
/// Somebody listens there, or it cannot be made.
pub fn bind(path: &Path) -> Result<UnixListener, OpenError> {
    let open = |source| OpenError::Open(path.into(), source);
    if is_abandoned(path) {
        std::fs::remove_file(path).map_err(open)?;
    }
    UnixListener::bind(path).map_err(open)
}

/// Whether there is a socket at `path`, and nobody at it. A file of another kind refuses connections, too.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).is_err_and(refused)
}

/// Whether `client` is gone, and left nothing to read.
fn has_left(client: &UnixStream) -> bool {
    let mut state = [PollFd::new(client, PollFlags::empty())];
    let polled = poll(&mut state, Some(&rustix::time::Timespec::default()));
    let gone = polled.is_ok() && state.iter().any(|fd| fd.revents().contains(PollFlags::HUP));
    gone && rustix::io::ioctl_fionread(client) == Ok(0)
}

fn watch(listener: &UnixListener) -> io::Result<OwnedFd> {
    listener.set_nonblocking(true)?;
    let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let interest = epoll::EventFlags::IN | epoll::EventFlags::ET;
    epoll::add(&events, listener, epoll::EventData::new_u64(0), interest)?;
    Ok(events)
}

impl Chardev for Socket {
    fn events(&self) -> Option<BorrowedFd<'_>> {
        Some(self.events.as_fd())
    }

    fn look(&mut self) {
        if self.client.as_ref().is_some_and(has_left) {
            self.leave();
        }
        // Another client waits until this one has gone.
        if self.client.is_none() {
            let _ = self.accept();
        }
        self.greet();
    }

    fn is_connected(&self) -> bool {
        self.keep == Keep::Last || self.client.is_some()
    }

    fn read(&mut self, to: &mut [u8]) -> usize {
        let Some(client) = &mut self.client else { return 0 };
        match client.read(to) {
            Ok(count) if count > 0 => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
            _ => {
                self.leave();
                self.look();
                0
            }
        }
    }

    fn write(&mut self, from: &[u8]) -> usize {
        if !self.greet() {
            return 0;
        }
        let sent = self.client.as_mut().and_then(|client| write_some(client, from));
        let taken = sent.unwrap_or_else(|| {
            self.leave();
            if self.keep == Keep::Last { from.len() } else { 0 }
        });
        if self.keep == Keep::Last {
            self.remember(from.get(..taken).unwrap_or_default());
        }
        taken
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // If somebody removed it already, so much the better.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use super::*;

    fn listening(keep: Keep) -> (Socket, tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        (Socket::listen(&path, keep).unwrap(), folder, path)
    }

    fn connect(socket: &mut Socket, path: &Path) -> UnixStream {
        let client = UnixStream::connect(path).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.look();
        client
    }

    fn expect(client: &mut UnixStream, text: &[u8]) {
        let mut bytes = vec![0; text.len()];
        client.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, text);
    }

    #[test]
    fn late_client_reads_what_was_said_before() {
        let (mut socket, _folder, path) = listening(Keep::Last);
        assert_eq!(socket.write(b"hello "), 6);
        let mut client = connect(&mut socket, &path);
        socket.write(b"world");
        expect(&mut client, b"hello world");
        drop(client);
        socket.read(&mut [0; 8]);
        socket.write(b"!");
        expect(&mut connect(&mut socket, &path), b"hello world!");
    }

    #[test]
    fn past_ends_somewhere() {
        let (mut socket, _folder, path) = listening(Keep::Last);
        for n in 0..=255 {
            socket.write(&[n; 1000]);
        }
        let mut client = connect(&mut socket, &path);
        let mut past = Vec::new();
        while past.len() < KEPT {
            let mut part = vec![0; 4096];
            let count = client.read(&mut part).unwrap();
            past.extend_from_slice(&part[..count]);
            socket.look();
        }
        assert_eq!(past.len(), KEPT);
        assert_eq!((past[KEPT - 1000], past[KEPT - 1001]), (255, 254));
    }

    #[test]
    fn second_client_has_its_turn_after_the_first() {
        let (mut socket, _folder, path) = listening(Keep::Nothing);
        assert!(!socket.is_connected());
        assert_eq!(socket.write(b"lost"), 0, "nobody is there to take it");
        let mut first = connect(&mut socket, &path);
        let mut second = connect(&mut socket, &path);
        socket.write(b"1");
        expect(&mut first, b"1");
        first.write_all(b"abc").unwrap();
        let mut bytes = [0; 8];
        assert_eq!(socket.read(&mut bytes), 3);
        drop(first);
        assert_eq!(socket.read(&mut bytes), 0);
        assert!(socket.is_connected());
        socket.write(b"2");
        expect(&mut second, b"2");
    }

    #[test]
    fn client_that_does_not_read_holds_the_guest_back() {
        let (mut socket, _folder, path) = listening(Keep::Last);
        let mut client = connect(&mut socket, &path);
        let mut sent = 0;
        while socket.write(&[b'x'; 4096]) == 4096 {
            sent += 4096;
        }
        let mut room = vec![0; sent];
        client.read_exact(&mut room).unwrap();
        assert_eq!(socket.write(b"again"), 5);
    }

    #[test]
    fn socket_that_nobody_listens_at_is_replaced_and_another_is_not() {
        let (socket, _folder, path) = listening(Keep::Last);
        assert!(Socket::listen(&path, Keep::Last).is_err(), "in use");
        std::fs::hard_link(&path, path.with_extension("stale")).unwrap();
        drop(socket);
        assert!(!path.exists());
        assert!(Socket::listen(&path.with_extension("stale"), Keep::Last).is_ok());
        std::fs::write(&path, "a file").unwrap();
        assert!(Socket::listen(&path, Keep::Last).is_err(), "no socket at all");
        assert_eq!(std::fs::read(&path).unwrap(), b"a file");
    }
}
