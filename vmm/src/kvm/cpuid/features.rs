//! The leaves that say what a processor can do.

use std::collections::BTreeSet;

use kvm_bindings::kvm_cpuid_entry2;

use crate::cpu::Features;
use crate::cpu::feature::{self, Feature, Register, Word};

/// Processor extended state enumeration.
const XSTATE: u32 = 0xd;
/// Bytes of an XSAVE area with the legacy components alone (Intel SDM 1, 13.4).
const LEGACY_XSAVE: u32 = 512 + 64;

/// The features that `leaves` show.
pub(super) fn of(leaves: &[kvm_cpuid_entry2]) -> BTreeSet<Feature> {
    let shown = |&(_, word, bit): &(Feature, &Word, u8)| value(leaves, word) >> bit & 1 == 1;
    let each = feature::words()
        .iter()
        .flat_map(|word| word.features.iter().map(move |(bit, name)| (*name, word, *bit)));
    each.filter(shown).map(|(name, ..)| name).collect()
}

/// Leaves in `leaves` what `features` allow.
pub(super) fn apply(leaves: &mut Vec<kvm_cpuid_entry2>, features: &Features) {
    for word in feature::words() {
        let mask = features.mask(word);
        leaves
            .iter_mut()
            .filter(|leaf| is_of(leaf, word))
            .for_each(|leaf| *register(leaf, word.register) &= mask);
    }
    if features.has("xsave") {
        drop_components(leaves, features.unused_xstate());
    } else {
        leaves.retain(|leaf| leaf.function != XSTATE);
    }
}

/// Takes the `unused` components of extended state away: in subleaf 0 those of XCR0, in subleaf 1 those of IA32_XSS.
fn drop_components(leaves: &mut Vec<kvm_cpuid_entry2>, unused: u64) {
    leaves.retain(|leaf| leaf.function != XSTATE || leaf.index < 2 || unused >> leaf.index.min(63) & 1 == 0);
    let (low, high) = (unused as u32, (unused >> 32) as u32);
    let size = xsave_size(leaves);
    for leaf in leaves.iter_mut().filter(|leaf| leaf.function == XSTATE) {
        match leaf.index {
            0 => (leaf.eax, leaf.ecx, leaf.edx) = (leaf.eax & !low, size, leaf.edx & !high),
            1 => (leaf.ecx, leaf.edx) = (leaf.ecx & !low, leaf.edx & !high),
            _ => {}
        }
    }
}

/// Bytes of an XSAVE area with every component that `leaves` have. EBX, the size for what is enabled, is KVM's.
fn xsave_size(leaves: &[kvm_cpuid_entry2]) -> u32 {
    let components = leaves.iter().filter(|leaf| leaf.function == XSTATE && leaf.index >= 2);
    components.map(|leaf| leaf.ebx.saturating_add(leaf.eax)).fold(LEGACY_XSAVE, u32::max)
}

fn value(leaves: &[kvm_cpuid_entry2], word: &Word) -> u32 {
    let leaf = leaves.iter().find(|leaf| is_of(leaf, word));
    leaf.map_or(0, |leaf| *register(&mut { *leaf }, word.register))
}

const fn is_of(leaf: &kvm_cpuid_entry2, word: &Word) -> bool {
    leaf.function == word.leaf && leaf.index == word.subleaf
}

const fn register(leaf: &mut kvm_cpuid_entry2, register: Register) -> &mut u32 {
    match register {
        Register::Eax => &mut leaf.eax,
        Register::Ebx => &mut leaf.ebx,
        Register::Ecx => &mut leaf.ecx,
        Register::Edx => &mut leaf.edx,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Baseline, CpuModel};

    fn leaf(function: u32, index: u32, registers: [u32; 4]) -> kvm_cpuid_entry2 {
        let [eax, ebx, ecx, edx] = registers;
        kvm_cpuid_entry2 { function, index, eax, ebx, ecx, edx, ..Default::default() }
    }

    /// A host with XSAVE, AVX, AVX2 and AVX-512.
    fn leaves() -> Vec<kvm_cpuid_entry2> {
        vec![
            leaf(1, 0, [0, 0, 1 << 26 | 1 << 28, 0]),
            leaf(7, 0, [1, 1 << 5 | 1 << 16 | 1 << 9, 0, 0]),
            leaf(0xd, 0, [0xe7, 2688, 2688, 0]),
            leaf(0xd, 1, [1, 0, 0, 0]),
            leaf(0xd, 2, [256, 576, 0, 0]),
            leaf(0xd, 5, [64, 1088, 0, 0]),
            leaf(0xd, 6, [512, 1152, 0, 0]),
            leaf(0xd, 7, [1024, 1664, 0, 0]),
        ]
    }

    fn without(name: Feature) -> Vec<kvm_cpuid_entry2> {
        let mut leaves = leaves();
        let model = CpuModel { baseline: Baseline::Host, switches: [(name, false)].into() };
        let features = model.resolve(&of(&leaves)).unwrap();
        apply(&mut leaves, &features);
        leaves
    }

    fn registers(leaves: &[kvm_cpuid_entry2], function: u32, index: u32) -> [u32; 4] {
        let leaf = leaves.iter().find(|leaf| leaf.function == function && leaf.index == index).unwrap();
        [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx]
    }

    #[test]
    fn features_are_read_from_their_words() {
        let features = of(&leaves());
        assert_eq!(features, ["avx", "avx2", "avx512f", "erms", "xsave", "xsaveopt"].into());
    }

    #[test]
    fn host_is_untouched_by_the_host_model() {
        let mut untouched = leaves();
        let features = CpuModel::default().resolve(&of(&untouched)).unwrap();
        apply(&mut untouched, &features);
        assert_eq!(untouched, leaves());
    }

    #[test]
    fn feature_without_state_is_a_bit() {
        let leaves = without("erms");
        assert_eq!(registers(&leaves, 7, 0)[1], 1 << 5 | 1 << 16);
        assert_eq!(registers(&leaves, 0xd, 0), [0xe7, 2688, 2688, 0]);
    }

    #[test]
    fn avx512_goes_with_its_three_components() {
        let leaves = without("avx512f");
        assert_eq!(registers(&leaves, 0xd, 0), [7, 2688, 832, 0]);
        assert_eq!(leaves.iter().filter(|leaf| leaf.function == 0xd).count(), 3);
    }

    #[test]
    fn xsave_goes_with_its_leaf() {
        let leaves = without("xsave");
        assert_eq!(registers(&leaves, 1, 0)[2], 0);
        assert!(leaves.iter().all(|leaf| leaf.function != 0xd));
    }
}
