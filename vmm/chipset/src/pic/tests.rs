//! A guest, its devices and its processor at the three ends, and the registers as such. The modules below have the rest.

mod cascade;
mod drivers;
mod hostile;
mod service;
mod triggers;

use bus::Width;
use rstest::rstest;

use super::spec::{COMMAND, DATA};
use super::*;

const EOI: u8 = 0x20;
const READ_REQUESTS: u8 = 0x0a;
const READ_SERVICE: u8 = 0x0b;

/// The controllers, and what came out of them.
struct Rig {
    pic: Arc<Pic>,
    ports: [PicPorts; 2],
    elcr: Elcr,
    /// Each level INTR was driven to.
    levels: Arc<Mutex<Vec<bool>>>,
}

impl Rig {
    /// As at power-on.
    fn new() -> Self {
        let levels = Arc::new(Mutex::new(Vec::new()));
        let wire = levels.clone();
        let pic = Pic::new(IrqLine::new(move |level| wire.lock().unwrap().push(level)));
        let ports = [Half::First, Half::Second].map(|half| pic.ports(half));
        Self { ports, elcr: pic.elcr(), pic, levels }
    }

    /// Initialized for vectors from 0x20 and 0x28 on, with `icw4` in both.
    fn with_icw4(icw4: u8) -> Self {
        let mut rig = Self::new();
        rig.initialize(Half::First, [0x11, 0x20, 0x04, icw4]);
        rig.initialize(Half::Second, [0x11, 0x28, 0x02, icw4]);
        rig
    }

    fn ready() -> Self {
        Self::with_icw4(0x01)
    }

    fn initialize(&mut self, half: Half, [icw1, icw2, icw3, icw4]: [u8; 4]) {
        self.command(half, icw1);
        [icw2, icw3, icw4].into_iter().for_each(|icw| self.mask(half, icw));
    }

    fn write(&mut self, half: Half, offset: u64, value: u8) {
        self.ports[half as usize].write(Access { offset, width: Width::Byte }, value.into()).unwrap();
    }

    fn read(&mut self, half: Half, offset: u64) -> u8 {
        self.ports[half as usize].read(Access { offset, width: Width::Byte }).unwrap() as u8
    }

    fn command(&mut self, half: Half, value: u8) {
        self.write(half, COMMAND, value);
    }

    fn mask(&mut self, half: Half, value: u8) {
        self.write(half, DATA, value);
    }

    fn requests(&mut self, half: Half) -> u8 {
        self.command(half, READ_REQUESTS);
        self.read(half, COMMAND)
    }

    fn in_service(&mut self, half: Half) -> u8 {
        self.command(half, READ_SERVICE);
        self.read(half, COMMAND)
    }

    fn set_elcr(&mut self, offset: u64, value: u8) {
        self.elcr.write(Access { offset, width: Width::Byte }, value.into()).unwrap();
    }

    fn get_elcr(&mut self, offset: u64) -> u8 {
        self.elcr.read(Access { offset, width: Width::Byte }).unwrap() as u8
    }

    fn set(&self, irq: u32, level: bool) {
        self.pic.line(irq).unwrap().set(level);
    }

    fn pulse(&self, irq: u32) {
        self.pic.line(irq).unwrap().pulse();
    }

    /// The vectors of the interrupts that come one after the other.
    fn vectors(&self) -> Vec<u8> {
        std::iter::from_fn(|| self.pic.is_pending().then(|| self.pic.acknowledge())).collect()
    }

    /// The levels of INTR since the last call.
    fn levels(&self) -> Vec<bool> {
        std::mem::take(&mut self.levels.lock().unwrap())
    }
}

#[test]
fn uninitialized_controllers_interrupt_nobody() {
    let mut rig = Rig::new();
    (0..16).filter(|&irq| irq != 2).for_each(|irq| rig.set(irq, true));
    assert!(rig.levels().is_empty());
    assert_eq!((rig.requests(Half::First), rig.requests(Half::Second)), (0xfb, 0xff));
}

#[rstest]
#[case::no_vectors(&[0x11])]
#[case::no_icw3(&[0x11, 0x20])]
#[case::no_icw4(&[0x11, 0x20, 0x04])]
fn half_initialized_controller_interrupts_nobody(#[case] words: &[u8]) {
    let mut rig = Rig::new();
    rig.command(Half::First, words[0]);
    words[1..].iter().for_each(|&word| rig.mask(Half::First, word));
    rig.pulse(3);
    assert!(!rig.pic.is_pending());
}

#[rstest]
#[case::all(&[0x11, 0x20, 0x04, 0x01])]
#[case::without_icw4(&[0x10, 0x20, 0x04])]
#[case::single(&[0x13, 0x20, 0x01])]
#[case::single_without_icw4(&[0x12, 0x20])]
fn initialization_has_the_words_that_icw1_announces(#[case] words: &[u8]) {
    let mut rig = Rig::new();
    rig.command(Half::First, words[0]);
    words[1..].iter().for_each(|&word| rig.mask(Half::First, word));
    rig.pulse(3);
    assert_eq!(rig.vectors(), [0x23]);
    rig.mask(Half::First, 0x5a);
    assert_eq!(rig.read(Half::First, DATA), 0x5a, "now it is the mask");
}

#[test]
fn low_bits_of_the_vector_are_the_level() {
    let mut rig = Rig::new();
    rig.initialize(Half::First, [0x11, 0xff, 0x04, 0x01]);
    rig.pulse(5);
    assert_eq!(rig.vectors(), [0xfd]);
}

#[test]
fn mask_keeps_its_value_before_initialization() {
    let mut rig = Rig::new();
    for half in [Half::First, Half::Second] {
        rig.mask(half, 0xa5);
        assert_eq!(rig.read(half, DATA), 0xa5);
    }
}

#[test]
fn initialization_forgets_everything_else() {
    let mut rig = Rig::ready();
    rig.mask(Half::First, 0x80);
    rig.pulse(1);
    assert_eq!(rig.vectors(), [0x21]);
    rig.pulse(3);
    rig.set(5, true);
    [0x68, READ_SERVICE, 0xc3].into_iter().for_each(|command| rig.command(Half::First, command));
    rig.command(Half::First, 0x11);
    assert_eq!(rig.read(Half::First, COMMAND), 0, "requests, of which there are none");
    [0x20, 0x04, 0x01].into_iter().for_each(|icw| rig.mask(Half::First, icw));
    assert_eq!((rig.in_service(Half::First), rig.read(Half::First, DATA)), (0, 0));
    [7, 0].into_iter().for_each(|irq| rig.pulse(irq));
    assert_eq!(rig.pic.acknowledge(), 0x20, "0 comes first again");
}

#[test]
fn wire_that_is_high_must_fall_before_it_requests_after_initialization() {
    let mut rig = Rig::ready();
    rig.set(3, true);
    rig.initialize(Half::First, [0x11, 0x20, 0x04, 0x01]);
    rig.set(3, true);
    assert!(!rig.pic.is_pending());
    rig.set(3, false);
    rig.set(3, true);
    assert!(rig.pic.is_pending());
}

#[test]
fn wider_accesses_are_refused() {
    let mut rig = Rig::ready();
    for width in [Width::Word, Width::Dword, Width::Qword] {
        let at = Access { offset: 0, width };
        let device: [&mut dyn Device; 2] = [&mut rig.ports[0], &mut rig.elcr];
        for device in device {
            assert_eq!((device.read(at), device.write(at, 0xffff)), (Err(Refused), Err(Refused)));
        }
    }
}

#[test]
fn elcr_has_the_inputs_that_may_be_level_triggered() {
    let mut rig = Rig::new();
    for (offset, writable) in [(0, 0xf8), (1, 0xde)] {
        assert_eq!(rig.get_elcr(offset), 0);
        rig.set_elcr(offset, 0xff);
        assert_eq!(rig.get_elcr(offset), writable);
    }
}

#[test]
fn lines_are_those_of_a_pc() {
    let pic = Rig::new().pic;
    let lines: Vec<_> = (0..20).filter(|&irq| pic.line(irq).is_some()).collect();
    assert_eq!(lines, [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
}

#[test]
fn reset_is_power_on_with_the_wires_as_they_are() {
    let mut rig = Rig::ready();
    rig.set_elcr(0, 0x20);
    rig.set(5, true);
    rig.mask(Half::Second, 0xff);
    rig.ports.iter_mut().for_each(Device::reset);
    rig.elcr.reset();
    assert_eq!(rig.levels(), [true, false]);
    assert_eq!((rig.get_elcr(0), rig.read(Half::Second, DATA), rig.requests(Half::First)), (0, 0, 0));
    rig.set_elcr(0, 0x20);
    assert_eq!(rig.requests(Half::First), 0x20);
}
