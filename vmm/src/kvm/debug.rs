//! A vCPU under a debugger: stops, steps, registers, and where its addresses lead.

use kvm_bindings::{
    KVM_GUESTDBG_BLOCKIRQ, KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_INJECT_BP, KVM_GUESTDBG_SINGLESTEP,
    KVM_GUESTDBG_USE_HW_BP, KVM_GUESTDBG_USE_SW_BP, kvm_fpu, kvm_guest_debug, kvm_guest_debug_arch, kvm_regs,
    kvm_sregs,
};

use super::{Context as _, KvmError, Vcpu};

/// DR7: general detect and exact matching, as the architecture recommends (Intel SDM 3B, 18.2.4).
const DR7_EXACT: u64 = 0x700;
/// Addresses that the processor can watch.
pub const HARDWARE_STOPS: usize = 4;

/// Where and how a vCPU stops for its debugger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Debugging {
    /// After one instruction.
    pub step: bool,
    /// At breakpoint instructions.
    pub software: bool,
    /// At addresses that the processor watches, [`HARDWARE_STOPS`] at most.
    pub hardware: Vec<HardwareStop>,
    /// First the guest gets the breakpoint exception that it last stopped for: it was its own.
    pub reflect: bool,
}

/// An address that the processor watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardwareStop {
    /// The linear address.
    pub address: u64,
    /// Bytes: 1, 2, 4 or 8, and `address` is a multiple.
    pub len: u64,
    /// For what.
    pub kind: AccessKind,
}

/// What the processor watches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKind {
    /// Execution.
    Execute,
    /// Writes.
    Write,
    /// Reads and writes: it cannot watch for reads alone.
    ReadWrite,
}

/// Why a vCPU stopped for its debugger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebugExit {
    /// The exception: 1 (debug) or 3 (breakpoint).
    pub exception: u32,
    /// The linear address of the instruction.
    pub pc: u64,
    /// DR6: what happened.
    pub dr6: u64,
}

/// A vCPU's registers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Registers {
    /// General purpose registers.
    pub general: kvm_regs,
    /// Segments and control registers.
    pub system: kvm_sregs,
    /// x87 and SSE.
    pub fpu: kvm_fpu,
}

impl HardwareStop {
    /// Its bits of DR7, as number `n`.
    fn control(self, n: u32) -> u64 {
        let kind: u64 = match self.kind {
            AccessKind::Execute => 0b00,
            AccessKind::Write => 0b01,
            AccessKind::ReadWrite => 0b11,
        };
        let len: u64 = match self.len {
            2 => 0b01,
            8 => 0b10,
            4 => 0b11,
            _ => 0b00,
        };
        0b10 << (2 * n) | (kind | len << 2) << (16 + 4 * n)
    }
}

impl Debugging {
    fn to_kvm(&self) -> kvm_guest_debug {
        let flag = |on, flag| if on { flag } else { 0 };
        let any = self.step || self.software || self.reflect || !self.hardware.is_empty();
        let control = flag(any, KVM_GUESTDBG_ENABLE)
            | flag(self.step, KVM_GUESTDBG_SINGLESTEP)
            | flag(self.software, KVM_GUESTDBG_USE_SW_BP)
            | flag(self.reflect, KVM_GUESTDBG_INJECT_BP)
            | flag(!self.hardware.is_empty(), KVM_GUESTDBG_USE_HW_BP);
        let mut arch = kvm_guest_debug_arch::default();
        let [dr0, dr1, dr2, dr3, _, _, _, dr7] = &mut arch.debugreg;
        *dr7 = DR7_EXACT;
        for ((n, stop), register) in (0..).zip(&self.hardware).zip([dr0, dr1, dr2, dr3]) {
            *register = stop.address;
            *dr7 |= stop.control(n);
        }
        kvm_guest_debug { control, pad: 0, arch }
    }
}

impl Vcpu {
    /// Makes the vCPU stop as `debugging` says.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn set_debugging(&self, debugging: &Debugging) -> Result<(), KvmError> {
        let mut debug = debugging.to_kvm();
        if debugging.step {
            // Without interrupts a step stays where it is; KVMs before Linux 5.16 do not know how.
            let quiet = kvm_guest_debug { control: debug.control | KVM_GUESTDBG_BLOCKIRQ, ..debug };
            if self.fd.set_guest_debug(&quiet).is_ok() {
                return Ok(());
            }
            debug.control &= !KVM_GUESTDBG_BLOCKIRQ;
        }
        self.fd.set_guest_debug(&debug).context("let a debugger stop the vCPU")
    }

    /// All registers.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn registers(&self) -> Result<Registers, KvmError> {
        Ok(Registers {
            general: self.fd.get_regs().context("read the registers")?,
            system: self.fd.get_sregs().context("read the system registers")?,
            fpu: self.fd.get_fpu().context("read the FPU")?,
        })
    }

    /// Writes what differs from `before`: KVM takes some values only in some modes.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn set_registers(&self, before: &Registers, now: &Registers) -> Result<(), KvmError> {
        if before.system != now.system {
            self.fd.set_sregs(&now.system).context("set the system registers")?;
        }
        if before.general != now.general {
            self.fd.set_regs(&now.general).context("set the registers")?;
        }
        if before.fpu != now.fpu {
            self.fd.set_fpu(&now.fpu).context("set the FPU")?;
        }
        Ok(())
    }

    /// The guest-physical address that `linear` leads to, if to any.
    #[must_use]
    pub fn physical(&self, linear: u64) -> Option<u64> {
        let translation = self.fd.translate_gva(linear).ok()?;
        (translation.valid != 0).then_some(translation.physical_address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_stop_for_is_no_debugging() {
        assert_eq!(Debugging::default().to_kvm().control, 0);
    }

    #[test]
    fn debug_registers_are_as_the_manual_has_them() {
        let stop = |address, len, kind| HardwareStop { address, len, kind };
        let hardware = vec![
            stop(0xfff0, 1, AccessKind::Execute),
            stop(0x1000, 4, AccessKind::Write),
            stop(0x2000, 8, AccessKind::ReadWrite),
        ];
        let debug = Debugging { hardware, ..Debugging::default() }.to_kvm();
        assert_eq!(debug.control, 0x2_0001);
        assert_eq!(debug.arch.debugreg[..3], [0xfff0, 0x1000, 0x2000]);
        // G0 to G2; RW1 = 01, LEN1 = 11, RW2 = 11, LEN2 = 10 (Intel SDM 3B, 18.2.4).
        assert_eq!(debug.arch.debugreg[7], 0x0bd0_072a);
    }
}
