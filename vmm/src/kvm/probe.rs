//! What can the host's `/dev/kvm` really do? CPU flags do not tell: look at the device.
#![expect(unsafe_code, reason = "gives the probe's page of code to KVM")]

use std::path::Path;

use kvm_bindings::{kvm_segment, kvm_userspace_memory_region};
use kvm_ioctls::VcpuExit;
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _, GuestMemoryMmap};

use super::{Context as _, Kvm, KvmError};

/// What a host is good for.
#[derive(Debug)]
pub enum Verdict {
    /// 64-bit kernels run.
    Full,
    /// The device works, but a 64-bit kernel does not; why.
    Limited(String),
    /// There is no usable device; why.
    Absent(KvmError),
}

/// 64-bit code for ring 0 with what kernels use early and software KVMs lack: x87, SSE, a 16-byte compare-exchange.
const CODE: [u8; 29] = [
    0xdb, 0xe3, // fninit
    0x66, 0x0f, 0xef, 0xc0, // pxor xmm0, xmm0
    0x0f, 0x29, 0x04, 0x25, 0x00, 0x50, 0x00, 0x00, // movaps [0x5000], xmm0
    0xbf, 0x00, 0x50, 0x00, 0x00, // mov edi, 0x5000
    0x48, 0x0f, 0xc7, 0x0f, // cmpxchg16b [rdi]
    0xb0, 0x2a, // mov al, 42
    0xe6, 0x80, // out 0x80, al
    0xf4, // hlt
    0x90, // nop
];
const CODE_AT: u64 = 0x1000;
const PML4: u64 = 0x2000;
const PDPT: u64 = 0x3000;
const PD: u64 = 0x4000;
const MEMORY: usize = 0x10000;

/// Runs a few instructions in 64-bit ring 0 on the KVM device at `path`.
#[must_use]
pub fn probe(path: &Path) -> Verdict {
    match Kvm::open(path) {
        Err(error) => Verdict::Absent(error),
        Ok(kvm) => match long_mode(&kvm) {
            Ok(()) => Verdict::Full,
            Err(why) => Verdict::Limited(why),
        },
    }
}

fn long_mode(kvm: &Kvm) -> Result<(), String> {
    let text = |error: KvmError| format!("{error}: {}", error_source(&error));
    let memory =
        <GuestMemoryMmap>::from_ranges(&[(GuestAddress(0), MEMORY)]).map_err(|error| error.to_string())?;
    let write =
        |at: u64, value: u64| memory.write_obj(value, GuestAddress(at)).map_err(|error| error.to_string());
    memory.write_slice(&CODE, GuestAddress(CODE_AT)).map_err(|error| error.to_string())?;
    write(PML4, PDPT | 3)?;
    write(PDPT, PD | 3)?;
    write(PD, 0x83)?; // 2 MiB: present, writable, large
    let vm = super::new_vm(&kvm.0).context("create a virtual machine").map_err(text)?;
    let region = kvm_userspace_memory_region {
        memory_size: MEMORY as u64,
        userspace_addr: memory.get_host_address(GuestAddress(0)).map_err(|error| error.to_string())? as u64,
        ..Default::default()
    };
    // SAFETY: the region is `memory`, MEMORY bytes long, which outlives `vm` and is used by nobody else.
    unsafe { vm.set_user_memory_region(region) }.context("set memory").map_err(text)?;
    let mut vcpu = vm.create_vcpu(0).context("create a vCPU").map_err(text)?;
    enter_long_mode(kvm, &vcpu).map_err(text)?;
    loop {
        match vcpu.run() {
            Ok(VcpuExit::IoOut(0x80, [42])) => return Ok(()),
            Ok(VcpuExit::InternalError) => {
                return Err("it emulates kernel mode in software, which is too slow and incomplete for a 64-bit kernel".into());
            }
            Ok(exit) => return Err(format!("64-bit kernel mode fails ({exit:?})")),
            Err(error) if std::io::Error::from(error).kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("64-bit kernel mode fails ({error})")),
        }
    }
}

fn error_source(error: &KvmError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

fn enter_long_mode(kvm: &Kvm, vcpu: &kvm_ioctls::VcpuFd) -> Result<(), KvmError> {
    let cpuid = kvm.0.get_supported_cpuid(kvm_bindings::KVM_MAX_CPUID_ENTRIES).context("read CPUID")?;
    vcpu.set_cpuid2(&cpuid).context("set CPUID")?;
    let mut sregs = vcpu.get_sregs().context("read the system registers")?;
    let flat = |selector, type_, l, db| kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector,
        type_,
        present: 1,
        s: 1,
        g: 1,
        l,
        db,
        ..Default::default()
    };
    sregs.cs = flat(8, 0xb, 1, 0);
    for segment in [&mut sregs.ds, &mut sregs.es, &mut sregs.ss, &mut sregs.fs, &mut sregs.gs] {
        *segment = flat(16, 3, 0, 1);
    }
    sregs.cr0 = 0x8000_0033; // PG, NE, ET, MP, PE
    sregs.cr3 = PML4;
    sregs.cr4 = 0x620; // OSXMMEXCPT, OSFXSR, PAE
    sregs.efer = 0x500; // LMA, LME
    vcpu.set_sregs(&sregs).context("enter long mode")?;
    let mut regs = vcpu.get_regs().context("read the registers")?;
    regs.rip = CODE_AT;
    regs.rflags = 2;
    vcpu.set_regs(&regs).context("set the registers")
}
