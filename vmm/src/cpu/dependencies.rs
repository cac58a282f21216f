//! Which features other features are built on (Intel SDM 1, 13 and 14; AMD APM 1, 4).

/// A feature and those that need it. Extended state needs XSAVE; each vector width needs the one before.
pub(super) const NEEDS: &[(&str, &str)] = &[
    ("apic", "x2apic tsc_deadline_timer extapic"),
    ("tsc", "tsc_deadline_timer tsc_adjust rdtscp invtsc"),
    ("pse", "pse36"),
    ("pae", "lm"),
    ("lm", "lahf_lm pdpe1gb la57 pcid lam cx16"),
    ("fpu", "mmx fxsr xsave"),
    ("mmx", "mmxext 3dnow"),
    ("3dnow", "3dnowext"),
    ("fxsr", "fxsr_opt sse"),
    ("sse", "sse2 misalignsse"),
    ("sse2", "pni aes pclmulqdq sha_ni gfni"),
    ("pni", "ssse3 sse4a"),
    ("ssse3", "sse4_1"),
    ("sse4_1", "sse4_2"),
    ("xsave", "xsaveopt xsavec xgetbv1 xsaves xfd avx pku mpx xsaveerptr lwp"),
    ("xsavec", "xsaves xfd"),
    ("xsaves", "shstk"),
    ("xfd", "amx_tile"),
    ("amx_tile", "amx_bf16 amx_int8 amx_fp16 amx_complex"),
    ("avx", "avx2 fma f16c xop fma4 vaes vpclmulqdq sm3"),
    ("avx2", "avx512f avx_vnni avx_ifma avx_vnni_int8 avx_ne_convert avx_vnni_int16 sha512 sm4"),
    ("aes", "vaes"),
    ("pclmulqdq", "vpclmulqdq"),
    (
        "avx512f",
        "avx512dq avx512ifma avx512pf avx512er avx512cd avx512bw avx512vl avx512vbmi avx512_vbmi2 avx512_vnni \
         avx512_bitalg avx512_vpopcntdq avx512_4vnniw avx512_4fmaps avx512_vp2intersect",
    ),
    ("avx512bw", "avx512vbmi avx512_vbmi2 avx512_bitalg avx512_bf16 avx512_fp16"),
    ("vmx", "smx"),
    ("svm", "skinit"),
    ("kvmclock", "kvmclock_stable_bit"),
    ("kvm_asyncpf", "kvm_asyncpf_vmexit kvm_asyncpf_int"),
];

/// Components of extended state (Intel SDM 1, 13.1; bits of XCR0 and IA32_XSS), each with the features that use it.
/// A component goes when all of them are off.
pub(super) const XSTATE: &[(u64, &[&str])] = &[
    (1 << 2, &["avx"]),
    (0b11 << 3, &["mpx"]),
    (0b111 << 5, &["avx512f"]),
    (1 << 8, &["intel_pt"]),
    (1 << 9, &["pku"]),
    (0b11 << 11, &["shstk", "ibt"]),
    (0b11 << 17, &["amx_tile"]),
];

#[cfg(test)]
mod tests {
    use super::super::feature;
    use super::*;

    #[test]
    fn every_name_is_a_feature() {
        let dependents = NEEDS.iter().flat_map(|(_, dependents)| dependents.split_ascii_whitespace());
        let users = XSTATE.iter().flat_map(|(_, users)| users.iter().copied());
        for name in NEEDS.iter().map(|(base, _)| *base).chain(dependents).chain(users) {
            assert_eq!(feature::find(name), Some(name));
        }
    }
}
