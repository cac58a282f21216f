//! `tinderbox doctor`: what this host can do, what would not work, and how to mend it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use firmware::Catalogue;
use rustix::process::{Resource, getrlimit};

use super::failure::Failure;
use super::print;
use super::table::columns;
use crate::host;
use crate::kvm::{self, Kvm, Verdict};

/// Files that a machine with many disks and queues opens.
const ENOUGH_FILES: u64 = 1024;

/// What is looked at.
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// The KVM device
    #[arg(long, value_name = "PATH", default_value = "/dev/kvm")]
    kvm: PathBuf,
}

/// How good a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    Good,
    /// Something optional would not work.
    Limited,
    /// No machine, or none with a 64-bit system, would work.
    Bad,
}

impl Grade {
    const fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Limited => "limited",
            Self::Bad => "BAD",
        }
    }
}

/// One thing that was looked at.
struct Finding {
    grade: Grade,
    subject: &'static str,
    text: String,
    /// What to do, one line each.
    remedies: Vec<String>,
}

impl Finding {
    fn new(grade: Grade, subject: &'static str, text: impl Into<String>) -> Self {
        Self { grade, subject, text: text.into(), remedies: Vec::new() }
    }

    fn good(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(Grade::Good, subject, text)
    }

    fn mend(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }
}

/// Looks at everything; the status is 1 if no 64-bit guest would run.
pub(crate) fn run(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let findings = examine(&args.kvm);
    print(&report(&findings))?;
    let worst = findings.iter().map(|finding| finding.grade).max();
    Ok(if worst == Some(Grade::Bad) { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn examine(device: &Path) -> Vec<Finding> {
    let kvm = Kvm::open(device).ok();
    let mut findings = vec![verdict(device, &kvm::probe(device))];
    findings.extend(kvm.iter().flat_map(|kvm| [capabilities(kvm), vcpus(kvm)]));
    findings.extend([nesting(), memory(), address_bits(), firmware(&Catalogue::standard()), files()]);
    findings.extend([
        ring(block::probe_io_uring()),
        tap(),
        passt(),
        pass_through(Path::new("/sys/kernel/iommu_groups")),
    ]);
    findings
}

fn report(findings: &[Finding]) -> String {
    let row = |finding: &Finding| [finding.grade.word().into(), finding.subject.into(), finding.text.clone()];
    let table = columns(&findings.iter().map(row).collect::<Vec<_>>());
    let remedies: String = findings
        .iter()
        .flat_map(|finding| {
            finding.remedies.iter().map(|remedy| format!("  {}: {remedy}\n", finding.subject))
        })
        .collect();
    if remedies.is_empty() { table } else { format!("{table}\nto mend\n{remedies}") }
}

fn verdict(device: &Path, verdict: &Verdict) -> Finding {
    let subject = "KVM";
    match verdict {
        Verdict::Full => Finding::good(subject, format!("{} runs 64-bit guests", device.display())),
        Verdict::Limited(why) => {
            Finding::new(Grade::Bad, subject, format!("{} runs no 64-bit guest: {why}", device.display()))
                .mend("SeaBIOS and its boot sectors run, slowly; for more use a host with hardware virtualisation")
                .mend("in a virtual machine, have its host pass on the processor's virtualisation (nesting)")
        }
        Verdict::Absent(error) => Finding::new(Grade::Bad, subject, error.to_string()).mend(match flags() {
            Some(flag) => format!("the processor has it ({flag}), so it is the module or the permission"),
            None => "the processor shows neither vmx nor svm: turn virtualisation on in its firmware, or nesting in \
                     the host of this virtual machine"
                .into(),
        }),
    }
}

/// The processor's word for hardware virtualisation.
fn flags() -> Option<&'static str> {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("flags"))?;
    ["vmx", "svm"].into_iter().find(|flag| line.split_ascii_whitespace().any(|word| word == *flag))
}

fn capabilities(kvm: &Kvm) -> Finding {
    let subject = "capabilities";
    let all = kvm.capabilities();
    let missing: Vec<_> = all.iter().filter(|capability| !capability.present).collect();
    if missing.is_empty() {
        return Finding::good(subject, format!("all {} that are of use", all.len()));
    }
    let names: Vec<_> = missing.iter().map(|capability| capability.name).collect();
    let finding = Finding::new(Grade::Limited, subject, format!("without {}", names.join(", ")));
    missing.iter().fold(finding, |finding, capability| {
        finding
            .mend(format!("{} is needed for {}: use a newer kernel", capability.name, capability.needed_for))
    })
}

fn vcpus(kvm: &Kvm) -> Finding {
    let (tested, most) = kvm.vcpu_limits();
    let here = std::thread::available_parallelism().map_or(1, usize::from);
    Finding::good("vCPUs", format!("{most} at most, {tested} recommended; this host has {here} processors"))
}

/// Whether guests can run guests of their own.
fn nesting() -> Finding {
    let read = |module: &str| fs::read_to_string(format!("/sys/module/{module}/parameters/nested")).ok();
    match ["kvm_intel", "kvm_amd"].into_iter().find_map(read).as_deref().map(str::trim) {
        Some("1" | "Y") => Finding::good("nesting", "guests can run guests of their own"),
        Some(_) => Finding::new(Grade::Limited, "nesting", "guests cannot run guests of their own")
            .mend("load kvm_intel or kvm_amd with nested=1, if they shall"),
        None => Finding::good("nesting", "this kernel does not say"),
    }
}

fn memory() -> Finding {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    let (total, free) = (kib("MemTotal") >> 10, kib("MemAvailable") >> 10);
    let (pages, size) = (kib("HugePages_Free"), kib("Hugepagesize") >> 10);
    Finding::good(
        "memory",
        format!("{total} MiB, {free} MiB available; {pages} huge pages of {size} MiB free"),
    )
}

fn address_bits() -> Finding {
    match host::physical_address_bits() {
        Ok(bits) => Finding::good("addresses", format!("{bits} physical address bits")),
        Err(error) => Finding::new(Grade::Bad, "addresses", error.to_string()),
    }
}

fn firmware(catalogue: &Catalogue) -> Finding {
    let names: Vec<_> = catalogue.iter().map(|entry| entry.name.as_str()).collect();
    let faults: Vec<_> = catalogue.faults().iter().map(ToString::to_string).collect();
    if names.is_empty() {
        return Finding::new(Grade::Limited, "firmware", "none is bundled")
            .mend("build it with `cargo xtask firmware build seabios`, or give a file with --firmware FILE");
    }
    let grade = if faults.is_empty() { Grade::Good } else { Grade::Limited };
    faults.into_iter().fold(Finding::new(grade, "firmware", names.join(", ")), Finding::mend)
}

/// Open files, of which each queue of each device takes some.
fn files() -> Finding {
    match getrlimit(Resource::Nofile).maximum {
        Some(limit) if limit < ENOUGH_FILES => {
            Finding::new(Grade::Limited, "open files", format!("{limit} at most"))
                .mend(format!("machines with many disks need more: `ulimit -Hn {ENOUGH_FILES}`"))
        }
        Some(limit) => Finding::good("open files", format!("{limit} at most")),
        None => Finding::good("open files", "no limit"),
    }
}

/// What disks do several things at a time with.
fn ring(probed: io::Result<()>) -> Finding {
    let subject = "io_uring";
    match probed {
        Ok(()) => Finding::good(subject, "raw disks on virtio-blk and NVMe use it"),
        Err(error) => Finding::new(Grade::Limited, subject, format!("disks use threads instead: {error}"))
            .mend(
                "allow it with sysctl kernel.io_uring_disabled=0, and in a container by its seccomp profile",
            ),
    }
}

fn tap() -> Finding {
    match OpenOptions::new().read(true).write(true).open("/dev/net/tun") {
        Ok(File { .. }) => Finding::good("tap", "/dev/net/tun opens"),
        Err(error) => Finding::new(Grade::Limited, "tap", format!("/dev/net/tun: {error}"))
            .mend("--net tap needs it: load the module tun, or use --net passt"),
    }
}

/// PCI functions of the host for a guest, which an IOMMU must keep from the host's memory.
fn pass_through(groups: &Path) -> Finding {
    let subject = "VFIO";
    match fs::read_dir(groups).map_or(0, Iterator::count) {
        0 => Finding::new(Grade::Limited, subject, "no IOMMU: no PCI function can be handed to a guest").mend(
            "turn on VT-d or AMD-Vi in the host's firmware, and boot its Linux with intel_iommu=on; in a virtual machine, its host must \
             give it one",
        ),
        count => Finding::good(subject, format!("{count} IOMMU groups, of whose functions guests can have some (--device vfio)")),
    }
}

fn passt() -> Finding {
    let path = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&path).map(|folder| folder.join("passt")).find(|file| file.is_file()) {
        Some(file) => Finding::good("passt", file.display().to_string()),
        None => Finding::new(Grade::Limited, "passt", "not installed")
            .mend("--net passt needs it: install the package passt"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_without_kvm_is_bad_and_says_what_to_do() {
        let findings = examine("/nonexistent/kvm".as_ref());
        let text = report(&findings);
        assert!(text.starts_with("  BAD "), "{text}");
        assert!(text.contains("/nonexistent/kvm does not exist: load the module"), "{text}");
        assert!(text.contains("\nto mend\n  KVM: "), "{text}");
    }

    #[test]
    fn limited_kvm_is_bad_and_a_full_one_good() {
        let device = Path::new("/dev/kvm");
        assert_eq!(verdict(device, &Verdict::Limited("slow".into())).grade, Grade::Bad);
        let good = verdict(device, &Verdict::Full);
        assert_eq!((good.grade, good.remedies.len()), (Grade::Good, 0));
    }

    #[test]
    fn report_lists_remedies_below_the_table() {
        let finding = Finding::new(Grade::Limited, "tap", "no").mend("load tun");
        assert_eq!(
            report(&[Finding::good("KVM", "yes"), finding]),
            "  ok       KVM  yes\n  limited  tap  no\n\nto mend\n  tap: load tun\n"
        );
    }

    #[test]
    fn host_without_a_ring_is_limited() {
        assert_eq!(ring(Ok(())).grade, Grade::Good);
        let without = ring(Err(io::ErrorKind::PermissionDenied.into()));
        assert!(
            without.grade == Grade::Limited && without.remedies[0].contains("kernel.io_uring_disabled=0")
        );
    }

    #[test]
    fn pass_through_needs_an_iommu() {
        let groups = tempfile::tempdir().unwrap();
        let without = pass_through(groups.path());
        assert!(without.grade == Grade::Limited && without.remedies[0].contains("intel_iommu=on"));
        fs::create_dir(groups.path().join("0")).unwrap();
        assert!(pass_through(groups.path()).grade == Grade::Good);
        assert!(pass_through(Path::new("/nowhere")).grade == Grade::Limited);
    }
}
