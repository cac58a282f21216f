//! The socket, and what is said on it.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use ::vhost::vhost_user::message::{
    VhostUserConfigFlags, VhostUserHeaderFlag, VhostUserProtocolFeatures, VhostUserVirtioFeatures,
};
use ::vhost::vhost_user::{Frontend, VhostUserFrontend as _};
use ::vhost::{VhostBackend as _, VhostUserMemoryRegionInfo};
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use vm_memory::{GuestMemoryBackend as _, GuestMemoryMmap, GuestMemoryRegion as _};

use crate::{Features, OutsideQueue, vhost_rings};

use super::spec::RING;

/// How long a back end may take to answer; a guest waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);
/// What of the protocol is used where the back end has it.
const PROTOCOL: VhostUserProtocolFeatures = VhostUserProtocolFeatures::MQ
    .union(VhostUserProtocolFeatures::CONFIG)
    .union(VhostUserProtocolFeatures::REPLY_ACK);
/// The bit of the feature set that is not the guest's.
const HAS_PROTOCOL: Features = Features::from_bits(VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits());

/// Why there is no back end.
#[derive(Debug, thiserror::Error)]
pub enum VhostUserError {
    /// Nobody listens.
    #[error("connect to {}; start the back end first", .0.display())]
    Connect(PathBuf, #[source] io::Error),
    /// Not this protocol, or not to the end.
    #[error("the back end does not speak vhost-user")]
    Protocol(#[from] ::vhost::Error),
    /// The host has no more descriptors.
    #[error("watch the back end")]
    Watch(#[source] io::Error),
    /// It is older than virtio 1.
    #[error("the back end offers no virtio 1 (feature bit 32), use a newer one")]
    Legacy,
    /// It cannot say what the disk is like.
    #[error("the back end has no configuration space, so it is not for disks")]
    NoConfig,
    /// It was ours, and has ended.
    #[error("the back end has ended")]
    Gone,
    /// What answers in its place is not like it.
    #[error("another back end answers, which offers less")]
    Another,
    /// It serves fewer queues.
    #[error("the back end has {has} queues, not {wanted}: use queues={has} or less")]
    Queues {
        /// What it has.
        has: u64,
        /// What was asked for.
        wanted: u16,
    },
}

/// A back end with which the protocol's features are agreed upon.
pub(super) struct Connection {
    // Fixed.
    /// Where it may be found again.
    path: Option<PathBuf>,
    queues: u16,
    offered: Features,
    protocol: VhostUserProtocolFeatures,
    // Glue.
    /// Becomes readable when the other end goes away.
    events: OwnedFd,
    frontend: Frontend,
    stream: UnixStream,
    // Volatile.
    /// Queues that it serves.
    serving: Vec<u16>,
}

impl Connection {
    /// Agrees with the back end at `path` about `queues` queues. When it goes away, it is looked for there again.
    pub(super) fn open(path: &Path, queues: u16) -> Result<Self, VhostUserError> {
        let stream = connect(path)?;
        Ok(Self { path: Some(path.into()), ..Self::negotiate(stream, queues)? })
    }

    /// Agrees with the back end about `queues` queues.
    pub(super) fn negotiate(stream: UnixStream, queues: u16) -> Result<Self, VhostUserError> {
        let (frontend, (offered, protocol)) = greet(&stream, queues)?;
        let events = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(io::Error::from);
        let events = events.map_err(VhostUserError::Watch)?;
        watch(&events, &stream).map_err(VhostUserError::Watch)?;
        Ok(Self { path: None, queues, offered, protocol, events, frontend, stream, serving: Vec::new() })
    }

    /// Looks for the back end again, which must offer what it did.
    fn find_again(&mut self) -> Result<(), VhostUserError> {
        let Some(path) = &self.path else { return Err(VhostUserError::Gone) };
        let stream = connect(path)?;
        let (frontend, (offered, protocol)) = greet(&stream, self.queues)?;
        if !offered.contains(self.offered) || protocol != self.protocol {
            return Err(VhostUserError::Another);
        }
        watch(&self.events, &stream).map_err(VhostUserError::Watch)?;
        (self.frontend, self.stream) = (frontend, stream);
        Ok(())
    }

    /// What the back end offers of `possible`.
    pub(super) fn features(&self, possible: Features) -> Features {
        self.offered.intersection(possible)
    }

    /// The first `len` bytes of the configuration space.
    pub(super) fn config(&mut self, len: u32) -> Result<Vec<u8>, VhostUserError> {
        if !self.protocol.contains(VhostUserProtocolFeatures::CONFIG) {
            return Err(VhostUserError::NoConfig);
        }
        let (frontend, flags) = (&mut self.frontend, VhostUserConfigFlags::WRITABLE);
        let got =
            within_patience(&self.stream, || frontend.get_config(0, len, flags, &vec![0; len as usize]));
        let (_, bytes) = got.map_err(VhostUserError::Watch)??;
        Ok(bytes)
    }

    /// Changes the configuration space.
    pub(super) fn set_config(&mut self, offset: usize, data: &[u8]) -> io::Result<()> {
        let frontend = &mut self.frontend;
        within_patience(&self.stream, || {
            frontend.set_config(offset as u32, VhostUserConfigFlags::WRITABLE, data).map_err(io::Error::other)
        })?
    }

    /// Becomes readable when the other end goes away.
    pub(super) fn events(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// Whether the other end is there.
    pub(super) fn check(&self) -> io::Result<()> {
        let mut watched = [PollFd::new(&self.stream, PollFlags::RDHUP)];
        poll(&mut watched, Some(&Timespec::default()))?;
        let gone = PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR;
        match watched.iter().any(|fd| fd.revents().intersects(gone)) {
            true => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the back end closed its socket")),
            false => Ok(()),
        }
    }

    /// Hands the queues over.
    pub(super) fn start(
        &mut self,
        memory: &GuestMemoryMmap,
        features: Features,
        queues: &[OutsideQueue<'_>],
    ) -> io::Result<()> {
        if self.check().is_err() {
            self.find_again().map_err(io::Error::other)?;
        }
        self.serving = queues.iter().map(|queue| queue.index).collect();
        let features = features.union(self.offered.intersection(HAS_PROTOCOL));
        let frontend = &mut self.frontend;
        within_patience(&self.stream, || start(frontend, memory, features, queues).map_err(io::Error::other))?
    }

    /// Takes them back.
    pub(super) fn stop(&mut self) -> io::Result<()> {
        let (frontend, serving) = (&mut self.frontend, std::mem::take(&mut self.serving));
        let switch = self.offered.contains(HAS_PROTOCOL);
        within_patience(&self.stream, || stop(frontend, &serving, switch).map_err(io::Error::other))?
    }
}

fn connect(path: &Path) -> Result<UnixStream, VhostUserError> {
    UnixStream::connect(path).map_err(|error| VhostUserError::Connect(path.into(), error))
}

/// Has `events` tell when the other end of `stream` goes away. Answers are no events.
fn watch(events: &OwnedFd, stream: &UnixStream) -> io::Result<()> {
    let flags = epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
    Ok(epoll::add(events, stream, epoll::EventData::new_u64(0), flags)?)
}

/// What a back end offers, and what of the protocol is used.
type Agreed = (Features, VhostUserProtocolFeatures);

/// Speaks with a new back end for the first time.
fn greet(stream: &UnixStream, queues: u16) -> Result<(Frontend, Agreed), VhostUserError> {
    let other = stream.try_clone().map_err(VhostUserError::Watch)?;
    let mut frontend = Frontend::from_stream(other, queues.into());
    let agreed =
        within_patience(stream, || agree(&mut frontend, queues)).map_err(VhostUserError::Watch)??;
    Ok((frontend, agreed))
}

fn agree(frontend: &mut Frontend, queues: u16) -> Result<Agreed, VhostUserError> {
    let offered = Features::from_bits(frontend.get_features()?);
    let mut protocol = VhostUserProtocolFeatures::empty();
    if offered.contains(HAS_PROTOCOL) {
        protocol = frontend.get_protocol_features()? & PROTOCOL;
        frontend.set_protocol_features(protocol)?;
    }
    if protocol.contains(VhostUserProtocolFeatures::MQ) {
        // It counts pairs for some devices, and says 0 for others that take what they get.
        let has = frontend.get_queue_num()?;
        if has != 0 && has < queues.into() {
            return Err(VhostUserError::Queues { has, wanted: queues });
        }
    }
    frontend.set_owner()?;
    if protocol.contains(VhostUserProtocolFeatures::REPLY_ACK) {
        frontend.set_hdr_flags(VhostUserHeaderFlag::NEED_REPLY);
    }
    let version_1 = RING.intersection(offered);
    if !version_1.contains(Features::VERSION_1) {
        Err(VhostUserError::Legacy)
    } else {
        Ok((offered, protocol))
    }
}

fn start(
    frontend: &mut Frontend,
    memory: &GuestMemoryMmap,
    features: Features,
    queues: &[OutsideQueue<'_>],
) -> Result<(), ::vhost::Error> {
    vhost_rings::set_up(frontend, features, &regions(memory), queues)?;
    if features.contains(HAS_PROTOCOL) {
        queues.iter().try_for_each(|queue| frontend.set_vring_enable(queue.index.into(), true))?;
    }
    Ok(())
}

fn stop(frontend: &mut Frontend, queues: &[u16], switch: bool) -> Result<(), ::vhost::Error> {
    for &queue in queues {
        if switch {
            frontend.set_vring_enable(queue.into(), false)?;
        }
        frontend.get_vring_base(queue.into())?; // which ends it, and answers when it has ended
    }
    Ok(())
}

/// Guest memory that is of files. "User addresses", by which rings are found, are what we say they are: the guest's own.
fn regions(memory: &GuestMemoryMmap) -> Vec<VhostUserMemoryRegionInfo> {
    let region = |region: &vm_memory::GuestRegionMmap| {
        let file = region.file_offset()?;
        Some(VhostUserMemoryRegionInfo {
            guest_phys_addr: region.start_addr().0,
            memory_size: region.len(),
            userspace_addr: region.start_addr().0,
            mmap_offset: file.start(),
            mmap_handle: file.file().as_raw_fd(),
        })
    };
    memory.iter().filter_map(region).collect()
}

/// Does what waits for the back end; one that does not answer is shut out, which ends the wait.
fn within_patience<T>(stream: &UnixStream, talk: impl FnOnce() -> T) -> io::Result<T> {
    let other = stream.try_clone()?;
    let (done, watch) = channel::<()>();
    thread::scope(|scope| {
        thread::Builder::new().name("vhost-user".into()).spawn_scoped(scope, move || {
            if watch.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                tracing::error!(seconds = PATIENCE.as_secs(), "a back end did not answer, so it is shut out");
                // If it cannot be shut out it is out.
                let _ = other.shutdown(Shutdown::Both);
            }
        })?;
        let result = talk();
        drop(done);
        Ok(result)
    })
}
