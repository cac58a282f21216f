//! The leaves that say how vCPUs are arranged, all from one [`Topology`].

use kvm_bindings::{KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

use super::set;
use crate::topology::Topology;

/// Extended topology, which ends at the package; a die is not told from it.
const TOPOLOGY: u32 = 0xb;
/// The same with dies, for a package of several. Intel's alone: to Linux 6.1 it counts a die's cores, which AMD's leaves have
/// shared out among the nodes of the package already.
const TOPOLOGY_V2: u32 = 0x1f;
/// AMD's form of it. KVM copies the host's, and readers are content without.
const TOPOLOGY_AMD: u32 = 0x8000_0026;

/// AMD's extended APIC id.
const EXTENDED_APIC_ID: u32 = 0x8000_001e;

/// Level types of both extended topology leaves (Intel SDM 2A, table 3-17).
#[derive(Clone, Copy)]
enum Level {
    None = 0,
    Thread = 1,
    Core = 2,
    Die = 5,
}

/// Adds what threads need on AMD. Linux believes in threads there only if TOPOEXT is set, which says that leaf 0x8000_001E
/// exists. We fill that leaf in, so that a host need not have it.
pub(in crate::kvm) fn offer_threads(leaves: &mut Vec<kvm_cpuid_entry2>) {
    if !is_amd(leaves) {
        return;
    }
    for leaf in leaves.iter_mut() {
        match leaf.function {
            0x8000_0000 => leaf.eax = leaf.eax.max(EXTENDED_APIC_ID),
            0x8000_0001 => set(&mut leaf.ecx, 22, 22, 1), // TOPOEXT
            _ => {}
        }
    }
    if leaves.iter().all(|leaf| leaf.function != EXTENDED_APIC_ID) {
        leaves.push(kvm_cpuid_entry2 { function: EXTENDED_APIC_ID, ..Default::default() });
    }
}

fn is_amd(leaves: &[kvm_cpuid_entry2]) -> bool {
    leaves.iter().any(|leaf| leaf.function == 0 && leaf.ebx == u32::from_le_bytes(*b"Auth"))
}

/// Makes `leaves` those of the vCPU `apic_id` in `topology`.
pub(super) fn apply(leaves: &mut Vec<kvm_cpuid_entry2>, topology: Topology, apic_id: u32) {
    let has_extended = leaves.iter().any(|leaf| leaf.function == 0 && leaf.eax >= TOPOLOGY);
    leaves.retain(|leaf| !matches!(leaf.function, TOPOLOGY | TOPOLOGY_V2 | TOPOLOGY_AMD));
    leaves.iter_mut().for_each(|leaf| adjust(leaf, topology, apic_id));
    if has_extended {
        let tells_dies = topology.dies > 1 && !is_amd(leaves);
        leaves.extend(extended(topology, apic_id, tells_dies));
    }
}

fn adjust(leaf: &mut kvm_cpuid_entry2, topology: Topology, apic_id: u32) {
    let package = topology.package();
    let sharer = last_sharer(leaf.eax, topology);
    match leaf.function {
        1 => {
            set(&mut leaf.ebx, 31, 24, apic_id.min(255));
            set(&mut leaf.ebx, 23, 16, package.min(255));
            set(&mut leaf.edx, 28, 28, u32::from(package > 1)); // HTT: the count above is valid
        }
        4 if leaf.eax & 0x1f != 0 => {
            set(&mut leaf.eax, 25, 14, sharer);
            set(&mut leaf.eax, 31, 26, last_id(topology.package_shift() - topology.core_shift()).min(63));
        }
        0x8000_0001 => set(&mut leaf.ecx, 1, 1, u32::from(package > 1)), // CmpLegacy
        0x8000_0008 => {
            set(&mut leaf.ecx, 7, 0, package.min(256) - 1);
            set(&mut leaf.ecx, 15, 12, topology.package_shift());
        }
        0x8000_001d => set(&mut leaf.eax, 25, 14, sharer),
        EXTENDED_APIC_ID => identify(leaf, topology, apic_id),
        _ => {}
    }
}

/// AMD's extended APIC id: core, threads of it, and the die as a node.
fn identify(leaf: &mut kvm_cpuid_entry2, topology: Topology, apic_id: u32) {
    let in_package = apic_id & last_id(topology.package_shift());
    leaf.eax = apic_id;
    set(&mut leaf.ebx, 7, 0, in_package >> topology.core_shift());
    set(&mut leaf.ebx, 15, 8, topology.threads - 1);
    leaf.ecx = 0;
    set(&mut leaf.ecx, 7, 0, apic_id >> topology.die_shift());
    set(&mut leaf.ecx, 10, 8, topology.dies - 1);
}

/// The last of the ids that share the cache `eax`: a core's threads the first levels, a die the others.
const fn last_sharer(eax: u32, topology: Topology) -> u32 {
    let level = (eax >> 5) & 7;
    last_id(if level >= 3 { topology.die_shift() } else { topology.core_shift() })
}

/// The last number of `bits` bits.
const fn last_id(bits: u32) -> u32 {
    (1 << bits) - 1
}

/// Leaf 0xB, and leaf 0x1F if it shall tell dies.
fn extended(topology: Topology, apic_id: u32, tells_dies: bool) -> Vec<kvm_cpuid_entry2> {
    let threads = (Level::Thread, topology.core_shift(), topology.threads);
    let end = (Level::None, 0, 0);
    let package = |kind| (kind, topology.package_shift(), topology.package());
    let die = (Level::Core, topology.die_shift(), topology.die());
    let mut leaves = levels(TOPOLOGY, apic_id, &[threads, package(Level::Core), end]);
    if tells_dies {
        leaves.extend(levels(TOPOLOGY_V2, apic_id, &[threads, die, package(Level::Die), end]));
    }
    leaves
}

/// One subleaf a level: its type, how far to shift the id for the next, and the vCPUs in it.
fn levels(function: u32, apic_id: u32, levels: &[(Level, u32, u32)]) -> Vec<kvm_cpuid_entry2> {
    let subleaf = |(index, &(kind, shift, count)): (u32, &(Level, u32, u32))| kvm_cpuid_entry2 {
        function,
        index,
        flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
        eax: shift,
        ebx: count,
        ecx: (kind as u32) << 8 | index,
        edx: apic_id,
        ..Default::default()
    };
    (0..).zip(levels).map(subleaf).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREADS_AND_CORES: Topology = Topology { sockets: 2, dies: 1, cores: 3, threads: 2 };
    const DIES: Topology = Topology { sockets: 1, dies: 2, cores: 2, threads: 2 };

    /// What the leaves of AMD's processors begin with.
    fn amd() -> kvm_cpuid_entry2 {
        kvm_cpuid_entry2 { eax: 0x1f, ebx: 0x6874_7541, ..Default::default() }
    }

    /// The leaves of a host with topology leaves of its own.
    fn leaves(topology: Topology, apic_id: u32) -> Vec<kvm_cpuid_entry2> {
        let entry = |function, eax| kvm_cpuid_entry2 { function, eax, ..Default::default() };
        let cache =
            |function, level: u32| kvm_cpuid_entry2 { index: level, ..entry(function, level << 5 | 3) };
        let stale = |function| kvm_cpuid_entry2 { edx: 99, index: 7, ..entry(function, 7) };
        let mut leaves = vec![entry(0, 0x1f), entry(1, 0), entry(0x8000_0001, 0), entry(0x8000_0008, 46)];
        leaves.extend([cache(4, 1), cache(4, 3), cache(0x8000_001d, 1), cache(0x8000_001d, 3)]);
        leaves.extend([stale(0xb), stale(0x1f), stale(0x8000_0026), entry(0x8000_001e, 7)]);
        apply(&mut leaves, topology, apic_id);
        leaves
    }

    fn leaf(leaves: &[kvm_cpuid_entry2], function: u32, index: u32) -> kvm_cpuid_entry2 {
        *leaves.iter().find(|leaf| leaf.function == function && leaf.index == index).unwrap()
    }

    /// Shift, count and type of each level.
    fn extended_levels(leaves: &[kvm_cpuid_entry2], function: u32) -> Vec<[u32; 3]> {
        let leaves = leaves.iter().filter(|leaf| leaf.function == function);
        leaves.map(|leaf| [leaf.eax, leaf.ebx, leaf.ecx >> 8]).collect()
    }

    #[test]
    fn leaf_1_counts_the_package() {
        let leaf = leaf(&leaves(THREADS_AND_CORES, 9), 1, 0);
        assert_eq!((leaf.ebx >> 24, leaf.ebx >> 16 & 0xff, leaf.edx >> 28), (9, 6, 1));
    }

    #[test]
    fn one_vcpu_is_not_multithreaded() {
        let leaves = leaves(Topology { sockets: 4, ..Topology::of_cores(1) }, 0);
        let first = leaf(&leaves, 1, 0);
        assert_eq!((first.ebx >> 16 & 0xff, first.edx >> 28 & 1), (1, 0));
        assert_eq!(leaf(&leaves, 0x8000_0001, 0).ecx, 0);
    }

    #[test]
    fn leaf_b_has_threads_and_the_package() {
        let leaves = leaves(THREADS_AND_CORES, 9);
        assert_eq!(extended_levels(&leaves, 0xb), [[1, 2, 1], [3, 6, 2], [0, 0, 0]]);
        assert!(leaves.iter().filter(|leaf| leaf.function == 0xb).all(|leaf| leaf.edx == 9));
    }

    #[test]
    fn leaf_1f_is_there_for_several_dies() {
        assert_eq!(extended_levels(&leaves(THREADS_AND_CORES, 0), 0x1f), [[0; 3]; 0]);
        let leaves = leaves(DIES, 0);
        assert_eq!(extended_levels(&leaves, 0x1f), [[1, 2, 1], [2, 4, 2], [3, 8, 5], [0, 0, 0]]);
        assert_eq!(extended_levels(&leaves, 0xb), [[1, 2, 1], [3, 8, 2], [0, 0, 0]]);
    }

    #[test]
    fn amd_tells_dies_as_nodes_alone() {
        let mut leaves = vec![amd(), kvm_cpuid_entry2 { function: 0x8000_001e, ..Default::default() }];
        apply(&mut leaves, DIES, 0);
        assert_eq!(extended_levels(&leaves, 0xb), [[1, 2, 1], [3, 8, 2], [0, 0, 0]]);
        assert_eq!(extended_levels(&leaves, 0x1f), [[0; 3]; 0]);
        assert_eq!(leaf(&leaves, 0x8000_001e, 0).ecx >> 8 & 7, 1);
    }

    #[test]
    fn old_host_gets_no_topology_leaf() {
        let mut leaves = vec![kvm_cpuid_entry2 { eax: 0xa, ..Default::default() }];
        apply(&mut leaves, DIES, 0);
        assert_eq!(leaves.len(), 1);
    }

    #[test]
    fn first_caches_are_a_core_s_and_the_last_a_die_s() {
        let leaves = leaves(DIES, 0);
        for function in [4, 0x8000_001d] {
            assert_eq!(leaf(&leaves, function, 1).eax >> 14 & 0xfff, 1);
            assert_eq!(leaf(&leaves, function, 3).eax >> 14 & 0xfff, 3);
            assert_eq!(leaf(&leaves, function, 3).eax & 0x3fff, 3 << 5 | 3, "cache type and level stay");
        }
        assert_eq!(leaf(&leaves, 4, 1).eax >> 26, 3, "cores of the package");
    }

    #[test]
    fn threads_are_offered_to_amd_guests_on_any_amd_host() {
        let entry = |function, eax| kvm_cpuid_entry2 { function, eax, ..Default::default() };
        let mut leaves = vec![amd(), entry(0x8000_0000, 0x8000_000a), entry(0x8000_0001, 0)];
        offer_threads(&mut leaves);
        assert_eq!(leaf(&leaves, 0x8000_0000, 0).eax, 0x8000_001e);
        assert_eq!(leaf(&leaves, 0x8000_0001, 0).ecx, 1 << 22);
        assert_eq!(leaves.iter().filter(|leaf| leaf.function == 0x8000_001e).count(), 1);
    }

    #[test]
    fn threads_need_nothing_on_intel() {
        let intel = kvm_cpuid_entry2 { ebx: 0x756e_6547, ..Default::default() };
        let mut leaves = vec![intel];
        offer_threads(&mut leaves);
        assert_eq!(leaves, [intel]);
    }

    #[test]
    fn amd_leaves_agree() {
        let leaves = leaves(DIES, 7);
        let sizes = leaf(&leaves, 0x8000_0008, 0).ecx;
        assert_eq!((sizes & 0xff, sizes >> 12 & 0xf), (7, 3));
        let ids = leaf(&leaves, 0x8000_001e, 0);
        assert_eq!((ids.eax, ids.ebx, ids.ecx), (7, 1 << 8 | 3, 1 << 8 | 1));
        assert_eq!(leaf(&leaves, 0x8000_0001, 0).ecx, 2);
    }
}
