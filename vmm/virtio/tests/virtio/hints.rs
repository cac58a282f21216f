//! A balloon's hints: free pages go back to the host while it asks for them, and at no other time.

use rstest::rstest;
use virtio::balloon::{Balloon, Control, Hinting, Stage};
use vm_memory::VolatileSlice;

use crate::rig::{Buffer, MEMORY_END, Rig, Ring, feature, reg};
use Buffer::{In, Out};

const STATS_VQ: u64 = 1 << 1;
const FREE_PAGE_HINT: u64 = 1 << 3;
/// Where the host says what it wants.
const COMMAND: u64 = reg::CONFIG + 8;
const WORD: u64 = 0x5_0000;
const PAGES: u64 = 0x10_0000;
const STOP: u32 = 0;
const DONE: u32 = 1;

/// Overwrites instead of giving back: the test sees which pages they are.
fn mark(slice: &VolatileSlice<'_>) {
    slice.copy_from(&vec![0xbb_u8; slice.len()]);
}

/// A driver that gives hints, in queue 2.
struct Driver {
    rig: Rig,
    control: Control,
    ring: Ring,
}

impl Driver {
    fn new() -> Self {
        let control = Control::new(0, |_| {}).unwrap();
        let rig = Rig::with_balloon(|memory| Balloon::new(control.clone(), memory, mark));
        let driver = Self { rig, control, ring: Ring::new(16, 0x2_0000) };
        driver.start();
        driver
    }

    fn start(&self) {
        self.rig.start(feature::ALL & !STATS_VQ, &Ring::new(16, 0x1_0000));
        self.rig.start_queue(2, &self.ring);
    }

    fn command(&self) -> u32 {
        self.rig.read(COMMAND)
    }

    /// Has the host ask, and waits until the driver was told; returns the number of the run.
    fn asked(&self) -> u32 {
        let before = self.command();
        self.rig.write(reg::INTERRUPT_ACK, 3);
        assert!(self.control.hint());
        self.rig.wait_until("a command", || self.command() != before);
        self.rig.wait_until("an interrupt", || self.rig.read(reg::INTERRUPT_STATUS) & 2 != 0);
        self.command()
    }

    fn offer(&mut self, buffers: &[Buffer]) {
        self.ring.add(&self.rig.memory, buffers);
        self.rig.write(reg::QUEUE_NOTIFY, 2);
        self.rig.wait_used(&mut self.ring);
    }

    fn say(&mut self, word: u32) {
        self.rig.store(WORD, &word.to_le_bytes());
        self.offer(&[Out(WORD, 4)]);
    }

    fn page(&mut self, page: u64) {
        self.offer(&[In(PAGES + 4096 * page, 4096)]);
    }

    fn given_back(&self) -> Vec<u64> {
        (0..8).filter(|page| self.rig.load(PAGES + 4096 * page, 4096) == [0xbb; 4096]).collect()
    }
}

#[test]
fn pages_between_number_and_stop_go_back_and_the_driver_hears_that_it_is_done() {
    let mut driver = Driver::new();
    assert_eq!((driver.command(), driver.control.hinting().stage), (STOP, Stage::Ready));
    driver.page(0);
    let run = driver.asked();
    assert!(run >= 2);
    driver.page(1);
    driver.say(run);
    driver.page(2);
    driver.offer(&[In(PAGES + 4 * 4096, 8192), In(PAGES + 7 * 4096, 4096)]);
    assert_eq!((driver.given_back(), driver.control.hinting().stage), (vec![2, 4, 5, 7], Stage::Runs));
    driver.rig.write(reg::INTERRUPT_ACK, 3);
    driver.say(STOP);
    driver.rig.wait_until("the end", || driver.command() == DONE);
    driver.rig.wait_until("an interrupt", || driver.rig.read(reg::INTERRUPT_STATUS) & 2 != 0);
    driver.page(3);
    driver.say(run);
    driver.page(6);
    assert_eq!(driver.given_back(), [2, 4, 5, 7]);
    assert_eq!(driver.control.hinting(), Hinting { stage: Stage::Done, bytes: 4 * 4096 });
}

#[test]
fn every_run_has_a_number_of_its_own() {
    let mut driver = Driver::new();
    let first = driver.asked();
    driver.say(first);
    driver.page(0);
    let second = driver.asked();
    assert_ne!(first, second);
    driver.page(1);
    driver.say(first);
    driver.page(2);
    driver.say(STOP);
    assert_eq!((driver.command(), driver.given_back()), (second, vec![0]), "the end of the run before");
    driver.say(second);
    driver.page(3);
    driver.say(STOP);
    driver.rig.wait_until("the end", || driver.command() == DONE);
    assert_eq!((driver.given_back(), driver.control.hinting().bytes), (vec![0, 3], 4096));
    assert!(driver.asked() > second);
}

#[rstest]
#[case::stop(&STOP.to_le_bytes())]
#[case::done(&DONE.to_le_bytes())]
#[case::not_yet(&3_u32.to_le_bytes())]
#[case::high(&u32::MAX.to_le_bytes())]
#[case::short(&[2, 0, 0])]
#[case::long(&[2, 0, 0, 0, 0, 0, 0, 0])]
fn words_that_are_not_the_number_begin_nothing(#[case] word: &[u8]) {
    let mut driver = Driver::new();
    assert_eq!(driver.asked(), 2);
    driver.rig.store(WORD, word);
    driver.offer(&[Out(WORD, word.len() as u32), In(PAGES, 4096)]);
    driver.page(1);
    assert_eq!(
        (driver.given_back(), driver.command(), driver.control.hinting().stage),
        (vec![], 2, Stage::Runs)
    );
}

#[test]
fn wrong_word_in_a_run_ends_its_pages() {
    let mut driver = Driver::new();
    let run = driver.asked();
    driver.say(run);
    driver.page(0);
    driver.say(run + 1);
    driver.page(1);
    driver.say(STOP);
    driver.page(2);
    assert_eq!((driver.given_back(), driver.command()), (vec![0], run));
}

#[test]
fn pages_outside_memory_break_the_device_and_nothing_else() {
    let mut driver = Driver::new();
    let run = driver.asked();
    driver.say(run);
    driver.ring.add(&driver.rig.memory, &[In(PAGES, 4096), In(MEMORY_END, 4096)]);
    driver.rig.write(reg::QUEUE_NOTIFY, 2);
    driver.rig.wait_needs_reset();
    assert_eq!(driver.given_back(), [0; 0]);
    driver.rig.write(reg::STATUS, 0);
    assert_eq!((driver.command(), driver.control.hinting().stage), (STOP, Stage::Unable));
}

#[test]
fn reset_ends_a_run_and_numbers_go_on() {
    let mut driver = Driver::new();
    let run = driver.asked();
    driver.say(run);
    driver.rig.write(reg::STATUS, 0);
    assert!(!driver.control.hint(), "nobody is there to ask");
    driver.ring = Ring::new(16, 0x3_0000);
    driver.start();
    assert_eq!((driver.command(), driver.control.hinting().stage), (STOP, Stage::Ready));
    driver.say(run);
    driver.page(0);
    assert_eq!(driver.given_back(), [0; 0]);
    assert!(driver.asked() > run);
}

#[test]
fn driver_without_the_feature_is_not_asked() {
    let driver = Driver::new();
    driver.rig.write(reg::STATUS, 0);
    driver.rig.start(feature::ALL & !FREE_PAGE_HINT, &Ring::new(16, 0x1_0000));
    assert!(!driver.control.hint());
    driver.rig.settle();
    assert_eq!((driver.command(), driver.control.hinting().stage), (STOP, Stage::Unable));
}
