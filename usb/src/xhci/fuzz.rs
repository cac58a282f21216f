//! The whole controller, driven by arbitrary bytes: registers, doorbells, rings and contexts in guest memory, devices that
//! come, go and misbehave.
//!
//! The bytes are a program: an opcode, then its operands. Most opcodes are pokes; a few put a valid piece in place (a driver's
//! start, a command, a transfer), so that pokes reach behind the first check. Whatever the program did, a driver that then
//! resets the controller finds it working.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::{IrqLine, Width};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use super::testing::Inline;
use super::{Config, PortId};
use crate::{Data, Direction, EndpointAddress, Outcome, Setup, Speed, UsbDevice, Waker};

/// Bytes of memory that the driver has.
const MEMORY: u64 = 0x1_0000;
/// Turns after which a program's doorbells must have been paid off.
const PATIENCE: usize = 20_000;

// Where the valid pieces are. Pokes reach all of it.
const CONTEXTS: u64 = 0x1000;
const COMMANDS: u64 = 0x2000;
const SEGMENTS: u64 = 0x3000;
const EVENTS: u64 = 0x4000;
const INPUT: u64 = 0x5000;
const OUTPUT: u64 = 0x6000;
const RINGS: u64 = 0x8000;
const COMMAND_RING_LEN: u64 = 16;
const EVENT_COUNT: u64 = 64;

/// What the devices answer, in turn: a byte for each question.
#[derive(Default)]
struct Moods {
    bytes: Vec<u8>,
    next: usize,
    waker: Option<Waker>,
}

impl Moods {
    fn next(&mut self) -> u8 {
        self.next = self.next.wrapping_add(1);
        let len = self.bytes.len().max(1);
        self.bytes.get(self.next % len).copied().unwrap_or(0)
    }
}

/// A device that answers as the program says.
struct Moody {
    speed: Speed,
    moods: Arc<Mutex<Moods>>,
}

impl Moody {
    fn answer(&self, data: &mut Data<'_>) -> Outcome {
        let mut moods = self.moods.lock().unwrap_or_else(PoisonError::into_inner);
        let mood = moods.next();
        let amount = usize::from(moods.next()) * 8;
        match data.direction() {
            Direction::In => data.put(&[mood; 2048][..amount.min(2048)]),
            Direction::Out => data.take(&mut [0; 2048][..amount.min(2048)]),
        };
        match mood % 8 {
            0 => Outcome::Nak,
            1 => Outcome::Stall,
            2 => Outcome::Babble,
            3 => Outcome::Gone,
            _ => Outcome::Done,
        }
    }
}

impl UsbDevice for Moody {
    fn speed(&self) -> Speed {
        self.speed
    }
    fn attach(&mut self, waker: Waker) {
        self.moods.lock().unwrap_or_else(PoisonError::into_inner).waker = Some(waker);
    }
    fn reset(&mut self) {}
    fn control(&mut self, _setup: Setup, data: &mut Data<'_>) -> Outcome {
        self.answer(data)
    }
    fn transfer(&mut self, _endpoint: EndpointAddress, data: &mut Data<'_>) -> Outcome {
        self.answer(data)
    }
    fn transfer_at_once(&mut self, _endpoint: EndpointAddress, data: &mut Data<'_>) -> Option<Outcome> {
        let is_slow = self.moods.lock().unwrap_or_else(PoisonError::into_inner).next() & 1 != 0;
        (!is_slow).then(|| self.answer(data))
    }
    fn signals_wakeup(&self) -> bool {
        self.moods.lock().unwrap_or_else(PoisonError::into_inner).next() & 1 != 0
    }
}

/// A program's bytes, read from the front; zeroes behind the end.
struct Program<'p>(&'p [u8]);

impl Program<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    fn word(&mut self) -> u64 {
        u64::from(u16::from_le_bytes([self.byte(), self.byte()]))
    }

    fn dword(&mut self) -> u32 {
        self.word() as u32 | (self.word() as u32) << 16
    }

    /// An address: most are in memory, some around its end, some anywhere.
    fn address(&mut self) -> u64 {
        match self.byte() {
            0..0xe0 => self.word(),
            0xe0..0xf0 => MEMORY - 32 + self.word() % 64,
            _ => u64::from(self.dword()) << 32 | u64::from(self.dword()),
        }
    }
}

/// A controller and its memory, for many programs one after the other.
pub struct Harness {
    memory: GuestMemoryMmap,
}

impl Harness {
    /// Memory for programs.
    ///
    /// # Errors
    /// The host has none.
    pub fn new() -> io::Result<Self> {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY as usize)]);
        Ok(Self { memory: memory.map_err(io::Error::other)? })
    }

    /// Runs one program; returns how often devices were asked something.
    ///
    /// # Panics
    /// The controller broke a promise: it does not come to rest, or does not work after a reset.
    pub fn run(&self, program: &[u8]) -> usize {
        let (&flags, program) = program.split_first().unwrap_or((&0, &[]));
        let config = Config {
            large_contexts: flags & 1 != 0,
            interrupters: 1 + (flags >> 1) % 4,
            ..Config::default()
        };
        let controller = Inline::new(config, self.memory.clone(), Box::new(IrqLine::unconnected()));
        let moods = Arc::new(Mutex::new(Moods { bytes: program.to_vec(), ..Moods::default() }));
        let mut run = Run {
            controller,
            memory: &self.memory,
            moods,
            stride: if flags & 1 == 0 { 32 } else { 64 },
            commands: 0,
            events: 0,
            places: [0; 8],
        };
        run.fill(0, &[0; MEMORY as usize]);
        let mut program = Program(program);
        while !program.0.is_empty() {
            run.step(&mut program);
        }
        assert!(run.controller.run(PATIENCE), "the controller does not come to rest");
        assert!(run.works(), "the controller does not work after a reset");
        run.moods.lock().unwrap_or_else(PoisonError::into_inner).next
    }
}

/// A program under way.
struct Run<'m> {
    controller: Inline,
    memory: &'m GuestMemoryMmap,
    moods: Arc<Mutex<Moods>>,
    /// Bytes of a context.
    stride: u64,
    commands: u64,
    /// Events that the driver saw.
    events: u64,
    /// TRBs on the ring of each endpoint.
    places: [u64; 8],
}

impl Run<'_> {
    fn step(&mut self, program: &mut Program<'_>) {
        match program.byte() % 16 {
            0 | 1 => self.poke_register(program),
            2 => self.ring(program),
            3 | 4 => self.poke_memory(program),
            5 => self.turn(program),
            6 => self.controller.advance(Duration::from_micros(u64::from(program.dword() & 0x1f_ffff))),
            7 => self.attach(program),
            8 if program.byte() < 0x40 => drop(self.controller.detach(PortId(program.byte() % 18))),
            8 => self.open(program),
            9 if program.byte() < 0x40 => self.start(),
            9 => self.open(program),
            10 | 11 => self.command(program),
            12 | 13 => self.transfer(program),
            14 => self.describe(program),
            _ => self.wake(program),
        }
    }

    /// As a vCPU and the worker, or the worker alone.
    fn turn(&mut self, program: &mut Program<'_>) {
        let turns = program.byte();
        if turns >= 0x80 {
            self.controller.run_at_once();
        }
        self.controller.run(1 + usize::from(turns % 8));
    }

    fn poke_register(&mut self, program: &mut Program<'_>) {
        let (at, value) = (program.word() & 0x3fff, program.dword());
        match program.byte() {
            0..0x20 => drop(self.controller.read(at, Width::ALL[usize::from(program.byte() % 4)])),
            0x20..0x30 => self.controller.write(at, Width::Qword, u64::from(value) << 32 | u64::from(value)),
            0x30..0x80 => self.write(0x440 + at % 0x10 * 0x10, value), // a port
            0x80..0xc0 => self.write(0x1020 + at % 0x20 * 4, value),   // an interrupter
            _ => self.write(at & !3, value),
        }
    }

    fn poke_memory(&mut self, program: &mut Program<'_>) {
        let at = program.address() & !3;
        let words = [program.dword(), program.dword(), program.dword(), program.dword()];
        self.words(at, &words);
    }

    fn ring(&mut self, program: &mut Program<'_>) {
        let (slot, target) = (u64::from(program.byte() % 4), u32::from(program.byte() % 34));
        self.write(0x2000 + 4 * slot, target);
    }

    fn attach(&mut self, program: &mut Program<'_>) {
        let speed = [Speed::Super, Speed::High, Speed::Full, Speed::Low][usize::from(program.byte() % 4)];
        let port = program.byte();
        let port = (port > 0x80).then_some(PortId(port & 0x1f));
        // No port is free for it: so be it.
        let _ = self.controller.attach(port, Box::new(Moody { speed, moods: Arc::clone(&self.moods) }));
    }

    fn wake(&self, program: &mut Program<'_>) {
        let _ = program.byte();
        let waker = self.moods.lock().unwrap_or_else(PoisonError::into_inner).waker.clone();
        waker.iter().for_each(Waker::wake);
    }

    /// What a driver does first.
    fn start(&mut self) {
        (self.commands, self.events) = (0, 0);
        self.fill(COMMANDS, &[0; 256]);
        self.fill(EVENTS, &[0; 0x400]);
        self.words(SEGMENTS, &[EVENTS as u32, 0, EVENT_COUNT as u32, 0]);
        self.words(CONTEXTS + 8, &[OUTPUT as u32, 0, OUTPUT as u32 + 0x800, 0]);
        let link = COMMANDS + 16 * COMMAND_RING_LEN;
        self.words(link, &[COMMANDS as u32, 0, 0, 6 << 10 | 2 | 1]);
        for (offset, value) in [(0x78, 64), (0x70, CONTEXTS), (0x74, 0), (0x58, COMMANDS | 1), (0x5c, 0)] {
            self.write(offset, value as u32);
        }
        for (offset, value) in [(0x1028, 1), (0x1038, EVENTS), (0x103c, 0), (0x1030, SEGMENTS), (0x1034, 0)] {
            self.write(offset, value as u32);
        }
        self.write(0x1020, 2);
        self.write(0x40, 0x405);
    }

    /// A command, with the input context for a pointer as often as not.
    fn command(&mut self, program: &mut Program<'_>) {
        let (kind, slot, endpoint) = (program.byte(), program.byte() % 4, program.byte());
        let kind = if kind < 0xe0 { 9 + kind % 16 } else { kind & 0x3f };
        let parameter = if endpoint & 0x20 == 0 { INPUT } else { program.address() };
        let flag = u32::from(endpoint >> 7) << 9;
        let control = u32::from(slot) << 24 | u32::from(endpoint & 0x1f) << 16 | flag | u32::from(kind) << 10;
        self.push_command(parameter, control);
        self.write(0x2000, 0);
        self.controller.run(1);
        self.see_events();
    }

    fn push_command(&mut self, parameter: u64, control: u32) {
        let (at, lap) = (self.commands % COMMAND_RING_LEN, self.commands / COMMAND_RING_LEN);
        let cycle = u32::from(lap.is_multiple_of(2));
        self.commands += 1;
        if at == 0 && lap > 0 {
            let link = COMMANDS + 16 * COMMAND_RING_LEN;
            self.words(link, &[COMMANDS as u32, 0, 0, 6 << 10 | 2 | (cycle ^ 1)]);
        }
        self.words(COMMANDS + 16 * at, &[parameter as u32, (parameter >> 32) as u32, 0, control | cycle]);
    }

    /// An input context for Address Device or Configure Endpoint.
    fn describe(&mut self, program: &mut Program<'_>) {
        let stride = if program.byte() < 0xf0 { self.stride } else { 96 - self.stride };
        let (port, endpoint, kind) = (program.byte() % 18, program.byte(), program.byte());
        let endpoint = if endpoint < 0xe0 { endpoint % 8 } else { endpoint % 32 };
        let add = if endpoint < 2 { 3 } else { 1 | 1 << endpoint };
        let kind = match kind {
            _ if endpoint < 2 => 4,
            0..0xe0 => 1 + u32::from(kind % 3) + u32::from(endpoint % 2) * 4, // of this direction
            _ => u32::from(kind % 8),
        };
        let index = u64::from(endpoint.max(1));
        self.words(INPUT, &[0, add]);
        self.words(INPUT + stride, &[0xf800_0000, u32::from(port) << 16, 0, 0]);
        let interval = u32::from(program.byte() % 8) << 16;
        self.words(
            INPUT + stride * (index + 1),
            &[interval, 512 << 16 | kind << 3, ring(index) as u32 | 1, 0, 0],
        );
    }

    /// An endpoint of the first slot, described and configured.
    fn open(&mut self, program: &mut Program<'_>) {
        self.describe(program);
        self.push_command(INPUT, 1 << 24 | 12 << 10);
        self.write(0x2000, 0);
        self.controller.run(1);
        self.see_events();
    }

    /// A TRB on an endpoint's ring, mostly behind the last, and its doorbell.
    fn transfer(&mut self, program: &mut Program<'_>) {
        let (index, place) = (u64::from(program.byte() % 8).max(1), program.byte());
        let place = match place {
            0..0x10 => u64::from(place),
            _ => self.next_place(index),
        };
        let (kind, bits, len) = (program.byte(), program.byte(), program.word() as u32);
        let kind = match kind {
            0..0x80 if index == 1 => 2 + kind % 3,
            0..0x80 => 1,
            0x80..0xe0 => 1 + kind % 8,
            _ => kind & 0x3f,
        };
        let address = if kind == 6 { ring(index) + 16 * (place & 3) } else { program.address() };
        let len = match len {
            _ if kind == 2 => 8,
            0..0xe000 => len & 0x1ff,
            _ => len,
        };
        // Setup stages have immediate data, and all but a few TRBs the cycle bit of the first lap.
        let bits = if kind == 2 { bits | 0x40 } else { bits } ^ u8::from(bits & 0x1f != 0 && bits & 1 == 0);
        let control = u32::from(kind) << 10 | u32::from(bits & 0x7f) | u32::from(bits >> 7) << 16;
        let at = ring(index) + 16 * place;
        self.words(at, &[address as u32, (address >> 32) as u32, len, control]);
        self.write(0x2000 + 4, index as u32);
        self.controller.run(2);
        self.see_events();
    }

    /// Behind the last TRB of an endpoint's ring. A ring that is full stays so.
    fn next_place(&mut self, index: u64) -> u64 {
        let Some(used) = self.places.get_mut(index as usize) else { return 0 };
        *used = (*used + 1).min(31);
        *used - 1
    }

    /// The driver is done with all events, up to the first that has not the cycle bit of this lap.
    fn see_events(&mut self) {
        for _ in 0..EVENT_COUNT {
            let at = EVENTS + 16 * (self.events % EVENT_COUNT);
            let control: u32 = self.memory.read_obj(GuestAddress(at + 12)).unwrap_or(0);
            if control & 1 != u32::from((self.events / EVENT_COUNT).is_multiple_of(2)) {
                break;
            }
            self.events += 1;
        }
        let at = EVENTS + 16 * (self.events % EVENT_COUNT);
        self.write(0x1038, at as u32 | 8);
    }

    /// Whether a driver that begins with a reset gets its command done.
    fn works(&mut self) -> bool {
        self.write(0x40, 0);
        self.write(0x40, 2);
        let reset = self.controller.run(PATIENCE) && self.controller.read(0x40, Width::Dword) == 0;
        self.start();
        self.push_command(0, 23 << 10);
        self.write(0x2000, 0);
        let rests = self.controller.run(PATIENCE);
        let done: u32 = self.memory.read_obj(GuestAddress(EVENTS + 12)).unwrap_or(0);
        reset && rests && done == 33 << 10 | 1
    }

    fn write(&mut self, offset: u64, value: u32) {
        self.controller.write(offset, Width::Dword, u64::from(value));
    }

    /// Outside memory there is nothing to poke.
    fn words(&self, address: u64, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.fill(address, &bytes);
    }

    fn fill(&self, address: u64, bytes: &[u8]) {
        let _ = self.memory.write_slice(bytes, GuestAddress(address));
    }
}

/// Where the ring of an endpoint is.
const fn ring(index: u64) -> u64 {
    RINGS + 0x200 * index
}
