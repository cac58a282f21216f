//! The machine as GDB works on it: every vCPU is parked meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::num::NonZeroUsize;

use gdbstub::common::{Signal, Tid};
use gdbstub::outputln;
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::multithread::{
    MultiThreadBase, MultiThreadResume, MultiThreadResumeOps, MultiThreadSchedulerLocking,
    MultiThreadSchedulerLockingOps, MultiThreadSingleStep, MultiThreadSingleStepOps,
};
use gdbstub::target::ext::breakpoints::{
    Breakpoints, BreakpointsOps, HwBreakpoint, HwBreakpointOps, HwWatchpoint, HwWatchpointOps, SwBreakpoint,
    SwBreakpointOps, WatchKind,
};
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps};
use gdbstub::target::{Target, TargetError, TargetResult};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};

use super::arch::GuestArch;
use super::stops::{BREAKPOINT, Stops, access, execution};
use crate::kvm::{Debugging, HardwareStop, KvmError};
use crate::machine::remote::{Command, Refused, Remote};
use crate::machine::{SharedVcpu, lock};

/// Bytes in the smallest page.
const PAGE: u64 = 4096;

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fatal {
    /// KVM refuses what a debugger needs.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// The machine refuses.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// What a debugger works on.
pub(super) struct Machine {
    /// The vCPUs, GDB's threads from 1.
    pub(super) vcpus: Vec<SharedVcpu>,
    /// Guest memory.
    pub(super) memory: GuestMemoryMmap,
    /// The way to the control thread.
    pub(super) remote: Remote,
}

/// What a vCPU does at the next resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Continue,
    Step,
}

/// A session's target.
pub(super) struct GuestTarget<'a, A> {
    /// The machine.
    pub(super) machine: &'a Machine,
    /// Where the guest stops.
    pub(super) stops: Stops,
    actions: BTreeMap<usize, Action>,
    /// vCPUs without an action stand still.
    locked: bool,
    /// The vCPU that stopped for a breakpoint instruction of the guest's.
    pub(super) reflect: Option<usize>,
    arch: PhantomData<A>,
}

/// GDB's number of vCPU `index`.
pub(super) fn tid(index: usize) -> Tid {
    NonZeroUsize::MIN.saturating_add(index)
}

fn index(tid: Tid) -> usize {
    tid.get() - 1
}

impl<'a, A: GuestArch> GuestTarget<'a, A> {
    /// A target without stops.
    pub(super) fn new(machine: &'a Machine) -> Self {
        Self {
            machine,
            stops: Stops::default(),
            actions: BTreeMap::new(),
            locked: false,
            reflect: None,
            arch: PhantomData,
        }
    }

    fn vcpu(&self, tid: Tid) -> TargetResult<&SharedVcpu, Self> {
        self.machine.vcpus.get(index(tid)).ok_or(TargetError::NonFatal)
    }

    /// Takes every stop away: the debugger goes.
    pub(super) fn release(&mut self) -> Result<(), Fatal> {
        self.disarm();
        self.stops = Stops::default();
        self.actions.clear();
        self.locked = false;
        self.arm()
    }

    /// Puts back the bytes for which breakpoint instructions stand, where those are still there.
    pub(super) fn disarm(&mut self) {
        for (address, byte) in self.stops.uproot() {
            let mut now = [0];
            if self.read(0, address, &mut now) == 1 && now == [BREAKPOINT] {
                self.write(0, address, &[byte]);
            }
        }
    }

    /// Puts breakpoint instructions where the processor has no room left to watch.
    fn plant(&mut self) -> bool {
        let addresses: Vec<_> = self.stops.unwatched().collect();
        for address in &addresses {
            let mut byte = [0];
            if self.read(0, *address, &mut byte) == 1 && self.write(0, *address, &[BREAKPOINT]) == 1 {
                let [byte] = byte;
                self.stops.plant(*address, byte);
            }
        }
        !addresses.is_empty()
    }

    /// Tells every vCPU when to stop.
    fn arm(&mut self) -> Result<(), Fatal> {
        let hardware = self.stops.watch().to_vec();
        let software = self.plant();
        let reflect = self.reflect.take();
        for (index, vcpu) in self.machine.vcpus.iter().enumerate() {
            let debugging = Debugging {
                step: self.actions.get(&index) == Some(&Action::Step),
                software,
                hardware: hardware.clone(),
                reflect: reflect == Some(index),
            };
            lock(vcpu).set_debugging(&debugging)?;
        }
        let all = 0..self.machine.vcpus.len();
        let still = all.filter(|index| self.locked && !self.actions.contains_key(index));
        self.machine.remote.hold(still.collect::<BTreeSet<_>>());
        Ok(())
    }

    /// Lets the guest run, up to the next stop.
    pub(super) fn go(&mut self) -> Result<(), Fatal> {
        self.arm()?;
        self.machine.remote.call(Command::Resume, |_| {})?;
        Ok(())
    }

    /// Reads memory as vCPU `index` addresses it; bytes read.
    fn read(&self, index: usize, address: u64, data: &mut [u8]) -> usize {
        let pieces = self.pieces(index, address, data.len());
        let mut done = 0;
        for (at, len) in pieces {
            let Some(piece) = data.get_mut(done..done + len) else { break };
            if self.machine.memory.read_slice(piece, GuestAddress(at)).is_err() {
                break;
            }
            done += len;
        }
        done
    }

    /// Writes memory as vCPU `index` addresses it; bytes written.
    fn write(&self, index: usize, address: u64, data: &[u8]) -> usize {
        let pieces = self.pieces(index, address, data.len());
        let mut done = 0;
        for (at, len) in pieces {
            let Some(piece) = data.get(done..done + len) else { break };
            if self.machine.memory.write_slice(piece, GuestAddress(at)).is_err() {
                break;
            }
            done += len;
        }
        done
    }

    /// Guest-physical pieces of `len` bytes at a linear address, each in one page, up to the first that leads nowhere.
    fn pieces(&self, index: usize, address: u64, len: usize) -> impl Iterator<Item = (u64, usize)> {
        let vcpu = self.machine.vcpus.get(index);
        let mut next = Some((address, len as u64));
        std::iter::from_fn(move || {
            let (at, left) = next.filter(|(_, left)| *left > 0)?;
            let here = left.min(PAGE - at % PAGE);
            next = at.checked_add(here).map(|after| (after, left - here));
            let physical = lock(vcpu?).physical(at)?;
            Some((physical, here as usize))
        })
    }
}

impl<A: GuestArch> Target for GuestTarget<'_, A> {
    type Arch = A;
    type Error = Fatal;

    fn base_ops(&mut self) -> BaseOps<'_, Self::Arch, Self::Error> {
        BaseOps::MultiThread(self)
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }
}

impl<A: GuestArch> MultiThreadBase for GuestTarget<'_, A> {
    fn read_registers(&mut self, registers: &mut A::Registers, tid: Tid) -> TargetResult<(), Self> {
        let now = lock(self.vcpu(tid)?).registers().map_err(|_| TargetError::NonFatal)?;
        *registers = A::read(&now);
        Ok(())
    }

    fn write_registers(&mut self, registers: &A::Registers, tid: Tid) -> TargetResult<(), Self> {
        let vcpu = lock(self.vcpu(tid)?);
        let before = vcpu.registers().map_err(|_| TargetError::NonFatal)?;
        let mut now = before;
        A::write(registers, &mut now);
        vcpu.set_registers(&before, &now).map_err(|_| TargetError::NonFatal)
    }

    fn read_addrs(&mut self, address: A::Usize, data: &mut [u8], tid: Tid) -> TargetResult<usize, Self> {
        match self.read(index(tid), A::address(address), data) {
            0 if !data.is_empty() => Err(TargetError::NonFatal),
            read => Ok(read),
        }
    }

    fn write_addrs(&mut self, address: A::Usize, data: &[u8], tid: Tid) -> TargetResult<(), Self> {
        let written = self.write(index(tid), A::address(address), data);
        if written == data.len() { Ok(()) } else { Err(TargetError::NonFatal) }
    }

    fn list_active_threads(&mut self, register: &mut dyn FnMut(Tid)) -> Result<(), Fatal> {
        (0..self.machine.vcpus.len()).for_each(|index| register(tid(index)));
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }
}

impl<A: GuestArch> MultiThreadResume for GuestTarget<'_, A> {
    fn resume(&mut self) -> Result<(), Fatal> {
        self.go()
    }

    fn clear_resume_actions(&mut self) -> Result<(), Fatal> {
        self.actions.clear();
        self.locked = false;
        Ok(())
    }

    /// A guest knows no signals of GDB's.
    fn set_resume_action_continue(&mut self, tid: Tid, _: Option<Signal>) -> Result<(), Fatal> {
        self.actions.insert(index(tid), Action::Continue);
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }

    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
}

impl<A: GuestArch> MultiThreadSingleStep for GuestTarget<'_, A> {
    fn set_resume_action_step(&mut self, tid: Tid, _: Option<Signal>) -> Result<(), Fatal> {
        self.actions.insert(index(tid), Action::Step);
        Ok(())
    }
}

impl<A: GuestArch> MultiThreadSchedulerLocking for GuestTarget<'_, A> {
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), Fatal> {
        self.locked = true;
        Ok(())
    }
}

impl<A: GuestArch> Breakpoints for GuestTarget<'_, A> {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl<A: GuestArch> SwBreakpoint for GuestTarget<'_, A> {
    fn add_sw_breakpoint(&mut self, address: A::Usize, _: usize) -> TargetResult<bool, Self> {
        let address = A::address(address);
        let there = self.read(0, address, &mut [0]) == 1;
        if there {
            self.stops.software.insert(address);
        }
        Ok(there)
    }

    fn remove_sw_breakpoint(&mut self, address: A::Usize, _: usize) -> TargetResult<bool, Self> {
        Ok(self.stops.software.remove(&A::address(address)))
    }
}

impl<A: GuestArch> HwBreakpoint for GuestTarget<'_, A> {
    fn add_hw_breakpoint(&mut self, address: A::Usize, _: usize) -> TargetResult<bool, Self> {
        Ok(self.stops.add(execution(A::address(address))))
    }

    fn remove_hw_breakpoint(&mut self, address: A::Usize, _: usize) -> TargetResult<bool, Self> {
        Ok(self.stops.remove(execution(A::address(address))))
    }
}

impl<A: GuestArch> HwWatchpoint for GuestTarget<'_, A> {
    fn add_hw_watchpoint(
        &mut self,
        address: A::Usize,
        len: A::Usize,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        let (address, len) = (A::address(address), A::address(len));
        Ok(self.stops.add(HardwareStop { address, len, kind: access(kind) }))
    }

    fn remove_hw_watchpoint(
        &mut self,
        address: A::Usize,
        len: A::Usize,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        let (address, len) = (A::address(address), A::address(len));
        Ok(self.stops.remove(HardwareStop { address, len, kind: access(kind) }))
    }
}

impl<A: GuestArch> MonitorCmd for GuestTarget<'_, A> {
    fn handle_monitor_cmd(&mut self, command: &[u8], mut out: ConsoleOutput<'_>) -> Result<(), Fatal> {
        match command {
            b"reset" => {
                self.machine.remote.call(Command::Reset, |_| {})?;
                outputln!(
                    out,
                    "the machine is at its reset vector; `maintenance flush register-cache` shows it"
                );
            }
            b"powerdown" => match self.machine.remote.call(Command::PowerButton, |_| {}) {
                Ok(_) => outputln!(out, "the power button is pressed"),
                Err(error) => outputln!(out, "{error}"),
            },
            _ => outputln!(out, "monitor reset: back to power-on; monitor powerdown: press the power button"),
        }
        Ok(())
    }
}
