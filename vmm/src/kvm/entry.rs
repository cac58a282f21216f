//! The state of a vCPU that starts in a kernel instead of at the reset vector. Intel SDM 3A, 3.4, 9.9 and 11.11.

use kvm_bindings::{Msrs, kvm_msr_entry, kvm_regs, kvm_segment, kvm_sregs};
use kvm_ioctls::VcpuFd;

use super::{Context as _, KvmError};
use crate::boot::{CODE_SELECTOR, DATA_SELECTOR, Entry, Mode};

const CR0_PE: u64 = 1 << 0;
const CR0_ET: u64 = 1 << 4;
const CR0_NE: u64 = 1 << 5;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
/// IA32_APIC_BASE: x2APIC mode, where it is enabled.
const APIC_BASE_EXTD: u64 = 1 << 10;
/// The bit of RFLAGS that is always set.
const RFLAGS_FIXED: u64 = 1 << 1;

/// IA32_MTRR_DEF_TYPE.
pub(super) const MTRR_DEF_TYPE: u32 = 0x2ff;
/// MTRRs on, write-back everywhere: what firmware leaves behind for RAM. Without it Linux gives up PAT.
const MTRR_WRITE_BACK: u64 = 1 << 11 | 6;

/// Makes all memory of `vcpu` cacheable.
pub(super) fn cache_memory(vcpu: &VcpuFd) {
    let entry = kvm_msr_entry { index: MTRR_DEF_TYPE, data: MTRR_WRITE_BACK, ..Default::default() };
    if let Ok(msrs) = Msrs::from_entries(&[entry]) {
        // Optional: not every host's KVM has it.
        let _ = vcpu.set_msrs(&msrs);
    }
}

/// Puts the local APIC of `vcpu` into x2APIC mode, as firmware does where an APIC id takes more than xAPIC mode. An operating
/// system that finds it in xAPIC mode believes in no such ids. Intel SDM 3A, 11.12.1.
pub(super) fn enter_x2apic_mode(vcpu: &VcpuFd) -> Result<(), KvmError> {
    let mut sregs = vcpu.get_sregs().context("read the system registers")?;
    sregs.apic_base |= APIC_BASE_EXTD;
    vcpu.set_sregs(&sregs).context("enter x2APIC mode")
}

/// Takes `vcpu` from its power-on state to `entry`.
pub(super) fn enter(vcpu: &VcpuFd, entry: &Entry) -> Result<(), KvmError> {
    let mut sregs = vcpu.get_sregs().context("read the system registers")?;
    set_segments(&mut sregs, entry);
    set_mode(&mut sregs, entry.mode);
    vcpu.set_sregs(&sregs).context("set the system registers of the entry point")?;
    let regs = kvm_regs {
        rip: entry.rip,
        rax: entry.rax,
        rbx: entry.rbx,
        rsi: entry.rsi,
        rflags: RFLAGS_FIXED,
        ..Default::default()
    };
    vcpu.set_regs(&regs).context("set the registers of the entry point")
}

fn set_segments(sregs: &mut kvm_sregs, entry: &Entry) {
    let long = matches!(entry.mode, Mode::Long { .. });
    let data = kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector: DATA_SELECTOR,
        type_: 0x3, // read, write, accessed
        present: 1,
        s: 1,
        db: 1,
        g: 1,
        ..Default::default()
    };
    let code = kvm_segment {
        selector: CODE_SELECTOR,
        type_: 0xb, // execute, read, accessed
        db: (!long).into(),
        l: long.into(),
        ..data
    };
    sregs.cs = code;
    (sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss) = (data, data, data, data, data);
    sregs.gdt.base = entry.gdt.start;
    sregs.gdt.limit = (entry.gdt.len - 1) as u16;
    sregs.idt.limit = 0; // a fault before the kernel has handlers resets the machine
}

fn set_mode(sregs: &mut kvm_sregs, mode: Mode) {
    // Caching is on: the power-on value of CR0 turns it off.
    sregs.cr0 = CR0_PE | CR0_ET;
    if let Mode::Long { page_tables } = mode {
        sregs.cr0 |= CR0_NE | CR0_PG;
        sregs.cr3 = page_tables;
        sregs.cr4 |= CR4_PAE;
        sregs.efer |= EFER_LME | EFER_LMA;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::plan::Range;

    fn entry(mode: Mode) -> kvm_sregs {
        let entry = Entry { mode, rip: 0, rax: 0, rbx: 0, rsi: 0, gdt: Range::new(0x1000, 32) };
        let mut sregs = kvm_sregs { cr0: 0x6000_0010, ..Default::default() };
        set_segments(&mut sregs, &entry);
        set_mode(&mut sregs, mode);
        sregs
    }

    #[test]
    fn long_mode_has_paging_and_a_64_bit_code_segment() {
        let sregs = entry(Mode::Long { page_tables: 0x8000 });
        assert_eq!((sregs.cr0, sregs.cr3, sregs.cr4, sregs.efer), (0x8000_0031, 0x8000, 0x20, 0x500));
        assert_eq!((sregs.cs.l, sregs.cs.db, sregs.cs.selector), (1, 0, 0x10));
        assert_eq!((sregs.gdt.base, sregs.gdt.limit), (0x1000, 31));
    }

    #[test]
    fn protected_mode_has_no_paging_and_flat_segments() {
        let sregs = entry(Mode::Protected);
        assert_eq!((sregs.cr0, sregs.cr4, sregs.efer), (0x11, 0, 0));
        assert_eq!((sregs.cs.l, sregs.cs.db, sregs.cs.limit), (0, 1, u32::MAX));
        assert_eq!((sregs.ss.selector, sregs.ss.type_), (0x18, 3));
    }
}
