//! vhost-user: devices whose queues another process serves, over a Unix socket.
//!
//! ```text
//!   guest ── rings and buffers ── shared memory ──┐
//!         ── kick (eventfd) ─────────────────────►│ back end: virtiofsd, qemu-storage-daemon, …
//!         ◄─ call (eventfd), interrupt ───────────│
//!   VhostUser ── socket: features, memory, queues ┘ only when the driver starts and resets the device
//! ```
//!
//! Guest memory must be of files, which the back end maps. A back end that goes away, or does not answer, leaves a device
//! that needs a reset; the driver that resets it finds the one that listens by then, unless it was a virtiofsd of our own.
//!
//! Protocol: *Vhost-user Protocol*, QEMU's `docs/interop/vhost-user.rst`, by the crate `vhost`. Left out so far: requests of the
//! back end's, such as a change of the configuration; migration; requests in flight across a reconnection.

mod connection;
mod spec;
mod virtiofsd;

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use vm_memory::GuestMemoryMmap;
use zerocopy::IntoBytes as _;

use crate::net::Mac;
use crate::{Broken, Features, Outside, OutsideQueue, Requests, VirtioDevice};

use connection::Connection;
pub use connection::VhostUserError;
pub use spec::MAX_TAG;
pub use virtiofsd::{Cache, Virtiofsd, VirtiofsdError};

/// Most queues of one device.
pub const MAX_QUEUES: u16 = 64;

/// A device with its back end at the other end of a socket.
pub struct VhostUser {
    // Fixed.
    id: u32,
    queues: u16,
    features: Features,
    // Glue.
    connection: Connection,
    /// Ends with the device, if it is ours.
    _daemon: Option<Virtiofsd>,
    // Volatile.
    config: Vec<u8>,
}

impl VhostUser {
    /// A file system, which the guest mounts by its `tag`, [`MAX_TAG`] bytes at most, served by whoever listens at `socket`.
    /// virtio 1.2, 5.11.
    ///
    /// # Errors
    /// [`VhostUserError`], whose message says what is wrong.
    pub fn fs(socket: &Path, tag: &str) -> Result<Self, VhostUserError> {
        Ok(Self::fs_with(Connection::open(socket, spec::FS_QUEUES)?, tag))
    }

    /// The same, served by a virtiofsd of our own.
    ///
    /// # Errors
    /// As [`fs`](Self::fs), and what virtiofsd said.
    pub fn fs_of(daemon: Virtiofsd, tag: &str) -> Result<Self, VirtiofsdError> {
        let (mut daemon, stream) = daemon.connect()?;
        match Connection::negotiate(stream, spec::FS_QUEUES) {
            Ok(connection) => Ok(Self { _daemon: Some(daemon), ..Self::fs_with(connection, tag) }),
            Err(error) => Err(daemon.explain(error)),
        }
    }

    fn fs_with(connection: Connection, tag: &str) -> Self {
        let queues = spec::FS_QUEUES;
        let features = connection.features(spec::RING);
        let config = spec::FsConfig::new(tag, queues - 1).as_bytes().to_vec();
        Self { id: spec::FS, queues, features, connection, _daemon: None, config }
    }

    /// A disk of `queues` queues. virtio 1.2, 5.2.
    ///
    /// # Errors
    /// As [`fs`](Self::fs).
    pub fn blk(socket: &Path, queues: u16) -> Result<Self, VhostUserError> {
        let mut connection = Connection::open(socket, queues)?;
        let mut config = connection.config(spec::BLK_CONFIG_LEN)?;
        let offered = if queues > 1 { spec::BLK } else { spec::BLK_ONE_QUEUE };
        let features = connection.features(spec::RING.union(offered));
        if let Some(count) = config.get_mut(spec::BLK_QUEUES) {
            count.copy_from_slice(&queues.to_le_bytes());
        }
        Ok(Self { id: spec::BLK_ID, queues, features, connection, _daemon: None, config })
    }

    /// A network interface with one pair of queues, at the address `mac`, with datagrams of `mtu` bytes at most. virtio 1.2, 5.1.
    ///
    /// # Errors
    /// As [`fs`](Self::fs).
    pub fn net(socket: &Path, mac: Mac, mtu: Option<u16>) -> Result<Self, VhostUserError> {
        let queues = spec::NET_QUEUES;
        let connection = Connection::open(socket, queues)?;
        let own = if mtu.is_some() { spec::NET_OWN.union(spec::NET_MTU) } else { spec::NET_OWN };
        let features = connection.features(spec::RING.union(spec::NET)).union(own);
        let config = spec::NetConfig::new(mac, mtu).as_bytes().to_vec();
        Ok(Self { id: spec::NET_ID, queues, features, connection, _daemon: None, config })
    }
}

impl VirtioDevice for VhostUser {
    fn id(&self) -> u32 {
        self.id
    }

    fn queues(&self) -> u16 {
        self.queues
    }

    fn features(&self) -> Features {
        self.features
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    /// A disk's cache mode is all that a driver may write.
    fn write_config(&mut self, offset: usize, data: &[u8]) {
        let writable = self.id == spec::BLK_ID && offset == spec::BLK_WRITEBACK && data.len() == 1;
        // A back end that refuses leaves the byte as it was, which the driver sees.
        if writable && self.connection.set_config(offset, data).is_ok() {
            self.config.iter_mut().skip(offset).zip(data).for_each(|(to, from)| *to = *from);
        }
    }

    fn serve(&mut self, _queue: u16, _requests: &mut Requests<'_>) -> Result<(), Broken> {
        Ok(()) // the back end does
    }

    fn host_events(&self) -> Option<BorrowedFd<'_>> {
        Some(self.connection.events())
    }

    fn outside(&mut self) -> Option<&mut dyn Outside> {
        Some(self)
    }
}

impl Outside for VhostUser {
    fn start(
        &mut self,
        memory: &GuestMemoryMmap,
        features: Features,
        queues: &[OutsideQueue<'_>],
    ) -> io::Result<()> {
        self.connection.start(memory, features, queues)
    }

    fn stop(&mut self) -> io::Result<()> {
        self.connection.stop()
    }

    fn check(&mut self) -> io::Result<()> {
        self.connection.check()
    }
}
