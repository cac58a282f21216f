//! A guest and a host's timer at the two ends, and the registers as such. The modules below have the rest.

mod drivers;
mod hostile;
mod interrupts;
mod timekeeping;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bus::Width;
use rstest::rstest;

use super::*;
use crate::time::{ManualClock, Moment, SECOND, ShiftedClock};

/// 2026-08-04 11:59:59 UTC, a Tuesday.
const START: u64 = 1_785_844_799;

const MILLISECOND: u64 = SECOND / 1000;

/// The clock, its surroundings, and what came out of it.
struct Rig {
    rtc: Rtc,
    timer: Arc<dyn Timed>,
    clock: Arc<ManualClock>,
    /// Each level the line was driven to.
    levels: Arc<Mutex<Vec<bool>>>,
    calls: Arc<AtomicUsize>,
}

impl Rig {
    fn new() -> Self {
        Self::at(START * SECOND)
    }

    fn at(now: u64) -> Self {
        let clock = ManualClock::at(now);
        Self::showing(clock.clone(), clock)
    }

    /// A clock that goes by `time`, which goes by `clock`.
    fn showing(time: Arc<dyn Clock>, clock: Arc<ManualClock>) -> Self {
        let levels = Arc::new(Mutex::new(Vec::new()));
        let calls = Arc::new(AtomicUsize::new(0));
        let (wire, counter) = (levels.clone(), calls.clone());
        let line = IrqLine::new(move |level| wire.lock().unwrap().push(level));
        let ram = RamSize { low: 3 << 30, high: 1 << 30 };
        let rtc = Rtc::new(line, time, ram, move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        Self { timer: rtc.timer(), rtc, clock, levels, calls }
    }

    fn out(&mut self, offset: u64, value: u8) {
        self.rtc.write(Access { offset, width: Width::Byte }, value.into()).unwrap();
    }

    fn get(&mut self, index: u8) -> u8 {
        self.out(0, index);
        self.rtc.read(Access { offset: 1, width: Width::Byte }).unwrap() as u8
    }

    fn set(&mut self, index: u8, value: u8) {
        self.out(0, index);
        self.out(1, value);
    }

    fn set_all(&mut self, bytes: &[(u8, u8)]) {
        bytes.iter().for_each(|&(index, value)| self.set(index, value));
    }

    /// Hours, minutes and seconds, as they stand in the registers.
    fn time(&mut self) -> [u8; 3] {
        [4, 2, 0].map(|index| self.get(index))
    }

    /// Century, year, month, day and weekday, as they stand in the registers.
    fn date(&mut self) -> [u8; 5] {
        [0x32, 9, 8, 7, 6].map(|index| self.get(index))
    }

    fn pass(&self, nanos: u64) {
        self.clock.pass(nanos);
    }

    /// How long until the next event.
    fn event_in(&self) -> Option<u64> {
        self.timer.next_event().map(|event| event.since(self.clock.now()).as_nanos() as u64)
    }

    /// Sleeps until the next event, as the host's timer does, and returns how long that was.
    fn sleep(&self) -> u64 {
        let sleep = self.event_in().unwrap();
        self.pass(sleep);
        self.timer.tick();
        sleep
    }

    /// The levels of the line since the last call.
    fn levels(&self) -> Vec<bool> {
        std::mem::take(&mut self.levels.lock().unwrap())
    }

    /// How often the host's timer was woken since the last call.
    fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::Relaxed)
    }
}

#[rstest]
#[case::a(0x0a, 0x26)]
#[case::b(0x0b, 0x02)]
#[case::c(0x0c, 0x00)]
#[case::d(0x0d, 0x80)]
#[case::shutdown_status(0x0f, 0x00)]
#[case::base_memory(0x16, 0x02)]
#[case::memory_above_16_mib(0x35, 0xbf)]
#[case::high_memory(0x5c, 0x40)]
#[case::boot_flags(0x38, 0x00)]
#[case::processors(0x5f, 0x00)]
fn register_at_power_on(#[case] index: u8, #[case] value: u8) {
    assert_eq!(Rig::new().get(index), value);
}

#[test]
fn clock_starts_with_the_time_of_the_host() {
    let mut rig = Rig::new();
    assert_eq!((rig.time(), rig.date()), ([0x11, 0x59, 0x59], [0x20, 0x26, 0x08, 0x04, 0x03]));
}

#[test]
fn clock_starts_with_a_time_of_its_own_and_follows_the_host_from_there() {
    let host = ManualClock::at(START * SECOND);
    let millennium = Moment(946_684_799 * SECOND);
    let mut rig = Rig::showing(Arc::new(ShiftedClock::showing(millennium, host.clone())), host);
    assert_eq!((rig.time(), rig.date()), ([0x23, 0x59, 0x59], [0x19, 0x99, 0x12, 0x31, 0x06]));
    rig.pass(SECOND);
    assert_eq!((rig.time(), rig.date()), ([0, 0, 0], [0x20, 0x00, 0x01, 0x01, 0x07]));
}

#[test]
fn index_cannot_be_read() {
    let mut rig = Rig::new();
    assert_eq!(rig.rtc.read(Access { offset: 0, width: Width::Byte }), Err(Refused));
}

#[test]
fn nmi_mask_is_no_part_of_the_index() {
    let mut rig = Rig::new();
    assert_eq!(rig.get(0x8d), 0x80);
    rig.set(0x90, 0x55);
    assert_eq!(rig.get(0x10), 0x55);
}

#[test]
fn memory_keeps_what_is_written() {
    let mut rig = Rig::new();
    let memory = || (0x0e..0x80).filter(|&index| index != 0x32);
    memory().for_each(|index| rig.set(index, index ^ 0xa5));
    memory().for_each(|index| assert_eq!(rig.get(index), index ^ 0xa5));
}

#[rstest]
#[case::a_without_uip(0x0a, 0xff, 0x7f)]
#[case::b_without_uie_while_set(0x0b, 0xff, 0xef)]
#[case::c(0x0c, 0xff, 0x00)]
#[case::d(0x0d, 0x00, 0x80)]
fn register_after_a_write(#[case] index: u8, #[case] written: u8, #[case] read: u8) {
    let mut rig = Rig::new();
    rig.set(index, written);
    assert_eq!(rig.get(index), read);
}

#[test]
fn wider_accesses_are_refused_and_change_nothing() {
    let mut rig = Rig::new();
    rig.out(0, 0x10);
    for width in [Width::Word, Width::Dword, Width::Qword] {
        for offset in 0..spec::LEN {
            let at = Access { offset, width };
            assert_eq!((rig.rtc.read(at), rig.rtc.write(at, 0x4111)), (Err(Refused), Err(Refused)));
        }
    }
    assert_eq!(rig.rtc.read(Access { offset: 1, width: Width::Byte }), Ok(0));
}

#[test]
fn reset_clears_the_index_and_the_interrupts() {
    let mut rig = Rig::new();
    rig.set(0x0b, 0x7a);
    rig.pass(SECOND);
    rig.timer.tick();
    rig.out(0, 0x55);
    rig.rtc.reset();
    assert_eq!(rig.rtc.read(Access { offset: 1, width: Width::Byte }), Ok(0), "seconds");
    assert_eq!((rig.get(0x0b), rig.get(0x0c)), (0x02, 0));
    assert_eq!(rig.levels(), [true, false]);
    assert_eq!(rig.event_in(), None);
}

#[test]
fn reset_keeps_time_alarm_modes_and_memory() {
    let mut rig = Rig::new();
    rig.set_all(&[
        (0x0b, 0x87),
        (0x0a, 0x2f),
        (0x04, 23),
        (0x02, 58),
        (0x00, 57),
        (0x05, 7),
        (0x40, 0x77),
        (0x0b, 0x07),
    ]);
    rig.rtc.reset();
    rig.pass(SECOND);
    assert_eq!(rig.time(), [23, 58, 58]);
    assert_eq!([0x0a, 0x0b, 0x05, 0x40].map(|index| rig.get(index)), [0x2f, 0x07, 7, 0x77]);
}
