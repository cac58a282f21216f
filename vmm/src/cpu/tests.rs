//! Models on hosts that have much or little.

use super::*;

fn host(names: &'static str) -> BTreeSet<Feature> {
    names.split_ascii_whitespace().collect()
}

fn model(baseline: Baseline, switches: &[(Feature, bool)]) -> CpuModel {
    CpuModel { baseline, switches: switches.iter().copied().collect() }
}

fn everything() -> BTreeSet<Feature> {
    feature::all().map(|(name, ..)| name).collect()
}

#[test]
fn host_has_what_the_host_has() {
    let features = CpuModel::default().resolve(&host("fpu sse")).unwrap();
    assert!(features.has("sse") && !features.has("avx"));
    let word = feature::words().iter().find(|word| word.bits(|name| name == "sse") != 0).unwrap();
    assert_eq!(features.mask(word) & (1 << 28), 1 << 28, "bits without a name stay");
}

#[test]
fn switching_off_takes_along_what_depends() {
    let features = model(Baseline::Host, &[("avx", false)]).resolve(&everything()).unwrap();
    for name in ["avx", "avx2", "fma", "avx512f", "avx512vl", "avx_vnni"] {
        assert!(!features.has(name), "{name}");
    }
    assert!(features.has("xsave") && features.has("sse4_2"));
}

#[test]
fn state_of_what_is_off_goes() {
    let without =
        |name| model(Baseline::Host, &[(name, false)]).resolve(&everything()).unwrap().unused_xstate();
    assert_eq!(without("avx512f"), 0b1110_0000);
    assert_eq!(without("avx"), 0b1110_0100);
    assert_eq!(without("pku"), 1 << 9);
    assert_eq!(without("erms"), 0);
}

#[test]
fn switching_on_what_the_host_lacks_is_refused() {
    let error = model(Baseline::Host, &[("avx512f", true)]).resolve(&host("fpu")).unwrap_err();
    assert_eq!(error.to_string(), "--cpu host,+avx512f: this host has no avx512f, see --cpu list");
}

#[test]
fn switches_that_exclude_each_other_are_refused_without_a_host() {
    let error = model(Baseline::Host, &[("avx2", true), ("xsave", false)]).check().unwrap_err();
    assert_eq!(error.to_string(), "+avx2 and -xsave exclude each other: avx2 needs xsave");
    assert_eq!(model(Baseline::Host, &[("avx2", false), ("xsave", true)]).check(), Ok(()));
}

#[test]
fn level_has_its_features_the_platform_and_no_more() {
    let features = model(Baseline::V2, &[]).resolve(&everything()).unwrap();
    assert!(features.has("sse4_2") && features.has("x2apic") && features.has("kvmclock"));
    assert!(!features.has("avx") && !features.has("vmx"));
    let features = model(Baseline::V3, &[]).resolve(&everything()).unwrap();
    assert!(features.has("avx2") && !features.has("avx512f"));
    assert_eq!(features.unused_xstate() & (1 << 2), 0);
}

#[test]
fn level_beyond_the_host_is_refused() {
    let error = model(Baseline::V2, &[]).resolve(&host("cmov cx8 fpu fxsr mmx syscall sse sse2 lm"));
    assert_eq!(error.unwrap_err().to_string(), "--cpu x86-64-v2: this host has no cx16, see --cpu list");
}

#[test]
fn level_takes_more_only_with_its_foundation() {
    let error = model(Baseline::V2, &[("avx", true)]).resolve(&everything()).unwrap_err();
    assert_eq!(error.to_string(), "--cpu x86-64-v2,+avx: avx needs xsave, switch on +xsave too");
    assert!(model(Baseline::V2, &[("avx", true), ("xsave", true)]).resolve(&everything()).is_ok());
}

#[test]
fn lists_of_the_levels_are_features() {
    for name in Baseline::V3.required().chain(Baseline::V3.platform()) {
        assert_eq!(feature::find(name), Some(name));
    }
}
