//! What SMBIOS says of a processor, from its leaves.

use firmware::smbios::{Cache, CacheKind};
use kvm_bindings::kvm_cpuid_entry2;

use crate::topology::Topology;

/// Cache parameters (Intel SDM 2A, CPUID leaf 4), and AMD's leaf of the same layout (AMD APM 3, E.4.15).
const CACHES: u32 = 4;
const CACHES_AMD: u32 = 0x8000_001d;

/// A processor as SMBIOS describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processor {
    /// Leaf 1: EAX in the lower half, EDX in the upper.
    pub id: u64,
    /// The caches of a package, each level once.
    pub caches: Vec<Cache>,
}

/// The processor of `leaves` in a package of `topology`.
pub(in crate::kvm) fn describe(leaves: &[kvm_cpuid_entry2], topology: Topology) -> Processor {
    let signature = leaves.iter().find(|leaf| leaf.function == 1);
    let id = signature.map_or(0, |leaf| u64::from(leaf.edx) << 32 | u64::from(leaf.eax));
    let caches = caches(leaves);
    Processor { id, caches: (1..=3).filter_map(|level| cache(&caches, level, topology)).collect() }
}

/// The caches of `level` of a whole package as one: a core has its own of the first two levels, a die the third.
fn cache(caches: &[&kvm_cpuid_entry2], level: u8, topology: Topology) -> Option<Cache> {
    let count = topology.dies * if level < 3 { topology.cores } else { 1 };
    let found: Vec<_> = caches.iter().filter(|leaf| (leaf.eax >> 5) & 7 == u32::from(level)).collect();
    let kib: u64 = found.iter().map(|leaf| size(leaf) >> 10).sum();
    // Code and data of the first level are counted together: a processor has one handle for each level.
    let kind = match found.as_slice() {
        [] => return None,
        [one] if one.eax & 0x1f == 1 => CacheKind::Data,
        [one] if one.eax & 0x1f == 2 => CacheKind::Instruction,
        _ => CacheKind::Unified,
    };
    let ways = found.first().map_or(0, |leaf| (leaf.ebx >> 22) + 1);
    Some(Cache {
        level,
        kind,
        size_kib: u32::try_from(kib.saturating_mul(count.into())).unwrap_or(u32::MAX),
        ways: ways as u16, // 10 bits
    })
}

/// The subleaves that describe a cache. Where AMD's leaf does, the other may repeat it.
fn caches(leaves: &[kvm_cpuid_entry2]) -> Vec<&kvm_cpuid_entry2> {
    let of = |function| leaves.iter().filter(move |leaf| leaf.function == function && leaf.eax & 0x1f != 0);
    let amd: Vec<_> = of(CACHES_AMD).collect();
    if amd.is_empty() { of(CACHES).collect() } else { amd }
}

/// Ways, partitions, line size and sets, each less one in its field.
fn size(leaf: &kvm_cpuid_entry2) -> u64 {
    let field = |low: u32, bits: u32| u64::from((leaf.ebx >> low) & ((1 << bits) - 1)) + 1;
    let way = field(12, 10) * field(0, 12) * (u64::from(leaf.ecx) + 1);
    field(22, 10).saturating_mul(way)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache of 64-byte lines.
    fn leaf(level: u32, kind: u32, ways: u32, sets: u32) -> kvm_cpuid_entry2 {
        let ebx = (ways - 1) << 22 | 63;
        kvm_cpuid_entry2 { function: 4, eax: level << 5 | kind, ebx, ecx: sets - 1, ..Default::default() }
    }

    #[test]
    fn caches_of_a_package_are_summed_by_level() {
        let leaves = [leaf(1, 1, 8, 64), leaf(1, 2, 8, 64), leaf(2, 3, 16, 1024), leaf(3, 3, 12, 32768)];
        let topology = Topology { sockets: 2, dies: 2, cores: 4, threads: 2 };
        let cache = |level, size_kib, ways| Cache { level, kind: CacheKind::Unified, size_kib, ways };
        let expected = [cache(1, 8 * 64, 8), cache(2, 8 << 10, 16), cache(3, 2 * (24 << 10), 12)];
        assert_eq!(describe(&leaves, topology).caches, expected);
        let both = [leaves, leaves.map(|leaf| kvm_cpuid_entry2 { function: CACHES_AMD, ..leaf })].concat();
        assert_eq!(describe(&both, topology).caches, expected);
    }

    #[test]
    fn processor_without_cache_leaves_has_an_id_alone() {
        let leaf = kvm_cpuid_entry2 { function: 1, eax: 0x6f1, edx: 0x0f8b_fbff, ..Default::default() };
        let expected = Processor { id: 0x0f8b_fbff_0000_06f1, caches: Vec::new() };
        assert_eq!(describe(&[leaf], Topology::of_cores(1)), expected);
    }

    #[test]
    fn hostile_sizes_do_not_overflow() {
        let leaf = kvm_cpuid_entry2 {
            function: 4,
            eax: 1 << 5 | 3,
            ebx: u32::MAX,
            ecx: u32::MAX,
            ..Default::default()
        };
        assert_eq!(describe(&[leaf], Topology::of_cores(64)).caches[0].size_kib, u32::MAX);
    }
}
