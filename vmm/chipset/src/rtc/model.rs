//! The rules of the MC146818A.

use bus::IrqLine;

use super::alarm::Alarm;
use super::calendar::Calendar;
use super::divider::{Divider, period_end, periods, seconds, update_after};
use super::format::Format;
use super::memory::RamSize;
use super::spec::{
    BYTES, INDEX_MASK, REGISTER_A, REGISTER_B, REGISTER_C, REGISTER_D, RegisterA, RegisterB, RegisterC,
    UPDATE_WARNING, VALID,
};
use crate::time::{Moment, SECOND, Timekeeper};

/// The chip and its interrupt wire.
pub(super) struct Model {
    line: IrqLine,
    /// The level of the line. Most accesses leave it as it is.
    raised: bool,
    /// The byte that the data port shows.
    index: u8,
    /// What happened since the guest last asked; without the sum of it.
    flags: RegisterC,
    divider: Divider,
    /// Where the divider was when the registers were last brought up to date.
    position: u64,
    battery: Battery,
}

/// What outlives a reset: the time as of the last update, the alarm, modes and memory.
///
/// The bytes are the truth, not a difference from the host's time. So a guest that sets a date byte by byte can pass
/// through a 31 February, as long as no second ends meanwhile.
struct Battery {
    bytes: [u8; BYTES],
    a: RegisterA,
    b: RegisterB,
}

impl Battery {
    fn new(utc: i64, ram: RamSize) -> Self {
        let (a, b) = (RegisterA::POWER_ON, RegisterB::POWER_ON);
        let mut bytes = [0; BYTES];
        ram.fill(&mut bytes);
        Format::from(b).encode(Calendar::utc(utc), &mut bytes);
        Self { bytes, a, b }
    }

    /// Time passes, and the guest sees it.
    fn updates(&self) -> bool {
        self.a.runs() && !self.b.set()
    }

    fn time(&self) -> Calendar {
        Format::from(self.b).decode(&self.bytes)
    }

    fn set_time(&mut self, time: Calendar) {
        Format::from(self.b).encode(time, &mut self.bytes);
    }

    /// In how many seconds the alarm rings, if ever.
    fn rings_in(&self) -> Option<u64> {
        let alarm = Alarm::decode(Format::from(self.b), &self.bytes);
        alarm.rings_in(self.time().time_of_day())?.try_into().ok()
    }

    /// The cycles between periodic interrupts, if there are any.
    fn period(&self) -> Option<u64> {
        self.a.period().filter(|_| self.a.runs())
    }
}

impl Model {
    pub(super) fn new(line: IrqLine, now: Moment, ram: RamSize) -> Self {
        let divider = Divider::default();
        let position = divider.position(now);
        Self {
            line,
            raised: false,
            index: 0,
            flags: RegisterC::new(),
            divider,
            position,
            battery: Battery::new(seconds(position) as i64, ram),
        }
    }

    pub(super) fn select(&mut self, index: u8) {
        self.index = index & INDEX_MASK;
    }

    pub(super) fn read(&mut self) -> u8 {
        let value = match self.index {
            REGISTER_A => self.read_a().into_bits(),
            REGISTER_B => self.battery.b.into_bits(),
            REGISTER_C => self.take_flags().into_bits(),
            REGISTER_D => VALID,
            index => self.battery.bytes[usize::from(index)],
        };
        self.settle();
        value
    }

    pub(super) fn write(&mut self, value: u8) {
        match self.index {
            REGISTER_A => self.write_a(RegisterA::from_bits(value).with_update_in_progress(false)),
            REGISTER_B => self.write_b(RegisterB::from_bits(value)),
            REGISTER_C | REGISTER_D => {}
            index => self.battery.bytes[usize::from(index)] = value,
        }
        self.settle();
    }

    /// The RESET pin. The PC does not connect it to the supply, so the battery's part stays, and the time goes on.
    pub(super) fn reset(&mut self) {
        self.index = 0;
        self.flags = RegisterC::new();
        self.battery.b = self.battery.b.reset();
        self.settle();
    }

    fn read_a(&self) -> RegisterA {
        let imminent = self.position % SECOND >= SECOND - UPDATE_WARNING;
        self.battery.a.with_update_in_progress(imminent && self.battery.updates())
    }

    fn take_flags(&mut self) -> RegisterC {
        let flags = std::mem::take(&mut self.flags);
        flags.with_interrupt(flags.interrupts(self.battery.b))
    }

    fn write_a(&mut self, a: RegisterA) {
        let released = a.runs() && !self.battery.a.runs();
        self.battery.a = a;
        if released {
            let now = self.divider.moment(self.position);
            self.divider.release(now);
            self.position = self.divider.position(now);
        }
    }

    /// A guest that changes the format is to set the time again. One that does not, and is not about to, gets the time
    /// in the new format, as from QEMU.
    fn write_b(&mut self, b: RegisterB) {
        let time = self.battery.time();
        let stale = Format::from(b) != Format::from(self.battery.b) && !b.set() && !self.battery.b.set();
        self.battery.b = if b.set() { b.with_update_ended(false) } else { b };
        if stale {
            self.battery.set_time(time);
        }
    }

    /// Drives the line.
    fn settle(&mut self) {
        let raised = self.flags.interrupts(self.battery.b);
        if raised != self.raised {
            self.raised = raised;
            self.line.set(raised);
        }
    }

    /// Time passed, and the divider arrived at `position`.
    fn pass(&mut self, position: u64) {
        if let Some(period) = self.battery.period() {
            let over = periods(position, period) > periods(self.position, period);
            self.flags.set_periodic(self.flags.periodic() || over);
        }
        let passed = seconds(position) as i64 - seconds(self.position) as i64;
        if passed != 0 && self.battery.updates() {
            self.update(passed);
        }
    }

    /// Adds `passed` seconds to the time. They are negative after somebody set the host's clock back; then nothing
    /// happened.
    fn update(&mut self, passed: i64) {
        let rang = self.battery.rings_in().is_some_and(|seconds| seconds as i64 <= passed);
        self.flags.set_alarm(self.flags.alarm() || rang);
        self.flags.set_update_ended(self.flags.update_ended() || passed > 0);
        let time = self.battery.time().plus(passed);
        self.battery.set_time(time);
    }

    fn next_period(&self) -> Option<u64> {
        let period = self.battery.period().filter(|_| self.battery.b.periodic())?;
        Some(period_end(self.position, period))
    }

    fn next_update(&self) -> Option<u64> {
        let wanted = self.battery.b.update_ended() && self.battery.updates();
        wanted.then(|| update_after(self.position, 1))
    }

    fn next_alarm(&self) -> Option<u64> {
        let wanted = self.battery.b.alarm() && self.battery.updates();
        let seconds = wanted.then(|| self.battery.rings_in())??;
        Some(update_after(self.position, seconds))
    }
}

impl Timekeeper for Model {
    fn advance(&mut self, now: Moment) {
        let position = self.divider.position(now);
        self.pass(position);
        self.position = position;
        self.settle();
    }

    /// While the line is high, nothing can raise it, however much happens before the guest reads register C.
    fn next_event(&self) -> Option<Moment> {
        if self.raised {
            return None;
        }
        let events = [self.next_period(), self.next_update(), self.next_alarm()];
        events.into_iter().flatten().min().map(|position| self.divider.moment(position))
    }
}
