//! Programs in a guest that keep one device busy: how fast they are, and what each of their operations costs the host.
//!
//! A [`Job`] lists cases: a device, how each VMM is told to have it, and the workloads on it. Both VMMs boot the same kernel
//! and disk for every case, one at a time and in turn. A workload is a line for the guest's shell that ends with printing
//! the operations it did and the milliseconds they took.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::measure::{self, SCRATCH};
use super::shell::Shell;
use super::tracing::{Kind, Trace};
use super::vmm::{Console, Files, Machine, Vmm};

/// What to measure, from outside the lab to its inside.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) machine: Machine,
    /// The disk with the guest's root, which is copied and never written.
    pub(super) image: PathBuf,
    pub(super) cases: Vec<Case>,
    /// How often each case is measured with each VMM.
    pub(super) rounds: u32,
    /// Where the samples go.
    pub(super) result: PathBuf,
}

/// A device.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Case {
    /// What people call it.
    pub(super) name: String,
    /// The arguments that give it to the machine; `{dir}` is a folder in memory.
    pub(super) ours: Vec<String>,
    pub(super) qemu: Vec<String>,
    /// A disk of so many MiB, not empty, or none if 0: `{dir}/disk.raw`.
    pub(super) disk_mib: u32,
    /// A line for the host's shell, which runs as long as the guest does; it ends with `exec`.
    pub(super) beside: Option<String>,
    /// What the guest's shell runs first.
    pub(super) prepare: String,
    pub(super) workloads: Vec<Workload>,
}

/// A program that keeps the device busy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Workload {
    /// What people call it.
    pub(super) name: String,
    /// A line for the guest's shell, that prints operations and milliseconds.
    pub(super) command: String,
}

/// What one run of a workload showed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) case: String,
    pub(super) workload: String,
    pub(super) vmm: Vmm,
    pub(super) operations: u64,
    pub(super) milliseconds: u64,
    /// Exits of the guest to KVM.
    pub(super) exits: u64,
    /// Those of them that KVM passed on to the VMM.
    pub(super) vmm_exits: u64,
    /// CPU time of the process without what the guest used, in milliseconds.
    pub(super) cpu_ms: u64,
}

/// Does the job in the file at `path` and writes its samples.
pub(super) fn run_file(path: &Path) -> anyhow::Result<()> {
    let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    run(&serde_json::from_slice(&text).context("read the job")?)
}

/// Does `job` and writes its samples.
///
/// # Errors
///
/// When this is not root, a VMM cannot be started or ends by itself, or a command in a guest fails.
pub(super) fn run(job: &Job) -> anyhow::Result<()> {
    let scratch = tempfile::Builder::new().prefix("tinderbox-bench-").tempdir_in(SCRATCH);
    let scratch = scratch.context("make a folder in /dev/shm")?;
    println!("copying the root disk into memory");
    let root = scratch.path().join("root.raw");
    measure::copy(&job.image, &root)?;
    let mut samples = Vec::new();
    for round in 1..=job.rounds {
        for case in &job.cases {
            for vmm in Vmm::turn(round) {
                println!("round {round} of {}, {}: {vmm}", job.rounds, case.name);
                let measured = case.measure(&job.machine, vmm, &root, scratch.path());
                samples.extend(measured.with_context(|| format!("{} of {vmm}", case.name))?);
            }
        }
    }
    let text = serde_json::to_vec(&samples).context("write the samples")?;
    fs::write(&job.result, text).with_context(|| format!("write {}", job.result.display()))
}

impl Case {
    /// Boots a guest with the device and runs all workloads, one after the other.
    fn measure(
        &self,
        machine: &Machine,
        vmm: Vmm,
        root: &Path,
        scratch: &Path,
    ) -> anyhow::Result<Vec<Sample>> {
        let dir = tempfile::tempdir_in(scratch).context("make a folder for one boot")?;
        if self.disk_mib > 0 {
            fill(&dir.path().join("disk.raw"), self.disk_mib)?;
        }
        let debugcon = dir.path().join("log");
        let files = Files { disk: root, snapshot: true, debugcon: &debugcon, console: Console::Stdio };
        let mut command = machine.command(vmm, &files);
        let more = if vmm == Vmm::Ours { &self.ours } else { &self.qemu };
        let here = dir.path().to_string_lossy();
        command.args(more.iter().map(|word| word.replace("{dir}", &here)));
        let _beside = self.beside.as_deref().map(Beside::start).transpose()?;
        let mut shell = Shell::start(&mut command)?;
        shell.run(&self.prepare)?;
        self.workloads.iter().map(|workload| self.sample(&mut shell, vmm, workload)).collect()
    }

    fn sample(&self, shell: &mut Shell, vmm: Vmm, workload: &Workload) -> anyhow::Result<Sample> {
        // Defined first, so that what is measured is not the typing of it, nor the reading of the program from the disk.
        shell.run(&format!("workload() {{ {}; }}; workload > /dev/null", workload.command))?;
        let trace = Trace::start(&[Kind::Exits, Kind::UserExits])?;
        let before = cpu_ms(shell.pid())?;
        let output = shell.run("workload")?;
        let cpu_ms = cpu_ms(shell.pid())?.saturating_sub(before);
        let tids = measure::threads(shell.pid())?;
        let (operations, milliseconds) =
            numbers(&output).with_context(|| format!("{} printed {output:?}", workload.name))?;
        Ok(Sample {
            case: self.name.clone(),
            workload: workload.name.clone(),
            vmm,
            operations,
            milliseconds,
            exits: total(&trace, Kind::Exits, &tids)?,
            vmm_exits: total(&trace, Kind::UserExits, &tids)?,
            cpu_ms,
        })
    }
}

/// A program of the host's, until it is dropped.
struct Beside(Child);

impl Beside {
    fn start(line: &str) -> anyhow::Result<Self> {
        Command::new("sh").args(["-c", line]).spawn().map(Self).with_context(|| format!("start {line}"))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn total(trace: &Trace, kind: Kind, tids: &BTreeSet<u64>) -> anyhow::Result<u64> {
    Ok(trace.counts(kind, tids)?.values().sum())
}

/// Makes a disk none of whose sectors is a hole.
fn fill(path: &Path, mib: u32) -> anyhow::Result<()> {
    let create = || -> std::io::Result<()> {
        let mut file = File::create(path)?;
        (0..mib).try_for_each(|n| file.write_all(&vec![n as u8 | 1; 1 << 20]))
    };
    create().with_context(|| format!("fill {}", path.display()))
}

/// The two numbers that a workload prints last.
fn numbers(output: &str) -> Option<(u64, u64)> {
    let mut words = output.lines().last()?.split_whitespace().map(str::parse);
    match (words.next()?, words.next()?, words.next()) {
        (Ok(operations), Ok(milliseconds), None) if operations > 0 && milliseconds > 0 => {
            Some((operations, milliseconds))
        }
        _ => None,
    }
}

/// The time that process `pid` has had processors, all threads of it and also those that ended, without its guest's.
fn cpu_ms(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let ticks = beside_guest(&text).with_context(|| format!("{path} says {text:?}"))?;
    let per_second = rustix::param::clock_ticks_per_second();
    ensure!(per_second > 0, "the host has no clock");
    Ok(ticks * 1000 / per_second)
}

/// `utime` + `stime` - `guest_time`, in ticks: proc(5), fields 14, 15 and 43.
fn beside_guest(stat: &str) -> Option<u64> {
    // The name in parentheses, field 2, may hold anything.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some((field(14)? + field(15)?).saturating_sub(field(43)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_last_line() {
        assert_eq!(numbers("warning: x\n4096 1200"), Some((4096, 1200)));
        assert_eq!(numbers("4096 1200\nfailed"), None);
        assert_eq!(numbers("4096 0"), None, "nothing is that fast");
        assert_eq!(numbers("1 2 3"), None);
        assert_eq!(numbers(""), None);
    }

    #[test]
    fn time_of_the_guest_is_taken_off_that_of_its_vmm() {
        let fields: Vec<_> = (3..=52).map(|number| number.to_string()).collect();
        let stat = format!("81 (a) b) {}", fields.join(" "));

        assert_eq!(beside_guest(&stat), Some(0), "14 + 15 is below 43");
        assert_eq!(beside_guest(&stat.replace(" 15 ", " 500 ")), Some(14 + 500 - 43));
        assert_eq!(beside_guest("81 (a"), None);
    }

    #[test]
    fn time_of_a_process_that_runs_is_read() {
        assert!(cpu_ms(std::process::id()).is_ok());
    }
}
