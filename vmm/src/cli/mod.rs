//! The command line: text in, one [`Config`](crate::config::Config) out.
//!
//! Parsing is pure: it opens no file and makes no VM object. Every option is a type with `FromStr`, and every group of
//! options has a file: `machine`, `kernel`, `disk`, `console`. Names follow QEMU's where QEMU has one.
//!
//! ```text
//! argv ── clap ──► RunArgs ── into_config ──► Config ──► dry_run: Plan as text
//!           │                                   └──────► machine::run
//!           └─ usage: one line, exit status 2
//! ```
//!
//! Whatever goes wrong ends up in one line on stderr, `tinderbox: <what>, <what to do>`.

mod acpi;
mod cloud_init;
mod console;
mod control;
mod cpu;
mod cpus;
mod device;
mod disk;
mod doctor;
mod dry_run;
mod failure;
mod fields;
mod firmware;
mod fw_cfg;
mod guest_info;
mod image;
mod kernel;
mod log;
mod machine;
mod machine_file;
mod memory;
mod net;
mod numa;
mod options;
mod pmem;
mod ports;
mod probe_kvm;
mod qemu;
mod rtc;
mod run;
mod smbios;
mod table;
mod usage;
mod usb;
mod vhost_user;
mod virtio;
mod vsock;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{ArgAction, CommandFactory as _, Parser, Subcommand};

use failure::Failure;

const EXAMPLES: &str = "\
Examples:
  tinderbox run debian.raw
  tinderbox run --disk debian.raw --disk data.raw,readonly=on --memory 6G --cpus 4
  tinderbox run debian.raw --dry-run
  tinderbox firmware list

Exit status:
  0  the guest powered off, or reset under --no-reboot, or Ctrl-a x; or the command succeeded
  1  failure
  2  usage: the command line asks for something that cannot be";

/// A microVM that starts the way a computer starts.
#[derive(Debug, Parser)]
#[command(name = "tinderbox", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Log more on stderr, up to -vvv [env: TINDERBOX_LOG]
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Boot a machine
    Run(Box<run::RunArgs>),
    /// Show the firmware that comes with tinderbox
    #[command(subcommand)]
    Firmware(firmware::FirmwareCommand),
    /// Show or write the ACPI tables of a machine
    #[command(subcommand)]
    Acpi(Box<acpi::AcpiCommand>),
    /// Take QEMU's command line for its machine type microvm, as does this program when it is called qemu-system-x86_64
    #[command(disable_help_flag = true)]
    Qemu {
        /// QEMU's options
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
        options: Vec<OsString>,
    },
    /// Look at this host: what works, what does not, and how to mend it
    Doctor(doctor::DoctorArgs),
    /// Print the machine file (TOML, for --config) that says the same as options of `run`
    Config(Box<run::ConfigArgs>),
    /// Say what the host's KVM can do
    #[command(hide = true)]
    ProbeKvm(probe_kvm::ProbeArgs),
}

/// Runs the command line `args`, program name first, and gives the program's exit status.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<_> = args.into_iter().collect();
    let result = match qemu::options_of(&args) {
        Some(options) => qemu::main(options),
        None => ours(&args),
    };
    match result {
        Ok(status) => status,
        Err(failure) => failure.report(),
    }
}

/// The description of the command line, for man pages and shell completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// This program's own options.
fn ours(args: &[OsString]) -> Result<ExitCode, Failure> {
    let args = machine_file::expand(args)?;
    dispatch(parse(&args)?, &args)
}

fn parse(args: &[OsString]) -> Result<Option<Cli>, Failure> {
    match Cli::try_parse_from(args) {
        Ok(cli) => Ok(Some(cli)),
        Err(help) if !help.use_stderr() => print(&help.render().to_string()).map(|()| None),
        Err(error) => Err(Failure::Usage(usage::one_line(&error, args))),
    }
}

/// Help and version are printed by the parser; there is no command then.
fn dispatch(cli: Option<Cli>, args: &[OsString]) -> Result<ExitCode, Failure> {
    let Some(cli) = cli else { return Ok(ExitCode::SUCCESS) };
    log::start(cli.verbose)?;
    match cli.command {
        Command::Run(args) => run::run(*args),
        Command::Firmware(command) => firmware::run(&command),
        Command::Acpi(command) => acpi::run(*command),
        Command::Qemu { options } => qemu::main(&options),
        Command::Doctor(args) => doctor::run(&args),
        Command::Config(config) => run::check(*config).and_then(|()| machine_file::show(args)),
        Command::ProbeKvm(args) => probe_kvm::run(&args),
    }
}

/// Writes `text` to stdout. A reader that has seen enough, as in `| head`, is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("write to stdout").into())
        }
        _ => Ok(()),
    }
}
