//! The vCPU threads and what a guest access leads to.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use bus::Bus;
use chipset::ioapic::IoApic;
use chipset::pic::Pic;
use rustix::thread::gettid;

use super::control::{Cause, Control, Event, Order};
use crate::kvm::{Exit, Vcpu, VcpuWaker};

/// What a vCPU does with an access that leaves the guest.
pub trait ExitHandler {
    /// Reads memory-mapped registers.
    fn mmio_read(&self, address: u64, data: &mut [u8]);
    /// Writes memory-mapped registers.
    fn mmio_write(&self, address: u64, data: &[u8]);
    /// Reads a port.
    fn pio_read(&self, port: u16, data: &mut [u8]);
    /// Writes a port.
    fn pio_write(&self, port: u16, data: &[u8]);
    /// The guest ended a level-triggered interrupt.
    fn end_of_interrupt(&self, vector: u8);
    /// Whether the PIC has an interrupt for the first vCPU.
    fn has_external_interrupt(&self) -> bool;
    /// Acknowledges the PIC's interrupt and gives its vector.
    fn acknowledge_external_interrupt(&self) -> u8;
    /// A vCPU is about to run the guest.
    fn entering(&self) {}
    /// The guest can take an interrupt of the PIC now.
    fn interrupt_window(&self) {}
    /// A vCPU came back, for this reason.
    fn came_back(&self, _exit: Exit) {}
}

/// Both address spaces, and the interrupt controllers outside KVM.
pub(super) struct Board {
    pub(super) mmio: Bus,
    pub(super) pio: Bus,
    pub(super) ioapics: Vec<Arc<IoApic>>,
    /// Unless it is in KVM, or nowhere.
    pub(super) pic: Option<Arc<Pic>>,
}

impl Board {
    /// Power-on state of every device.
    pub(super) fn reset(&self) {
        self.mmio.reset();
        self.pio.reset();
    }
}

impl ExitHandler for Board {
    fn mmio_read(&self, address: u64, data: &mut [u8]) {
        self.mmio.read(address, data);
    }
    fn mmio_write(&self, address: u64, data: &[u8]) {
        self.mmio.write(address, data);
    }
    fn pio_read(&self, port: u16, data: &mut [u8]) {
        self.pio.read(port.into(), data);
    }
    fn pio_write(&self, port: u16, data: &[u8]) {
        self.pio.write(port.into(), data);
    }
    fn end_of_interrupt(&self, vector: u8) {
        self.ioapics.iter().for_each(|ioapic| ioapic.end_of_interrupt(vector));
    }
    fn has_external_interrupt(&self) -> bool {
        self.pic.as_ref().is_some_and(|pic| pic.is_pending())
    }
    fn acknowledge_external_interrupt(&self) -> u8 {
        // Without a PIC nothing is pending, so nobody asks.
        self.pic.as_ref().map_or(0, |pic| pic.acknowledge())
    }
}

/// The threads that run the guest.
pub(super) struct Vcpus {
    threads: Vec<JoinHandle<()>>,
    wakers: Vec<VcpuWaker>,
    /// The host's id of each thread.
    ids: Vec<i32>,
    shared: Vec<SharedVcpu>,
}

/// A vCPU: its thread has it while it runs, a debugger may have it while it is parked.
pub(crate) type SharedVcpu = Arc<Mutex<Vcpu>>;

/// Takes `vcpu`, which nobody else has if its thread runs it or is parked.
pub(crate) fn lock(vcpu: &SharedVcpu) -> MutexGuard<'_, Vcpu> {
    vcpu.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Vcpus {
    /// Starts a thread for each of `vcpus`; the guest runs from here on.
    pub(super) fn start(
        vcpus: Vec<Vcpu>,
        board: &Arc<impl ExitHandler + Send + Sync + 'static>,
        control: &Arc<Control>,
    ) -> io::Result<Self> {
        let (id_sender, ids) = channel();
        let shared: Vec<_> = vcpus.into_iter().map(|vcpu| Arc::new(Mutex::new(vcpu))).collect();
        let spawn = |vcpu: &SharedVcpu| {
            let vcpu = Arc::clone(vcpu);
            let index = lock(&vcpu).index();
            let (board, control, id) = (Arc::clone(board), Arc::clone(control), id_sender.clone());
            Builder::new().name(format!("vcpu{index}")).spawn(move || {
                let _ = id.send((index, gettid().as_raw_nonzero().get()));
                drop(id);
                lock(&vcpu).attach();
                run(&vcpu, index, &*board, &control);
                lock(&vcpu).detach();
            })
        };
        let wakers = shared.iter().map(|vcpu| lock(vcpu).waker()).collect();
        let threads = shared.iter().map(spawn).collect::<io::Result<_>>()?;
        drop(id_sender);
        let ids: BTreeMap<_, _> = ids.iter().collect();
        Ok(Self { threads, wakers, ids: ids.into_values().collect(), shared })
    }

    /// The host's id of each vCPU's thread.
    pub(super) fn threads(&self) -> Vec<i32> {
        self.ids.clone()
    }

    /// The vCPUs, for a debugger.
    pub(super) fn shared(&self) -> Vec<SharedVcpu> {
        self.shared.clone()
    }

    /// Gets every vCPU out of the guest.
    pub(super) fn wake(&self) {
        self.wakers.iter().for_each(VcpuWaker::wake);
    }

    /// Waits until every thread has ended, which [`Control::stop`] makes them do.
    pub(super) fn join(self) {
        for thread in self.threads {
            // A thread that panicked has ended the process already.
            let _ = thread.join();
        }
    }
}

/// A vCPU's life.
fn run(vcpu: &SharedVcpu, index: usize, board: &impl ExitHandler, control: &Control) {
    let mut resets = 0;
    loop {
        if control.is_busy() {
            settle(vcpu, board, control);
        }
        match control.order(index, &mut resets) {
            Order::Run => {
                board.entering();
                let result = lock(vcpu).run(board);
                match result {
                    Ok(exit) => {
                        board.came_back(exit);
                        heed(exit, index, control);
                    }
                    Err(error) => control.ask(Event::Failed(error.into())),
                }
            }
            Order::Reset => {
                if let Err(error) = lock(vcpu).reset() {
                    control.tell(Event::Failed(anyhow::Error::new(error).context("reset a vCPU")));
                }
                control.reset_done();
            }
            Order::Stop => return,
        }
    }
}

/// What an exit means for the machine.
fn heed(exit: Exit, index: usize, control: &Control) {
    match exit {
        Exit::Handled | Exit::Woken => {}
        Exit::TripleFault => control.ask(Event::Reset(Cause::TripleFault)),
        Exit::Debug(exit) => control.ask(Event::Debug { vcpu: index, exit }),
    }
}

/// Whoever looks at a parked vCPU sees it between two instructions.
fn settle(vcpu: &SharedVcpu, board: &impl ExitHandler, control: &Control) {
    if let Err(error) = lock(vcpu).settle(board) {
        control.ask(Event::Failed(error.into()));
    }
}
