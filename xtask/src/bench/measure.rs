//! The measurement itself, on a host with `/dev/kvm`: both VMMs boot in turn, one at a time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};

use super::memory::{self, Overhead};
use super::serial::{self, Channel};
use super::tracing::{Counts, Kind, Trace};
use super::vmm::{Console, Files, Machine, Start, Vmm};
use crate::image::marker;

/// The line on the debug console with which SeaBIOS leaves for the boot sector.
const BOOT_SECTOR: &str = "Booting from 0000:7c00";
/// A boot that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(900);
/// Where disks are copied to: memory, so that the host's storage plays no part.
pub(super) const SCRATCH: &str = "/dev/shm";

/// What to measure, from outside the lab to its inside.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) machine: Machine,
    /// The disk, which is copied and never written.
    pub(super) image: PathBuf,
    /// Boots of each VMM that end at the early mark.
    pub(super) short: u32,
    /// Boots of each VMM that go on to userspace.
    pub(super) full: u32,
    /// Whether to count accesses by address, which takes time.
    pub(super) accesses: bool,
    /// Where the samples go.
    pub(super) result: PathBuf,
}

/// How far a boot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// The boot sector, or where there is none, the kernel's first line.
    Early,
    Userspace,
}

impl Start {
    /// What the early mark is.
    pub(super) const fn early(&self) -> &'static str {
        match self {
            Self::Firmware => "boot sector",
            Self::Kernel { .. } => "kernel's first line",
        }
    }

    /// The early mark on the debug console.
    const fn logged(&self) -> &'static [&'static str] {
        match self {
            Self::Firmware => &[BOOT_SECTOR],
            Self::Kernel { .. } => &[],
        }
    }

    /// The marks on the serial port.
    const fn printed(&self) -> &'static [&'static str] {
        match self {
            Self::Firmware => &[marker::BOOT_LOADER, marker::KERNEL, marker::USERSPACE],
            Self::Kernel { .. } => &[marker::KERNEL, marker::USERSPACE],
        }
    }
}

/// What one boot showed. Times in microseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) vmm: Vmm,
    /// From the start of the process to the first instruction of its guest.
    pub(super) first_instruction: u64,
    /// From the first instruction to the early mark.
    pub(super) early: u64,
    pub(super) exits_to_early: Exits,
    pub(super) rest: Option<Rest>,
}

/// What a boot showed that went on to userspace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Rest {
    /// From the first instruction, like the next two.
    pub(super) boot_loader: Option<u64>,
    pub(super) kernel: u64,
    pub(super) userspace: u64,
    /// All since the first instruction.
    pub(super) exits_to_userspace: Exits,
    pub(super) overhead: Overhead,
}

/// Why the guest stopped how often.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Exits {
    /// All, by the processor's reason.
    pub(super) kvm: Counts,
    /// Those that KVM passed on to the VMM, by KVM's reason.
    pub(super) vmm: Counts,
    /// Port accesses and accesses to memory-mapped registers, by address, if asked for.
    pub(super) accesses: Counts,
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
/// When this is not root, a VMM cannot be started or ends by itself, or its guest does not get where it should.
pub(super) fn run(job: &Job) -> anyhow::Result<()> {
    let scratch = tempfile::Builder::new().prefix("tinderbox-bench-").tempdir_in(SCRATCH);
    let bench = Bench { job, scratch: scratch.context("make a folder in /dev/shm")? };
    println!("copying the disk into memory");
    copy(&job.image, &bench.pristine())?;
    bench.rounds("warm-up, not counted", 1, Goal::Early)?;
    let mut samples =
        bench.rounds(&format!("to the {}", job.machine.start.early()), job.short, Goal::Early)?;
    samples.extend(bench.rounds("to userspace", job.full, Goal::Userspace)?);
    let text = serde_json::to_vec(&samples).context("write the samples")?;
    fs::write(&job.result, text).with_context(|| format!("write {}", job.result.display()))
}

impl Job {
    fn counted(&self) -> &'static [Kind] {
        const ALL: &[Kind] = &[Kind::Exits, Kind::UserExits, Kind::Ports, Kind::Registers];
        if self.accesses { ALL } else { &[Kind::Exits, Kind::UserExits] }
    }
}

struct Bench<'a> {
    job: &'a Job,
    scratch: tempfile::TempDir,
}

impl Bench<'_> {
    fn pristine(&self) -> PathBuf {
        self.scratch.path().join("pristine.raw")
    }

    /// Boots each VMM `count` times; who begins changes.
    fn rounds(&self, what: &str, count: u32, goal: Goal) -> anyhow::Result<Vec<Sample>> {
        let mut samples = Vec::new();
        for round in 1..=count {
            for vmm in Vmm::turn(round) {
                println!("boot {round} of {count} {what}: {vmm}");
                samples.push(self.boot(vmm, goal).with_context(|| format!("boot {vmm}"))?);
            }
        }
        Ok(samples)
    }

    fn boot(&self, vmm: Vmm, goal: Goal) -> anyhow::Result<Sample> {
        let dir = tempfile::tempdir_in(self.scratch.path()).context("make a folder for one boot")?;
        // A disk as it came for each guest that writes; up to the boot sector none does.
        let disk = match goal {
            Goal::Early => self.pristine(),
            Goal::Userspace => dir.path().join("disk.raw"),
        };
        if goal == Goal::Userspace {
            copy(&self.pristine(), &disk)?;
        }
        let start_with = &self.job.machine.start;
        let log = Channel::create(dir.path().join("log"), start_with.logged())?;
        let serial = Channel::create(dir.path().join("serial"), start_with.printed())?;
        let console = Console::File(serial.path());
        let files = Files { disk: &disk, snapshot: false, debugcon: log.path(), console };
        let mut command = self.job.machine.command(vmm, &files);
        let counted = self.job.counted();
        let trace = Trace::start(counted)?;
        let mut running = Running { child: start(&mut command)?, trace, counted, log, serial };
        running.sample(vmm, goal, u64::from(self.job.machine.memory_mib) << 10)
    }
}

fn start(command: &mut Command) -> anyhow::Result<Child> {
    command.spawn().with_context(|| format!("start {}", command.get_program().display()))
}

/// Copies a disk; its holes stay holes.
pub(super) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut cp = Command::new("cp");
    let status = cp.args(["--sparse=always", "--"]).arg(from).arg(to).status().context("start cp")?;
    ensure!(status.success(), "cannot copy {}", from.display());
    Ok(())
}

/// A VMM at work; dropped, it is killed.
struct Running {
    child: Child,
    trace: Trace,
    counted: &'static [Kind],
    log: Channel,
    serial: Channel,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn sample(&mut self, vmm: Vmm, goal: Goal, ram_kib: u64) -> anyhow::Result<Sample> {
        self.wait_until(|running| running.early().is_some())?;
        let exits_to_early = self.exits()?;
        let (start, entry) = self.trace.start_and_first_entry(self.child.id())?;
        let rest = match goal {
            Goal::Early => None,
            Goal::Userspace => Some(self.rest(entry, ram_kib)?),
        };
        let early = self.early().context("no early mark")?;
        Ok(Sample {
            vmm,
            first_instruction: micros(start, entry),
            early: micros(entry, early),
            exits_to_early,
            rest,
        })
    }

    /// When the early mark came: what the firmware logs, or else what is printed first.
    fn early(&self) -> Option<Duration> {
        let marks = if self.log.expects_nothing() { &self.serial } else { &self.log };
        marks.came().first().copied()
    }

    fn rest(&mut self, entry: Duration, ram_kib: u64) -> anyhow::Result<Rest> {
        self.wait_until(|running| running.serial.is_complete())?;
        let exits_to_userspace = self.exits()?;
        let overhead = memory::overhead(self.child.id(), ram_kib)?;
        let (boot_loader, kernel, userspace) = match *self.serial.came() {
            [boot_loader, kernel, userspace] => (Some(boot_loader), kernel, userspace),
            [kernel, userspace] => (None, kernel, userspace),
            _ => bail!("no login prompt"),
        };
        Ok(Rest {
            boot_loader: boot_loader.map(|boot_loader| micros(entry, boot_loader)),
            kernel: micros(entry, kernel),
            userspace: micros(entry, userspace),
            exits_to_userspace,
            overhead,
        })
    }

    fn wait_until(&mut self, is_there: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !is_there(self) {
            serial::wait(&mut [&mut self.log, &mut self.serial], Duration::from_secs(1))?;
            if let Some(status) = self.child.try_wait().context("wait for the VMM")? {
                bail!("it ended with {status}, after {}", self.last_words());
            }
            ensure!(
                Instant::now() < deadline,
                "too slow: {} s, last came {}",
                PATIENCE.as_secs(),
                self.last_words()
            );
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        format!("firmware: {:?} serial port: {:?}", self.log.tail(), self.serial.tail())
    }

    fn exits(&self) -> anyhow::Result<Exits> {
        let tids = threads(self.child.id())?;
        let mut exits = Exits::default();
        for &kind in self.counted {
            let counts = self.trace.counts(kind, &tids)?;
            match kind {
                Kind::Exits => exits.kvm = counts,
                Kind::UserExits => exits.vmm = counts,
                Kind::Ports | Kind::Registers => exits.accesses.extend(counts),
            }
        }
        Ok(exits)
    }
}

/// The ids of the threads of process `pid`.
pub(super) fn threads(pid: u32) -> anyhow::Result<BTreeSet<u64>> {
    let path = format!("/proc/{pid}/task");
    let entries = fs::read_dir(&path).with_context(|| format!("read {path}"))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

fn micros(from: Duration, to: Duration) -> u64 {
    u64::try_from(to.saturating_sub(from).as_micros()).unwrap_or(u64::MAX)
}
