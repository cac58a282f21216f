//! A tap interface of the host's: a wire to its kernel.

mod ioctl;

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use crate::{Backend, HEADER_LEN, Offloads, Sent};

/// Where tap interfaces come from.
const DEVICE: &str = "/dev/net/tun";

/// Why a tap interface cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// No name that an interface can have.
    #[error("`{0}` is no name of an interface; it has 1 to 15 characters")]
    Name(String),
    /// There are no taps on this host.
    #[error("open {DEVICE}; is the module tun loaded?")]
    Device(#[source] io::Error),
    /// The interface is not there and may not be made, or is not ours.
    #[error(
        "use the tap interface {0}; make it with `ip tuntap add {0} mode tap user $USER && ip link set {0} up`"
    )]
    Attach(String, #[source] io::Error),
    /// The same, for several ends.
    #[error(
        "use the tap interface {0} with several queues; make it with `ip tuntap add {0} mode tap multi_queue user $USER && ip link set {0} up`"
    )]
    AttachSeveral(String, #[source] io::Error),
}

/// An attached tap interface.
#[derive(Debug)]
pub struct Tap {
    file: File,
    /// One of several ends, which takes part.
    used: bool,
}

impl Tap {
    /// Attaches to the interface `name`, which is made if it is not there and this user may.
    ///
    /// # Errors
    /// [`TapError`], whose message says how to make the interface.
    pub fn open(name: &str) -> Result<Self, TapError> {
        Self::open_end(name, false)
    }

    /// Attaches `count` ends to the interface `name`, each with packets of some connections.
    ///
    /// # Errors
    /// [`TapError`], also if the interface was made for one end alone.
    pub fn open_queues(name: &str, count: u16) -> Result<Vec<Self>, TapError> {
        (0..count).map(|_| Self::open_end(name, count > 1)).collect()
    }

    fn open_end(name: &str, several: bool) -> Result<Self, TapError> {
        let mut options = File::options();
        options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
        let request = ioctl::Attach::new(name, several).ok_or_else(|| TapError::Name(name.into()))?;
        let file = options.open(DEVICE).map_err(TapError::Device)?;
        let attached = request.attach(&file).and_then(|()| ioctl::set_header_len(&file, HEADER_LEN as i32));
        attached.map_err(|source| match several {
            false => TapError::Attach(name.into(), source),
            true => TapError::AttachSeveral(name.into(), source),
        })?;
        Ok(Self { file, used: true })
    }

    /// Another handle on it, for a kernel that moves the packets itself.
    ///
    /// # Errors
    /// The host has no more descriptors.
    pub fn share(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

impl Backend for Tap {
    fn events(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn has_offloads(&self) -> bool {
        true
    }

    /// A kernel that lacks one of them goes without: it then never makes such packets.
    fn set_offloads(&mut self, offloads: Offloads) {
        let without_ufo = Offloads { ufo: false, ..offloads };
        let accepted = ioctl::set_offloads(&self.file, offloads)
            .or_else(|_| ioctl::set_offloads(&self.file, without_ufo));
        // With none at all, the kernel finishes every packet itself: slower, and right.
        let _ = accepted.or_else(|_| ioctl::set_offloads(&self.file, Offloads::default()));
    }

    fn set_used(&mut self, used: bool) {
        // Only one of several ends can stand aside, and what cannot takes part.
        if used != self.used && ioctl::set_used(&self.file, used).is_ok() {
            self.used = used;
        }
    }

    fn receive(&mut self, packet: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.file.read(packet) {
                Ok(len) => return Ok(Some(len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The interface is down. It may come up again, and then there is an event.
                Err(error) if error.raw_os_error() == Some(libc::EIO) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<Sent> {
        loop {
            match self.file.write(packet) {
                Ok(_) => return Ok(Sent::Done),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Sent::Later),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The interface is gone.
                Err(error) if error.raw_os_error() == Some(libc::EBADFD) => return Err(error),
                // The kernel finds fault with this packet, or the interface is down: on a wire it would be lost, too.
                Err(_) => return Ok(Sent::Done),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_interface_has_are_refused() {
        for name in ["", "an-interface-name", "a/b", "a b", "nul\0"] {
            assert!(matches!(Tap::open(name), Err(TapError::Name(_))), "{name:?}");
        }
    }
}
