//! `cargo xtask run`: from a fresh checkout to a login prompt.
//!
//! ```text
//!  firmware ─► VMM ─► image ─► a copy of it ─► boot on /dev/kvm, or in the lab
//! ```
//!
//! Each part is built once. The guest writes to a copy of the image that stays from run to run, until the image is built
//! anew; `--smoke` takes a copy of its own and throws it away.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, ensure};

use crate::accel::{self, Accel};
use crate::guest::Guest;
use crate::lab::Lab;
use crate::{files, paths, product, progress, smoke};

/// Options of the verb.
#[derive(clap::Args)]
#[command(after_help = "Keys while it runs: Ctrl-a h for help, Ctrl-a x to quit.")]
pub(crate) struct Args {
    /// Where the guest runs [default: /dev/kvm if it runs 64-bit guests, else the lab]
    #[arg(long)]
    accel: Option<Accel>,
    /// Wait for the login prompt, press the power button, see the guest shut down, print a timeline
    #[arg(long)]
    smoke: bool,
    #[command(flatten)]
    guest: Guest,
    /// More arguments of `tinderbox run`
    #[arg(last = true, value_name = "ARGUMENTS")]
    more: Vec<OsString>,
}

/// Does it; ends with the status of the VMM.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Guest { firmware, disk_bus, .. } = &args.guest;
    ensure!(disk_bus.is_known_to(firmware), "{}", disk_bus.unknown_to(firmware));
    let tinderbox = product::build(firmware)?;
    let image = args.guest.image()?;
    let choice = accel::choose(args.accel, &tinderbox)?;
    eprintln!("{}", choice.why);
    let folder = paths::target_dir(if args.smoke { "smoke" } else { "run" })?;
    let disk = folder.join(files::file_name(&image.raw).as_ref());
    if args.smoke || is_older(&disk, &image.raw) {
        copy(&image.raw, &disk)?;
    }
    let mut command =
        if args.smoke { smoke::command(firmware, &folder, &tinderbox)? } else { vec![tinderbox.into()] };
    command.extend(args.guest.arguments(&disk));
    command.extend(args.more);
    let status = start(choice.accel, &command, &folder);
    if args.smoke {
        fs::remove_file(&disk).with_context(|| format!("remove {}", disk.display()))?;
    }
    status
}

/// Runs `command` where `accel` says, with `folder` writable.
fn start(accel: Accel, command: &[OsString], folder: &Path) -> anyhow::Result<ExitCode> {
    match accel {
        Accel::Kvm => execute(command),
        Accel::Lab => {
            let lab = Lab { share: vec![folder.into()], keyboard: true, ..Lab::default() };
            Ok(lab.run(command)?.into())
        }
    }
}

/// As [`start`], without a terminal and with the output going to `output`; gives the status.
pub(crate) fn start_into(
    accel: Accel,
    command: &[OsString],
    folder: &Path,
    mut output: File,
) -> anyhow::Result<u8> {
    if accel == Accel::Lab {
        return Lab { share: vec![folder.into()], ..Lab::default() }.run_into(command, &mut output);
    }
    let (program, args) = command.split_first().context("no command")?;
    let errors = output.try_clone().context("clone a file")?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(output).stderr(errors);
    let status = command.status().with_context(|| format!("start {}", program.display()))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

fn execute(command: &[OsString]) -> anyhow::Result<ExitCode> {
    let (program, args) = command.split_first().context("no command")?;
    let status =
        Command::new(program).args(args).status().with_context(|| format!("start {}", program.display()))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Whether `copy` is not there, or was made before `original` was.
pub(crate) fn is_older(copy: &Path, original: &Path) -> bool {
    let time = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    time(copy) < time(original)
}

/// Copies a disk image, holes as holes, atomically.
pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let step = progress::step(format!("copy the image to {}", to.display()));
    let new = PathBuf::from(format!("{}.new", to.display()));
    let mut cp = Command::new("cp");
    cp.args(["--sparse=always", "--reflink=auto", "--dereference"]).args([from, &new]);
    step.command(&mut cp, &paths::target_dir("log")?.join("copy.log"))?;
    fs::rename(&new, to).with_context(|| format!("rename {} to {}", new.display(), files::file_name(to)))?;
    step.done();
    Ok(())
}
