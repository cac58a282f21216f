//! Registers between KVM and GDB.

use gdbstub_arch::x86::reg::{F80, X86_64CoreRegs, X86CoreRegs, X86SegmentRegs, X87FpuInternalRegs};
use kvm_bindings::{kvm_fpu, kvm_segment, kvm_sregs};

use crate::kvm::Registers;

/// EFER: long mode is active.
const LMA: u64 = 1 << 10;

/// The linear address of offset 0 of the code segment; in 64-bit mode bases count as 0.
fn code_base(system: &kvm_sregs) -> u64 {
    let long = system.efer & LMA != 0 && system.cs.l != 0;
    if long { 0 } else { system.cs.base }
}

/// The linear address of the next instruction.
fn pc(registers: &Registers) -> u64 {
    code_base(&registers.system).wrapping_add(registers.general.rip)
}

/// The offset in the code segment of the instruction at the linear address `pc`.
fn offset(registers: &Registers, pc: u64) -> u64 {
    pc.wrapping_sub(code_base(&registers.system))
}

/// Whether the vCPU is in a 64-bit mode, where registers have 64 bits.
pub(super) fn is_long(registers: &Registers) -> bool {
    registers.system.efer & LMA != 0
}

/// As GDB sees them on x86-64.
pub(super) fn to_64(from: &Registers) -> X86_64CoreRegs {
    let general = &from.general;
    X86_64CoreRegs {
        regs: [
            general.rax,
            general.rbx,
            general.rcx,
            general.rdx,
            general.rsi,
            general.rdi,
            general.rbp,
            general.rsp,
            general.r8,
            general.r9,
            general.r10,
            general.r11,
            general.r12,
            general.r13,
            general.r14,
            general.r15,
        ],
        eflags: general.rflags as u32,
        rip: pc(from),
        segments: segments(&from.system),
        st: stack(&from.fpu),
        fpu: control(&from.fpu),
        xmm: from.fpu.xmm.map(u128::from_le_bytes),
        mxcsr: from.fpu.mxcsr,
    }
}

/// As GDB wrote them on x86-64.
pub(super) fn from_64(gdb: &X86_64CoreRegs, into: &mut Registers) {
    let rip = offset(into, gdb.rip);
    let general = &mut into.general;
    let [rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15] = gdb.regs;
    (general.rax, general.rbx, general.rcx, general.rdx) = (rax, rbx, rcx, rdx);
    (general.rsi, general.rdi, general.rbp, general.rsp) = (rsi, rdi, rbp, rsp);
    (general.r8, general.r9, general.r10, general.r11) = (r8, r9, r10, r11);
    (general.r12, general.r13, general.r14, general.r15) = (r12, r13, r14, r15);
    general.rip = rip;
    general.rflags = gdb.eflags.into();
    set_fpu(&mut into.fpu, &gdb.st, gdb.mxcsr, &gdb.xmm);
}

/// As GDB sees them on i386.
pub(super) fn to_32(from: &Registers) -> X86CoreRegs {
    let general = &from.general;
    let low = |value: u64| value as u32;
    let [x0, x1, x2, x3, x4, x5, x6, x7, ..] = from.fpu.xmm.map(u128::from_le_bytes);
    X86CoreRegs {
        eax: low(general.rax),
        ecx: low(general.rcx),
        edx: low(general.rdx),
        ebx: low(general.rbx),
        esp: low(general.rsp),
        ebp: low(general.rbp),
        esi: low(general.rsi),
        edi: low(general.rdi),
        eip: low(pc(from)),
        eflags: low(general.rflags),
        segments: segments(&from.system),
        st: stack(&from.fpu),
        fpu: control(&from.fpu),
        xmm: [x0, x1, x2, x3, x4, x5, x6, x7],
        mxcsr: from.fpu.mxcsr,
    }
}

/// As GDB wrote them on i386; the upper halves go.
pub(super) fn from_32(gdb: &X86CoreRegs, into: &mut Registers) {
    let rip = offset(into, gdb.eip.into()) & u64::from(u32::MAX);
    let general = &mut into.general;
    (general.rax, general.rbx) = (gdb.eax.into(), gdb.ebx.into());
    (general.rcx, general.rdx) = (gdb.ecx.into(), gdb.edx.into());
    (general.rsi, general.rdi) = (gdb.esi.into(), gdb.edi.into());
    (general.rbp, general.rsp) = (gdb.ebp.into(), gdb.esp.into());
    general.rip = rip;
    general.rflags = gdb.eflags.into();
    set_fpu(&mut into.fpu, &gdb.st, gdb.mxcsr, &gdb.xmm);
}

fn segments(system: &kvm_sregs) -> X86SegmentRegs {
    let selector = |segment: &kvm_segment| segment.selector.into();
    X86SegmentRegs {
        cs: selector(&system.cs),
        ss: selector(&system.ss),
        ds: selector(&system.ds),
        es: selector(&system.es),
        fs: selector(&system.fs),
        gs: selector(&system.gs),
    }
}

fn stack(fpu: &kvm_fpu) -> [F80; 8] {
    fpu.fpr.map(|register| {
        let [a, b, c, d, e, f, g, h, i, j, ..] = register;
        [a, b, c, d, e, f, g, h, i, j]
    })
}

fn control(fpu: &kvm_fpu) -> X87FpuInternalRegs {
    X87FpuInternalRegs {
        fctrl: fpu.fcw.into(),
        fstat: fpu.fsw.into(),
        ftag: fpu.ftwx.into(),
        fioff: fpu.last_ip as u32,
        fooff: fpu.last_dp as u32,
        fop: fpu.last_opcode.into(),
        ..X87FpuInternalRegs::default()
    }
}

fn set_fpu(fpu: &mut kvm_fpu, stack: &[F80; 8], mxcsr: u32, xmm: &[u128]) {
    for (register, value) in fpu.fpr.iter_mut().zip(stack) {
        register.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
    }
    for (register, value) in fpu.xmm.iter_mut().zip(xmm) {
        *register = value.to_le_bytes();
    }
    fpu.mxcsr = mxcsr;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The power-on state: Intel SDM 3A, table 9-1.
    fn at_reset() -> Registers {
        let mut registers = Registers::default();
        registers.general.rip = 0xfff0;
        registers.general.rflags = 2;
        (registers.system.cs.selector, registers.system.cs.base) = (0xf000, 0xffff_0000);
        registers
    }

    #[test]
    fn program_counter_is_linear_at_reset() {
        assert_eq!(to_32(&at_reset()).eip, 0xffff_fff0);
        assert_eq!(to_64(&at_reset()).rip, 0xffff_fff0);
    }

    #[test]
    fn bases_do_not_count_in_64_bit_mode() {
        let mut registers = at_reset();
        (registers.system.efer, registers.system.cs.l) = (LMA, 1);
        assert_eq!(to_64(&registers).rip, 0xfff0);
    }

    #[test]
    fn what_gdb_does_not_change_stays() {
        let mut registers = at_reset();
        registers.general.r15 = u64::MAX;
        registers.fpu.xmm[15] = [7; 16];
        registers.fpu.fpr[3] = [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0];
        let mut written = registers;
        from_64(&to_64(&registers), &mut written);
        assert_eq!(written, registers);
        registers.general.r15 = 0;
        let mut written = registers;
        from_32(&to_32(&registers), &mut written);
        assert_eq!(written, registers);
    }

    #[test]
    fn program_counter_that_gdb_writes_becomes_an_offset() {
        let mut registers = at_reset();
        let mut gdb = to_32(&registers);
        gdb.eip = 0xffff_e05b;
        from_32(&gdb, &mut registers);
        assert_eq!(registers.general.rip, 0xe05b);
    }
}
