//! A function's way to interrupt: a message if the driver enabled them, else a pin. PCIe 5.0, 6.1.

mod msi;
mod msix;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::{Access, IrqLine, Msi, MsiRoutes};

use crate::config::spec;
pub(crate) use msi::MsiRegisters;
use msi::MsiState;
use msix::MsixState;

/// How a function interrupts at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By its pin.
    Pin,
    /// By MSI, which has this many vectors.
    Msi(u16),
    /// By MSI-X.
    Msix,
}

/// A function's interrupts. Clones are the same; any thread may use one.
#[derive(Clone)]
pub struct Interrupts(Arc<Mutex<State>>);

/// What the registers of configuration space let interrupts do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Permissions {
    /// The function may write to memory, messages included.
    pub(crate) bus_master: bool,
    /// The function may use its pin.
    pub(crate) pin: bool,
    /// MSI-X message control.
    pub(crate) msix_control: u16,
    /// The MSI capability.
    pub(crate) msi: MsiRegisters,
}

/// What the registers of configuration space show of interrupts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// The function asserts its pin, or would if it were let.
    pub(crate) pin: bool,
    /// Messages waiting for their mask to be cleared.
    pub(crate) msi_pending: u32,
}

/// Where the function is plugged in.
struct Connection {
    line: IrqLine,
    routes: Arc<dyn MsiRoutes>,
    /// The route of vector 0.
    first_gsi: u32,
}

struct State {
    connection: Option<Connection>,
    permissions: Permissions,
    /// The function wants attention by its pin.
    asserted: bool,
    /// The level the line was last driven to.
    high: bool,
    msi: MsiState,
    msix: MsixState,
    /// What the routes were last told, by vector.
    told: Vec<Option<Msi>>,
}

impl Interrupts {
    pub(crate) fn new(msix_vectors: u16, msi_vectors: u16) -> Self {
        let vectors = msix_vectors.max(msi_vectors);
        Self(Arc::new(Mutex::new(State {
            connection: None,
            permissions: Permissions::default(),
            asserted: false,
            high: false,
            msi: MsiState::default(),
            msix: MsixState::new(msix_vectors),
            told: vec![None; vectors.into()],
        })))
    }

    /// How the driver wants to be interrupted.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.lock().permissions.mode()
    }

    /// Sends the message of `vector`; if it is masked, when it is unmasked. By MSI, where a driver may grant fewer vectors than
    /// asked for, numbers above them share the vectors there are. Nothing happens for a vector that does not exist, and
    /// where the driver wants the pin.
    pub fn fire(&self, vector: u16) {
        self.lock().fire(vector);
    }

    /// Drives the pin, which reaches the guest while it wants no messages.
    pub fn set_pin(&self, asserted: bool) {
        let mut state = self.lock();
        state.asserted = asserted;
        state.drive_line();
    }

    /// Whether the driver lets the function access memory. PCIe 5.0, 7.5.1.1.3.
    #[must_use]
    pub fn is_bus_master(&self) -> bool {
        self.lock().permissions.bus_master
    }

    /// Connects a function to its pin's wire, and to routes from `first_gsi` on, one a vector.
    pub(crate) fn connect(&self, line: IrqLine, routes: Arc<dyn MsiRoutes>, first_gsi: u32) {
        self.lock().connection = Some(Connection { line, routes, first_gsi });
    }

    pub(crate) fn vectors(&self) -> u16 {
        self.lock().told.len() as u16
    }

    pub(crate) fn permit(&self, permissions: Permissions) {
        let mut state = self.lock();
        state.permissions = permissions;
        state.drive_line();
        state.update_routes();
        state.send_pending();
    }

    pub(crate) fn shown(&self) -> Shown {
        let state = self.lock();
        Shown { pin: state.asserted, msi_pending: state.msi.pending }
    }

    /// Reads the MSI-X table.
    pub(crate) fn read_table(&self, at: Access) -> u64 {
        self.lock().msix.read_table(at)
    }

    /// Writes the MSI-X table.
    pub(crate) fn write_table(&self, at: Access, value: u64) {
        let mut state = self.lock();
        state.msix.write_table(at, value);
        state.update_routes();
        state.send_pending();
    }

    /// Reads the pending bits of MSI-X.
    pub(crate) fn read_pending(&self, at: Access) -> u64 {
        self.lock().msix.read_pending(at)
    }

    /// Power-on state: the pin is released, the table masked, nothing pending.
    pub(crate) fn reset(&self) {
        let mut state = self.lock();
        state.asserted = false;
        state.permissions = Permissions::default();
        state.msi = MsiState::default();
        state.msix.reset();
        state.drive_line();
        state.forget_routes();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Interrupts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupts").field("mode", &self.mode()).finish_non_exhaustive()
    }
}

impl Permissions {
    fn mode(&self) -> Mode {
        if self.msix_control & spec::MSIX_ENABLE != 0 {
            return Mode::Msix; // with both enabled, what happens is undefined
        }
        match self.msi.control & spec::MSI_ENABLE {
            0 => Mode::Pin,
            _ => Mode::Msi(self.msi.granted()),
        }
    }

    fn all_masked(&self) -> bool {
        self.msix_control & spec::MSIX_FUNCTION_MASK != 0
    }
}

impl State {
    fn fire(&mut self, vector: u16) {
        if !self.permissions.bus_master {
            return;
        }
        match self.permissions.mode() {
            Mode::Pin => {}
            Mode::Msi(granted) => {
                let vector = vector % granted;
                match self.permissions.msi.is_masked(vector) {
                    true => self.msi.pending |= 1 << vector,
                    false => self.send(vector),
                }
            }
            Mode::Msix => match self.is_masked(vector) {
                Some(true) => self.msix.set_pending(vector),
                Some(false) => self.send(vector),
                None => {}
            },
        }
    }

    fn send(&self, vector: u16) {
        if let Some(connection) = &self.connection {
            connection.routes.fire(connection.first_gsi + u32::from(vector));
        }
    }

    /// Whether a vector of MSI-X is masked, if it exists.
    fn is_masked(&self, vector: u16) -> Option<bool> {
        Some(self.permissions.all_masked() || self.msix.entry(vector)?.masked())
    }

    /// Sends what was held back by masks that are gone.
    fn send_pending(&mut self) {
        if !self.permissions.bus_master {
            return;
        }
        let vectors = match self.permissions.mode() {
            Mode::Pin => Vec::new(),
            Mode::Msi(_) => self.msi.take_unmasked(&self.permissions.msi),
            Mode::Msix if self.permissions.all_masked() => Vec::new(),
            Mode::Msix => self.msix.take_unmasked(),
        };
        vectors.into_iter().for_each(|vector| self.send(vector));
    }

    /// The pin is silent while messages are enabled. PCIe 5.0, 7.7.1.2.
    fn drive_line(&mut self) {
        let high = self.asserted && self.permissions.pin && self.permissions.mode() == Mode::Pin;
        if high != self.high
            && let Some(connection) = &self.connection
        {
            self.high = high;
            connection.line.set(high);
        }
    }

    /// Tells the routes what vectors in use stand for. Telling is slow, so they are told what changed alone, and nothing
    /// about vectors that cannot be sent now: handlers mask and unmask all the time.
    fn update_routes(&mut self) {
        for vector in 0..self.told.len() as u16 {
            let message = self.message(vector);
            if message.is_some() {
                self.tell(vector, message);
            }
        }
    }

    /// What `vector` stands for, if it can be sent.
    fn message(&self, vector: u16) -> Option<Msi> {
        match self.permissions.mode() {
            Mode::Pin => None,
            Mode::Msi(granted) => {
                let possible = vector < granted && !self.permissions.msi.is_masked(vector);
                possible.then(|| self.permissions.msi.message(vector))
            }
            Mode::Msix => {
                let entry = self.msix.entry(vector)?;
                (self.is_masked(vector) == Some(false)).then(|| entry.message())
            }
        }
    }

    fn forget_routes(&mut self) {
        (0..self.told.len() as u16).for_each(|vector| self.tell(vector, None));
    }

    fn tell(&mut self, vector: u16, message: Option<Msi>) {
        let (Some(told), Some(connection)) = (self.told.get_mut(usize::from(vector)), &self.connection)
        else {
            return;
        };
        let message = message.filter(is_interrupt);
        if *told != message {
            *told = message;
            connection.routes.route(connection.first_gsi + u32::from(vector), message);
        }
    }
}

/// Whether a message goes to a local APIC. One to anywhere else is a write to memory, which this machine does not make.
fn is_interrupt(message: &Msi) -> bool {
    message.address >> 20 == 0xfee
}
