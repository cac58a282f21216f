//! What this host's KVM can do beyond what the machine cannot do without.

use kvm_ioctls::Cap;

use super::Kvm;

/// Each by the name that KVM's documentation gives it, and what it is good for here.
const OPTIONAL: [(Cap, &str, &str); 7] = [
    (Cap::Irqchip, "KVM_CAP_IRQCHIP", "--machine irqchip=kernel"),
    (Cap::Pit2, "KVM_CAP_PIT2", "--machine irqchip=kernel"),
    (Cap::TscDeadlineTimer, "KVM_CAP_TSC_DEADLINE_TIMER", "exact timers in the guest"),
    (Cap::AdjustClock, "KVM_CAP_ADJUST_CLOCK", "the guest's clock"),
    (Cap::Xsave, "KVM_CAP_XSAVE", "vector registers"),
    (Cap::SetGuestDebug, "KVM_CAP_SET_GUEST_DEBUG", "--gdb"),
    (Cap::SignalMsi, "KVM_CAP_SIGNAL_MSI", "message-signalled interrupts"),
];

/// A capability that a machine can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// KVM's name of it.
    pub name: &'static str,
    /// What needs it.
    pub needed_for: &'static str,
    /// Whether this host has it.
    pub present: bool,
}

impl Kvm {
    /// The capabilities that a machine can do without.
    #[must_use]
    pub fn capabilities(&self) -> Vec<Capability> {
        let all = OPTIONAL.into_iter();
        all.map(|(cap, name, needed_for)| {
            let present = self.0.check_extension(cap);
            Capability { name, needed_for, present }
        })
        .collect()
    }

    /// vCPUs that a guest can have: as many as are tested, and as many as there can be.
    #[must_use]
    pub fn vcpu_limits(&self) -> (usize, usize) {
        (self.0.get_nr_vcpus(), self.0.get_max_vcpus())
    }
}
