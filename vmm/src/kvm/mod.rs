//! Everything that talks to `/dev/kvm`, and the only unsafe code of this crate.
//!
//! ```text
//!  Kvm::open ──► Vm ──► set_memory      guest RAM and firmware as memory slots      memory
//!                 ├──► routes           GSI -> MSI, one irqfd a GSI                 routes.rs
//!                 ├──► ioeventfd        a guest write -> an eventfd, no exit
//!                 ├──► doorbells        the same at addresses that the guest chooses             doorbells.rs
//!                 ├──► line             the interrupt controllers in KVM            irqchip.rs
//!                 └──► Vcpu             CPUID, power-on state, the run loop's exit  vcpu.rs cpuid.rs state.rs wake.rs
//! ```
//!
//! The irqchip is split, unless asked otherwise: local APICs in KVM, all else with us. Optional capabilities and MSRs stay
//! optional, because nested and paravirtual hosts leave some out.

mod capabilities;
mod cpuid;
mod debug;
mod doorbells;
mod entry;
mod iommu;
mod irqchip;
mod memory;
mod probe;
mod routes;
mod schedule;
mod state;
mod vcpu;
mod wake;

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bus::IrqLine;
use kvm_bindings::{KVM_API_VERSION, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2};
use kvm_ioctls::{Cap, IoEventAddress, VmFd};
use vmm_sys_util::eventfd::EventFd;

use crate::boot::Entry;
use crate::cpu::CpuError;
use crate::cpu::feature::Feature;
use crate::machine::plan::Plan;
use crate::topology::Topology;

use irqchip::KernelIrqchip;

pub use capabilities::Capability;
pub use cpuid::processor::Processor;
pub use debug::{AccessKind, DebugExit, Debugging, HARDWARE_STOPS, HardwareStop, Registers};
pub use doorbells::Doorbells;
pub use iommu::map_for_devices;
pub use memory::{GuestRam, MemoryError, release};
pub use probe::{Verdict, probe};
pub use routes::Routes;
pub use schedule::take_manner;
pub use vcpu::{Exit, Vcpu};
pub use wake::{VcpuWaker, install_wake_handler};

/// Why KVM cannot be used, or refused something.
#[derive(Debug, thiserror::Error)]
pub enum KvmError {
    /// The device is not there.
    #[error(
        "{path} does not exist: load the module kvm_intel or kvm_amd, or enable virtualisation in the firmware set-up"
    )]
    Absent {
        /// The device asked for.
        path: PathBuf,
    },
    /// The device is there, but not for this user.
    #[error("no permission to open {path}: add yourself to its group (usually `kvm`), or run as root")]
    Permission {
        /// The device asked for.
        path: PathBuf,
    },
    /// It is something else than KVM.
    #[error("{path} is not a KVM device")]
    NotKvm {
        /// The device asked for.
        path: PathBuf,
    },
    /// Opening failed for another reason.
    #[error("open {path}")]
    Open {
        /// The device asked for.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A capability that nothing works without.
    #[error("this host's KVM lacks {0}; a newer kernel is needed")]
    Missing(&'static str),
    /// More vCPUs than KVM gives.
    #[error("--cpus {asked} is out of range: this host's KVM gives a guest {most} vCPUs at most")]
    Cpus {
        /// What was asked for.
        asked: usize,
        /// What there is.
        most: usize,
    },
    /// The processor is not to be had here.
    #[error(transparent)]
    Cpu(#[from] CpuError),
    /// An ioctl failed.
    #[error("{what}")]
    Ioctl {
        /// What we tried.
        what: &'static str,
        /// Why it failed.
        source: kvm_ioctls::Error,
    },
}

/// Says what an ioctl was for when it fails.
trait Context<T> {
    fn context(self, what: &'static str) -> Result<T, KvmError>;
}

impl<T> Context<T> for Result<T, kvm_ioctls::Error> {
    fn context(self, what: &'static str) -> Result<T, KvmError> {
        self.map_err(|source| KvmError::Ioctl { what, source })
    }
}

/// The KVM of this host.
pub struct Kvm(kvm_ioctls::Kvm);

impl Kvm {
    /// Opens the device and checks that it has what the machine cannot do without.
    ///
    /// # Errors
    /// When it is absent, not permitted, not KVM, or too old.
    pub fn open(path: &Path) -> Result<Self, KvmError> {
        let kvm = Self(open_device(path)?);
        let api = u32::try_from(kvm.0.get_api_version()).ok();
        if api != Some(KVM_API_VERSION) {
            return Err(KvmError::NotKvm { path: path.into() });
        }
        const NEEDED: [(Cap, &str); 8] = [
            (Cap::UserMemory, "KVM_CAP_USER_MEMORY"),
            (Cap::SplitIrqchip, "KVM_CAP_SPLIT_IRQCHIP"),
            (Cap::IrqRouting, "KVM_CAP_IRQ_ROUTING"),
            (Cap::Irqfd, "KVM_CAP_IRQFD"),
            (Cap::Ioeventfd, "KVM_CAP_IOEVENTFD"),
            (Cap::ImmediateExit, "KVM_CAP_IMMEDIATE_EXIT"),
            (Cap::MpState, "KVM_CAP_MP_STATE"),
            (Cap::ExtCpuid, "KVM_CAP_EXT_CPUID"),
        ];
        match NEEDED.iter().find(|(cap, _)| !kvm.0.check_extension(*cap)) {
            Some((_, name)) => Err(KvmError::Missing(name)),
            None => Ok(kvm),
        }
    }

    /// Makes a virtual machine with the plan's interrupt controllers and no memory yet.
    ///
    /// # Errors
    /// When KVM refuses a step.
    pub fn create_vm(&self, plan: &Plan) -> Result<Vm, KvmError> {
        let mut offered = self.offered()?;
        if plan.topology.threads > 1 {
            cpuid::topology::offer_threads(&mut offered);
        }
        let mut cpuid = cpuid::of_model(offered, &plan.cpu)?;
        let (asked, most) = (plan.apic_ids.len(), self.0.get_max_vcpus());
        if asked > most {
            return Err(KvmError::Cpus { asked, most });
        }
        let fd = new_vm(&self.0).context("create a virtual machine")?;
        fd.set_identity_map_address(plan.kvm_identity_map.start).context("place KVM's identity map")?;
        fd.set_tss_address(plan.kvm_tss.start as usize).context("place KVM's TSS")?;
        let irqchip = irqchip::create(&fd, plan)?;
        let wide = plan.has_wide_apic_ids();
        if wide {
            irqchip::widen_apic_ids(&self.0, &fd)?;
            cpuid::offer_wide_messages(&mut cpuid);
        }
        let msrs = self.0.get_msr_index_list().context("list the MSRs")?;
        Ok(Vm { fd: Arc::new(fd), irqchip, wide, cpuid, msrs: msrs.as_slice().to_vec() })
    }

    /// The features that this host offers a guest.
    ///
    /// # Errors
    /// When KVM does not say.
    pub fn features(&self) -> Result<BTreeSet<Feature>, KvmError> {
        Ok(cpuid::features(&self.offered()?))
    }

    /// All leaves that a guest of this host can have.
    fn offered(&self) -> Result<Vec<kvm_cpuid_entry2>, KvmError> {
        let supported =
            self.0.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).context("read the supported CPUID")?;
        Ok(cpuid::offered(&supported, self.0.check_extension(Cap::TscDeadlineTimer)))
    }
}

/// A virtual machine with nothing in it. On a busy host the kernel gives up on the threads that it makes for it, and says that
/// it was interrupted; the next try succeeds.
fn new_vm(kvm: &kvm_ioctls::Kvm) -> Result<VmFd, kvm_ioctls::Error> {
    loop {
        match kvm.create_vm() {
            Err(error) if error.errno() == libc::EINTR => {}
            result => return result,
        }
    }
}

fn open_device(path: &Path) -> Result<kvm_ioctls::Kvm, KvmError> {
    let is_device = match std::fs::metadata(path) {
        Ok(metadata) => metadata.file_type().is_char_device(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(KvmError::Absent { path: path.into() });
        }
        Err(source) => return Err(KvmError::Open { path: path.into(), source }),
    };
    let not_kvm = || KvmError::NotKvm { path: path.into() };
    let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| not_kvm())?;
    if !is_device {
        return Err(not_kvm());
    }
    kvm_ioctls::Kvm::new_with_path(name).map_err(|error| {
        let source = io::Error::from(error);
        match source.kind() {
            io::ErrorKind::PermissionDenied => KvmError::Permission { path: path.into() },
            _ => KvmError::Open { path: path.into(), source },
        }
    })
}

/// One virtual machine.
pub struct Vm {
    fd: Arc<VmFd>,
    irqchip: Option<KernelIrqchip>,
    /// Whether messages name APIC ids of more than eight bits.
    wide: bool,
    cpuid: Vec<kvm_cpuid_entry2>,
    msrs: Vec<u32>,
}

impl Vm {
    /// The table of interrupt routes.
    #[must_use]
    pub fn routes(&self) -> Routes {
        let wiring = self.irqchip.as_ref().map_or_else(Vec::new, |_| irqchip::wiring());
        Routes::new(Arc::clone(&self.fd), wiring, self.wide)
    }

    /// The wire to input `gsi` of the controllers in KVM, if there are any and they have it.
    #[must_use]
    pub fn line(&self, gsi: u32) -> Option<IrqLine> {
        self.irqchip.as_ref().and_then(|_| irqchip::line(&self.fd, gsi))
    }

    /// Power-on state of the controllers in KVM.
    ///
    /// # Errors
    /// When KVM refuses what it gave before.
    pub fn reset_irqchip(&self) -> Result<(), KvmError> {
        self.irqchip.as_ref().map_or(Ok(()), |irqchip| irqchip.reset(&self.fd))
    }

    /// From now on a 32-bit write of `value` to `addr` signals `event`, without an exit.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn ioeventfd(&self, event: &EventFd, addr: u64, value: u32) -> Result<(), KvmError> {
        self.fd.register_ioevent(event, &IoEventAddress::Mmio(addr), value).context("register an ioeventfd")
    }

    /// Who connects doorbells of PCI functions.
    #[must_use]
    pub fn doorbells(&self) -> Doorbells {
        Doorbells::new(Arc::clone(&self.fd))
    }

    /// Shows `ram` to the guest.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn set_memory(&self, ram: &GuestRam) -> Result<(), KvmError> {
        memory::set_slots(&self.fd, ram).context("give the guest its memory")
    }

    /// The processor of the guest in words of SMBIOS, in packages of `topology`.
    #[must_use]
    pub fn processor(&self, topology: Topology) -> Processor {
        cpuid::processor::describe(&self.cpuid, topology)
    }

    /// Makes vCPU `index` of `plan` in its power-on state, which without firmware is that of `entry`.
    ///
    /// # Errors
    /// When KVM refuses a step.
    pub fn create_vcpu(&self, index: usize, plan: &Plan, entry: Option<&Entry>) -> Result<Vcpu, KvmError> {
        Vcpu::new(self, index, plan, entry)
    }
}
