//! Canonical's Firmware Test Suite, whose tests of ACPI tables run on a dump, without root and without the machine.
//!
//! Debian has it in no release but sid, so it runs in a folder of its own, with that release's loader and libraries.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use super::tables::{Dump, RSDP_AT, TABLES_AT};
use crate::debian::PrivateApt;
use crate::{files, paths};

/// The suite and what it is linked with.
const PACKAGES: [&str; 11] = [
    "fwts",
    "libatomic1",
    "libblkid1",
    "libc6",
    "libfdt1",
    "libffi8",
    "libglib2.0-0t64",
    "libmount1",
    "libpcre2-8-0",
    "libselinux1",
    "zlib1g",
];

/// Findings that were looked at and stay: how they begin, and why.
const REVIEWED: &[(&str, &str)] = &[
    (
        "FADT revision is outdated: 5.0",
        "the contract's; revision 6 adds nothing but the name of the hypervisor, which CPUID tells",
    ),
    (
        "VGEN._CID returned a string 'VM_GEN_COUNTER'",
        "Microsoft's specification of the device gives it this name, and drivers look for it",
    ),
    ("MCFGMMIONotReserved: ", "the memory map asked is that of this machine, not of the dump's"),
    ("MMapUnmappable: ", "the memory mapped is that of this machine, not of the dump's"),
];

/// The suite, unpacked.
pub(super) struct Fwts {
    root: PathBuf,
}

/// What the suite found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tested {
    pub(super) faults: Vec<String>,
    /// Findings of the list, with the reason they stay.
    pub(super) reviewed: Vec<String>,
    /// How many checks passed.
    pub(super) passed: usize,
}

impl Fwts {
    /// Fetches the suite, unless it is there.
    pub(super) fn fetch() -> anyhow::Result<Self> {
        let root = paths::target_dir("conformance")?.join("fwts");
        PrivateApt::open("sid", &["sid"], "main", false)?.unpack(&PACKAGES, &root)?;
        Ok(Self { root })
    }

    /// Runs all tests of tables on `dump`.
    pub(super) fn test(&self, dump: &Dump) -> anyhow::Result<Tested> {
        let (tables, log) = (dump.beside("acpidump.txt"), dump.beside("fwts.log"));
        files::write(&tables, acpidump(dump))?;
        let libraries = self.root.join("usr/lib/x86_64-linux-gnu");
        let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(format!("{0}:{0}/fwts", libraries.display()));
        command.arg(self.root.join("usr/bin/fwts"));
        command.arg("--json-data-path").arg(self.root.join("usr/share/fwts"));
        command.args([
            "--acpitests",
            "--quiet",
            "--force-clean",
            "--log-width",
            "200",
            "--klog",
            "/dev/null",
        ]);
        command.arg("--dumpfile").arg(&tables).arg("--results-output").arg(&log);
        let output = command.output().context("start fwts")?;
        let text = fs::read_to_string(&log)
            .with_context(|| format!("fwts: {}", String::from_utf8_lossy(&output.stderr).trim()))?;
        Ok(Tested::read(&text))
    }
}

impl Tested {
    /// Takes the results out of a log.
    fn read(log: &str) -> Self {
        let mut tested = Self::default();
        for line in log.lines() {
            if line.starts_with("PASSED: ") {
                tested.passed += 1;
            } else if ["FAILED ", "WARNING: ", "ABORTED: "].iter().any(|kind| line.starts_with(kind)) {
                tested.finding(line);
            }
        }
        if tested.passed == 0 {
            tested.faults.push("no test passed, so none ran".into());
        }
        tested
    }

    fn finding(&mut self, line: &str) {
        match REVIEWED.iter().find(|(known, _)| line.contains(known)) {
            Some((_, reason)) => self.reviewed.push(format!("fwts: {line} ({reason})")),
            None => self.faults.push(line.into()),
        }
    }
}

/// The tables as `acpidump` prints them.
fn acpidump(dump: &Dump) -> String {
    let mut text = table("RSD PTR", RSDP_AT, &dump.linked.rsdp);
    let mut address = TABLES_AT;
    for (signature, bytes) in dump.linked.each() {
        text += &table(signature, address, bytes);
        address += bytes.len() as u64;
    }
    text
}

fn table(name: &str, address: u64, bytes: &[u8]) -> String {
    let mut text = format!("{name} @ {address:#018x}\n");
    for (n, line) in bytes.chunks(16).enumerate() {
        let hex: Vec<_> = line.iter().map(|byte| format!("{byte:02X}")).collect();
        let ascii: String =
            line.iter().map(|&c| if c == b' ' || c.is_ascii_graphic() { c.into() } else { '.' }).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:04X}: {:<47}  {ascii}", 16 * n, hex.join(" "));
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_printed_as_acpidump_prints_it() {
        let expected = "APIC @ 0x0000000000100000\n  \
             0000: 41 50 49 43 00 01 02 03 04 05 06 07 08 09 0A 0B  APIC............\n  \
             0010: FF                                               .\n\n";
        assert_eq!(
            table("APIC", 1 << 20, b"APIC\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\xff"),
            expected
        );
    }

    #[test]
    fn findings_are_faults_unless_reviewed() {
        let log = "PASSED: Test 1, good.\nSKIPPED: Test 2, absent.\nWARNING: Test 3, FADT revision is outdated: 5.0\n\
                   FAILED [HIGH] Bad: Test 4, bad.\nABORTED: Test 5, gone.\n1 passed, 1 failed, 1 warning\n";
        let tested = Tested::read(log);
        assert_eq!(tested.faults, ["FAILED [HIGH] Bad: Test 4, bad.", "ABORTED: Test 5, gone."]);
        assert_eq!((tested.reviewed.len(), tested.passed), (1, 1));
    }

    #[test]
    fn log_of_nothing_is_a_fault() {
        assert_eq!(Tested::read("").faults, ["no test passed, so none ran"]);
    }
}
