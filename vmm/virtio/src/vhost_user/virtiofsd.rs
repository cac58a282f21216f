//! virtiofsd: the process that shows a folder of the host's to guests.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::io::FdFlags;
use tempfile::TempDir;

use super::VhostUserError;

/// Where distributions put it, besides the search path.
const PLACES: [&str; 3] = ["/usr/libexec/virtiofsd", "/usr/lib/virtiofsd", "/usr/lib/qemu/virtiofsd"];
/// How long one that ends may take to.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why there is no virtiofsd.
#[derive(Debug, thiserror::Error)]
pub enum VirtiofsdError {
    /// Nothing to show.
    #[error("dir={} is no folder", .0.display())]
    Folder(PathBuf),
    /// It is not installed.
    #[error(
        "find virtiofsd on PATH; install it (apt-get install virtiofsd, or qemu-system-common on Debian 12), or give the socket of a running one with socket=PATH"
    )]
    Missing,
    /// It cannot be started.
    #[error("start {}", .0.display())]
    Start(PathBuf, #[source] io::Error),
    /// There is no place for its socket.
    #[error("make a socket for virtiofsd")]
    Socket(#[source] io::Error),
    /// It ended at once.
    #[error("virtiofsd gave up ({0}): {1}")]
    Ended(ExitStatus, String),
    /// It runs, and does not speak.
    #[error(transparent)]
    Speak(#[from] VhostUserError),
}

/// What a guest may keep of files, which others may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cache {
    /// For a second.
    #[default]
    Auto,
    /// For ever.
    Always,
    /// Nothing.
    Never,
}

impl fmt::Display for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "none", // which newer ones know too
        })
    }
}

/// A virtiofsd of our own. It ends by itself when its connection does, at the latest with us.
pub struct Virtiofsd {
    child: Child,
    log: File,
    socket: PathBuf,
    _folder: TempDir,
}

impl Virtiofsd {
    /// Starts one that shows the folder `shown`.
    ///
    /// # Errors
    /// [`VirtiofsdError`], whose message says what to do.
    pub fn start(shown: &Path, cache: Cache) -> Result<Self, VirtiofsdError> {
        if !shown.is_dir() {
            return Err(VirtiofsdError::Folder(shown.into()));
        }
        let program = find().ok_or(VirtiofsdError::Missing)?;
        let folder = TempDir::with_prefix("tinderbox-fs-").map_err(VirtiofsdError::Socket)?;
        let socket = folder.path().join("socket");
        let listener = listen(&socket).map_err(VirtiofsdError::Socket)?;
        let log = tempfile::tempfile().map_err(VirtiofsdError::Socket)?;
        let said = log.try_clone().map_err(VirtiofsdError::Socket)?;
        // Options that the old one, in C, and the new one both know; a comma would begin another.
        let mut source = std::ffi::OsString::from("source=");
        source.push(shown);
        let mut command = Command::new(&program);
        command.arg(format!("--fd={}", listener.as_raw_fd())).arg("-o").arg(source);
        command.args(["-o", &format!("cache={cache}")]);
        // Signals for our group are not for it: the guest needs it until it has powered off.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let child = command.spawn().map_err(|error| VirtiofsdError::Start(program, error))?;
        Ok(Self { child, log, socket, _folder: folder })
    }

    /// Connects to it.
    pub(super) fn connect(self) -> Result<(Self, UnixStream), VirtiofsdError> {
        let stream = UnixStream::connect(&self.socket).map_err(VirtiofsdError::Socket)?;
        Ok((self, stream))
    }

    /// Why it does not speak: what it said when it gave up, if it did.
    pub(super) fn explain(&mut self, error: VhostUserError) -> VirtiofsdError {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                let mut said = String::new();
                // Without what it said, the status must do.
                let _ = self.log.rewind().and_then(|()| self.log.read_to_string(&mut said));
                return VirtiofsdError::Ended(status, said.trim().replace('\n', "; "));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        error.into()
    }
}

impl Drop for Virtiofsd {
    fn drop(&mut self) {
        // It is gone already, or goes now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A socket that the next child inherits, and that nobody but its owner can reach.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    rustix::io::fcntl_setfd(&listener, FdFlags::empty())?;
    Ok(listener)
}

/// The program, on the search path or where distributions have it.
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("virtiofsd"));
    on_path.chain(PLACES.map(PathBuf::from)).find(|program| program.is_file())
}
