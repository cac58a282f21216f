//! `cargo xtask lab`: a host with a real nested `/dev/kvm`, on any machine.
//!
//! ```text
//!  this machine (L0)   xtask ── keys ─► console ◄─ output, exit status ──┐
//!                        │                                               │
//!                      QEMU TCG: x86-64 with AMD-V and nested paging     │
//!  ┌─────────────────────┴───────────────────────────────────────────────┴──┐
//!  │ emulated host (L1)  Debian's kernel, /dev/kvm                           │
//!  │   /  this machine's tree over 9p, writes go to memory   init.sh         │
//!  │   folders shared: this machine's own                      └─ COMMAND    │
//!  │  ┌──────────────────────────────────────────────────────────────────┐   │
//!  │  │ guest (L2) of the VMM under test                                 │   │
//!  │  └──────────────────────────────────────────────────────────────────┘   │
//!  └─────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The command sees this machine's files at their paths, its environment and its working folder. It is root there, whoever
//! it is here, and has no network.
//!
//! On an idle machine with two CPUs, the command starts after 3 s, and QEMU's microvm brings a Debian disk through SeaBIOS
//! to its login prompt within 20 s more, with 1, 2 or 4 CPUs. QEMU 10.0 as emulator is about 5 % faster than 7.2, too little
//! to ask for another than the distribution's.

mod assertion;
mod cpio;
mod emulator;
mod interrupt;
mod job;
mod kernel;
mod modules;
mod parts;
mod session;
mod terminal;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::progress;
use emulator::Computer;
use job::Job;
pub(crate) use kernel::unpack as unpack_kernel;
#[expect(unused_imports, reason = "for bench, which compares with it")]
pub(crate) use parts::{Qemu, qemu};
pub(crate) use parts::{find_bzimage, kernel_package};
use session::Session;

/// Exit status when the lab itself failed.
const LAB_FAILED: u8 = 125;

/// How long a command may take that nobody watches.
const UNWATCHED_LIMIT: Duration = Duration::from_secs(3600);

/// Options of the verb.
#[derive(clap::Args)]
#[command(
    after_help = "Ends with the status of COMMAND; with 125 when the lab itself fails or time runs out.\n\
                        On a terminal, all keys go to COMMAND as soon as it has started."
)]
pub(crate) struct Args {
    /// CPUs of the emulated host [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: Option<u32>,
    /// Memory of the emulated host in MiB [default: half of this machine's, at most 8192]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(512..))]
    memory: Option<u64>,
    /// Seconds after which COMMAND and its host are switched off [default: 3600, none on a terminal]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Folder that COMMAND writes to for real (elsewhere it writes to memory); may be given more than once
    #[arg(long, value_name = "FOLDER")]
    share: Vec<PathBuf>,
    /// Program to run, and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Does it.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let lab = Lab {
        cpus: args.cpus,
        memory_mib: args.memory,
        timeout: args.timeout.map(Duration::from_secs),
        share: args.share,
        keyboard: true,
    };
    let status = lab.run(&args.command).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        LAB_FAILED
    });
    Ok(ExitCode::from(status))
}

/// An emulated host, and what it gets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lab {
    /// Its CPUs; by default one.
    pub(crate) cpus: Option<u32>,
    /// Its memory in MiB; by default half of this machine's, at most 8192.
    pub(crate) memory_mib: Option<u64>,
    /// How long a command may take, counted from its start; by default an hour, or without limit when it has a terminal.
    pub(crate) timeout: Option<Duration>,
    /// Folders of this machine that the command writes to for real. They exist.
    pub(crate) share: Vec<PathBuf>,
    /// Whether the command gets this process's terminal, if there is one: then it has a terminal of its own (hvc0) to
    /// which each key is passed on, Ctrl-C too. Otherwise its input is empty and its output a pipe.
    pub(crate) keyboard: bool,
}

impl Lab {
    /// Runs `command`, its output (both kinds in one) going to standard output, and gives its exit status: as in a
    /// shell, 128 + N after signal N, 126 and 127 when it cannot be run.
    ///
    /// # Errors
    ///
    /// When a part of the lab cannot be had, its host dies or hangs, time runs out, or a signal ends this process.
    /// In each case the emulator is gone.
    pub(crate) fn run(&self, command: &[OsString]) -> anyhow::Result<u8> {
        self.run_into(command, &mut std::io::stdout())
    }

    /// As [`Lab::run`], with the output going to `output`.
    ///
    /// # Errors
    ///
    /// As [`Lab::run`], and when `output` cannot be written.
    pub(crate) fn run_into(&self, command: &[OsString], output: &mut dyn Write) -> anyhow::Result<u8> {
        let (qemu, files) = (qemu()?, parts::boot_files()?);
        let shares = self.shares()?;
        let terminal = terminal::size().filter(|_| self.keyboard);
        let folder = std::env::current_dir().context("find the working folder")?;
        let environment = std::env::vars_os().chain([("TINDERBOX_LAB".into(), "1".into())]).collect();
        let job = Job { command, folder: &folder, environment, shares: &shares, terminal };
        let computer = Computer {
            qemu: &qemu,
            files: &files,
            cpus: self.cpus.unwrap_or(DEFAULT_CPUS),
            memory_mib: self.memory_mib.unwrap_or_else(default_memory_mib),
            shares: &shares,
            script: &job.script(),
            keyboard: terminal.is_some(),
        };
        let timeout = self.timeout.or(terminal.is_none().then_some(UNWATCHED_LIMIT));
        let starting = progress::step("start the lab");
        Session::new(computer.start()?, timeout, output, starting)?.run()
    }

    /// The shared folders by their real paths, which are their paths inside.
    fn shares(&self) -> anyhow::Result<Vec<PathBuf>> {
        let real = |folder: &PathBuf| {
            let path = folder.canonicalize().with_context(|| format!("share {}", folder.display()))?;
            ensure!(path.is_dir(), "share {}: not a folder", folder.display());
            Ok(path)
        };
        self.share.iter().map(real).collect()
    }
}

/// A processor that a lab leaves alone, if there is one: another lab of a process that is bound to it has it alone.
pub(crate) fn spare_processor() -> Option<usize> {
    match *emulator::processors() {
        [first, _, ..] => Some(first),
        _ => None,
    }
}

/// All emulated CPUs share a real one: more of them would only take turns.
const DEFAULT_CPUS: u32 = 1;

fn default_memory_mib() -> u64 {
    let system = rustix::system::sysinfo();
    let mib = (u128::from(system.totalram) * u128::from(system.mem_unit)) >> 20;
    u64::try_from(mib / 2).unwrap_or(8192).clamp(1024, 8192)
}
