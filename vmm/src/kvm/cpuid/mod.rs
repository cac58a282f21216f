//! CPUID: what KVM supports, with the leaves that depend on the vCPU (Intel SDM 2A, CPUID; AMD APM 3, appendix E).

mod features;
pub(super) mod processor;
pub(super) mod topology;

use std::collections::BTreeSet;

use kvm_bindings::{CpuId, kvm_cpuid_entry2};

use crate::cpu::feature::Feature;
use crate::cpu::{CpuError, CpuModel};
use crate::topology::Topology;

/// The basic leaves, of which leaf 0 names the last.
const BASIC: std::ops::Range<u32> = 0..0x4000_0000;
/// KVM's leaves, of which the first names the last.
const HYPERVISOR: std::ops::Range<u32> = 0x4000_0000..0x4000_0100;
/// What KVM does for its guests.
const FEATURES: u32 = 0x4000_0001;
/// TSC and local APIC timer frequencies, as VMware defined it.
const TIMING: u32 = 0x4000_0010;

/// What a vCPU's CPUID depends on besides the host.
pub(super) struct Traits {
    pub(super) apic_id: u32,
    pub(super) topology: Topology,
    pub(super) tsc_khz: Option<u32>,
}

/// What KVM supports, with what it leaves to its user in leaf 1.
pub(super) fn offered(supported: &CpuId, deadline_timer: bool) -> Vec<kvm_cpuid_entry2> {
    let mut leaves = supported.as_slice().to_vec();
    for leaf in leaves.iter_mut().filter(|leaf| leaf.function == 1) {
        set(&mut leaf.ecx, 24, 24, u32::from(deadline_timer));
        set(&mut leaf.ecx, 31, 31, 1); // a hypervisor is present
    }
    leaves
}

/// Tells a guest of KVM's that messages to IOAPICs and from functions name APIC ids of fifteen bits, as we then see to
/// (`KVM_FEATURE_MSI_EXT_DEST_ID`).
pub(super) fn offer_wide_messages(leaves: &mut [kvm_cpuid_entry2]) {
    leaves.iter_mut().filter(|leaf| leaf.function == FEATURES).for_each(|leaf| set(&mut leaf.eax, 15, 15, 1));
}

/// The features that `leaves` show.
pub(super) fn features(leaves: &[kvm_cpuid_entry2]) -> BTreeSet<Feature> {
    features::of(leaves)
}

/// What `model` makes of the `offered` leaves.
pub(super) fn of_model(
    mut offered: Vec<kvm_cpuid_entry2>,
    model: &CpuModel,
) -> Result<Vec<kvm_cpuid_entry2>, CpuError> {
    let features = model.resolve(&features(&offered))?;
    features::apply(&mut offered, &features);
    Ok(offered)
}

/// The CPUID of one vCPU, from its model's `leaves`.
pub(super) fn for_vcpu(leaves: &[kvm_cpuid_entry2], traits: &Traits) -> Option<CpuId> {
    let mut leaves = leaves.to_vec();
    leaves.retain(|leaf| leaf.function != TIMING);
    topology::apply(&mut leaves, traits.topology, traits.apic_id);
    leaves.extend(timing(traits));
    name_last(&mut leaves, BASIC);
    name_last(&mut leaves, HYPERVISOR);
    CpuId::from_entries(&leaves).ok()
}

/// Leaf 0x4000_0010: TSC and local APIC timer frequencies in kHz. SeaBIOS takes its time base from it.
fn timing(traits: &Traits) -> Option<kvm_cpuid_entry2> {
    const APIC_BUS_KHZ: u32 = 1_000_000;
    let eax = traits.tsc_khz?;
    Some(kvm_cpuid_entry2 { function: TIMING, eax, ebx: APIC_BUS_KHZ, ..Default::default() })
}

/// The first leaf of `range` has the number of the last in EAX.
fn name_last(leaves: &mut [kvm_cpuid_entry2], range: std::ops::Range<u32>) {
    let present = leaves.iter().map(|leaf| leaf.function).filter(|function| range.contains(function));
    let Some(last) = present.max() else { return };
    leaves.iter_mut().filter(|leaf| leaf.function == range.start).for_each(|first| first.eax = last);
}

/// Replaces the bits `high..=low` of `register`.
fn set(register: &mut u32, high: u32, low: u32, value: u32) {
    let mask = (u32::MAX >> (31 - high)) & (u32::MAX << low);
    *register = (*register & !mask) | ((value << low) & mask);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpuid(tsc_khz: Option<u32>) -> CpuId {
        let traits = Traits { apic_id: 0, topology: Topology::of_cores(1), tsc_khz };
        let entry = |function, eax| kvm_cpuid_entry2 { function, eax, ..Default::default() };
        let supported = [
            entry(0, 0x1f),
            entry(1, 0),
            entry(0xd, 0),
            entry(0x4000_0000, 0x4000_0001),
            entry(0x4000_0001, 9),
        ];
        for_vcpu(&offered(&CpuId::from_entries(&supported).unwrap(), true), &traits).unwrap()
    }

    fn leaf(cpuid: &CpuId, function: u32) -> kvm_cpuid_entry2 {
        *cpuid.as_slice().iter().find(|leaf| leaf.function == function).unwrap()
    }

    #[test]
    fn leaf_1_has_the_deadline_timer_and_a_hypervisor() {
        let ecx = leaf(&cpuid(None), 1).ecx;
        assert_eq!((ecx >> 24 & 1, ecx >> 31), (1, 1));
    }

    #[test]
    fn tsc_frequency_is_announced_as_the_last_hypervisor_leaf() {
        let cpuid = cpuid(Some(2_500_000));
        assert_eq!(leaf(&cpuid, 0x4000_0000).eax, 0x4000_0010);
        assert_eq!(leaf(&cpuid, 0x4000_0010).eax, 2_500_000);
    }

    #[test]
    fn last_leaf_is_the_last_there_is() {
        let cpuid = cpuid(None);
        assert_eq!(leaf(&cpuid, 0).eax, 0xd);
        assert_eq!(leaf(&cpuid, 0x4000_0000).eax, 0x4000_0001);
    }
}
