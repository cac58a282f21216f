//! The two processors that GDB can take a vCPU for.

use gdbstub::arch::Arch;
use gdbstub_arch::x86::{X86_64_SSE, X86_SSE};

use super::registers;
use crate::kvm::Registers;

/// What GDB takes a vCPU for.
pub(super) trait GuestArch: Arch<BreakpointKind = usize> {
    /// The registers as GDB sees them.
    fn read(registers: &Registers) -> Self::Registers;
    /// Changes the registers to what GDB wrote.
    fn write(gdb: &Self::Registers, registers: &mut Registers);
    /// An address of GDB's.
    fn address(gdb: Self::Usize) -> u64;
    /// An address for GDB.
    fn usize(address: u64) -> Self::Usize;
}

impl GuestArch for X86_64_SSE {
    fn read(registers: &Registers) -> Self::Registers {
        registers::to_64(registers)
    }

    fn write(gdb: &Self::Registers, registers: &mut Registers) {
        registers::from_64(gdb, registers);
    }

    fn address(gdb: u64) -> u64 {
        gdb
    }

    fn usize(address: u64) -> u64 {
        address
    }
}

impl GuestArch for X86_SSE {
    fn read(registers: &Registers) -> Self::Registers {
        registers::to_32(registers)
    }

    fn write(gdb: &Self::Registers, registers: &mut Registers) {
        registers::from_32(gdb, registers);
    }

    fn address(gdb: u32) -> u64 {
        gdb.into()
    }

    fn usize(address: u64) -> u32 {
        address as u32
    }
}
