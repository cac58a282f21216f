//! The kernel's view of a VMM: when its process started, when its guest first ran, and why the guest stopped how often.
//!
//! Counting is done by histograms in the kernel, and the events of first entries stop with the first exit, so what is
//! measured is hardly slowed down. See `Documentation/trace/{events,histogram}.rst` of Linux.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// How often each reason occurred.
pub(super) type Counts = BTreeMap<String, u64>;

const TRACEFS: &str = "/sys/kernel/tracing";

/// What the kernel counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Exits of the guest to KVM, by the processor's reason.
    Exits,
    /// Exits of KVM to the VMM, by KVM's reason.
    UserExits,
    /// Port accesses, by port.
    Ports,
    /// Accesses to memory-mapped registers, by address.
    Registers,
}

impl Kind {
    const fn event(self) -> &'static str {
        match self {
            Self::Exits => "kvm/kvm_exit",
            Self::UserExits => "kvm/kvm_userspace_exit",
            Self::Ports => "kvm/kvm_pio",
            Self::Registers => "kvm/kvm_mmio",
        }
    }

    /// What a histogram of it is made of. An access in memory is seen twice when it reads, first without a value (type 0).
    const fn trigger(self) -> &'static str {
        match self {
            Self::Exits => "hist:keys=common_pid,isa,exit_reason",
            Self::UserExits => "hist:keys=common_pid,reason",
            Self::Ports => "hist:keys=common_pid,port,rw",
            Self::Registers => "hist:keys=common_pid,gpa,type if type != 0",
        }
    }

    /// What the occurrences with these keys are called.
    fn name(self, names: &Names, keys: &Keys<'_>) -> String {
        let key = |name| keys.get(name).copied().unwrap_or_default();
        match self {
            Self::Exits => names.of(usize::from(key("isa") != VMX), key("exit_reason")),
            Self::UserExits => names.of(0, key("reason")),
            Self::Ports => format!("port {:#06x} {}", key("port"), direction(key("rw") == 1)),
            Self::Registers => format!("{:#010x} {}", key("gpa"), direction(key("type") == 2)),
        }
    }
}

/// In an event of KVM with two tables of reasons, that of VMX comes first.
const VMX: u64 = 1;

const fn direction(is_write: bool) -> &'static str {
    if is_write { "write" } else { "read" }
}

/// A trace buffer of its own; dropped, it is gone.
pub(super) struct Trace {
    dir: PathBuf,
}

impl Trace {
    /// Starts to record process starts and first entries of guests, and to count `kinds`, of whoever.
    ///
    /// # Errors
    ///
    /// When this is not root, or the kernel lacks a part.
    pub(super) fn start(kinds: &[Kind]) -> anyhow::Result<Self> {
        mount_tracefs()?;
        let dir = Path::new(TRACEFS).join(format!("instances/tinderbox-bench-{}", std::process::id()));
        fs::create_dir(&dir).context("make a trace buffer: this needs root")?;
        let trace = Self { dir };
        // The clock of `CLOCK_MONOTONIC`.
        trace.set("trace_clock", "mono")?;
        trace.set("buffer_size_kb", "128")?;
        for kind in kinds {
            trace.add_trigger(kind.event(), kind.trigger())?;
        }
        trace.add_trigger(Kind::Exits.event(), "disable_event:kvm:kvm_entry:1")?;
        trace.set("events/sched/sched_process_exec/enable", "1")?;
        trace.set("events/kvm/kvm_entry/enable", "1")?;
        Ok(trace)
    }

    fn set(&self, file: &str, value: &str) -> anyhow::Result<()> {
        let path = self.dir.join(file);
        fs::write(&path, value).with_context(|| format!("write {value} to {}", path.display()))
    }

    fn add_trigger(&self, event: &str, trigger: &str) -> anyhow::Result<()> {
        let path = self.dir.join("events").join(event).join("trigger");
        // A file that is truncated loses the triggers it has.
        let mut file =
            File::options().append(true).open(&path).with_context(|| format!("open {}", path.display()))?;
        file.write_all(trigger.as_bytes()).with_context(|| format!("write {trigger} to {}", path.display()))
    }

    fn get(&self, file: &str) -> anyhow::Result<String> {
        let path = self.dir.join(file);
        fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    }

    /// When process `pid` started, and when a guest first ran after that, on `CLOCK_MONOTONIC`.
    ///
    /// # Errors
    ///
    /// When one of it has not happened.
    pub(super) fn start_and_first_entry(&self, pid: u32) -> anyhow::Result<(Duration, Duration)> {
        first_entry(&self.get("trace")?, pid).context("the trace has no start of the process, or no entry")
    }

    /// How often what happened in the threads in `tids`.
    ///
    /// # Errors
    ///
    /// When `kind` is not counted.
    pub(super) fn counts(&self, kind: Kind, tids: &BTreeSet<u64>) -> anyhow::Result<Counts> {
        let names = Names::parse(&self.get(&format!("events/{}/format", kind.event()))?);
        let text = self.get(&format!("events/{}/hist", kind.event()))?;
        let mut counts = Counts::new();
        for (keys, hits) in text.lines().filter_map(bucket) {
            if keys.get("common_pid").is_some_and(|tid| tids.contains(tid)) {
                *counts.entry(kind.name(&names, &keys)).or_default() += hits;
            }
        }
        Ok(counts)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // Left behind it would do no harm but cost a little.
        let _ = fs::remove_dir(&self.dir);
    }
}

fn mount_tracefs() -> anyhow::Result<()> {
    if !Path::new(TRACEFS).join("instances").exists() {
        let mut mount = Command::new("mount");
        let status = mount.args(["-t", "tracefs", "tracefs", TRACEFS]).status().context("start mount")?;
        ensure!(status.success(), "cannot mount tracefs: this needs root");
    }
    let kvm = Path::new(TRACEFS).join("events/kvm");
    ensure!(kvm.exists(), "{} is not there: is KVM loaded?", kvm.display());
    Ok(())
}

/// Finds both in the text of a trace, whose lines look like
/// `tinderbox-81  [001] .....  12.345678: sched_process_exec: filename=/t pid=81 old_pid=81`.
fn first_entry(trace: &str, pid: u32) -> Option<(Duration, Duration)> {
    let mut lines = trace.lines().filter(|line| !line.starts_with('#'));
    let wanted = format!(" pid={pid} ");
    let exec = lines.find(|line| line.contains(" sched_process_exec: ") && line.contains(&wanted))?;
    let entry = lines.find(|line| line.contains(" kvm_entry: "))?;
    Some((time_of(exec)?, time_of(entry)?))
}

fn time_of(line: &str) -> Option<Duration> {
    let stamp = line.split(' ').find_map(|word| word.strip_suffix(':').filter(|word| word.contains('.')))?;
    let (seconds, micros) = stamp.split_once('.')?;
    Some(Duration::from_secs(seconds.parse().ok()?) + Duration::from_micros(micros.parse().ok()?))
}

type Keys<'a> = BTreeMap<&'a str, u64>;

/// A line of a histogram: `{ common_pid: 12, exit_reason: 120 } hitcount: 3`.
fn bucket(line: &str) -> Option<(Keys<'_>, u64)> {
    let (keys, hits) = line.strip_prefix('{')?.split_once('}')?;
    let hits = hits.trim().strip_prefix("hitcount:")?.trim().parse().ok()?;
    let key = |pair: &'_ str| -> Option<u64> { pair.trim().parse().ok() };
    let keys = keys.split(',').filter_map(|pair| pair.split_once(':'));
    Some((keys.filter_map(|(name, value)| Some((name.trim(), key(value)?))).collect(), hits))
}

/// What the kernel calls the reasons: the tables in an event's print format, in their order.
struct Names(Vec<BTreeMap<u64, String>>);

impl Names {
    fn parse(format: &str) -> Self {
        Self(format.split("__print_symbolic(").skip(1).map(table).collect())
    }

    /// The name of `reason` in the n-th table.
    fn of(&self, table: usize, reason: u64) -> String {
        let name = self.0.get(table).and_then(|table| table.get(&reason));
        name.cloned().unwrap_or_else(|| format!("reason {reason:#x}"))
    }
}

/// Pairs like `{ 0x040 + 6, "UD excp" }, { 2, "KVM_EXIT_" "IO" }` up to the closing parenthesis.
fn table(text: &str) -> BTreeMap<u64, String> {
    let end = text.find("})").unwrap_or(text.len());
    let pairs = text.get(..end).unwrap_or_default().split('{').skip(1);
    pairs.filter_map(|pair| pair.split_once(',')).filter_map(|(n, s)| Some((sum(n)?, literal(s)))).collect()
}

/// Numbers with plus signs between.
fn sum(text: &str) -> Option<u64> {
    text.split('+').map(|term| number(term.trim())).sum()
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Adjacent C strings as one, in lower case and without the prefix that all of KVM's have.
fn literal(text: &str) -> String {
    let joined: String = text.split('"').skip(1).step_by(2).collect();
    joined.trim_start_matches("KVM_EXIT_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = r#"print fmt: "reason %s", (REC->isa == 1) ? __print_symbolic(REC->exit_reason & 0xffff, { 0, "EXCEPTION_NMI" }, { 12, "HLT" }) : __print_symbolic(REC->exit_reason, { 0x040 + 6, "UD excp" }, { 0x078, "hlt" }), (REC->isa == 1) ? __print_flags(REC->x, " ", { 0x80, "FAILED" }) : """#;

    #[test]
    fn bucket_reads_keys_and_hits() {
        let line =
            "{ common_pid:       1234, isa:          2, exit_reason:        120 } hitcount:         17";

        let (keys, hits) = bucket(line).unwrap();

        assert_eq!(hits, 17);
        assert_eq!(keys, Keys::from([("common_pid", 1234), ("isa", 2), ("exit_reason", 120)]));
    }

    #[test]
    fn bucket_is_none_for_other_lines() {
        assert!(bucket("# event histogram").is_none());
        assert!(bucket("    Hits: 0").is_none());
    }

    fn exit_name(isa: u64, exit_reason: u64) -> String {
        Kind::Exits.name(&Names::parse(FORMAT), &Keys::from([("isa", isa), ("exit_reason", exit_reason)]))
    }

    #[test]
    fn name_of_an_exit_comes_from_the_table_of_the_processor() {
        assert_eq!(exit_name(1, 12), "hlt");
        assert_eq!(exit_name(2, 0x46), "ud excp");
        assert_eq!(exit_name(2, 12), "reason 0xc");
    }

    #[test]
    fn name_of_an_exit_to_the_vmm_has_no_prefix() {
        let names = Names::parse(r#"__print_symbolic(REC->reason, { 2, "KVM_EXIT_" "IO" })"#);

        assert_eq!(Kind::UserExits.name(&names, &Keys::from([("reason", 2)])), "io");
    }

    #[test]
    fn name_of_an_access_has_its_address_and_direction() {
        let names = Names::parse("");

        assert_eq!(Kind::Ports.name(&names, &Keys::from([("port", 0x3f8), ("rw", 1)])), "port 0x03f8 write");
        let read = Keys::from([("gpa", 0xfec0_0010), ("type", 1)]);
        assert_eq!(Kind::Registers.name(&names, &read), "0xfec00010 read");
    }

    #[test]
    fn first_entry_belongs_to_the_process_that_was_started() {
        let trace = "\
# tracer: nop
        sh-80  [000] ..... 10.000001: sched_process_exec: filename=/bin/sh pid=80 old_pid=80
     other-70  [001] d.... 10.500000: kvm_entry: vcpu 0, rip 0x10
 tinderbox-81  [001] ..... 11.000002: sched_process_exec: filename=/t pid=81 old_pid=81
     vcpu0-83  [000] d.... 11.250000: kvm_entry: vcpu 0, rip 0xfff0
";

        let (start, entry) = first_entry(trace, 81).unwrap();

        assert_eq!(start, Duration::from_micros(11_000_002));
        assert_eq!(entry - start, Duration::from_micros(249_998));
        assert!(first_entry(trace, 99).is_none());
    }
}
