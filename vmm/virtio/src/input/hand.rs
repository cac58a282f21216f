//! The host's hand on an input device.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

use super::keys;
use super::spec::{self, Event, axis, kind};

/// Events that may wait for the driver. What comes then is lost, a whole report at a time.
const MOST: usize = 1024;

/// What happens to a device, told by whoever types and points. A clone is another hand on the same device.
///
/// Nobody hears of it unless a driver has the device in use.
#[derive(Clone, Debug)]
pub struct Hand(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// There are new events.
    bell: OwnedFd,
}

#[derive(Debug, Default)]
struct State {
    /// A driver takes events.
    heard: bool,
    events: VecDeque<Event>,
    /// The buttons that are down.
    buttons: u8,
}

impl Hand {
    pub(super) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(Shared { state: Mutex::default(), bell })))
    }

    /// The key of this usage, as USB keyboards have them, goes down or up.
    pub fn key(&self, usage: u8, down: bool) {
        if let Some(code) = keys::code(usage) {
            self.report(&[event(kind::KEY, code, down.into())]);
        }
    }

    /// The buttons whose bits are set are down: left, right and middle from bit 0 on.
    pub fn hold(&self, buttons: u8) {
        let before = std::mem::replace(&mut self.lock().buttons, buttons);
        let changed = |n: &u16| (before ^ buttons) >> n & 1 != 0;
        let events = (0..BUTTONS).filter(changed);
        let events = events.map(|n| event(kind::KEY, spec::LEFT + n, u32::from(buttons >> n & 1)));
        self.report(&events.collect::<Vec<_>>());
    }

    /// The mouse moves: to the right, and towards the person.
    pub fn shift(&self, x: i32, y: i32) {
        let moves = [(axis::X, x), (axis::Y, y)].into_iter().filter(|(_, way)| *way != 0);
        let moves = moves.map(|(axis, way)| event(kind::RELATIVE, axis, way.cast_unsigned()));
        self.report(&moves.collect::<Vec<_>>());
    }

    /// The wheel turns by so many notches, away from the person if more than 0.
    pub fn turn(&self, notches: i8) {
        self.report(&[event(kind::RELATIVE, axis::WHEEL, i32::from(notches).cast_unsigned())]);
    }

    /// The pen of a tablet is here: from the left, and from the top, up to [`FARTHEST`](super::FARTHEST).
    pub fn point(&self, x: u16, y: u16) {
        self.report(&[event(kind::ABSOLUTE, axis::X, x.into()), event(kind::ABSOLUTE, axis::Y, y.into())]);
    }

    /// Events that belong together.
    fn report(&self, events: &[Event]) {
        let mut state = self.lock();
        if state.heard && !events.is_empty() && state.events.len() + events.len() < MOST {
            state.events.extend(events);
            state.events.push_back(spec::REPORT);
            drop(state);
            // Fails only when the counter is full of signals that nobody has looked at.
            let _ = rustix::io::write(&self.0.bell, &1_u64.to_ne_bytes());
        }
    }

    /// A driver begins to listen, or stops; what waits is lost.
    pub(super) fn begin(&self, heard: bool) {
        *self.lock() = State { heard, ..State::default() };
    }

    /// The next event, which stays the next.
    pub(super) fn first(&self) -> Option<Event> {
        self.lock().events.front().copied()
    }

    /// The driver has the next event.
    pub(super) fn forget_first(&self) {
        self.lock().events.pop_front();
    }

    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.0.bell.as_fd()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many buttons a mouse or a tablet has.
pub(super) const BUTTONS: u16 = 3;

fn event(kind: u8, code: u16, value: u32) -> Event {
    Event { kind: u16::from(kind).into(), code: code.into(), value: value.into() }
}
