//! What types and points: programs do, by their commands, on devices of USB and of virtio.
//!
//! ```text
//!  input-send-event ──────────────────► Tools: keyboards, mice, tablets
//!  send-key ──► at most 64 chords ──► typist ──┘   holds the keys down for a while, then releases them
//! ```
//!
//! A key is the usage that a USB keyboard has for it, whatever the keyboard.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use virtio::input;

/// Chords that may wait to be typed.
const MOST_CHORDS: usize = 64;

/// Keys that are pressed together, as usages of a USB keyboard, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chord {
    /// The usages in the order in which they are pressed.
    pub usages: Vec<u8>,
    /// How long the last one is held down.
    pub hold: Duration,
}

/// Something that a hand does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key, by its usage, goes down or up.
    Key(u8, Move),
    /// A button, by its bit in a report, goes down or up.
    Button(u8, Move),
    /// The wheel turns by so many notches, away from the person if more than 0.
    Wheel(i8),
    /// The mouse moves.
    Shift {
        /// To the right.
        x: i32,
        /// Towards the person.
        y: i32,
    },
    /// The pen goes to this place from the left.
    X(u16),
    /// The pen goes to this place from the top.
    Y(u16),
}

/// Which way something is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Down.
    Down,
    /// Up again.
    Up,
}

/// Why nothing was typed, or pointed at.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum HandsError {
    /// There is nothing to type on.
    #[error("the machine has no keyboard, give it one with --usb kbd or --input kbd")]
    NoKeyboard,
    /// There is nothing that moves.
    #[error("the machine has no mouse, give it one with --usb mouse or --input mouse")]
    NoMouse,
    /// There is nothing that has a place.
    #[error("the machine has no tablet, give it one with --usb tablet or --input tablet")]
    NoTablet,
    /// There is nothing with buttons.
    #[error("the machine has neither mouse nor tablet, give it one with --usb or --input")]
    NoButtons,
    /// Nobody can type so much.
    #[error("{MOST_CHORDS} keys wait to be typed already")]
    TooFast,
}

/// What keys are typed on.
pub(super) trait Keyboard: Send {
    /// The key of this usage goes down or up.
    fn push(&mut self, usage: u8, way: Move);
}

/// What has buttons and a wheel.
pub(super) trait Buttons: Send {
    /// The buttons whose bits are set are down.
    fn hold(&mut self, buttons: u8);

    /// The wheel turns by so many notches.
    fn turn(&mut self, notches: i8);
}

/// What moves.
pub(super) trait Mouse: Buttons {
    /// It moves to the right, and towards the person.
    fn shift(&mut self, x: i32, y: i32);
}

/// What has a place.
pub(super) trait Tablet: Buttons {
    /// The pen is here, from the left and from the top.
    fn point(&mut self, x: u16, y: u16);
}

impl Keyboard for usb::Keyboard {
    fn push(&mut self, usage: u8, way: Move) {
        match way {
            Move::Down => self.press(usage),
            Move::Up => self.release(usage),
        }
    }
}

impl Buttons for usb::Mouse {
    fn hold(&mut self, buttons: u8) {
        self.hold(buttons);
    }

    fn turn(&mut self, notches: i8) {
        usb::Mouse::shift(self, 0, 0, notches);
    }
}

impl Mouse for usb::Mouse {
    /// A report holds a byte for each direction, so that a long way takes several.
    fn shift(&mut self, x: i32, y: i32) {
        const STEP: i32 = 127;
        let (mut x, mut y) = (x, y);
        while (x, y) != (0, 0) {
            let (dx, dy) = (x.clamp(-STEP, STEP), y.clamp(-STEP, STEP));
            usb::Mouse::shift(self, dx as i8, dy as i8, 0);
            (x, y) = (x - dx, y - dy);
        }
    }
}

impl Buttons for usb::Tablet {
    fn hold(&mut self, buttons: u8) {
        self.hold(buttons);
    }

    fn turn(&mut self, notches: i8) {
        usb::Tablet::turn(self, notches);
    }
}

impl Tablet for usb::Tablet {
    fn point(&mut self, x: u16, y: u16) {
        self.point(x, y);
    }
}

impl Keyboard for input::Hand {
    fn push(&mut self, usage: u8, way: Move) {
        self.key(usage, way == Move::Down);
    }
}

impl Buttons for input::Hand {
    fn hold(&mut self, buttons: u8) {
        input::Hand::hold(self, buttons);
    }

    fn turn(&mut self, notches: i8) {
        input::Hand::turn(self, notches);
    }
}

impl Mouse for input::Hand {
    fn shift(&mut self, x: i32, y: i32) {
        input::Hand::shift(self, x, y);
    }
}

impl Tablet for input::Hand {
    fn point(&mut self, x: u16, y: u16) {
        input::Hand::point(self, x, y);
    }
}

/// Who a device belongs to, for when it is taken away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The device on USB of this number.
    Usb(u32),
    /// The machine, as long as there is one.
    Machine,
}

/// A device in somebody's possession.
struct Held<T> {
    owner: Owner,
    tool: T,
}

/// The buttons of a mouse or tablet that are down.
type Down = u8;

/// Where the pen is, from the left and from the top.
type Place = (u16, u16);

/// A mouse, and what of it is down.
type HeldMouse = (Box<dyn Mouse>, Down);

/// A tablet, what of it is down, and where the pen was last.
type HeldTablet = (Box<dyn Tablet>, Down, Place);

/// What there is to type and point on, in the order in which it came.
#[derive(Default)]
struct Tools {
    keyboards: Vec<Held<Box<dyn Keyboard>>>,
    mice: Vec<Held<HeldMouse>>,
    tablets: Vec<Held<HeldTablet>>,
}

/// The hands. A clone has the same devices.
#[derive(Clone, Default)]
pub struct Hands {
    tools: Arc<Mutex<Tools>>,
    typist: Arc<Mutex<Option<Typist>>>,
}

impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hands")
    }
}

/// The thread that holds keys. It ends when this is dropped.
struct Typist {
    chords: SyncSender<Chord>,
    _alive: Sender<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hands {
    /// There is a keyboard.
    pub(super) fn keyboard(&self, owner: Owner, keyboard: impl Keyboard + 'static) {
        lock(&self.tools).keyboards.push(Held { owner, tool: Box::new(keyboard) });
    }

    /// There is a mouse.
    pub(super) fn mouse(&self, owner: Owner, mouse: impl Mouse + 'static) {
        lock(&self.tools).mice.push(Held { owner, tool: (Box::new(mouse), 0) });
    }

    /// There is a tablet.
    pub(super) fn tablet(&self, owner: Owner, tablet: impl Tablet + 'static) {
        lock(&self.tools).tablets.push(Held { owner, tool: (Box::new(tablet), 0, (0, 0)) });
    }

    /// What is `owner`'s is gone.
    pub(super) fn let_go(&self, owner: Owner) {
        let mut tools = lock(&self.tools);
        tools.keyboards.retain(|held| held.owner != owner);
        tools.mice.retain(|held| held.owner != owner);
        tools.tablets.retain(|held| held.owner != owner);
    }

    /// Has a chord typed on the first keyboard, after those that wait.
    ///
    /// # Errors
    /// There is none, or too much to type.
    pub fn type_chord(&self, chord: Chord) -> Result<(), HandsError> {
        if lock(&self.tools).keyboards.is_empty() {
            return Err(HandsError::NoKeyboard);
        }
        let mut typist = lock(&self.typist);
        let hired = match typist.take() {
            Some(typist) => typist,
            None => self.hire().ok_or(HandsError::TooFast)?,
        };
        let sent = typist.insert(hired).chords.try_send(chord);
        sent.map_err(|_| HandsError::TooFast)
    }

    /// None if the host has no more threads.
    fn hire(&self) -> Option<Typist> {
        let (chords, inbox) = sync_channel(MOST_CHORDS);
        let (alive, end) = channel();
        let tools = Arc::clone(&self.tools);
        Builder::new().name("typist".into()).spawn(move || type_all(&tools, &inbox, &end)).ok()?;
        Some(Typist { chords, _alive: alive })
    }

    /// Does all of `inputs`, or nothing if there is no device for one.
    ///
    /// # Errors
    /// There is none.
    pub fn act(&self, inputs: &[Input]) -> Result<(), HandsError> {
        let mut tools = lock(&self.tools);
        inputs.iter().try_for_each(|input| tools.check(*input))?;
        // A button belongs to what the same command moves, else to the tablet.
        let on_mouse = inputs.iter().any(|input| matches!(input, Input::Shift { .. }));
        inputs.iter().for_each(|input| tools.act(*input, on_mouse));
        Ok(())
    }
}

/// Types until nobody is left.
fn type_all(tools: &Mutex<Tools>, inbox: &Receiver<Chord>, end: &Receiver<()>) {
    while let Ok(chord) = inbox.recv() {
        let push = |usages: &mut dyn Iterator<Item = u8>, way: Move| {
            usages.for_each(|usage| lock(tools).act(Input::Key(usage, way), false));
        };
        push(&mut chord.usages.iter().copied(), Move::Down);
        let wait = end.recv_timeout(chord.hold);
        push(&mut chord.usages.iter().rev().copied(), Move::Up);
        if wait == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

impl Tools {
    fn check(&self, input: Input) -> Result<(), HandsError> {
        let (there, error) = match input {
            Input::Key(..) => (!self.keyboards.is_empty(), HandsError::NoKeyboard),
            Input::Shift { .. } => (!self.mice.is_empty(), HandsError::NoMouse),
            Input::X(_) | Input::Y(_) => (!self.tablets.is_empty(), HandsError::NoTablet),
            Input::Button(..) | Input::Wheel(_) => {
                (!self.mice.is_empty() || !self.tablets.is_empty(), HandsError::NoButtons)
            }
        };
        there.then_some(()).ok_or(error)
    }

    fn act(&mut self, input: Input, on_mouse: bool) {
        match input {
            Input::Key(usage, way) => {
                // It may be pulled out meanwhile.
                self.keyboards.iter_mut().take(1).for_each(|held| held.tool.push(usage, way));
            }
            Input::Shift { x, y } => self.shift(x, y),
            Input::X(x) => self.point(|(_, y)| (x, y)),
            Input::Y(y) => self.point(|(x, _)| (x, y)),
            Input::Button(..) | Input::Wheel(_) => {
                let tablet = self.tablets.first_mut().filter(|_| !on_mouse || self.mice.is_empty());
                match (tablet, self.mice.first_mut()) {
                    (Some(Held { tool: (tablet, down, _), .. }), _) => press(tablet.as_mut(), down, input),
                    (None, Some(Held { tool: (mouse, down), .. })) => press(mouse.as_mut(), down, input),
                    (None, None) => {}
                }
            }
        }
    }

    fn shift(&mut self, x: i32, y: i32) {
        const FARTHEST: i32 = 1 << 15;
        if let Some(Held { tool: (mouse, _), .. }) = self.mice.first_mut() {
            mouse.shift(x.clamp(-FARTHEST, FARTHEST), y.clamp(-FARTHEST, FARTHEST));
        }
    }

    fn point(&mut self, to: impl FnOnce((u16, u16)) -> (u16, u16)) {
        if let Some(Held { tool: (tablet, _, place), .. }) = self.tablets.first_mut() {
            *place = to(*place);
            tablet.point(place.0, place.1);
        }
    }
}

/// A button or the wheel of a tool.
fn press(tool: &mut (impl Buttons + ?Sized), down: &mut Down, input: Input) {
    match input {
        Input::Button(bit, Move::Down) => *down |= bit,
        Input::Button(bit, Move::Up) => *down &= !bit,
        Input::Wheel(notches) => return tool.turn(notches),
        _ => return,
    }
    tool.hold(*down);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use usb::{Data, Direction, EndpointAddress, Hid, Outcome, Setup, UsbDevice};
    use vm_memory::VolatileSlice;

    use super::*;

    fn configured(mut device: Hid) -> Hid {
        let set_configuration = Setup::from_bytes([0, 9, 1, 0, 0, 0, 0, 0]);
        assert_eq!(device.control(set_configuration, &mut Data::none(Direction::Out)), Outcome::Done);
        device
    }

    fn report(device: &mut Hid) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 8];
        let pieces = [VolatileSlice::from(bytes.as_mut_slice())];
        let mut data = Data::new(Direction::In, &pieces);
        let outcome = device.transfer(EndpointAddress::new(1, Direction::In), &mut data);
        let moved = data.moved();
        bytes.truncate(moved);
        (outcome == Outcome::Done).then_some(bytes)
    }

    fn reports(device: &mut Hid) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| report(device)).collect()
    }

    #[test]
    fn keys_are_held_as_long_as_was_asked_for() {
        const HOLD: Duration = Duration::from_millis(60);
        let (keyboard, device) = usb::Keyboard::new();
        let (hands, mut device) = (Hands::default(), configured(device));
        hands.keyboard(Owner::Usb(0), keyboard);
        let start = Instant::now();
        hands.type_chord(Chord { usages: vec![0xe1, 4], hold: HOLD }).unwrap();
        hands.type_chord(Chord { usages: vec![5], hold: Duration::ZERO }).unwrap();
        let (mut found, mut released) = (Vec::new(), None);
        while found.len() < 6 {
            assert!(start.elapsed() < Duration::from_secs(10), "{found:?}");
            std::thread::yield_now();
            let Some(report) = report(&mut device) else { continue };
            found.push((report[0], report[2]));
            if found.len() == 3 {
                released = Some(start.elapsed());
            }
        }
        assert_eq!(found, [(2, 0), (2, 4), (2, 0), (0, 0), (0, 5), (0, 0)]);
        assert!(released.unwrap() >= HOLD, "{released:?}");
    }

    #[test]
    fn buttons_are_those_of_what_moves_or_of_the_tablet() {
        let (mouse, mouse_device) = usb::Mouse::new();
        let (tablet, tablet_device) = usb::Tablet::new();
        let (hands, mut mouse_device, mut tablet_device) =
            (Hands::default(), configured(mouse_device), configured(tablet_device));
        hands.mouse(Owner::Usb(0), mouse);
        hands.tablet(Owner::Usb(1), tablet);
        hands.act(&[Input::X(0x1234), Input::Y(0x7fff), Input::Button(1, Move::Down)]).unwrap();
        hands.act(&[Input::Button(1, Move::Up), Input::Wheel(-1)]).unwrap();
        assert_eq!(reports(&mut mouse_device).len(), 0);
        let found = reports(&mut tablet_device);
        assert_eq!(found[0], [0, 0x34, 0x12, 0xff, 0x7f, 0]);
        assert_eq!(found[1][0], 1);
        assert_eq!(found.last().unwrap()[5], 0xff);
        hands.act(&[Input::Shift { x: 300, y: -1 }, Input::Button(2, Move::Down)]).unwrap();
        let found = reports(&mut mouse_device);
        let way: i32 = found.iter().map(|report| i32::from(report[1] as i8)).sum();
        assert_eq!((way, found.last().unwrap()[0]), (300, 2));
    }

    #[test]
    fn what_is_not_there_or_gone_is_named() {
        let hands = Hands::default();
        assert_eq!(hands.act(&[Input::Key(4, Move::Down)]), Err(HandsError::NoKeyboard));
        assert_eq!(hands.act(&[Input::Wheel(1)]), Err(HandsError::NoButtons));
        let (mouse, device) = usb::Mouse::new();
        let mut device = configured(device);
        hands.mouse(Owner::Usb(7), mouse);
        assert_eq!(hands.act(&[Input::Button(1, Move::Down), Input::X(1)]), Err(HandsError::NoTablet));
        assert_eq!(report(&mut device), None, "all or nothing");
        hands.let_go(Owner::Machine);
        assert_eq!(hands.act(&[Input::Wheel(1)]), Ok(()));
        hands.let_go(Owner::Usb(7));
        assert_eq!(hands.act(&[Input::Shift { x: 1, y: 1 }]), Err(HandsError::NoMouse));
        let chord = Chord { usages: vec![4], hold: Duration::ZERO };
        assert_eq!(hands.type_chord(chord), Err(HandsError::NoKeyboard));
    }
}
