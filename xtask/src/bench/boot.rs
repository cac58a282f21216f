//! `cargo xtask bench boot` and `bench direct`: builds all that takes part, has it measured, and shows the result.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::measure::{self, Job, Sample};
use super::report::{Report, Setup};
use super::vmm::{Machine, Start};
use crate::accel::{self, Accel};
use crate::lab::{self, Lab};
use crate::{check, files, firmware, image, paths};

/// The lab is switched off after this.
const LAB_LIMIT: Duration = Duration::from_secs(2 * 3600);

/// What a kernel of Debian's that no boot loader started is told, beside its root.
const CMDLINE: &str = "ro console=ttyS0,115200 loglevel=6 cryptomgr.notests init_on_alloc=0";

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// SeaBIOS boots the disk.
    Boot,
    /// The kernel of the disk is given to the VMM.
    Direct,
}

/// Options of the verb.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Boots of each VMM that end at the boot sector, or at the kernel's first line; medians count
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    short: u32,
    /// Boots of each VMM to userspace
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    full: u32,
    /// RAM of the guests in MiB
    #[arg(long, value_name = "MIB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(128..=3072))]
    memory: u32,
    /// vCPUs of the guests
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: u32,
    /// Count accesses to devices by address, too: it slows both down a little
    #[arg(long)]
    accesses: bool,
    /// Where to measure [default: on this machine's /dev/kvm if it is good enough, else in the lab]
    #[arg(long, value_enum)]
    accel: Option<Accel>,
    /// Write all numbers to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Do the job in this file: how the verb calls itself in the lab
    #[arg(long, value_name = "FILE", hide = true)]
    inside: Option<PathBuf>,
}

/// Does it.
pub(super) fn run(args: &Args, way: Way) -> anyhow::Result<ExitCode> {
    if let Some(job) = &args.inside {
        measure::run_file(job)?;
        return Ok(ExitCode::SUCCESS);
    }
    let report = compare(args, way)?;
    print!("{report}");
    if let Some(path) = &args.json {
        files::write(path, format!("{:#}\n", report.json()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn compare(args: &Args, way: Way) -> anyhow::Result<Report> {
    let machine = parts(way, args.memory, args.cpus)?;
    let (accel, work) = place_to_work(args.accel, &machine)?;
    let job = Job {
        machine,
        image: image::debian()?.raw,
        short: args.short,
        full: args.full,
        accesses: args.accesses,
        result: work.path().join("result.json"),
    };
    let samples: Vec<Sample> = measured(&job, &job.result, ("boot", measure::run), accel)?;
    Report::new(setup(&job, accel)?, samples)
}

/// Where guests run, which is said, and a folder for what is measured.
pub(super) fn place_to_work(accel: Option<Accel>, machine: &Machine) -> anyhow::Result<(Accel, TempDir)> {
    let choice = accel::choose(accel, &machine.tinderbox)?;
    eprintln!("{}", choice.why);
    Ok((choice.accel, files::scratch_dir(&paths::target_dir("bench")?)?))
}

/// Everything that takes part but the disk, built or installed where it is not there.
pub(super) fn parts(way: Way, memory_mib: u32, cpus: u32) -> anyhow::Result<Machine> {
    check::cargo(&["build", "--release", "--package", "vmm", "--quiet"], &[])?;
    let (firmware, start) = match way {
        Way::Boot => ("seabios", Start::Firmware),
        Way::Direct => ("qboot", kernel()?),
    };
    Ok(Machine {
        tinderbox: paths::target().join("release/tinderbox"),
        qemu: lab::qemu()?.binary,
        firmware: firmware::build(firmware)?.image,
        start,
        memory_mib,
        cpus,
    })
}

/// The kernel of the Debian image.
fn kernel() -> anyhow::Result<Start> {
    let folder = paths::target_dir("bench/kernel")?;
    image::debian()?.extract_boot(&folder)?;
    let (kernel, initrd) = (folder.join("vmlinuz"), folder.join("initrd.img"));
    Ok(Start::Kernel { kernel, initrd, cmdline: format!("root=UUID={} {CMDLINE}", image::ROOT_UUID) })
}

/// Has `job` done by the verb of this name and function, and reads the samples that it leaves in the file `result`.
pub(super) fn measured<J: Serialize, S: DeserializeOwned>(
    job: &J,
    result: &Path,
    (verb, run): (&str, impl FnOnce(&J) -> anyhow::Result<()>),
    accel: Accel,
) -> anyhow::Result<Vec<S>> {
    match accel {
        Accel::Kvm => run(job)?,
        Accel::Lab => in_lab(verb, job, result.parent().context("no folder for the samples")?)?,
    }
    let text = fs::read(result).context("read the samples")?;
    serde_json::from_slice(&text).context("read the samples")
}

/// Has `bench VERB --inside` do `job` in the lab, where `work` is writable.
fn in_lab(verb: &str, job: &impl Serialize, work: &Path) -> anyhow::Result<()> {
    let file = work.join("job.json");
    files::write(&file, serde_json::to_vec(job).context("write the job")?)?;
    let this = std::env::current_exe().context("find this program")?;
    let words: [OsString; 5] =
        [this.into(), "bench".into(), verb.into(), "--inside".into(), file.into_os_string()];
    let lab = Lab { timeout: Some(LAB_LIMIT), share: vec![work.to_owned()], ..Lab::default() };
    let status = lab.run(&words)?;
    ensure!(status == 0, "the measurement in the lab ended with status {status}");
    Ok(())
}

fn setup(job: &Job, accel: Accel) -> anyhow::Result<Setup> {
    let machine = &job.machine;
    Ok(Setup {
        accel: place(accel),
        tinderbox: version(&machine.tinderbox)?,
        qemu: version(&machine.qemu)?,
        firmware: machine.firmware.clone(),
        firmware_sha256: files::sha256_of(&machine.firmware)?,
        image: job.image.clone(),
        early: machine.start.early(),
        memory_mib: machine.memory_mib,
        cpus: machine.cpus,
        short: job.short,
        full: job.full,
    })
}

/// Where it was measured, for people.
pub(super) const fn place(accel: Accel) -> &'static str {
    match accel {
        Accel::Kvm => "this machine's /dev/kvm",
        Accel::Lab => "the lab",
    }
}

/// The first line that `program` says about itself.
pub(super) fn version(program: &Path) -> anyhow::Result<String> {
    let output = Command::new(program).arg("--version").output();
    let output = output.with_context(|| format!("start {}", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}
