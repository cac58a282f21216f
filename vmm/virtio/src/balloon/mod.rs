//! virtio-balloon: memory that the guest does without. virtio 1.2, 5.5.
//!
//! The guest gives pages up to reach the size that it is asked for, unless it would run out of memory (deflate on OOM), and
//! tells of pages that happen to be free (free page reporting); the host takes both back. If it is asked now and then, it tells
//! [how its memory is used](Statistics), and, when the host asks for [hints](Hinting), of all free pages at once.

mod hinting;
mod statistics;

use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use vm_memory::{GuestAddress, GuestMemory as _, GuestMemoryMmap, Permissions, VolatileSlice};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Broken, Buffers, Chain, Features, Requests, VirtioDevice};

use hinting::Hints;
use statistics::Buffer;

pub use hinting::{Hinting, Stage};
pub use statistics::{COUNT, Statistics};

/// Device type.
const ID: u32 = virtio_bindings::virtio_ids::VIRTIO_ID_BALLOON;
/// Bytes of a page, as the balloon counts.
const PAGE: u64 = 4096;

/// The guest tells of its memory (STATS_VQ), takes pages back when it runs out of it (DEFLATE_ON_OOM), and tells of free ones
/// when it is asked (FREE_PAGE_HINT) and by itself (PAGE_REPORTING). virtio 1.2, 5.5.3.
const OFFERED: Features = Features::bits(&[1, 2, 3, 5]);
/// The guest tells of its memory.
const STATS_VQ: Features = Features::bits(&[1]);
/// It tells of free pages when it is asked.
const FREE_PAGE_HINT: Features = Features::bits(&[3]);

/// Queue of pages given up.
const INFLATE: u16 = 0;
/// Queue of pages taken back, which needs no work: the host gives memory to whoever touches it.
const DEFLATE: u16 = 1;
/// Queue of numbers, for drivers that tell them.
const STATISTICS: u16 = 2;
/// How many there are. Behind these come hints and reports of free pages: the standard has 3 and 4 for that, but drivers count
/// queues without those that they do not use.
const QUEUES: u16 = 5;

/// Configuration space. virtio 1.2, 5.5.4.
#[derive(Clone, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Config {
    /// Pages that the guest shall give up.
    num_pages: U32,
    /// Pages that it has given up, by its own word.
    actual: U32,
    /// Whether it shall tell of free pages.
    hints: U32,
}

/// Gives a piece of guest memory back to the host. It reads as zeroes afterwards.
pub type Release = fn(&VolatileSlice<'_>);

/// The host's hand on a balloon: how much it shall hold, and how much it does.
#[derive(Clone)]
pub struct Control(Arc<Shared>);

struct Shared {
    /// Pages that the guest shall give up.
    target: AtomicU32,
    /// Pages that it has given up, by its own word.
    actual: AtomicU32,
    /// Something of the host's changed.
    event: OwnedFd,
    /// Seconds between two questions, 0 for none.
    interval: AtomicU32,
    /// Rings then.
    timer: OwnedFd,
    /// What the guest said last.
    statistics: Mutex<Statistics>,
    /// The run of hints.
    hinting: Mutex<Hinting>,
    /// Of the event and the timer.
    events: OwnedFd,
    /// Called with the balloon's bytes when the guest says that they changed; it should do little.
    changed: Box<dyn Fn(u64) + Send + Sync>,
}

impl Control {
    /// A balloon that shall hold `bytes`. `changed` is told of what it really holds, on the thread of a vCPU.
    ///
    /// # Errors
    /// When the host has no event to give.
    pub fn new(bytes: u64, changed: impl Fn(u64) + Send + Sync + 'static) -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for event in [&event, &timer] {
            let data = epoll::EventData::new_u64(0);
            epoll::add(&events, event, data, epoll::EventFlags::IN | epoll::EventFlags::ET)?;
        }
        let shared = Shared {
            target: AtomicU32::new(pages(bytes)),
            actual: AtomicU32::new(0),
            event,
            interval: AtomicU32::new(0),
            timer,
            statistics: Mutex::default(),
            hinting: Mutex::default(),
            events,
            changed: Box::new(changed),
        };
        Ok(Self(Arc::new(shared)))
    }

    /// Asks the guest every so many seconds how its memory is used; 0 is never.
    ///
    /// # Errors
    /// The host does not take it.
    pub fn ask_every(&self, seconds: u32) -> io::Result<()> {
        let period = Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
        let spec = Itimerspec { it_interval: period, it_value: period };
        timerfd_settime(&self.0.timer, TimerfdTimerFlags::empty(), &spec)?;
        self.0.interval.store(seconds, Ordering::Relaxed);
        Ok(())
    }

    /// How many seconds there are between two questions; 0 if there are none.
    #[must_use]
    pub fn interval(&self) -> u32 {
        self.0.interval.load(Ordering::Relaxed)
    }

    /// What the guest said last.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        *self.0.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, statistics: Statistics) {
        *self.0.statistics.lock().unwrap_or_else(PoisonError::into_inner) = statistics;
    }

    /// Asks the guest which pages it has free, and gives them back to the host. False if its driver does not tell.
    ///
    /// A guest that runs short of memory meanwhile may lose what it writes: virtio 1.2, 5.5.6.5.1.
    #[must_use]
    pub fn hint(&self) -> bool {
        let asked = self.run().ask();
        if asked {
            self.ring();
        }
        asked
    }

    /// What became of that.
    #[must_use]
    pub fn hinting(&self) -> Hinting {
        *self.run()
    }

    fn run(&self) -> MutexGuard<'_, Hinting> {
        self.0.hinting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The balloon shall hold `bytes`.
    pub fn set(&self, bytes: u64) {
        self.0.target.store(pages(bytes), Ordering::Relaxed);
        self.ring();
    }

    /// Has the device look at the host's side.
    fn ring(&self) {
        // A full counter means that the device knows already.
        let _ = rustix::io::write(&self.0.event, &1_u64.to_ne_bytes());
    }

    /// Bytes that the guest has given up, by its own word.
    #[must_use]
    pub fn actual(&self) -> u64 {
        u64::from(self.0.actual.load(Ordering::Relaxed)) * PAGE
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Control({} bytes)", self.actual())
    }
}

fn pages(bytes: u64) -> u32 {
    u32::try_from(bytes / PAGE).unwrap_or(u32::MAX)
}

/// A virtio balloon.
pub struct Balloon {
    // Glue.
    memory: GuestMemoryMmap,
    release: Release,
    control: Control,
    // Volatile, but for the number of pages.
    config: Config,
    /// The driver tells numbers, in this buffer.
    statistics: Option<Buffer>,
    /// The driver gives hints in this queue.
    hint_queue: Option<u16>,
    hints: Hints,
}

impl Balloon {
    /// A balloon in `memory` that shall hold as much of it as `control` says; `release` gives pages back.
    #[must_use]
    pub fn new(control: Control, memory: GuestMemoryMmap, release: Release) -> Self {
        let (config, hints) = (Config::default(), Hints::default());
        let mut balloon =
            Self { memory, release, control, config, statistics: None, hint_queue: None, hints };
        balloon.take_target();
        balloon
    }

    fn take_target(&mut self) {
        self.config.num_pages = self.control.0.target.load(Ordering::Relaxed).into();
    }

    /// The guest said how much the balloon holds.
    fn tell_actual(&self) {
        let actual = self.config.actual.get();
        let before = self.control.0.actual.swap(actual, Ordering::Relaxed);
        if before != actual {
            (self.control.0.changed)(u64::from(actual) * PAGE);
        }
    }

    /// Gives back the pages whose numbers are in `list`. Neighbours go together, for they mostly come together.
    fn inflate(&self, list: &Buffers<'_>) {
        const COUNT: usize = 256; // what Linux sends at once
        let mut bytes = [0; 4 * COUNT];
        let len = list.copy_to(&mut bytes);
        let numbers = bytes.get(..len).unwrap_or_default().chunks_exact(4);
        let mut pages: Vec<_> =
            numbers.filter_map(|number| Some(u32::from_le_bytes(number.try_into().ok()?))).collect();
        pages.sort_unstable();
        for run in pages.chunk_by(|page, next| page.checked_add(1) == Some(*next)) {
            if let Some(&first) = run.first() {
                self.give_back(u64::from(first) * PAGE, run.len() as u64 * PAGE);
            }
        }
    }

    /// Takes a word of the driver's or free pages, which come one after the other.
    fn take_hint(&mut self, chain: &Chain<'_>) {
        let mut run = self.control.run();
        if self.hints.take(&mut run, &chain.readable) {
            // The configuration space is changed from the host's side, so that the driver is told.
            self.control.ring();
        }
        if self.hints.is_open(&run) {
            chain.writable.slices().iter().for_each(self.release);
            run.bytes = run.bytes.saturating_add(chain.writable.len());
        }
    }

    fn give_back(&self, start: u64, len: u64) {
        let slices = self.memory.get_slices(GuestAddress(start), len as usize, Permissions::Write);
        // What is not memory, nobody gives back.
        slices.into_iter().flatten().map_while(Result::ok).for_each(|slice| (self.release)(&slice));
    }
}

impl VirtioDevice for Balloon {
    fn id(&self) -> u32 {
        ID
    }

    fn queues(&self) -> u16 {
        QUEUES
    }

    fn features(&self) -> Features {
        OFFERED
    }

    fn config(&self) -> &[u8] {
        self.config.as_bytes()
    }

    fn write_config(&mut self, offset: usize, data: &[u8]) {
        let actual = std::mem::offset_of!(Config, actual);
        let place = offset.checked_sub(actual).and_then(|start| {
            let end = start.checked_add(data.len())?;
            self.config.actual.as_mut_bytes().get_mut(start..end)
        });
        if let Some(place) = place {
            place.copy_from_slice(data);
            self.tell_actual();
        }
    }

    fn host_events(&self) -> Option<BorrowedFd<'_>> {
        Some(self.control.0.events.as_fd())
    }

    fn host_event(&mut self) {
        let _ = rustix::io::read(&self.control.0.event, &mut [0; 8]);
        self.take_target();
        self.hints.proceed(&mut self.control.run());
        self.config.hints = self.hints.word().into();
        let rang = rustix::io::read(&self.control.0.timer, &mut [0; 8]).is_ok();
        self.statistics.iter_mut().filter(|_| rang).for_each(Buffer::want);
    }

    fn begin(&mut self, features: Features) {
        self.statistics = features.contains(STATS_VQ).then(Buffer::default);
        let first = if self.statistics.is_some() { STATISTICS + 1 } else { STATISTICS };
        self.hint_queue = features.contains(FREE_PAGE_HINT).then_some(first);
        self.hints.begin(&mut self.control.run(), self.hint_queue.is_some());
        self.config.hints = self.hints.word().into();
        self.config.actual = 0.into();
        self.tell_actual();
    }

    fn serve(&mut self, queue: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        if let (STATISTICS, Some(buffer)) = (queue, &mut self.statistics) {
            let control = &self.control;
            return buffer.serve(requests, |statistics| control.tell(statistics));
        }
        requests.each(|chain| {
            match queue {
                INFLATE => self.inflate(&chain.readable),
                DEFLATE => {}
                _ if Some(queue) == self.hint_queue => self.take_hint(chain),
                _ => chain.writable.slices().iter().for_each(self.release),
            }
            Ok(0)
        })
    }
}
