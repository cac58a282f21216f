//! Files, FIFOs and the standard streams.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::event::epoll;

use crate::Chardev;

/// Why a stream cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file of the host's.
    #[error("open {0}")]
    Open(PathBuf, #[source] io::Error),
    /// Not a FIFO.
    #[error("{0} is no FIFO; make one with mkfifo, or use file:PATH")]
    NoFifo(PathBuf),
    /// No room for another event.
    #[error("watch {0}")]
    Watch(PathBuf, #[source] io::Error),
}

/// A file that output goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// Where it is; it is made if it is not there.
    pub path: PathBuf,
    /// What is in it stays, and output comes after that.
    pub append: bool,
}

impl OutputFile {
    /// Opens it, and empties it unless it is to be continued.
    ///
    /// # Errors
    /// It can neither be opened nor made.
    pub fn open(&self) -> Result<File, OpenError> {
        let mut options = File::options();
        options.write(true).create(true).append(self.append).truncate(!self.append);
        options.open(&self.path).map_err(|source| OpenError::Open(self.path.clone(), source))
    }
}

/// One that begins empty.
impl<P: Into<PathBuf>> From<P> for OutputFile {
    fn from(path: P) -> Self {
        Self { path: path.into(), append: false }
    }
}

/// Its path.
impl fmt::Display for OutputFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// Output to a file, and perhaps input from one.
pub struct Files {
    input: Option<File>,
    output: File,
    events: Option<OwnedFd>,
}

impl Files {
    /// Output alone.
    ///
    /// # Errors
    /// The file can neither be opened nor made.
    pub fn file(file: &OutputFile) -> Result<Self, OpenError> {
        Ok(Self { input: None, output: file.open()?, events: None })
    }

    /// The FIFOs `PATH.in` and `PATH.out`, or the one at `path` for both.
    ///
    /// # Errors
    /// There are none.
    pub fn pipe(path: &Path) -> Result<Self, OpenError> {
        let named = |suffix: &str| {
            let mut name = OsString::from(path);
            name.push(suffix);
            PathBuf::from(name)
        };
        let (input, output) = (named(".in"), named(".out"));
        let both = input.exists() && output.exists();
        let (input, output) = if both { (input, output) } else { (path.into(), path.into()) };
        Self::watched(fifo(&input)?, fifo(&output)?, path)
    }

    /// The standard streams of this process.
    ///
    /// # Errors
    /// They are closed.
    pub fn stdio() -> Result<Self, OpenError> {
        // Opened again, for whoever shares them with us did not ask for streams that do not block. Not every host has a
        // /dev/stdin.
        let again = |path: &str, write: bool| {
            let mut options = File::options();
            options.read(!write).write(write).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
            options.open(path).map_err(|source| OpenError::Open(path.into(), source))
        };
        Self::watched(again("/proc/self/fd/0", false)?, again("/proc/self/fd/1", true)?, Path::new("stdio"))
    }

    fn watched(input: File, output: File, path: &Path) -> Result<Self, OpenError> {
        let events = watch(&input, &output).map_err(|source| OpenError::Watch(path.into(), source))?;
        Ok(Self { input: Some(input), output, events: Some(events) })
    }
}

/// Both directions of one FIFO are opened, so that it neither ends nor waits for its other side.
fn fifo(path: &Path) -> Result<File, OpenError> {
    let mut options = File::options();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let open = |source| OpenError::Open(path.into(), source);
    let kind = std::fs::metadata(path).map_err(open)?.file_type();
    if !kind.is_fifo() {
        return Err(OpenError::NoFifo(path.into()));
    }
    options.open(path).map_err(open)
}

fn watch(input: &File, output: &File) -> io::Result<OwnedFd> {
    let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    add(&events, input.as_fd(), epoll::EventFlags::IN)?;
    add(&events, output.as_fd(), epoll::EventFlags::OUT)?;
    Ok(events)
}

/// Regular files are always ready, and have no events.
fn add(events: &OwnedFd, file: BorrowedFd<'_>, interest: epoll::EventFlags) -> io::Result<()> {
    match epoll::add(events, file, epoll::EventData::new_u64(0), interest | epoll::EventFlags::ET) {
        Ok(()) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Chardev for Files {
    fn events(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().map(OwnedFd::as_fd)
    }

    fn read(&mut self, to: &mut [u8]) -> usize {
        self.input.as_mut().map_or(0, |input| read_some(input, to))
    }

    fn write(&mut self, from: &[u8]) -> usize {
        write_some(&mut self.output, from).unwrap_or(from.len())
    }
}

/// Reads what is there, if anything is.
pub(crate) fn read_some(from: &mut impl Read, to: &mut [u8]) -> usize {
    loop {
        match from.read(to) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result.unwrap_or(0),
        }
    }
}

/// Writes what there is room for; none if the other end fails.
pub(crate) fn write_some(to: &mut impl Write, from: &[u8]) -> Option<usize> {
    let mut done = 0;
    while done < from.len() {
        match to.write(from.get(done..)?) {
            Ok(0) => return None,
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    Some(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_takes_output_and_has_no_input() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "old").unwrap();
        let mut file = Files::file(&path.clone().into()).unwrap();
        assert_eq!((file.write(b"new"), file.read(&mut [0; 8])), (3, 0));
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn file_that_is_continued_keeps_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for run in ["first\n", "second\n"] {
            let file = OutputFile { path: path.clone(), append: true };
            assert_eq!(Files::file(&file).unwrap().write(run.as_bytes()), run.len());
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"first\nsecond\n");
    }

    #[test]
    fn pipe_has_a_fifo_for_each_direction() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        for suffix in ["in", "out"] {
            let status = std::process::Command::new("mkfifo").arg(path.with_extension(suffix)).status();
            assert!(status.unwrap().success());
        }
        let mut pipe = Files::pipe(&path).unwrap();
        let mut to = File::options().write(true).open(path.with_extension("in")).unwrap();
        let mut from = File::open(path.with_extension("out")).unwrap();
        let mut bytes = [0; 8];
        assert_eq!(pipe.read(&mut bytes), 0);
        to.write_all(b"hello").unwrap();
        assert_eq!(pipe.read(&mut bytes), 5);
        assert_eq!(pipe.write(b"answer"), 6);
        assert_eq!(from.read(&mut bytes).unwrap(), 6);
        assert_eq!(bytes, *b"answer\0\0");
        drop((to, from));
        assert_eq!((pipe.read(&mut bytes), pipe.write(b"x")), (0, 1), "others come and go");
        let room = std::iter::repeat_with(|| pipe.write(&[0; 4096])).take_while(|&count| count > 0).count();
        assert!(room > 1, "and a full pipe takes no more");
    }

    #[test]
    fn pipe_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        assert!(matches!(Files::pipe(&path), Err(OpenError::Open(..))));
        std::fs::write(&path, "").unwrap();
        assert!(matches!(Files::pipe(&path), Err(OpenError::NoFifo(_))));
    }
}
