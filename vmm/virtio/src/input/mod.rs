//! virtio-input: keyboard, mouse, tablet. virtio 1.2, 5.8.
//!
//! The device is as Linux's events have it: the driver asks what codes there are, and gets events. A [`Hand`] makes them. Left
//! out: lights of keyboards.

mod hand;
mod keys;
mod spec;

use std::io;
use std::os::fd::BorrowedFd;

use zerocopy::IntoBytes as _;

use crate::{Broken, Features, Requests, VirtioDevice};

use spec::{Config, axis, kind, select};

pub use hand::Hand;

/// The largest coordinate of a tablet, whatever the size of the screen.
pub const FARTHEST: u16 = 0x7fff;

/// What a person works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A keyboard.
    Keyboard,
    /// A mouse.
    Mouse,
    /// A tablet, whose pen has a place.
    Tablet,
}

/// A virtio input device.
pub struct Input {
    // Fixed.
    kind: Kind,
    // Glue.
    hand: Hand,
    // Volatile.
    config: Config,
}

impl Input {
    /// A device of this kind, and the hand on it.
    ///
    /// # Errors
    /// The host has no event to give.
    pub fn new(kind: Kind) -> io::Result<(Hand, Self)> {
        let hand = Hand::new()?;
        Ok((hand.clone(), Self { kind, hand, config: Config::default() }))
    }

    /// Answers what the driver asks for; what it must not know is empty.
    fn answer(&mut self) {
        let Config { select, subsel, .. } = self.config;
        let answer = match (select, subsel) {
            (select::NAME, 0) => self.kind.name().as_bytes().to_vec(),
            (select::IDS, 0) => self.kind.ids().as_bytes().to_vec(),
            (select::CODES, kind) => self.kind.codes(kind),
            (select::AXIS, at) if self.kind == Kind::Tablet && u16::from(at) <= axis::Y => {
                spec::Axis { max: u32::from(FARTHEST).into(), ..spec::Axis::default() }.as_bytes().to_vec()
            }
            _ => Vec::new(),
        };
        self.config.size = answer.len() as u8;
        self.config.data.fill(0);
        self.config.data.iter_mut().zip(answer).for_each(|(place, byte)| *place = byte);
    }

    /// Tells the driver what has happened, as far as it has room.
    fn tell(&self, requests: &mut Requests<'_>) -> Result<(), Broken> {
        while let Some(event) = self.hand.first() {
            let Some(request) = requests.next()? else { return Ok(()) };
            if request.chain.writable.copy_from(event.as_bytes()) < size_of_val(&event) {
                return Err(Broken::Short);
            }
            requests.complete(&request, size_of_val(&event) as u32)?;
            self.hand.forget_first();
        }
        Ok(())
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Keyboard => "Tinderbox virtio keyboard",
            Self::Mouse => "Tinderbox virtio mouse",
            Self::Tablet => "Tinderbox virtio tablet",
        }
    }

    /// The vendor is that of virtio devices on PCI, for want of one of ours.
    fn ids(self) -> spec::Ids {
        const VENDOR: u16 = 0x1af4;
        let product = match self {
            Self::Keyboard => 1,
            Self::Mouse => 2,
            Self::Tablet => 3,
        };
        let [bus, vendor, product, version] = [spec::BUS_VIRTUAL, VENDOR, product, 1].map(Into::into);
        spec::Ids { bus, vendor, product, version }
    }

    /// The codes of a type of event, a bit each.
    fn codes(self, kind: u8) -> Vec<u8> {
        let buttons = || spec::LEFT..spec::LEFT + hand::BUTTONS;
        match (self, kind) {
            (Self::Keyboard, kind::KEY) => bits(keys::codes()),
            (Self::Keyboard, kind::REPEAT) => vec![0], // that there is something is the answer
            (Self::Mouse | Self::Tablet, kind::KEY) => bits(buttons()),
            (Self::Mouse, kind::RELATIVE) => bits([axis::X, axis::Y, axis::WHEEL]),
            (Self::Tablet, kind::RELATIVE) => bits([axis::WHEEL]),
            (Self::Tablet, kind::ABSOLUTE) => bits([axis::X, axis::Y]),
            _ => Vec::new(),
        }
    }
}

/// As many bytes as it takes for a bit of each number.
fn bits(numbers: impl IntoIterator<Item = u16>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in numbers {
        let at = usize::from(number / 8);
        bytes.resize(bytes.len().max(at + 1), 0_u8);
        bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte |= 1 << (number % 8));
    }
    bytes
}

impl VirtioDevice for Input {
    fn id(&self) -> u32 {
        spec::ID
    }

    fn queues(&self) -> u16 {
        spec::QUEUES
    }

    fn config(&self) -> &[u8] {
        self.config.as_bytes()
    }

    fn write_config(&mut self, offset: usize, data: &[u8]) {
        for (at, byte) in (offset..).zip(data) {
            match at {
                0 => self.config.select = *byte,
                1 => self.config.subsel = *byte,
                _ => {}
            }
        }
        self.answer();
    }

    fn host_events(&self) -> Option<BorrowedFd<'_>> {
        Some(self.hand.bell())
    }

    fn begin(&mut self, features: Features) {
        self.hand.begin(features.contains(Features::VERSION_1));
        self.config = Config::default();
    }

    fn serve(&mut self, queue: u16, requests: &mut Requests<'_>) -> Result<(), Broken> {
        match queue {
            spec::EVENTS => self.tell(requests),
            // Lights, of which no keyboard here has any.
            _ => requests.each(|_| Ok(0)),
        }
    }
}
