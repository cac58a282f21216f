//! CPUID: what KVM supports, with the leaves that depend on the vCPU (Intel SDM 2A, CPUID; AMD APM 3, appendix E).

use kvm_bindings::{CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

/// How the vCPUs are arranged: one package, one thread a core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// APIC ids by vCPU index.
    pub apic_ids: Vec<u32>,
}

impl Topology {
    /// Cores in the package.
    fn cores(&self) -> u32 {
        u32::try_from(self.apic_ids.len()).unwrap_or(u32::MAX)
    }

    /// APIC id bits that number a core in its package.
    fn core_bits(&self) -> u32 {
        self.cores().next_power_of_two().trailing_zeros()
    }

    /// The most ids that `core_bits` allow, less one, as the cache leaves want it.
    fn last_id(&self) -> u32 {
        (1 << self.core_bits()) - 1
    }
}

/// What a vCPU's CPUID depends on besides the host.
pub(super) struct Traits<'a> {
    pub(super) apic_id: u32,
    pub(super) topology: &'a Topology,
    pub(super) tsc_khz: Option<u32>,
    pub(super) deadline_timer: bool,
}

/// The CPUID of one vCPU, from what KVM supports.
pub(super) fn for_vcpu(supported: &CpuId, traits: &Traits<'_>) -> Option<CpuId> {
    let has_topology = supported.as_slice().iter().any(|entry| entry.function == 0 && entry.eax >= 0xb);
    let mut entries: Vec<_> = supported
        .as_slice()
        .iter()
        .filter(|entry| !matches!(entry.function, 0xb | 0x1f | 0x4000_0010))
        .copied()
        .map(|entry| fix(entry, traits))
        .collect();
    if has_topology {
        entries.extend(extended_topology(traits));
    }
    entries.extend(timing(traits));
    CpuId::from_entries(&entries).ok()
}

/// Replaces the bits `high..=low` of `register`.
fn set(register: &mut u32, high: u32, low: u32, value: u32) {
    let mask = (u32::MAX >> (31 - high)) & (u32::MAX << low);
    *register = (*register & !mask) | ((value << low) & mask);
}

fn fix(mut entry: kvm_cpuid_entry2, traits: &Traits<'_>) -> kvm_cpuid_entry2 {
    let topology = traits.topology;
    let cores = topology.cores();
    let shared = |cache_level: u32| if cache_level >= 3 { topology.last_id() } else { 0 };
    match entry.function {
        1 => {
            set(&mut entry.ebx, 31, 24, traits.apic_id);
            set(&mut entry.ebx, 23, 16, cores.min(255));
            set(&mut entry.edx, 28, 28, u32::from(cores > 1)); // HTT: the count above is valid
            set(&mut entry.ecx, 24, 24, u32::from(traits.deadline_timer));
            set(&mut entry.ecx, 31, 31, 1); // a hypervisor is present
        }
        4 if entry.eax & 0x1f != 0 => {
            let level = (entry.eax >> 5) & 7;
            set(&mut entry.eax, 25, 14, shared(level));
            set(&mut entry.eax, 31, 26, topology.last_id());
        }
        // KVM gives clock and steal-time features here; the leaf of `timing` lies beyond its last one.
        0x4000_0000 if traits.tsc_khz.is_some() => entry.eax = entry.eax.max(0x4000_0010),
        0x8000_0001 => set(&mut entry.ecx, 1, 1, u32::from(cores > 1)), // CmpLegacy
        0x8000_0008 => {
            set(&mut entry.ecx, 7, 0, cores - 1);
            set(&mut entry.ecx, 15, 12, topology.core_bits());
        }
        0x8000_001d => {
            let level = (entry.eax >> 5) & 7;
            set(&mut entry.eax, 25, 14, shared(level));
        }
        0x8000_001e => {
            entry.eax = traits.apic_id;
            set(&mut entry.ebx, 7, 0, traits.apic_id);
            set(&mut entry.ebx, 15, 8, 0); // one thread a core
            entry.ecx = 0; // one node
        }
        _ => {}
    }
    entry
}

/// Leaf 0xB: threads of a core, then cores of the package.
fn extended_topology(traits: &Traits<'_>) -> [kvm_cpuid_entry2; 3] {
    const THREADS: u32 = 1 << 8;
    const CORES: u32 = 2 << 8;
    let level = |index: u32, shift: u32, count: u32, kind: u32| kvm_cpuid_entry2 {
        function: 0xb,
        index,
        flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
        eax: shift,
        ebx: count,
        ecx: kind | index,
        edx: traits.apic_id,
        ..Default::default()
    };
    let topology = traits.topology;
    [level(0, 0, 1, THREADS), level(1, topology.core_bits(), topology.cores(), CORES), level(2, 0, 0, 0)]
}

/// Leaf 0x4000_0010: TSC and local APIC timer frequencies in kHz. SeaBIOS takes its time base from it.
fn timing(traits: &Traits<'_>) -> Option<kvm_cpuid_entry2> {
    const APIC_BUS_KHZ: u32 = 1_000_000;
    let eax = traits.tsc_khz?;
    Some(kvm_cpuid_entry2 { function: 0x4000_0010, eax, ebx: APIC_BUS_KHZ, ..Default::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supported() -> CpuId {
        let entry = |function, eax| kvm_cpuid_entry2 { function, eax, ..Default::default() };
        let l3 = kvm_cpuid_entry2 { index: 3, flags: 1, ..entry(4, 3 << 5 | 3) };
        let l1 = kvm_cpuid_entry2 { index: 0, flags: 1, ..entry(4, 1 << 5 | 1) };
        let stale = kvm_cpuid_entry2 { edx: 99, ..entry(0xb, 7) };
        CpuId::from_entries(&[
            entry(0, 0x1f),
            entry(1, 0),
            l1,
            l3,
            stale,
            entry(0x4000_0000, 0x4000_0001),
            entry(0x8000_0008, 46),
        ])
        .unwrap()
    }

    fn cpuid(index: u32, cpus: u32) -> CpuId {
        let topology = Topology { apic_ids: (0..cpus).collect() };
        let traits =
            Traits { apic_id: index, topology: &topology, tsc_khz: Some(2_500_000), deadline_timer: true };
        for_vcpu(&supported(), &traits).unwrap()
    }

    fn leaf(cpuid: &CpuId, function: u32, index: u32) -> kvm_cpuid_entry2 {
        *cpuid.as_slice().iter().find(|e| e.function == function && e.index == index).unwrap()
    }

    #[test]
    fn leaf_1_has_apic_id_core_count_and_timer() {
        let leaf = leaf(&cpuid(2, 4), 1, 0);
        assert_eq!(leaf.ebx >> 24, 2);
        assert_eq!(leaf.ebx >> 16 & 0xff, 4);
        assert_eq!(leaf.edx >> 28 & 1, 1);
        assert_eq!((leaf.ecx >> 24 & 1, leaf.ecx >> 31), (1, 1));
    }

    #[test]
    fn one_cpu_is_not_multithreaded() {
        let leaf = leaf(&cpuid(0, 1), 1, 0);
        assert_eq!((leaf.ebx >> 16 & 0xff, leaf.edx >> 28 & 1), (1, 0));
    }

    #[test]
    fn leaf_b_agrees_with_leaf_1() {
        let cpuid = cpuid(3, 6);
        let cores = leaf(&cpuid, 0xb, 1);
        assert_eq!((cores.eax, cores.ebx, cores.ecx, cores.edx), (3, 6, 0x201, 3));
        assert_eq!(leaf(&cpuid, 0xb, 0).ecx, 0x100);
        assert_eq!(cpuid.as_slice().iter().filter(|e| e.function == 0xb).count(), 3, "stale leaf is gone");
    }

    #[test]
    fn only_the_last_level_cache_is_shared() {
        let cpuid = cpuid(0, 4);
        assert_eq!(leaf(&cpuid, 4, 0).eax >> 14 & 0xfff, 0);
        assert_eq!(leaf(&cpuid, 4, 3).eax >> 14 & 0xfff, 3);
        assert_eq!(leaf(&cpuid, 4, 3).eax & 0x3fff, 3 << 5 | 3, "cache type and level stay");
    }

    #[test]
    fn tsc_frequency_is_announced() {
        let cpuid = cpuid(0, 1);
        assert_eq!(leaf(&cpuid, 0x4000_0000, 0).eax, 0x4000_0010);
        assert_eq!(leaf(&cpuid, 0x4000_0010, 0).eax, 2_500_000);
    }
}
