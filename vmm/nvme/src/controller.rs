//! The registers: what a vCPU touches. NVMe 1.4, 3.1.

use std::io;
use std::sync::Arc;

use block::Backend;
use bus::{Access, Refused, Width};
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::EventFd;

use crate::admin::Admin;
use crate::drive::Drive;
use crate::queue::{CompletionQueue, Ring, SubmissionQueue, Worker};
use crate::session::Session;
use crate::spec::command::{COMMAND_LEN, COMPLETION_LEN};
use crate::spec::registers::{
    AdminAttributes, Capabilities, Configuration, DOORBELLS, Register, VERSION, csts,
};
use crate::spec::status::Status;
use crate::{Interrupts, Options};

/// A controller with one namespace: its registers are [`SIZE`](crate::SIZE) bytes, accessed by aligned dword or qword.
///
/// Threads carry out the commands; a reset waits for them to end.
pub struct Controller {
    drive: Arc<Drive>,
    state: State,
}

/// What a reset of the machine forgets.
#[derive(Default)]
struct State {
    configuration: Configuration,
    attributes: AdminAttributes,
    submission_base: u64,
    completion_base: u64,
    /// INTMS and INTMC: a bit for each vector that is silent. With MSI-X a driver does not touch them.
    mask: u32,
    /// CSTS while nothing runs.
    status: u32,
    running: Option<Running>,
}

/// From CC.EN to the next.
struct Running {
    session: Arc<Session>,
    _admin: Worker,
}

impl Controller {
    /// A controller that keeps its blocks in `backend`, reads and writes `memory`, and completes through `interrupts`.
    ///
    /// # Errors
    /// The host has no more descriptors.
    pub fn new(
        backend: Arc<dyn Backend>,
        options: Options,
        memory: GuestMemoryMmap,
        interrupts: Arc<dyn Interrupts>,
    ) -> io::Result<Self> {
        let drive = Drive::new(backend, options, memory, interrupts)?;
        Ok(Self { drive: Arc::new(drive), state: State::default() })
    }

    /// The doorbell registers whose writes may signal an event instead of coming here while
    /// [`has_shadows`](Self::has_shadows): byte offset and event. Those of the I/O submission queues.
    pub fn doorbells(&self) -> impl Iterator<Item = (u64, &EventFd)> {
        let queues = 1..self.drive.vectors();
        queues.filter_map(|queue| Some((DOORBELLS + 8 * u64::from(queue), self.drive.kick_event(queue)?)))
    }

    /// What is to be called when the backend's size has changed; a driver that asked for it is told.
    pub fn resize_notice(&self) -> impl Fn() + Send + Sync + use<> {
        let drive = Arc::clone(&self.drive);
        move || drive.kick(0)
    }

    /// Whether the driver leaves the values of doorbells in memory.
    #[must_use]
    pub fn has_shadows(&self) -> bool {
        self.state.running.as_ref().is_some_and(|running| running.session.has_shadows())
    }

    fn read_register(&self, register: Register) -> u32 {
        let state = &self.state;
        let capabilities = Capabilities::OURS.into_bits();
        match register {
            Register::CapLow => capabilities as u32,
            Register::CapHigh => (capabilities >> 32) as u32,
            Register::Version => VERSION,
            Register::MaskSet | Register::MaskClear => state.mask,
            Register::Configuration => state.configuration.into_bits(),
            Register::Status => self.status(),
            Register::AdminAttributes => state.attributes.into_bits(),
            Register::AdminSubmissionLow => state.submission_base as u32,
            Register::AdminSubmissionHigh => (state.submission_base >> 32) as u32,
            Register::AdminCompletionLow => state.completion_base as u32,
            Register::AdminCompletionHigh => (state.completion_base >> 32) as u32,
        }
    }

    fn write_register(&mut self, register: Register, value: u32) {
        let state = &mut self.state;
        match register {
            Register::MaskSet => self.mask(value, 0),
            Register::MaskClear => self.mask(0, value),
            Register::Configuration => self.configure(Configuration::from_bits(value & WRITABLE_CC)),
            Register::AdminAttributes => state.attributes = (value & AdminAttributes::WRITABLE).into(),
            Register::AdminSubmissionLow => set_low(&mut state.submission_base, value),
            Register::AdminSubmissionHigh => set_high(&mut state.submission_base, value),
            Register::AdminCompletionLow => set_low(&mut state.completion_base, value),
            Register::AdminCompletionHigh => set_high(&mut state.completion_base, value),
            _ => {} // read-only
        }
    }

    /// NVMe 1.4, 3.1.3 and 3.1.4. The queues' threads announce what the old mask held back.
    fn mask(&mut self, set: u32, clear: u32) {
        self.state.mask = (self.state.mask | set) & !clear;
        let Some(running) = &self.state.running else { return };
        running.session.set_mask(self.state.mask);
        if clear != 0 {
            (0..self.drive.vectors()).for_each(|queue| self.drive.kick(queue));
        }
    }

    fn status(&self) -> u32 {
        self.state.running.as_ref().map_or(self.state.status, |running| running.session.status())
    }

    /// The driver writes CC.
    fn configure(&mut self, new: Configuration) {
        let old = std::mem::replace(&mut self.state.configuration, new);
        match (old.enable(), new.enable()) {
            (false, true) => self.enable(),
            (true, false) => self.disable(),
            _ => {}
        }
        if new.shutdown() != old.shutdown() {
            self.shut_down(new.shutdown() != 0);
        }
    }

    /// CC.EN becomes 1. With admin queues that cannot be used there is no way to complain but CSTS.CFS. NVMe 1.4, 9.5.
    fn enable(&mut self) {
        self.state.status = 0;
        match self.start() {
            Ok(running) => {
                running.session.set_ready();
                self.state.running = Some(running);
            }
            Err(_status) => self.state.status = csts::FATAL,
        }
    }

    fn start(&self) -> Result<Running, Status> {
        let State { configuration, attributes, submission_base, completion_base, .. } = self.state;
        if configuration.command_set() != 0 || configuration.page() != 0 || configuration.arbitration() != 0 {
            return Err(Status::INVALID_FIELD);
        }
        let ring = |base, less_one: u16, entry_len| match less_one {
            0 => Err(Status::INVALID_QUEUE_SIZE),
            _ => Ring::new(&self.drive, base, less_one + 1, entry_len),
        };
        let submissions = ring(submission_base, attributes.submission(), COMMAND_LEN)?;
        let completions = ring(completion_base, attributes.completion(), COMPLETION_LEN)?;
        let session = Arc::new(Session::new(&self.drive));
        session.set_mask(self.state.mask);
        let completions = Arc::new(CompletionQueue::new(&self.drive, &session, 0, completions, Some(0)));
        let admin = Admin::new(&self.drive, &session, &completions);
        let queue = SubmissionQueue::new(&self.drive, &session, 0, submissions, completions);
        let admin = Worker::spawn(queue, admin).map_err(|_| Status::INTERNAL_ERROR)?;
        Ok(Running { session, _admin: admin })
    }

    /// CC.EN becomes 0: a controller reset, which spares the admin queue registers. NVMe 1.4, 7.3.2.
    fn disable(&mut self) {
        self.state.running = None;
        self.state.status = 0;
        self.state.mask = 0;
    }

    /// CC.SHN. The admin queue's thread does the work; without it nothing is left to do.
    fn shut_down(&mut self, begins: bool) {
        let busy = if begins { csts::SHUTDOWN_BUSY } else { 0 };
        match &self.state.running {
            Some(running) => {
                running.session.set_shutdown(busy);
                self.drive.kick(0);
            }
            None => {
                let done = if begins { csts::SHUTDOWN_DONE } else { 0 };
                self.state.status = self.state.status & !csts::SHUTDOWN | done;
            }
        }
    }

    fn ring(&self, index: u64, value: u32) {
        if let Some(running) = &self.state.running {
            running.session.ring(&self.drive, index, value as u16);
        }
    }

    fn read_dword(&self, offset: u64) -> u32 {
        // Doorbells are write-only; reserved registers read as 0.
        Register::decode(offset).map_or(0, |register| self.read_register(register))
    }

    fn write_dword(&mut self, offset: u64, value: u32) {
        match offset.checked_sub(DOORBELLS) {
            Some(doorbell) => self.ring(doorbell / 4, value),
            None => {
                if let Some(register) = Register::decode(offset) {
                    self.write_register(register, value);
                }
            }
        }
    }
}

impl bus::Device for Controller {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        let low = u64::from(self.read_dword(dword(at)?));
        Ok(match at.width {
            Width::Qword => low | u64::from(self.read_dword(at.offset + 4)) << 32,
            _ => low,
        })
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        self.write_dword(dword(at)?, value as u32);
        if at.width == Width::Qword {
            self.write_dword(at.offset + 4, (value >> 32) as u32);
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.state = State::default();
    }
}

/// Bits of CC that can be written.
const WRITABLE_CC: u32 = 0x00ff_fff1;

/// The offset of an aligned access of 4 or 8 bytes. NVMe 1.4, 3.1: others are not defined.
fn dword(at: Access) -> Result<u64, Refused> {
    let wide = matches!(at.width, Width::Dword | Width::Qword);
    if wide && at.offset.is_multiple_of(at.width.len()) { Ok(at.offset) } else { Err(Refused) }
}

/// Bits 11:0 of a queue's address are reserved: it is a page's.
fn set_low(address: &mut u64, value: u32) {
    *address = *address & !0xffff_ffff | u64::from(value & !0xfff);
}

fn set_high(address: &mut u64, value: u32) {
    *address = *address & 0xffff_ffff | u64::from(value) << 32;
}
