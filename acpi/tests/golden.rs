//! Byte identity with QEMU: the hashes are those of the tables that QEMU's own tests expect of its `microvm` machine.
//!
//! Pointers are zero there and the checksum counts them as zero, so the tables are those of a machine at address 0 with
//! the pointers taken out.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod machine;

use machine::Options;
use rstest::rstest;
use sha2::{Digest, Sha256};

/// The table of that signature, linked, with `pointers` zeroed and the checksum made good.
fn table(options: &Options, signature: &str, pointers: &[std::ops::Range<usize>]) -> Vec<u8> {
    let resolved = options.tables().resolve(machine::TABLES_AT, machine::RSDP_AT).unwrap();
    let mut table = resolved.each().into_iter().find(|(name, _)| *name == signature).unwrap().1.to_vec();
    for pointer in pointers {
        table[pointer.clone()].fill(0);
    }
    let sum = table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    table[9] = table[9].wrapping_sub(sum);
    table
}

fn hash(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[rstest]
#[case::ioapic1(Options::default(), "22441f8a9d03e6527d914cbec260fca8989b98df279225b3b4b98d08d0b04d7a")]
#[case::ioapic2(Options::with_ioapic2(), "9c41cd6659a143f860cc6d8d7998ec01f0df8ee477bba35151f1059353d0d170")]
#[case::rtc(
    Options { rtc: true, ..Options::default() },
    "82e411e11a6f9524c59ace45518764cab4dd3fbb850d282ced8d5550ca265281"
)]
#[case::usb(
    Options { usb: true, ..Options::default() },
    "5080eef0009bcd4157b6f5c808e8af0fa6ecd085b1b820419978434144574bd0"
)]
#[case::pcie(
    Options { pcie: true, ..Options::default() },
    "c8fa7605792dee647e0b59ac8d8347bf1fd055883ed063fe4686033cced35679"
)]
fn dsdt_equals_qemus(#[case] options: Options, #[case] expected: &str) {
    assert_eq!(hash(&table(&options, "DSDT", &[])), expected);
}

#[rstest]
#[case::ioapic1(Options::default(), "ecf5e88ab792969c0a75f7e8b1c93e581ed0b87eb2f1b53b9d39cfe210a4da70")]
#[case::ioapic2(Options::with_ioapic2(), "23a7d8e6d1c71df4c523735565167fc8da5df9d3b14c3a10351e1510dd0cc59f")]
#[case::overrides(
    Options { pcie: true, ..Options::default() },
    "3fafee1d4553c19a54755a810766db570ad6d5bae7aae0d4130c8bb1afd09861"
)]
fn madt_equals_qemus(#[case] options: Options, #[case] expected: &str) {
    assert_eq!(hash(&table(&options, "APIC", &[])), expected);
}

#[test]
fn fadt_equals_qemus() {
    let table = table(&Options::default(), "FACP", &[40..44, 140..148]);
    assert_eq!(hash(&table), "2c55995925d27e7119a25578748e78753b88024c5d8cbd93376cacfe6355701f");
}
