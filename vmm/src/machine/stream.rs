//! A stream as the other end of the serial port: a socket, a pseudo-terminal or FIFOs.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use chardev::Chardev;
use chipset::uart::UartHost;
use rustix::event::{Timespec, epoll};

/// The stream, and what is on its way. The guest waits while nobody takes what it sent.
pub(super) struct Stream {
    chardev: Box<dyn Chardev>,
    /// Readable once for each event of the stream.
    events: OwnedFd,
    unsent: Vec<u8>,
    /// There may be input.
    fresh: bool,
}

impl Stream {
    /// `chardev` as the end of a serial port.
    ///
    /// # Errors
    /// The host has no more descriptors.
    pub(super) fn new(chardev: Box<dyn Chardev>) -> io::Result<Self> {
        let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        if let Some(event) = chardev.events() {
            let interest = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
            epoll::add(&events, event, epoll::EventData::new_u64(0), interest)?;
        }
        Ok(Self { chardev, events, unsent: Vec::new(), fresh: true })
    }

    /// Readable when there is something to look at.
    pub(super) fn events(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// Looks who is there, and whether they sent something.
    pub(super) fn look(&mut self) {
        let mut taken =
            [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }];
        // The one event there can be is taken, so that the next one rings again.
        let _ = epoll::wait(&self.events, &mut taken, Some(&Timespec::default()));
        self.chardev.look();
        self.fresh = true;
    }

    /// Passes on what the guest sent, as far as there is room.
    pub(super) fn send(&mut self, uart: &UartHost) {
        loop {
            if self.unsent.is_empty() {
                uart.take_output(&mut self.unsent);
            }
            let count = self.chardev.write(&self.unsent);
            self.unsent.drain(..count.min(self.unsent.len()));
            if count == 0 {
                return;
            }
        }
    }

    /// Moves what was sent to the guest to the end of `into`.
    pub(super) fn receive(&mut self, into: &mut Vec<u8>) {
        if !self.fresh {
            return;
        }
        let mut bytes = [0; 1024];
        let count = self.chardev.read(&mut bytes);
        self.fresh = count > 0;
        into.extend_from_slice(bytes.get(..count).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use bus::{Access, Device as _, IrqLine, Width};
    use chardev::{Keep, Socket};
    use chipset::uart::{Uart, pair};
    use rustix::event::{PollFd, PollFlags, poll};
    use tempfile::TempDir;

    use super::*;

    /// A guest's serial port whose other end is a socket.
    struct Rig {
        guest: Uart,
        host: UartHost,
        stream: Stream,
        folder: TempDir,
    }

    impl Rig {
        fn new() -> Self {
            let folder = TempDir::new().unwrap();
            let (guest, host) = pair(IrqLine::unconnected(), || {});
            let socket = Socket::listen(&folder.path().join("s"), Keep::Last).unwrap();
            Self { guest, host, stream: Stream::new(Box::new(socket)).unwrap(), folder }
        }

        fn client(&mut self) -> UnixStream {
            let client = UnixStream::connect(self.folder.path().join("s")).unwrap();
            self.rings();
            client
        }

        /// Waits for an event, and looks what it is.
        #[track_caller]
        fn rings(&mut self) {
            let mut fds = [PollFd::from_borrowed_fd(self.stream.events(), PollFlags::IN)];
            poll(&mut fds, Some(&Timespec { tv_sec: 30, tv_nsec: 0 })).unwrap();
            assert!(!fds[0].revents().is_empty(), "no event");
            self.stream.look();
        }

        /// What the guest sends until it has to wait.
        fn says(&mut self, bytes: &[u8]) -> usize {
            let at = |offset| Access { offset, width: Width::Byte };
            let ready = |guest: &mut Uart| guest.read(at(5)).unwrap() & 0x20 != 0;
            let mut sent = 0;
            for &byte in bytes {
                if !ready(&mut self.guest) {
                    break;
                }
                self.guest.write(at(0), byte.into()).unwrap();
                sent += 1;
            }
            self.stream.send(&self.host);
            sent
        }
    }

    #[test]
    fn text_goes_both_ways_and_the_first_of_it_to_who_comes_late() {
        let mut rig = Rig::new();
        assert_eq!(rig.says(b"early"), 5);
        let mut client = rig.client();
        assert_eq!(rig.says(b" and late"), 9);
        let mut seen = [0; 14];
        client.read_exact(&mut seen).unwrap();
        assert_eq!(&seen, b"early and late");
        client.write_all(b"keys").unwrap();
        rig.rings();
        let mut typed = Vec::new();
        rig.stream.receive(&mut typed);
        assert_eq!(typed, b"keys");
    }

    #[test]
    fn guest_waits_for_a_client_that_does_not_read() {
        let mut rig = Rig::new();
        let mut client = rig.client();
        let text: Vec<u8> = (0..1 << 20).map(|n: u32| b'a' + (n % 26) as u8).collect();
        let mut sent = 0;
        loop {
            match rig.says(&text[sent..]) {
                0 => break,
                count => sent += count,
            }
        }
        assert!(sent < text.len(), "it never had to");
        let mut seen = Vec::new();
        while seen.len() < text.len() {
            let mut bytes = [0; 65536];
            let count = client.read(&mut bytes).unwrap();
            seen.extend_from_slice(&bytes[..count]);
            sent += rig.says(&text[sent..]);
        }
        assert!(seen == text, "something was lost");
    }
}
