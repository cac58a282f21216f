//! The driver's side: rings and contexts in 1 MiB of memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus::{IrqLine, Width};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use crate::xhci::testing::Inline;
use crate::xhci::{Config, PortId};
use crate::{Answer, Data, Descriptors, EndpointAddress, Outcome, Setup, Speed, Standard, UsbDevice, Waker};

pub(super) const USBCMD: u64 = 0x40;
pub(super) const USBSTS: u64 = 0x44;
pub(super) const CRCR: u64 = 0x58;
pub(super) const IMAN: u64 = 0x1020;
pub(super) const ERDP: u64 = 0x1038;
pub(super) const CONTEXTS: u64 = 0x1000;
pub(super) const COMMANDS: u64 = 0x2000;
const SEGMENTS: u64 = 0x3000;
pub(super) const EVENTS: u64 = 0x4000;
const EVENT_COUNT: u64 = 64;
pub(super) const INPUT: u64 = 0x5000;
pub(super) const OUTPUT: u64 = 0x8000;
pub(super) const BUFFER: u64 = 0x8_0000;

/// Where the ring of an endpoint is.
pub(super) const fn ring(index: u8) -> u64 {
    0x2_0000 + index as u64 * 0x1000
}

/// Bits of TRBs.
pub(super) const CYCLE: u32 = 1;
pub(super) const ISP: u32 = 1 << 2;
pub(super) const CHAIN: u32 = 1 << 4;
pub(super) const IOC: u32 = 1 << 5;
pub(super) const IDT: u32 = 1 << 6;
pub(super) const DIR_IN: u32 = 1 << 16;

pub(super) const fn kind(number: u32) -> u32 {
    number << 10
}

/// An event as the driver reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) kind: u32,
    pub(super) pointer: u64,
    pub(super) code: u32,
    pub(super) left: u32,
    pub(super) slot: u32,
    pub(super) endpoint: u32,
}

/// What the test and the device it plugged in share.
#[derive(Default)]
pub(super) struct Script {
    /// What the device answers next: the bytes of an IN transfer, and how it ends.
    pub(super) answers: VecDeque<(Vec<u8>, Outcome)>,
    /// What it was sent.
    pub(super) taken: Vec<u8>,
    pub(super) resets: usize,
    pub(super) cancelled: Vec<EndpointAddress>,
    pub(super) waker: Option<Waker>,
    pub(super) signals_wakeup: bool,
    /// It answers a vCPU.
    pub(super) at_once: bool,
}

/// A device that does what the script says on all endpoints but 0. With no script left it says NAK.
struct Scripted {
    script: Arc<Mutex<Script>>,
    standard: Standard,
    speed: Speed,
}

fn descriptors() -> Descriptors {
    let device = [18, 1, 0, 3, 0, 0, 0, 9, 0xf4, 0x46, 1, 0, 0, 1, 0, 0, 0, 1];
    let configuration = vec![9, 2, 18, 0, 1, 1, 0, 0x80, 0, 9, 4, 0, 0, 0, 0xff, 0, 0, 0];
    Descriptors { device, configuration, ..Descriptors::default() }
}

impl UsbDevice for Scripted {
    fn speed(&self) -> Speed {
        self.speed
    }
    fn attach(&mut self, waker: Waker) {
        self.script.lock().unwrap().waker = Some(waker);
    }
    fn reset(&mut self) {
        self.script.lock().unwrap().resets += 1;
        self.standard = Standard::default();
    }
    fn control(&mut self, setup: Setup, data: &mut Data<'_>) -> Outcome {
        match self.standard.control(&descriptors(), self.speed, setup, data) {
            Answer::Final(outcome) => outcome,
            Answer::Changed(_) => Outcome::Done,
            Answer::NotStandard => self.transfer(EndpointAddress::from_byte(0), data),
        }
    }
    fn transfer(&mut self, _endpoint: EndpointAddress, data: &mut Data<'_>) -> Outcome {
        let mut script = self.script.lock().unwrap();
        let mut bytes = vec![0; data.len()];
        let taken = data.take(&mut bytes);
        script.taken.extend(&bytes[..taken]);
        let Some((bytes, outcome)) = script.answers.pop_front() else { return Outcome::Nak };
        let put = data.put(&bytes);
        if put < bytes.len() && outcome == Outcome::Done {
            script.answers.push_front((bytes[put..].to_vec(), outcome)); // it goes on in the next window
        }
        outcome
    }
    fn transfer_at_once(&mut self, endpoint: EndpointAddress, data: &mut Data<'_>) -> Option<Outcome> {
        let at_once = self.script.lock().unwrap().at_once;
        at_once.then(|| self.transfer(endpoint, data))
    }
    fn cancel(&mut self, endpoint: EndpointAddress) {
        self.script.lock().unwrap().cancelled.push(endpoint);
    }
    fn signals_wakeup(&self) -> bool {
        self.script.lock().unwrap().signals_wakeup
    }
}

pub(super) struct Rig {
    pub(super) controller: Inline,
    pub(super) memory: GuestMemoryMmap,
    pub(super) line: Arc<AtomicBool>,
    pub(super) script: Arc<Mutex<Script>>,
    /// Bytes of a context.
    stride: u64,
    commands: u64,
    events: u64,
}

impl Rig {
    /// A controller after a reset.
    pub(super) fn stopped() -> Self {
        Self::of(Config::default())
    }

    /// A controller of this make after a reset.
    pub(super) fn of(config: Config) -> Self {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 1 << 20)]).unwrap();
        let line = Arc::new(AtomicBool::new(false));
        let level = Arc::clone(&line);
        let irq = IrqLine::new(move |asserted| level.store(asserted, Ordering::Relaxed));
        let controller = Inline::new(config, memory.clone(), Box::new(irq));
        Self {
            controller,
            memory,
            line,
            script: Arc::default(),
            stride: if config.large_contexts { 64 } else { 32 },
            commands: 0,
            events: 0,
        }
    }

    /// A controller that a driver has started, interrupts on.
    pub(super) fn started() -> Self {
        let mut rig = Self::stopped();
        rig.start();
        rig
    }

    pub(super) fn start(&mut self) {
        self.words(SEGMENTS, &[EVENTS as u32, 0, EVENT_COUNT as u32, 0]);
        let registers = [(0x78, 64), (0x70, CONTEXTS), (0x74, 0), (CRCR, COMMANDS | 1), (CRCR + 4, 0)];
        let events =
            [(0x1028, 1), (ERDP, EVENTS), (ERDP + 4, 0), (0x1030, SEGMENTS), (0x1034, 0), (0x1024, 0)];
        for (offset, value) in registers.into_iter().chain(events).chain([(IMAN, 2), (USBCMD, 5)]) {
            self.write(offset, value);
        }
        self.run();
    }

    pub(super) fn write(&mut self, offset: u64, value: u64) {
        self.controller.write(offset, Width::Dword, value);
    }

    pub(super) fn read(&mut self, offset: u64) -> u32 {
        self.controller.read(offset, Width::Dword) as u32
    }

    pub(super) fn run(&mut self) {
        assert!(self.controller.run(100), "the controller does not come to rest");
    }

    pub(super) fn words(&self, address: u64, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.memory.write_slice(&bytes, GuestAddress(address)).unwrap();
    }

    pub(super) fn word(&self, address: u64) -> u32 {
        self.memory.read_obj(GuestAddress(address)).unwrap()
    }

    pub(super) fn bytes(&self, address: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.memory.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        bytes
    }

    /// A TRB with cycle bit 1.
    pub(super) fn trb(&self, address: u64, parameter: u64, status: u32, control: u32) {
        self.words(address, &[parameter as u32, (parameter >> 32) as u32, status, control | CYCLE]);
    }

    pub(super) fn doorbell(&mut self, slot: u64, target: u64) {
        self.write(0x2000 + 4 * slot, target);
        self.run();
    }

    /// The events since the last call, which the driver then has seen.
    pub(super) fn events(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        loop {
            let at = EVENTS + self.events % EVENT_COUNT * 16;
            let [p0, p1, status, control] = [0, 4, 8, 12].map(|offset| self.word(at + offset));
            if control & 1 != u32::from((self.events / EVENT_COUNT).is_multiple_of(2)) {
                break;
            }
            self.events += 1;
            seen.push(Seen {
                kind: control >> 10 & 0x3f,
                pointer: u64::from(p0) | u64::from(p1) << 32,
                code: status >> 24,
                left: status & 0xff_ffff,
                slot: control >> 24,
                endpoint: control >> 16 & 0x1f,
            });
        }
        let at = EVENTS + self.events % EVENT_COUNT * 16;
        self.write(ERDP, at | 8);
        self.run();
        seen
    }

    /// Puts a command on the ring; returns code and slot of its completion, the last event.
    pub(super) fn command(&mut self, parameter: u64, control: u32) -> (u32, u32) {
        let at = COMMANDS + self.commands * 16;
        self.commands += 1;
        self.trb(at, parameter, 0, control);
        self.doorbell(0, 0);
        let last = self.events().pop().expect("a completion");
        assert_eq!((last.kind, last.pointer), (33, at));
        (last.code, last.slot)
    }

    /// Plugs in a device that follows the script.
    pub(super) fn plug(&mut self, speed: Speed) -> PortId {
        let script = Arc::clone(&self.script);
        let device = Scripted { script, standard: Standard::default(), speed };
        self.controller.attach(None, Box::new(device)).unwrap()
    }

    /// A SuperSpeed device in slot 1, addressed.
    pub(super) fn addressed() -> Self {
        Self::addressed_of(Config::default())
    }

    /// The same on a controller of this make.
    pub(super) fn addressed_of(config: Config) -> Self {
        let mut rig = Self::of(config);
        rig.start();
        rig.plug(Speed::Super);
        rig.events();
        assert_eq!(rig.command(0, kind(9)), (1, 1));
        rig.describe_device(1);
        assert_eq!(rig.command(INPUT, kind(11) | 1 << 24), (1, 1));
        rig
    }

    /// The input context of Address Device for a device at root port `port`.
    pub(super) fn describe_device(&mut self, port: u32) {
        self.words(CONTEXTS + 8, &[OUTPUT as u32, 0]);
        self.words(INPUT, &[0, 3]);
        self.words(INPUT + self.stride, &[1 << 27 | 4 << 20, port << 16, 0, 0]);
        self.words(INPUT + 2 * self.stride, &[0, 512 << 16 | 4 << 3 | 3 << 1, ring(1) as u32 | 1, 0, 8]);
    }

    /// The same with endpoints: device context index, type, interval.
    pub(super) fn with_endpoints(endpoints: &[(u8, u32, u32)]) -> Self {
        let mut rig = Self::addressed();
        assert_eq!(rig.configure(endpoints), (1, 1));
        rig
    }

    /// Configure Endpoint.
    pub(super) fn configure(&mut self, endpoints: &[(u8, u32, u32)]) -> (u32, u32) {
        let add = endpoints.iter().fold(1, |add, (index, ..)| add | 1 << index);
        self.words(INPUT, &[0, add]);
        self.words(INPUT + self.stride, &[31 << 27 | 4 << 20, 1 << 16, 0, 0]);
        for &(index, kind, interval) in endpoints {
            let at = INPUT + self.stride * (u64::from(index) + 1);
            self.words(at, &[interval << 16, 1024 << 16 | kind << 3, ring(index) as u32 | 1, 0, 0]);
        }
        self.command(INPUT, kind(12) | 1 << 24)
    }

    pub(super) fn answer(&self, bytes: &[u8], outcome: Outcome) {
        self.script.lock().unwrap().answers.push_back((bytes.to_vec(), outcome));
    }

    pub(super) fn wake_device(&mut self) {
        let waker = self.script.lock().unwrap().waker.clone().unwrap();
        waker.wake();
        self.run();
    }

    pub(super) fn advance(&mut self, time: Duration) {
        self.controller.advance(time);
        self.run();
    }

    /// State of an endpoint in the device context.
    pub(super) fn endpoint_state(&self, index: u64) -> u32 {
        self.word(OUTPUT + self.stride * index) & 7
    }

    /// State of the slot in the device context.
    pub(super) fn slot_state(&self) -> u32 {
        self.word(OUTPUT + 12) >> 27
    }
}
