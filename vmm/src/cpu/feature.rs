//! One feature of a processor: its name, its places in CPUID, and what it cannot do without.

use super::dependencies::NEEDS;
use super::table::{ALIASES, WORDS};
use crate::nearest::distance;

/// A register that CPUID answers in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// EAX.
    Eax,
    /// EBX.
    Ebx,
    /// ECX.
    Ecx,
    /// EDX.
    Edx,
}

/// One register of one leaf, and what its bits mean.
#[derive(Debug)]
pub struct Word {
    /// The leaf, which goes in EAX.
    pub leaf: u32,
    /// The subleaf, which goes in ECX.
    pub subleaf: u32,
    /// Where the answer is.
    pub register: Register,
    /// Bit and name of each feature.
    pub features: &'static [(u8, &'static str)],
}

impl Word {
    /// The bits whose names are `wanted`.
    pub fn bits(&self, wanted: impl Fn(&'static str) -> bool) -> u32 {
        self.features.iter().filter(|(_, name)| wanted(name)).fold(0, |bits, (bit, _)| bits | 1 << bit)
    }
}

/// As in `7.1 EAX`.
impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let register = format!("{:?}", self.register).to_uppercase();
        match self.subleaf {
            0 => write!(f, "{:#x} {register}", self.leaf),
            subleaf => write!(f, "{:#x}.{subleaf} {register}", self.leaf),
        }
    }
}

/// A feature, by its name in the table.
pub type Feature = &'static str;

/// Every word of feature bits.
#[must_use]
pub fn words() -> &'static [Word] {
    WORDS
}

/// Every feature once, each with the first word that shows it and its bit there, in the order of CPUID.
pub fn all() -> impl Iterator<Item = (Feature, &'static Word, u8)> {
    let mut seen = std::collections::BTreeSet::new();
    let each = WORDS.iter().flat_map(|word| word.features.iter().map(move |&(bit, name)| (name, word, bit)));
    each.filter(move |(name, ..)| seen.insert(*name))
}

/// The feature that `text` names. `sse4.1` and `sse4-1` are `sse4_1`.
#[must_use]
pub fn find(text: &str) -> Option<Feature> {
    let name = text.to_ascii_lowercase().replace(['-', '.'], "_");
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name.as_str(), |(_, name)| name);
    all().map(|(feature, ..)| feature).find(|feature| *feature == name)
}

/// Up to three features whose names are close to `text`, the closest first.
#[must_use]
pub fn nearest(text: &str) -> Vec<Feature> {
    let name = text.to_ascii_lowercase().replace(['-', '.'], "_");
    let mut close: Vec<_> = all()
        .map(|(feature, ..)| (distance(feature, &name), feature))
        .filter(|(distance, feature)| *distance <= 2.min(feature.len() / 2))
        .collect();
    close.sort_unstable();
    close.into_iter().take(3).map(|(_, feature)| feature).collect()
}

/// What needs `feature` directly.
pub(super) fn dependents(feature: Feature) -> impl Iterator<Item = Feature> {
    let lists = NEEDS.iter().filter(move |(base, _)| *base == feature);
    lists.flat_map(|(_, dependents)| dependents.split_ascii_whitespace())
}

/// Whether `feature` needs `base`, directly or by what it needs.
pub(super) fn needs(feature: Feature, base: Feature) -> bool {
    dependents(base).any(|dependent| dependent == feature || needs(feature, dependent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_a_word_are_named_once_and_ascend() {
        for word in WORDS {
            assert!(word.features.is_sorted_by(|(a, _), (b, _)| a < b), "{word}");
            assert!(word.features.iter().all(|(bit, _)| *bit < 32), "{word}");
        }
    }

    #[test]
    fn repeated_names_are_one_feature() {
        assert_eq!(all().filter(|(name, ..)| *name == "mmx").count(), 1);
        assert_eq!(all().filter(|(name, ..)| *name == "kvmclock").count(), 1);
    }

    #[test]
    fn names_of_linux_and_qemu_are_found() {
        let names = [("avx512f", "avx512f"), ("sse4.1", "sse4_1"), ("lahf-lm", "lahf_lm"), ("SSE3", "pni")];
        for (text, name) in names {
            assert_eq!(find(text), Some(name));
        }
        assert_eq!(find("kvm-steal-time"), Some("kvm_steal_time"));
        assert_eq!(find("avx1024"), None);
    }

    #[test]
    fn aliases_lead_to_features_and_hide_none() {
        for (alias, name) in ALIASES {
            assert!(find(name).is_some() && all().all(|(feature, ..)| feature != *alias), "{alias}");
        }
    }

    #[test]
    fn needs_reach_through_what_lies_between() {
        assert!(needs("avx512vl", "xsave") && needs("avx2", "avx"));
        assert!(!needs("avx", "avx2") && !needs("avx", "avx"));
    }

    #[test]
    fn misspelt_names_have_neighbours() {
        assert_eq!(nearest("avx521f").first(), Some(&"avx512f"));
        assert_eq!(nearest("kvm-steel-time"), ["kvm_steal_time"]);
        assert!(nearest("teleport").is_empty());
    }
}
