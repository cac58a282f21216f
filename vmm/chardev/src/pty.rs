//! A pseudo-terminal.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::Chardev;
use crate::files::{read_some, write_some};

/// Our side of a pseudo-terminal, for programs such as `screen` to open the other.
pub struct Pty {
    file: File,
    path: PathBuf,
    /// Held open: without anybody at the other side the terminal would fail, and never say when that changes.
    _other_side: File,
}

impl Pty {
    /// Makes one. Bytes go through it as they are.
    ///
    /// # Errors
    /// The host has no more.
    pub fn open() -> io::Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = rustix::fs::open(&name, flags, Mode::empty())?;
        let mut attributes = tcgetattr(&theirs)?;
        attributes.make_raw();
        tcsetattr(&theirs, OptionalActions::Now, &attributes)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        let path = PathBuf::from(name.to_string_lossy().into_owned());
        Ok(Self { file: ours.into(), path, _other_side: theirs.into() })
    }

    /// What programs open.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Chardev for Pty {
    fn events(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn read(&mut self, to: &mut [u8]) -> usize {
        read_some(&mut self.file, to)
    }

    /// A guest shall not wait for somebody who may never come: what does not fit is lost.
    fn write(&mut self, from: &[u8]) -> usize {
        write_some(&mut self.file, from);
        from.len()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn bytes_go_both_ways_as_they_are() {
        let mut pty = Pty::open().unwrap();
        let mut other = File::options().read(true).write(true).open(pty.path()).unwrap();
        assert_eq!(pty.write(b"a\nb"), 3);
        let mut bytes = [0; 3];
        other.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, *b"a\nb");
        other.write_all(b"\x03\r").unwrap();
        assert_eq!((pty.read(&mut bytes), &bytes[..2]), (2, &b"\x03\r"[..]));
    }

    #[test]
    fn output_that_nobody_reads_is_lost() {
        let mut pty = Pty::open().unwrap();
        for _ in 0..100 {
            assert_eq!(pty.write(&[b'x'; 4096]), 4096);
        }
    }
}
