//! A keyboard, a mouse and a tablet, as Linux's driver asks them and hears from them.

use virtio::input::{FARTHEST, Hand, Input, Kind};

use crate::rig::{Buffer, Rig, Ring, feature, reg};
use Buffer::{In, Out};

const DATA: u64 = 0x10_0000;
const SHIFT: u16 = 42;

struct Setup {
    rig: Rig,
    hand: Hand,
    events: Ring,
    status: Ring,
}

fn setup(kind: Kind) -> Setup {
    let (hand, device) = Input::new(kind).unwrap();
    let rig = Rig::new(Some(Box::new(device)));
    let [events, status] = [0x1_0000, 0x2_0000].map(|address| Ring::new(16, address));
    rig.start(feature::ALL, &events);
    rig.start_queue(1, &status);
    Setup { rig, hand, events, status }
}

impl Setup {
    /// What the device says of `select` and `subsel`.
    fn ask(&self, select: u8, subsel: u8) -> Vec<u8> {
        self.rig.write_byte(reg::CONFIG, select);
        self.rig.write_byte(reg::CONFIG + 1, subsel);
        let [size] = self.rig.read_bytes(reg::CONFIG + 2);
        let bytes: [u8; 128] = std::array::from_fn(|n| {
            let [byte] = self.rig.read_bytes(reg::CONFIG + 8 + n as u64);
            byte
        });
        assert!(bytes[usize::from(size)..].iter().all(|&byte| byte == 0));
        bytes[..usize::from(size)].to_vec()
    }

    /// The numbers of the bits that are set in an answer.
    fn codes(&self, kind: u8) -> Vec<u16> {
        let bytes = self.ask(0x11, kind);
        (0..8 * bytes.len() as u16).filter(|n| bytes[usize::from(n / 8)] >> (n % 8) & 1 != 0).collect()
    }

    fn offer(&mut self, count: u64) {
        for _ in 0..count {
            let place = DATA + 8 * u64::from(self.events.next % self.events.size);
            self.events.add(&self.rig.memory, &[In(place, 8)]);
        }
        self.rig.kick();
    }

    /// The next event: type, code, value.
    fn event(&mut self) -> (u16, u16, i32) {
        let (head, len) = self.rig.wait_used(&mut self.events);
        assert_eq!(len, 8);
        let bytes = self.rig.load(DATA + 8 * u64::from(head), 8);
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        (half(0), half(2), i32::from_le_bytes(bytes[4..].try_into().unwrap()))
    }
}

#[test]
fn driver_learns_what_there_is() {
    let keyboard = setup(Kind::Keyboard);
    assert_eq!(keyboard.rig.read(reg::DEVICE_ID), 18);
    assert_eq!(keyboard.ask(1, 0), b"Tinderbox virtio keyboard");
    assert_eq!(keyboard.ask(3, 0), [6, 0, 0xf4, 0x1a, 1, 0, 1, 0]);
    let keys = keyboard.codes(1);
    assert!([1, 30, SHIFT, 88, 127].iter().all(|key| keys.contains(key)), "{keys:?}");
    assert!(!keys.contains(&0) && !keys.contains(&0x110));
    assert_eq!(keyboard.ask(0x11, 0x14).len(), 1, "keys are repeated");
    for (select, subsel) in [(0, 0), (2, 0), (1, 1), (0x10, 0), (0x11, 2), (0x11, 3), (0x12, 0), (255, 255)] {
        assert_eq!(keyboard.ask(select, subsel), [], "{select} {subsel}");
    }
    let mouse = setup(Kind::Mouse);
    assert_eq!((mouse.codes(1), mouse.codes(2)), (vec![0x110, 0x111, 0x112], vec![0, 1, 8]));
    let tablet = setup(Kind::Tablet);
    assert_eq!((tablet.codes(2), tablet.codes(3)), (vec![8], vec![0, 1]));
    let extent = [[0; 4], u32::from(FARTHEST).to_le_bytes(), [0; 4], [0; 4], [0; 4]].concat();
    assert_eq!([0, 1, 2].map(|axis| tablet.ask(0x12, axis)), [extent.clone(), extent, vec![]]);
}

#[test]
fn keys_come_in_order_and_wait_for_room() {
    let mut setup = setup(Kind::Keyboard);
    setup.offer(3);
    setup.hand.key(0xe1, true);
    setup.hand.key(0x04, true);
    setup.hand.key(0x03, true);
    setup.hand.key(0x04, false);
    let first: Vec<_> = (0..3).map(|_| setup.event()).collect();
    assert_eq!(first, [(1, SHIFT, 1), (0, 0, 0), (1, 30, 1)]);
    setup.offer(3);
    let rest: Vec<_> = (0..3).map(|_| setup.event()).collect();
    assert_eq!(rest, [(0, 0, 0), (1, 30, 0), (0, 0, 0)]);
}

#[test]
fn what_is_pointed_at_comes_as_a_report() {
    let mut mouse = setup(Kind::Mouse);
    mouse.offer(12);
    mouse.hand.shift(300, -2);
    mouse.hand.hold(0b101);
    mouse.hand.hold(0b100);
    mouse.hand.turn(-1);
    mouse.hand.shift(0, 0);
    let events: Vec<_> = (0..10).map(|_| mouse.event()).collect();
    let report = (0, 0, 0);
    let expected = [
        (2, 0, 300),
        (2, 1, -2),
        report,
        (1, 0x110, 1),
        (1, 0x112, 1),
        report,
        (1, 0x110, 0),
        report,
        (2, 8, -1),
        report,
    ];
    assert_eq!(events, expected);
    let mut tablet = setup(Kind::Tablet);
    tablet.offer(3);
    tablet.hand.point(FARTHEST, 7);
    assert_eq!([(); 3].map(|()| tablet.event()), [(3, 0, 0x7fff), (3, 1, 7), report]);
}

#[test]
fn nobody_hears_what_came_before_the_driver_and_no_flood_is_kept() {
    let mut setup = setup(Kind::Keyboard);
    for _ in 0..5000 {
        setup.hand.key(0x04, true);
    }
    setup.rig.write(reg::STATUS, 0);
    setup.hand.key(0x05, true);
    setup.events = Ring::new(16, 0x3_0000);
    setup.rig.start(feature::ALL, &setup.events);
    setup.offer(2);
    setup.hand.key(0x06, true);
    assert_eq!([(); 2].map(|()| setup.event()), [(1, 46, 1), (0, 0, 0)]);
}

#[test]
fn lights_are_taken_and_short_buffers_are_none() {
    let mut setup = setup(Kind::Keyboard);
    setup.status.add(&setup.rig.memory, &[Out(DATA, 8)]);
    setup.rig.write(reg::QUEUE_NOTIFY, 1);
    assert_eq!(setup.rig.wait_used(&mut setup.status), (0, 0));
    setup.events.add(&setup.rig.memory, &[In(DATA, 7)]);
    setup.rig.kick();
    setup.rig.settle();
    assert!(!setup.rig.needs_reset(), "nothing has happened yet");
    setup.hand.key(0x04, true);
    setup.rig.wait_needs_reset();
}
