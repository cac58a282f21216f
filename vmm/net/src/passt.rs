//! passt: a process that gives a guest the host's network, as an ordinary user.

use std::ffi::OsString;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Backend, ConnectError, Sent, Stream};

/// How long passt may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no passt.
#[derive(Debug, thiserror::Error)]
pub enum PasstError {
    /// It is not installed.
    #[error(
        "start passt; install it (apt-get install passt), or give the socket of a running one with socket=PATH"
    )]
    Start(#[source] io::Error),
    /// There is no place for its socket.
    #[error("make a folder for passt's socket")]
    Folder(#[source] io::Error),
    /// It ended at once.
    #[error("passt gave up ({0}): {1}")]
    Ended(ExitStatus, String),
    /// It does not listen.
    #[error("passt does not listen within {} s", PATIENCE.as_secs())]
    Silent,
    /// It does not answer.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// A passt of our own, which ends with this.
pub struct Passt {
    stream: Stream,
    child: Child,
    _folder: TempDir,
}

impl Passt {
    /// Starts passt and connects to it. `options` are its own, such as `-t 2222:22`, which forwards a port.
    ///
    /// # Errors
    /// [`PasstError`], whose message says what to do, or what passt said.
    pub fn start(options: &[OsString]) -> Result<Self, PasstError> {
        let folder = folder().map_err(PasstError::Folder)?;
        let socket = folder.path().join("socket");
        let mut command = Command::new("passt");
        command.args(["--foreground", "--one-off", "--socket"]).arg(&socket).args(options);
        let log = folder.path().join("log");
        let said = std::fs::File::create(&log).map_err(PasstError::Folder)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let mut child = command.spawn().map_err(PasstError::Start)?;
        match connect(&mut child, &socket, &log) {
            Ok(stream) => Ok(Self { stream, child, _folder: folder }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }
}

/// A folder for the socket. A passt that root starts becomes nobody, and makes its socket after that.
fn folder() -> io::Result<TempDir> {
    const NOBODY: u32 = 65534;
    let folder = TempDir::with_prefix("tinderbox-passt-")?;
    if rustix::process::geteuid().is_root() {
        chown(folder.path(), Some(NOBODY), None)?;
    }
    Ok(folder)
}

/// Connects as soon as there is a socket.
fn connect(child: &mut Child, socket: &Path, log: &Path) -> Result<Stream, PasstError> {
    let start = Instant::now();
    loop {
        match Stream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) if start.elapsed() > PATIENCE && socket.exists() => return Err(error.into()),
            Err(_) if start.elapsed() > PATIENCE => return Err(PasstError::Silent),
            Err(_) => {}
        }
        if let Ok(Some(status)) = child.try_wait() {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            let last = said.lines().last().unwrap_or("no message").to_owned();
            return Err(PasstError::Ended(status, last));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn end(child: &mut Child) {
    // If it has ended already, so much the better.
    let _ = child.kill();
    let _ = child.wait();
}

impl Drop for Passt {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

impl Backend for Passt {
    fn events(&self) -> Option<BorrowedFd<'_>> {
        self.stream.events()
    }

    fn receive(&mut self, packet: &mut [u8]) -> io::Result<Option<usize>> {
        self.stream.receive(packet)
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<Sent> {
        self.stream.send(packet)
    }
}
