//! Frames on a Unix stream socket, each behind its length in four bytes, big-endian: what QEMU calls `-netdev stream`, and
//! what passt speaks.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::{Backend, HEADER_LEN, MAX_PACKET, Sent};

/// Bytes of a length.
const LENGTH: usize = 4;
/// The longest frame.
const MAX_FRAME: usize = MAX_PACKET - HEADER_LEN;

/// Why nobody answers.
#[derive(Debug, thiserror::Error)]
#[error("connect to the socket {path}")]
pub struct ConnectError {
    path: PathBuf,
    source: io::Error,
}

/// A connected socket, and what is on its way.
pub struct Stream {
    socket: UnixStream,
    /// What came in and is no whole frame yet.
    incoming: Vec<u8>,
    /// The rest of a frame that went out in part.
    outgoing: Vec<u8>,
}

impl Stream {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(path: &Path) -> Result<Self, ConnectError> {
        let stream = UnixStream::connect(path).and_then(Self::new);
        stream.map_err(|source| ConnectError { path: path.into(), source })
    }

    /// Frames on `socket`.
    ///
    /// # Errors
    /// The host refuses.
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket, incoming: Vec::new(), outgoing: Vec::new() })
    }

    /// Reads until there is a whole frame; returns its length.
    fn fetch(&mut self) -> io::Result<Option<usize>> {
        loop {
            if let Some(len) = self.frame_len()?
                && self.incoming.len() >= LENGTH + len
            {
                return Ok(Some(len));
            }
            let mut part = [0; 0x1_0000];
            match self.socket.read(&mut part) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.incoming.extend_from_slice(part.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The length of the frame that comes next, if it is known.
    fn frame_len(&self) -> io::Result<Option<usize>> {
        let Some(length) = self.incoming.first_chunk::<LENGTH>() else { return Ok(None) };
        match u32::from_be_bytes(*length) as usize {
            len if len <= MAX_FRAME => Ok(Some(len)),
            // Whatever follows, nobody knows where the next frame begins.
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is longer than any frame can be")),
        }
    }

    /// Writes what is left of the last frame. False if there still is something left.
    fn settle(&mut self) -> io::Result<bool> {
        while !self.outgoing.is_empty() {
            match self.socket.write(&self.outgoing) {
                Ok(count) => _ = self.outgoing.drain(..count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl Backend for Stream {
    fn events(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn receive(&mut self, packet: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(len) = self.fetch()? else { return Ok(None) };
        let (header, room) = packet.split_at_mut_checked(HEADER_LEN).ok_or(io::ErrorKind::InvalidInput)?;
        header.fill(0);
        let frame = self.incoming.get(LENGTH..LENGTH + len).unwrap_or_default();
        room.get_mut(..len).ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(frame);
        self.incoming.drain(..LENGTH + len);
        Ok(Some(HEADER_LEN + len))
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<Sent> {
        if !self.settle()? {
            return Ok(Sent::Later);
        }
        let frame = packet.get(HEADER_LEN..).filter(|frame| frame.len() <= MAX_FRAME).unwrap_or_default();
        if !frame.is_empty() {
            self.outgoing.extend_from_slice(&(frame.len() as u32).to_be_bytes());
            self.outgoing.extend_from_slice(frame);
            self.settle()?;
        }
        Ok(Sent::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Stream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Stream::new(ours).unwrap(), theirs)
    }

    fn packet(frame: &[u8]) -> Vec<u8> {
        [&[0; HEADER_LEN], frame].concat()
    }

    fn receive(stream: &mut Stream) -> io::Result<Option<Vec<u8>>> {
        let mut room = vec![0xee; MAX_PACKET];
        Ok(stream.receive(&mut room)?.map(|len| room[..len].to_vec()))
    }

    #[test]
    fn frame_goes_out_behind_its_length() {
        let (mut stream, mut theirs) = pair();
        assert_eq!(stream.send(&packet(b"frame")).unwrap(), Sent::Done);
        let mut bytes = [0; 9];
        theirs.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, *b"\0\0\0\x05frame");
    }

    #[test]
    fn frames_come_in_whole_however_they_are_cut() {
        let (mut stream, mut theirs) = pair();
        let bytes = b"\0\0\0\x03abc\0\0\0\x02de\0\0\0\0";
        for byte in bytes {
            theirs.write_all(&[*byte]).unwrap();
            if byte == &b'b' {
                assert_eq!(receive(&mut stream).unwrap(), None);
            }
        }
        for frame in [b"abc".as_slice(), b"de", b""] {
            assert_eq!(receive(&mut stream).unwrap(), Some(packet(frame)));
        }
        assert_eq!(receive(&mut stream).unwrap(), None);
    }

    #[test]
    fn impossible_length_is_the_end_of_the_wire() {
        let (mut stream, mut theirs) = pair();
        theirs.write_all(&[0xff; 64]).unwrap();
        assert_eq!(receive(&mut stream).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn end_of_the_other_side_is_told() {
        let (mut stream, theirs) = pair();
        drop(theirs);
        assert!(receive(&mut stream).is_err());
        assert!(stream.send(&packet(b"frame")).is_err());
    }

    #[test]
    fn full_socket_takes_no_more_and_loses_nothing() {
        let (mut stream, theirs) = pair();
        let frames = (0..).map(|n: u32| n.to_be_bytes().repeat(500));
        let sent: Vec<_> =
            frames.take_while(|frame| stream.send(&packet(frame)).unwrap() == Sent::Done).collect();
        assert!(sent.len() > 10);
        let mut reader = Stream::new(theirs).unwrap();
        let mut got = Vec::new();
        while let Some(frame) = receive(&mut reader).unwrap() {
            got.push(frame[HEADER_LEN..].to_vec());
            stream.settle().unwrap();
        }
        assert_eq!(got, sent);
    }
}
