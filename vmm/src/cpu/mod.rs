//! What the guest's processors can do: a baseline, and features switched on and off by name.
//!
//! Everything here is names and bits; `kvm/cpuid` knows how KVM takes them. A processor never gets what the host lacks, so a
//! model only takes features away. Left out: family, model and name of the processor, which are always the host's.

mod dependencies;
pub mod feature;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use feature::{Feature, Word};

/// A processor as the user describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuModel {
    /// What it starts from.
    pub baseline: Baseline,
    /// Features that differ from the baseline: true is on.
    pub switches: BTreeMap<Feature, bool>,
}

/// What a model starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Baseline {
    /// Everything that the host and KVM have.
    #[default]
    Host,
    /// Level 2 of the x86-64 psABI.
    V2,
    /// Level 3 of the x86-64 psABI.
    V3,
}

/// Why there is no such processor.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum CpuError {
    /// A feature is asked for that the host lacks.
    #[error("--cpu {model}: this host has no {feature}, see --cpu list")]
    Lacking {
        /// The model.
        model: Box<CpuModel>,
        /// What is lacking.
        feature: Feature,
    },
    /// A feature is asked for whose foundation is not in the baseline.
    #[error("--cpu {model}: {feature} needs {base}, switch on +{base} too")]
    Unfounded {
        /// The model.
        model: Box<CpuModel>,
        /// What is asked for.
        feature: Feature,
        /// What it needs.
        base: Feature,
    },
    /// A feature is on and what it needs is off.
    #[error("+{feature} and -{base} exclude each other: {feature} needs {base}")]
    Contradiction {
        /// What is switched on.
        feature: Feature,
        /// What is switched off.
        base: Feature,
    },
}

impl CpuModel {
    /// Checks the switches against each other, which needs no host.
    ///
    /// # Errors
    /// When one is on and another, which it needs, off.
    pub fn check(&self) -> Result<(), CpuError> {
        let pairs = self.switched(true).flat_map(|on| self.switched(false).map(move |off| (on, off)));
        match pairs.into_iter().find(|(feature, base)| feature::needs(feature, base)) {
            Some((feature, base)) => Err(CpuError::Contradiction { feature, base }),
            None => Ok(()),
        }
    }

    /// The processor on a host that offers `host`.
    ///
    /// # Errors
    /// When that lacks something.
    pub fn resolve(&self, host: &BTreeSet<Feature>) -> Result<Features, CpuError> {
        let mut on = match self.baseline {
            Baseline::Host => host.clone(),
            level => level.platform().filter(|feature| host.contains(feature)).collect(),
        };
        for feature in self.baseline.required().chain(self.switched(true)) {
            if !host.contains(feature) {
                return Err(CpuError::Lacking { model: Box::new(self.clone()), feature });
            }
            on.insert(feature);
        }
        self.switched(false).for_each(|feature| switch_off(&mut on, feature));
        self.check_founded(&on, host)?;
        Ok(Features { on, unnamed: self.baseline == Baseline::Host })
    }

    /// What is switched on has what it needs, as far as the host itself has it.
    fn check_founded(&self, on: &BTreeSet<Feature>, host: &BTreeSet<Feature>) -> Result<(), CpuError> {
        let missing = host.difference(on);
        let pairs = missing.flat_map(|base| self.switched(true).map(move |feature| (feature, *base)));
        match pairs.into_iter().find(|(feature, base)| feature::needs(feature, base)) {
            Some((feature, base)) => {
                Err(CpuError::Unfounded { model: Box::new(self.clone()), feature, base })
            }
            None => Ok(()),
        }
    }

    fn switched(&self, to: bool) -> impl Iterator<Item = Feature> {
        self.switches.iter().filter(move |(_, on)| **on == to).map(|(feature, _)| *feature)
    }
}

/// Takes `feature` and all that needs it away.
fn switch_off(on: &mut BTreeSet<Feature>, feature: Feature) {
    on.remove(feature);
    for dependent in feature::dependents(feature) {
        if on.contains(dependent) {
            switch_off(on, dependent);
        }
    }
}

impl Baseline {
    /// What the level promises to programs (x86-64 psABI, 3.1.1).
    fn required(self) -> impl Iterator<Item = Feature> {
        const V1: &str = "cmov cx8 fpu fxsr mmx syscall sse sse2 lm";
        const V2: &str = "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3";
        const V3: &str = "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave";
        let levels: &[&str] = match self {
            Self::Host => &[],
            Self::V2 => &[V1, V2],
            Self::V3 => &[V1, V2, V3],
        };
        levels.iter().flat_map(|names| names.split_ascii_whitespace())
    }

    /// What kernels and this machine work with beside the level, where the host has it: paging, interrupts, clocks, and the
    /// controls against speculation.
    fn platform(self) -> impl Iterator<Item = Feature> {
        const PLATFORM: &str = "vme de pse tsc msr pae mce apic sep mtrr pge mca pat pse36 clflush nx pdpe1gb rdtscp \
            x2apic tsc_deadline_timer tsc_adjust invtsc arat hypervisor smep smap umip pcid invpcid topoext cr8_legacy \
            extapic spec_ctrl stibp ssbd md_clear flush_l1d arch_capabilities ibpb ibrs amd_stibp amd_ssbd virt_ssbd";
        let kvm = feature::all().map(|(name, ..)| name).filter(|name| name.starts_with("kvm"));
        PLATFORM.split_ascii_whitespace().chain(kvm)
    }
}

/// As on the command line.
impl fmt::Display for CpuModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.baseline {
            Baseline::Host => "host",
            Baseline::V2 => "x86-64-v2",
            Baseline::V3 => "x86-64-v3",
        })?;
        self.switches.iter().try_for_each(|(name, on)| write!(f, ",{}{name}", if *on { '+' } else { '-' }))
    }
}

/// What one processor has, of what its host offers.
#[derive(Clone, Debug)]
pub struct Features {
    on: BTreeSet<Feature>,
    /// Whether bits that have no name here are the host's too.
    unnamed: bool,
}

impl Features {
    /// Whether the processor has `feature`.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.on.contains(feature)
    }

    /// The bits of `word` that the processor may have.
    #[must_use]
    pub fn mask(&self, word: &Word) -> u32 {
        let unnamed = if self.unnamed { !word.bits(|_| true) } else { 0 };
        unnamed | word.bits(|name| self.has(name))
    }

    /// The components of extended state that nothing uses, as bits of XCR0 and IA32_XSS.
    #[must_use]
    pub fn unused_xstate(&self) -> u64 {
        let unused =
            dependencies::XSTATE.iter().filter(|(_, users)| !users.iter().any(|user| self.has(user)));
        unused.fold(0, |bits, (component, _)| bits | component)
    }
}

#[cfg(test)]
mod tests;
