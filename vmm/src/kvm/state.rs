//! The power-on state of a vCPU, taken once and given back at every reset.
#![expect(unsafe_code, reason = "KVM_SET_XSAVE reads as much as the vCPU's features ask for")]

use kvm_bindings::{
    Msrs, kvm_debugregs, kvm_lapic_state, kvm_mp_state, kvm_msr_entry, kvm_regs, kvm_sregs, kvm_vcpu_events,
    kvm_xcrs, kvm_xsave,
};
use kvm_ioctls::VcpuFd;

use super::entry::MTRR_DEF_TYPE;
use super::{Context as _, KvmError};

/// IA32_TIME_STAMP_COUNTER.
const TSC: u32 = 0x10;

/// All that a guest can change in a vCPU.
pub(super) struct State {
    regs: kvm_regs,
    sregs: kvm_sregs,
    lapic: kvm_lapic_state,
    mp_state: kvm_mp_state,
    events: kvm_vcpu_events,
    debug: kvm_debugregs,
    xsave: kvm_xsave,
    xcrs: Option<kvm_xcrs>,
    msrs: Vec<kvm_msr_entry>,
}

impl State {
    /// Takes the state of `vcpu`; `msrs` are the indices that KVM lists.
    pub(super) fn save(vcpu: &VcpuFd, msrs: &[u32]) -> Result<Self, KvmError> {
        // Older KVMs know the MTRRs, but do not list them.
        Self::read(vcpu, &[msrs, &[MTRR_DEF_TYPE]].concat())
    }

    fn read(vcpu: &VcpuFd, msrs: &[u32]) -> Result<Self, KvmError> {
        Ok(Self {
            regs: vcpu.get_regs().context("read the registers")?,
            sregs: vcpu.get_sregs().context("read the system registers")?,
            lapic: vcpu.get_lapic().context("read the local APIC")?,
            mp_state: vcpu.get_mp_state().context("read the run state")?,
            events: vcpu.get_vcpu_events().context("read pending events")?,
            debug: vcpu.get_debug_regs().context("read the debug registers")?,
            xsave: vcpu.get_xsave().context("read the FPU")?,
            // A CPU without XSAVE shows XCR0 here, but does not let it be set.
            xcrs: vcpu.get_xcrs().ok().filter(|xcrs| vcpu.set_xcrs(xcrs).is_ok()),
            msrs: read_msrs(vcpu, msrs),
        })
    }

    /// Gives the state back.
    pub(super) fn restore(&self, vcpu: &VcpuFd) -> Result<(), KvmError> {
        // Out of x2APIC mode first, so that the APIC page below is understood.
        vcpu.set_sregs(&self.sregs).context("reset the system registers")?;
        vcpu.set_regs(&self.regs).context("reset the registers")?;
        if let Some(xcrs) = &self.xcrs {
            vcpu.set_xcrs(xcrs).context("reset XCR0")?;
        }
        // SAFETY: the features that need more than the fixed 4096 bytes (AMX) are permitted by a process alone with
        // ARCH_REQ_XCOMP_GUEST_PERM, which we never ask for.
        unsafe { vcpu.set_xsave(&self.xsave) }.context("reset the FPU")?;
        write_msrs(vcpu, &self.msrs);
        vcpu.set_lapic(&self.lapic).context("reset the local APIC")?;
        vcpu.set_debug_regs(&self.debug).context("reset the debug registers")?;
        vcpu.set_vcpu_events(&self.events).context("reset pending events")?;
        vcpu.set_mp_state(self.mp_state).context("reset the run state")
    }

    /// The names of the parts in which `vcpu` is not in this state. Time passes, so the TSC is none.
    pub(super) fn differences(&self, vcpu: &VcpuFd) -> Result<Vec<&'static str>, KvmError> {
        let indices: Vec<_> = self.msrs.iter().map(|msr| msr.index).collect();
        let other = Self::read(vcpu, &indices)?;
        let mut parts = vec![
            ("registers", self.regs == other.regs),
            ("system registers", self.sregs == other.sregs),
            ("local APIC", self.lapic.regs == other.lapic.regs),
            ("run state", self.mp_state == other.mp_state),
            ("pending events", self.events == other.events),
            ("debug registers", self.debug == other.debug),
            ("FPU", self.xsave.region == other.xsave.region),
            ("XCR0", self.xcrs == other.xcrs),
        ];
        let msrs = |state: &Self| -> Vec<_> {
            state.msrs.iter().filter(|msr| msr.index != TSC).map(|msr| (msr.index, msr.data)).collect()
        };
        parts.push(("MSRs", msrs(self) == msrs(&other)));
        Ok(parts.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect())
    }
}

/// Reads what can be read: KVM lists MSRs that this vCPU's features do not have, and stops at the first.
fn read_msrs(vcpu: &VcpuFd, indices: &[u32]) -> Vec<kvm_msr_entry> {
    let wanted: Vec<_> = indices.iter().map(|&index| kvm_msr_entry { index, ..Default::default() }).collect();
    let mut found = Vec::with_capacity(wanted.len());
    let mut rest = wanted.as_slice();
    while let Ok(mut msrs) = Msrs::from_entries(rest) {
        let read = vcpu.get_msrs(&mut msrs).unwrap_or(0);
        found.extend(msrs.as_slice().iter().take(read).map(|&entry| {
            // KVM takes 0 for a vCPU's birth, and keeps the vCPUs that say so in step.
            if entry.index == TSC { kvm_msr_entry { data: 0, ..entry } } else { entry }
        }));
        match rest.get(read + 1..) {
            Some(after) if !after.is_empty() => rest = after,
            _ => break,
        }
    }
    found
}

/// Writes what can be written: some that can be read are read-only.
fn write_msrs(vcpu: &VcpuFd, entries: &[kvm_msr_entry]) {
    let mut rest = entries;
    while let Ok(msrs) = Msrs::from_entries(rest) {
        let written = vcpu.set_msrs(&msrs).unwrap_or(0);
        match rest.get(written + 1..) {
            Some(after) if !after.is_empty() => rest = after,
            _ => break,
        }
    }
}
