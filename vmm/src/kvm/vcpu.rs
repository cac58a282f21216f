//! One vCPU: made, run, woken, reset.
#![expect(unsafe_code, reason = "reads the kvm_run page, and injects interrupts")]

use kvm_bindings::{
    KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_UNINITIALIZED, KVMIO, Msrs, kvm_interrupt, kvm_mp_state,
    kvm_msr_entry,
};
use kvm_ioctls::{VcpuExit, VcpuFd};
use vmm_sys_util::ioctl::ioctl_with_ref;
use vmm_sys_util::ioctl_iow_nr;

use super::cpuid::{self, Traits};
use super::state::State;
use super::wake::VcpuWaker;
use super::{Context as _, DebugExit, KvmError, Vm, entry};
use crate::boot::Entry;
use crate::machine::{ExitHandler, Plan};

/// IA32_MISC_ENABLE: fast string operations are on after reset (Intel SDM 4, table 2-2).
const MISC_ENABLE: kvm_msr_entry = kvm_msr_entry { index: 0x1a0, reserved: 0, data: 1 };

ioctl_iow_nr!(KVM_INTERRUPT, KVMIO, 0x86, kvm_interrupt);

/// Why a vCPU came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// An access was handled; run on.
    Handled,
    /// Somebody woke the thread: look what they want.
    Woken,
    /// Triple fault: a PC resets.
    TripleFault,
    /// It stopped for its debugger.
    Debug(DebugExit),
}

/// Why a vCPU cannot go on. The guest cannot cause it on a sound host.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// KVM_RUN itself failed.
    #[error("run vCPU {index}")]
    Run {
        /// Which vCPU.
        index: usize,
        /// Why.
        source: kvm_ioctls::Error,
    },
    /// KVM could not emulate an instruction, or worse.
    #[error("KVM gave up on vCPU {index} at {cs:#x}:{rip:#x} (internal error, suberror {suberror}): {hint}")]
    Internal {
        /// Which vCPU.
        index: usize,
        /// Code segment base.
        cs: u64,
        /// Instruction pointer.
        rip: u64,
        /// KVM's reason.
        suberror: u32,
        /// What it means.
        hint: &'static str,
    },
    /// The processor refused the guest's state.
    #[error("the processor refused to run vCPU {index} (reason {reason:#x})")]
    Entry {
        /// Which vCPU.
        index: usize,
        /// The processor's reason.
        reason: u64,
    },
    /// An exit that this machine never asks for.
    #[error("vCPU {index} stopped for an unexpected reason: {exit}")]
    Unexpected {
        /// Which vCPU.
        index: usize,
        /// KVM's name of it.
        exit: String,
    },
}

/// A vCPU, to be run by one thread.
pub struct Vcpu {
    pub(super) fd: VcpuFd,
    index: usize,
    reset: State,
    waker: VcpuWaker,
}

impl Vcpu {
    pub(super) fn new(vm: &Vm, index: usize, plan: &Plan, entry: Option<&Entry>) -> Result<Self, KvmError> {
        let apic_id = plan.apic_ids.get(index).copied().unwrap_or_default();
        let fd = vm.fd.create_vcpu(u64::from(apic_id)).context("create a vCPU")?;
        let traits = Traits {
            apic_id,
            topology: plan.topology,
            tsc_khz: fd.get_tsc_khz().ok().filter(|&khz| khz > 0),
        };
        let cpuid = cpuid::for_vcpu(&vm.cpuid, &traits).ok_or(KvmError::Missing("a CPUID of sane length"))?;
        fd.set_cpuid2(&cpuid).context("set CPUID")?;
        if let Ok(msrs) = Msrs::from_entries(&[MISC_ENABLE]) {
            // Optional: not every host's KVM has it.
            let _ = fd.set_msrs(&msrs);
        }
        // The boot processor starts at the reset vector; the others wait for INIT and SIPI.
        let mp_state = if index == 0 { KVM_MP_STATE_RUNNABLE } else { KVM_MP_STATE_UNINITIALIZED };
        fd.set_mp_state(kvm_mp_state { mp_state }).context("set the run state")?;
        if let Some(entry) = entry {
            entry::cache_memory(&fd);
            if index == 0 {
                entry::enter(&fd, entry)?;
            }
            if index == 0 && plan.has_wide_apic_ids() {
                entry::enter_x2apic_mode(&fd)?;
            }
        }
        let reset = State::save(&fd, &vm.msrs)?;
        Ok(Self { fd, index, reset, waker: VcpuWaker::default() })
    }

    /// Which vCPU this is.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Exact power-on state.
    ///
    /// # Errors
    /// When KVM refuses what it gave before.
    pub fn reset(&mut self) -> Result<(), KvmError> {
        self.finish_access();
        self.reset.restore(&self.fd)
    }

    /// The parts of the state that are not as at power-on: none after a reset. For tests.
    ///
    /// # Errors
    /// When KVM refuses to tell.
    pub fn differences(&self) -> Result<Vec<&'static str>, KvmError> {
        self.reset.differences(&self.fd)
    }

    /// Lets KVM finish the instruction whose access led to the last exit: it would else do so after the reset, and put
    /// the registers of before over those of the reset vector. With the flag set, KVM_RUN does that and no more.
    fn finish_access(&mut self) {
        self.fd.set_kvm_immediate_exit(1);
        // Further pieces of the access go nowhere; the devices have had their reset.
        while let Ok(
            VcpuExit::MmioRead(..) | VcpuExit::MmioWrite(..) | VcpuExit::IoIn(..) | VcpuExit::IoOut(..),
        ) = self.fd.run()
        {}
        self.fd.set_kvm_immediate_exit(0);
    }

    /// Lets this thread be woken out of [`Vcpu::run`]. Called once, by the thread that will run it.
    pub fn attach(&mut self) {
        self.waker.attach(self.fd.get_kvm_run());
    }

    /// No more wakes.
    pub fn detach(&mut self) {
        self.waker.detach();
    }

    /// Wakes the thread that runs this vCPU.
    #[must_use]
    pub fn waker(&self) -> VcpuWaker {
        self.waker.clone()
    }

    /// Runs the guest until something is to be done; accesses to devices go to `handler`.
    ///
    /// # Errors
    /// When this vCPU cannot go on.
    pub fn run(&mut self, handler: &impl ExitHandler) -> Result<Exit, RunError> {
        let index = self.index;
        self.offer_external_interrupt(handler);
        match self.fd.run() {
            Ok(VcpuExit::MmioRead(address, data)) => handler.mmio_read(address, data),
            Ok(VcpuExit::MmioWrite(address, data)) => handler.mmio_write(address, data),
            Ok(VcpuExit::IoIn(port, data)) => {
                let data: *mut [u8] = data;
                let size = self.port_width();
                // SAFETY: the slice lies in the kvm_run mapping, which lives as long as `self.fd`; the guest does not run.
                let data = unsafe { &mut *data };
                data.chunks_mut(size).for_each(|item| handler.pio_read(port, item));
            }
            Ok(VcpuExit::IoOut(port, data)) => {
                let data: *const [u8] = data;
                let size = self.port_width();
                // SAFETY: as above.
                let data = unsafe { &*data };
                data.chunks(size).for_each(|item| handler.pio_write(port, item));
            }
            Ok(VcpuExit::IoapicEoi(vector)) => handler.end_of_interrupt(vector),
            Ok(VcpuExit::Shutdown) => return Ok(Exit::TripleFault),
            Ok(VcpuExit::Debug(exit)) => {
                return Ok(Exit::Debug(DebugExit { exception: exit.exception, pc: exit.pc, dr6: exit.dr6 }));
            }
            // The next run offers the interrupt again.
            Ok(VcpuExit::IrqWindowOpen) => handler.interrupt_window(),
            Ok(VcpuExit::Intr) => return Ok(self.woken()),
            Ok(VcpuExit::InternalError) => return Err(self.internal_error()),
            Ok(VcpuExit::FailEntry(reason, _)) => return Err(RunError::Entry { index, reason }),
            Ok(exit) => return Err(RunError::Unexpected { index, exit: format!("{exit:?}") }),
            Err(error) if error.errno() == rustix::io::Errno::INTR.raw_os_error() => return Ok(self.woken()),
            // A vCPU that waits for INIT was spoken to without being started.
            Err(error) if error.errno() == rustix::io::Errno::AGAIN.raw_os_error() => {}
            Err(source) => return Err(RunError::Run { index, source }),
        }
        Ok(Exit::Handled)
    }

    /// Finishes the instruction whose access led to the last exit, so that the registers are those after it. The vCPU
    /// executes no other.
    ///
    /// # Errors
    /// When this vCPU cannot go on.
    pub fn settle(&mut self, handler: &impl ExitHandler) -> Result<(), RunError> {
        loop {
            self.fd.set_kvm_immediate_exit(1);
            if self.run(handler)? != Exit::Handled {
                self.fd.set_kvm_immediate_exit(0);
                return Ok(());
            }
        }
    }

    /// Injects the PIC's interrupt if the guest can take it now; else asks KVM to come back when it can.
    ///
    /// The wire from the PIC ends at LINT0 of the first vCPU. KVM looks at the local APIC's entry for it.
    fn offer_external_interrupt(&mut self, handler: &impl ExitHandler) {
        let wanted = self.index == 0 && handler.has_external_interrupt();
        let run = self.fd.get_kvm_run();
        let ready = wanted && run.ready_for_interrupt_injection != 0;
        run.request_interrupt_window = u8::from(wanted && !ready);
        if ready {
            let interrupt = kvm_interrupt { irq: handler.acknowledge_external_interrupt().into() };
            // SAFETY: `fd` is a vCPU, and KVM reads a kvm_interrupt from the reference.
            if unsafe { ioctl_with_ref(&self.fd, KVM_INTERRUPT(), &interrupt) } != 0 {
                tracing::warn!(vector = interrupt.irq, "KVM refused an interrupt of the PIC");
            }
        }
    }

    fn woken(&mut self) -> Exit {
        self.fd.set_kvm_immediate_exit(0);
        Exit::Woken
    }

    /// Bytes of one item of a port access; string instructions move several items in one exit.
    fn port_width(&mut self) -> usize {
        // SAFETY: the exit reason was KVM_EXIT_IO, so `io` is the active field of the union.
        let io = unsafe { self.fd.get_kvm_run().__bindgen_anon_1.io };
        usize::from(io.size.max(1))
    }

    fn internal_error(&mut self) -> RunError {
        const EMULATION: u32 = 1;
        // SAFETY: the exit reason was KVM_EXIT_INTERNAL_ERROR, so `internal` is the active field of the union.
        let suberror = unsafe { self.fd.get_kvm_run().__bindgen_anon_1.internal }.suberror;
        RunError::Internal {
            index: self.index,
            cs: self.fd.get_sregs().map_or(0, |sregs| sregs.cs.base),
            rip: self.fd.get_regs().map_or(0, |regs| regs.rip),
            suberror,
            hint: match suberror {
                EMULATION => {
                    "it emulates kernel mode and does not know this instruction; use a host with hardware virtualisation, \
                     or `cargo xtask run --accel lab`"
                }
                _ => "see the host kernel's log",
            },
        }
    }
}
