//! What types and points on the devices of USB: programs do, by their commands.
//!
//! ```text
//!  input-send-event ──────────────────► Tools: keyboards, mice, tablets
//!  send-key ──► at most 64 chords ──► typist ──┘   holds the keys down for a while, then releases them
//! ```

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use usb::{Keyboard, Mouse, Tablet};

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
    #[error("the machine has no keyboard, give it one with --usb kbd")]
    NoKeyboard,
    /// There is nothing that moves.
    #[error("the machine has no mouse, give it one with --usb mouse")]
    NoMouse,
    /// There is nothing that has a place.
    #[error("the machine has no tablet, give it one with --usb tablet")]
    NoTablet,
    /// There is nothing with buttons.
    #[error("the machine has neither mouse nor tablet, give it one with --usb mouse or --usb tablet")]
    NoButtons,
    /// Nobody can type so much.
    #[error("{MOST_CHORDS} keys wait to be typed already")]
    TooFast,
}

/// A device that can be taken away again, with the number that it was given.
struct Held<T> {
    owner: u32,
    tool: T,
}

/// The buttons of a mouse or tablet that are down.
type Buttons = u8;

/// Where the pen is, from the left and from the top.
type Place = (u16, u16);

/// What there is to type and point on, in the order in which it came.
#[derive(Default)]
struct Tools {
    keyboards: Vec<Held<Keyboard>>,
    mice: Vec<Held<(Mouse, Buttons)>>,
    tablets: Vec<Held<(Tablet, Buttons, Place)>>,
}

/// The hands.
#[derive(Default)]
pub(super) struct Hands {
    tools: Arc<Mutex<Tools>>,
    typist: Mutex<Option<Typist>>,
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
    /// Device number `owner` is a keyboard.
    pub(super) fn keyboard(&self, owner: u32, tool: Keyboard) {
        lock(&self.tools).keyboards.push(Held { owner, tool });
    }

    /// Device number `owner` is a mouse.
    pub(super) fn mouse(&self, owner: u32, mouse: Mouse) {
        lock(&self.tools).mice.push(Held { owner, tool: (mouse, 0) });
    }

    /// Device number `owner` is a tablet.
    pub(super) fn tablet(&self, owner: u32, tablet: Tablet) {
        lock(&self.tools).tablets.push(Held { owner, tool: (tablet, 0, (0, 0)) });
    }

    /// Device number `owner` is gone.
    pub(super) fn let_go(&self, owner: u32) {
        let mut tools = lock(&self.tools);
        tools.keyboards.retain(|held| held.owner != owner);
        tools.mice.retain(|held| held.owner != owner);
        tools.tablets.retain(|held| held.owner != owner);
    }

    /// Has a chord typed on the first keyboard, after those that wait.
    pub(super) fn type_chord(&self, chord: Chord) -> Result<(), HandsError> {
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
    pub(super) fn act(&self, inputs: &[Input]) -> Result<(), HandsError> {
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
                let keyboard = self.keyboards.first_mut().map(|held| &mut held.tool);
                match (keyboard, way) {
                    (Some(keyboard), Move::Down) => keyboard.press(usage),
                    (Some(keyboard), Move::Up) => keyboard.release(usage),
                    (None, _) => {} // pulled out meanwhile
                }
            }
            Input::Shift { x, y } => self.shift(x, y),
            Input::X(x) => self.point(|(_, y)| (x, y)),
            Input::Y(y) => self.point(|(x, _)| (x, y)),
            Input::Button(..) | Input::Wheel(_) => {
                let tablet = self.tablets.first_mut().filter(|_| !on_mouse || self.mice.is_empty());
                match (tablet, self.mice.first_mut()) {
                    (Some(Held { tool: (tablet, buttons, _), .. }), _) => {
                        let hold = |tablet: &mut Tablet, bits| tablet.hold(bits);
                        press(tablet, buttons, input, hold, |tablet, notches| tablet.turn(notches));
                    }
                    (None, Some(Held { tool: (mouse, buttons), .. })) => {
                        let hold = |mouse: &mut Mouse, bits| mouse.hold(bits);
                        press(mouse, buttons, input, hold, |mouse, notches| mouse.shift(0, 0, notches));
                    }
                    (None, None) => {}
                }
            }
        }
    }

    /// A report holds a byte for each direction, so that a long way takes several.
    fn shift(&self, x: i32, y: i32) {
        const STEP: i32 = 127;
        const FARTHEST: i32 = 1 << 15;
        let Some(Held { tool: (mouse, _), .. }) = self.mice.first() else { return };
        let (mut x, mut y) = (x.clamp(-FARTHEST, FARTHEST), y.clamp(-FARTHEST, FARTHEST));
        while (x, y) != (0, 0) {
            let (dx, dy) = (x.clamp(-STEP, STEP), y.clamp(-STEP, STEP));
            mouse.shift(dx as i8, dy as i8, 0);
            (x, y) = (x - dx, y - dy);
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
fn press<T>(
    tool: &mut T,
    buttons: &mut Buttons,
    input: Input,
    hold: impl FnOnce(&mut T, Buttons),
    turn: impl FnOnce(&mut T, i8),
) {
    match input {
        Input::Button(bit, Move::Down) => *buttons |= bit,
        Input::Button(bit, Move::Up) => *buttons &= !bit,
        Input::Wheel(notches) => return turn(tool, notches),
        _ => return,
    }
    hold(tool, *buttons);
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
        let (keyboard, device) = Keyboard::new();
        let (hands, mut device) = (Hands::default(), configured(device));
        hands.keyboard(0, keyboard);
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
        let (mouse, mouse_device) = Mouse::new();
        let (tablet, tablet_device) = Tablet::new();
        let (hands, mut mouse_device, mut tablet_device) =
            (Hands::default(), configured(mouse_device), configured(tablet_device));
        hands.mouse(0, mouse);
        hands.tablet(1, tablet);
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
        let (mouse, device) = Mouse::new();
        let mut device = configured(device);
        hands.mouse(7, mouse);
        assert_eq!(hands.act(&[Input::Button(1, Move::Down), Input::X(1)]), Err(HandsError::NoTablet));
        assert_eq!(report(&mut device), None, "all or nothing");
        hands.let_go(7);
        assert_eq!(hands.act(&[Input::Shift { x: 1, y: 1 }]), Err(HandsError::NoMouse));
        let chord = Chord { usages: vec![4], hold: Duration::ZERO };
        assert_eq!(hands.type_chord(chord), Err(HandsError::NoKeyboard));
    }
}
