//! virtio-blk: a disk. virtio 1.2, 5.2.
//!
//! Reads, writes, flushes, discards, zeroes, and the identity string; what the standard has beyond that is answered with
//! VIRTIO_BLK_S_UNSUPP and not offered. Data moves between guest memory and the [backend](Backend) without a copy. There may
//! be several queues, for guests whose vCPUs would share one; a single thread serves them, and an [engine](block::Engine) does
//! what several requests ask for at a time.

mod disk;
mod pieces;
mod request;
mod serving;
mod spec;

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::str::FromStr;
use std::sync::Arc;

use block::{Access, Backend, Engine, EngineKind, Geometry, SECTOR};
use rustix::event::{EventfdFlags, eventfd};
use zerocopy::IntoBytes as _;

use crate::{Broken, Features, Requests, VirtioDevice};

use disk::Disk;
use serving::Serving;
use spec::{Config, ID_BYTES};

/// Data segments a driver may use in a request: those of a 256-entry ring without header and status, as in QEMU.
const SEG_MAX: u32 = 254;

/// A disk's identity, up to 20 bytes of ASCII, as a guest sees it in `/dev/disk/by-id/virtio-…`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Serial([u8; ID_BYTES]);

/// This cannot be a serial.
#[derive(Debug, thiserror::Error)]
#[error("serial \"{0}\" must be at most 20 printable ASCII characters")]
pub struct BadSerial(String);

impl Serial {
    /// As text; `None` for one that was given as other bytes.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.0).ok()?;
        Some(text.trim_end_matches('\0'))
    }
}

impl FromStr for Serial {
    type Err = BadSerial;

    fn from_str(text: &str) -> Result<Self, BadSerial> {
        let mut bytes = [0; ID_BYTES];
        let printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        match bytes.get_mut(..text.len()) {
            Some(place) if printable => place.copy_from_slice(text.as_bytes()),
            _ => return Err(BadSerial(text.into())),
        }
        Ok(Self(bytes))
    }
}

/// When a write is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteCache {
    /// When the host has it: durable after a flush. For drivers that never flush it is as `Through`, and drivers may ask for
    /// that.
    #[default]
    Back,
    /// When it is durable.
    Through,
}

/// What there is to choose about a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What the guest can tell it by.
    pub serial: Serial,
    /// When a write is done.
    pub cache: WriteCache,
    /// How many queues there are, from 1 to [`MAX_QUEUES`].
    pub queues: u16,
    /// What does several things at a time.
    pub engine: EngineKind,
}

impl Default for Options {
    fn default() -> Self {
        let engine = EngineKind::default();
        Self { serial: Serial::default(), cache: WriteCache::default(), queues: 1, engine }
    }
}

/// Most queues of a disk.
pub const MAX_QUEUES: u16 = 64;

/// A virtio block device.
pub struct Blk {
    // Fixed.
    cache: WriteCache,
    features: Features,
    /// Somebody changed the size.
    resized: Option<Arc<OwnedFd>>,
    disk: Disk,
    engine: Engine,
    // Volatile: the driver chooses `writeback`.
    config: Config,
}

impl Blk {
    /// A disk whose sectors are in `backend`.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, options: Options) -> Self {
        let geometry = backend.geometry();
        let queues = options.queues.clamp(1, MAX_QUEUES);
        let mut features = spec::FEATURES.union(match geometry.access {
            Access::ReadWrite => spec::WRITABLE,
            Access::ReadOnly => spec::READ_ONLY,
        });
        if queues > 1 {
            features = features.union(spec::MULTI_QUEUE);
        }
        let config = describe(&geometry, queues);
        let engine = Engine::new(Arc::clone(&backend), options.engine);
        let disk = Disk::new(backend, options.serial);
        Self { cache: options.cache, features, resized: None, disk, engine, config }
    }

    /// What is to be called when the backend's size has changed; the driver is told.
    ///
    /// # Errors
    /// When the host has no event to give.
    pub fn resize_notice(&mut self) -> io::Result<impl Fn() + Send + Sync + use<>> {
        let event = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        self.resized = Some(Arc::clone(&event));
        Ok(move || {
            // A full counter means that the device knows already.
            let _ = rustix::io::write(&event, &1_u64.to_ne_bytes());
        })
    }

    fn set_writeback(&mut self, writeback: u8) {
        self.config.writeback = writeback;
        if writeback == 0 {
            // What is cached now was written under the old rule; if it cannot be saved, the next flush says so.
            let _ = self.disk.backend.flush();
        }
    }
}

impl VirtioDevice for Blk {
    fn id(&self) -> u32 {
        spec::ID
    }

    fn queues(&self) -> u16 {
        self.config.num_queues.get()
    }

    fn features(&self) -> Features {
        self.features
    }

    fn config(&self) -> &[u8] {
        self.config.as_bytes()
    }

    fn write_config(&mut self, offset: usize, data: &[u8]) {
        if let (spec::WRITEBACK, [writeback @ (0 | 1)]) = (offset, data) {
            self.set_writeback(*writeback);
        }
    }

    fn host_events(&self) -> Option<BorrowedFd<'_>> {
        self.resized.as_ref().map(|event| event.as_fd())
    }

    fn host_event(&mut self) {
        let _ = self.resized.as_ref().map(|event| rustix::io::read(event, &mut [0; 8]));
        let Config { writeback, num_queues, .. } = self.config;
        self.config = Config { writeback, ..describe(&self.disk.backend.geometry(), num_queues.get()) };
    }

    /// A driver that cannot flush gets every write made durable. virtio 1.2, 5.2.5.2 and 5.2.6.2.
    fn begin(&mut self, features: Features) {
        self.config.writeback = (features.contains(spec::FLUSH) && self.cache == WriteCache::Back).into();
    }

    fn serve(&mut self, _queue: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        let durable = self.config.writeback == 0;
        let mut serving = Serving::new(&mut self.disk, requests, durable);
        self.engine.run(&mut serving);
        serving.finish()
    }
}

/// The configuration space of a disk.
fn describe(geometry: &Geometry, queues: u16) -> Config {
    let physical_block_exp = (geometry.block_size / SECTOR as u32).max(1).ilog2() as u8;
    let cylinders = geometry.sectors / (HEADS * TRACK);
    Config {
        capacity: geometry.sectors.into(),
        seg_max: SEG_MAX.into(),
        cylinders: (cylinders.clamp(2, 16383) as u16).into(),
        heads: HEADS as u8,
        sectors: TRACK as u8,
        blk_size: (SECTOR as u32).into(), // SeaBIOS drops a disk with any other
        physical_block_exp,
        min_io_size: (1 << physical_block_exp).into(),
        num_queues: queues.into(),
        max_discard_sectors: pieces::MAX_SECTORS.into(),
        max_discard_seg: pieces::MAX_PIECES.into(),
        discard_sector_alignment: (1 << physical_block_exp).into(),
        max_write_zeroes_sectors: pieces::MAX_SECTORS.into(),
        max_write_zeroes_seg: pieces::MAX_PIECES.into(),
        write_zeroes_may_unmap: 1,
        ..Config::default()
    }
}

/// Heads and sectors per track of a disk that has neither: the most that a BIOS translates. With the cylinders cut at
/// 16383, larger disks are addressed by sector.
const HEADS: u64 = 16;
const TRACK: u64 = 63;
