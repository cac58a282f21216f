//! Sockets by which programs outside reach the machine, and the streams that come of them.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::config::{Endpoint, Monitor, Side};

/// What a pipe that is ready takes without blocking (POSIX: at least 512).
const PIPE_BUF: usize = 512;
/// Descriptors that one message may bring; the kernel closes others.
const MOST_FDS: usize = 16;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody listens there already.
    #[error("{0} is in use by another program, choose another")]
    InUse(String),
    /// What is there is not ours to replace.
    #[error("{} is there and is no socket, choose another path", .0.display())]
    NotSocket(PathBuf),
    /// The host refuses.
    #[error("{what} {endpoint}")]
    Io {
        /// What we tried.
        what: &'static str,
        /// Where.
        endpoint: String,
        /// Why not.
        source: io::Error,
    },
}

/// A place where programs reach the machine, opened.
pub struct Socket {
    listener: Option<Listener>,
    /// Who is there from the start.
    first: Option<Stream>,
}

enum Listener {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener),
}

/// A way to one program.
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
    Stdio,
}

impl Socket {
    /// Opens `monitor`; waits for the first program if so configured.
    ///
    /// # Errors
    /// When the address is taken, or the host refuses.
    pub fn open(monitor: &Monitor) -> Result<Self, SocketError> {
        let Monitor { endpoint, side } = monitor;
        let failed = |what| {
            let endpoint = endpoint.to_string();
            move |source| SocketError::Io { what, endpoint: endpoint.clone(), source }
        };
        if *endpoint == Endpoint::Stdio {
            return Ok(Self { listener: None, first: Some(Stream::Stdio) });
        }
        if *side == Side::Client {
            let stream = connect(endpoint).map_err(failed("connect to"))?;
            return Ok(Self { listener: None, first: Some(stream) });
        }
        let listener = listen(endpoint)?;
        let first = match side {
            Side::WaitingServer => Some(listener.accept().map_err(failed("wait for a program at"))?),
            Side::Server | Side::Client => None,
        };
        listener.set_nonblocking().map_err(failed("listen at"))?;
        Ok(Self { listener: Some(listener), first })
    }

    /// The program that was there before the machine ran.
    pub(crate) fn take_first(&mut self) -> Option<Stream> {
        self.first.take()
    }

    /// What to wait on for the next program.
    pub(crate) fn listener(&self) -> Option<BorrowedFd<'_>> {
        self.listener.as_ref().map(|listener| match listener {
            Listener::Unix(listener, _) => listener.as_fd(),
            Listener::Tcp(listener) => listener.as_fd(),
        })
    }

    /// The next program, if one is there.
    pub(crate) fn accept(&self) -> Option<Stream> {
        self.listener.as_ref()?.accept().ok()
    }
}

/// Takes the socket's file away again.
impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(Listener::Unix(_, path)) = &self.listener {
            let _ = fs::remove_file(path);
        }
    }
}

fn listen(endpoint: &Endpoint) -> Result<Listener, SocketError> {
    let listener = match endpoint {
        Endpoint::Unix(path) => {
            clear(path)?;
            let lasting = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            UnixListener::bind(path).map(|listener| Listener::Unix(listener, lasting))
        }
        Endpoint::Tcp(address) => TcpListener::bind(address).map(Listener::Tcp),
        Endpoint::Stdio => Err(io::ErrorKind::Unsupported.into()),
    };
    listener.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => SocketError::InUse(endpoint.to_string()),
        _ => SocketError::Io { what: "listen at", endpoint: endpoint.to_string(), source },
    })
}

/// Removes a socket that a program left behind; one that answers is in use.
fn clear(path: &Path) -> Result<(), SocketError> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NotSocket(path.into()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            let what = "replace the socket at";
            fs::remove_file(path).map_err(|source| SocketError::Io {
                what,
                endpoint: path.display().to_string(),
                source,
            })
        }
        _ => Err(SocketError::InUse(path.display().to_string())),
    }
}

fn connect(endpoint: &Endpoint) -> io::Result<Stream> {
    let stream = match endpoint {
        Endpoint::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
        Endpoint::Tcp(address) => Stream::Tcp(TcpStream::connect(address)?),
        Endpoint::Stdio => Stream::Stdio,
    };
    stream.set_nonblocking()?;
    Ok(stream)
}

/// Whether a stream that said so is to be asked again later.
pub(crate) fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl Listener {
    fn accept(&self) -> io::Result<Stream> {
        let stream = match self {
            Self::Unix(listener, _) => Stream::Unix(listener.accept()?.0),
            Self::Tcp(listener) => Stream::Tcp(listener.accept()?.0),
        };
        stream.set_nonblocking()?;
        Ok(stream)
    }

    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Unix(listener, _) => listener.set_nonblocking(true),
            Self::Tcp(listener) => listener.set_nonblocking(true),
        }
    }
}

impl Stream {
    /// The terminal's own flags stay as they are.
    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_nonblocking(true),
            Self::Tcp(stream) => stream.set_nonblocking(true),
            Self::Stdio => Ok(()),
        }
    }

    /// Reads what is there.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
            Self::Stdio => Ok(rustix::io::read(io::stdin(), buffer)?),
        }
    }

    /// Reads what is there, and the descriptors that come with it.
    pub(crate) fn read_with_fds(
        &mut self,
        buffer: &mut [u8],
        fds: &mut VecDeque<OwnedFd>,
    ) -> io::Result<usize> {
        let Self::Unix(stream) = self else { return self.read(buffer) };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received =
            recvmsg(stream, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        Ok(received.bytes)
    }

    /// Writes what goes without waiting.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
            Self::Stdio => {
                let piece = bytes.get(..PIPE_BUF).unwrap_or(bytes);
                Ok(rustix::io::write(io::stdout(), piece)?)
            }
        }
    }

    /// What to wait on for input, and for room for output.
    pub(crate) fn fds(&self) -> (BorrowedFd<'_>, BorrowedFd<'_>) {
        match self {
            Self::Unix(stream) => (stream.as_fd(), stream.as_fd()),
            Self::Tcp(stream) => (stream.as_fd(), stream.as_fd()),
            Self::Stdio => (rustix::stdio::stdin(), rustix::stdio::stdout()),
        }
    }
}
