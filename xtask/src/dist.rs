//! `cargo xtask dist`: what is handed to users, in one folder: the program, its man pages, shell completions and firmware.

mod check;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};

use crate::{files, paths, product};

/// Texts that go with the program.
const TEXTS: [&str; 3] = ["README.md", "LICENSE", "firmware/DEBUGGING.md"];

/// Options of the verb.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Makes `target/dist/tinderbox` anew; on failure it stays as it was.
pub(crate) fn run(_: Args) -> anyhow::Result<ExitCode> {
    let tinderbox = product::build(product::FIRMWARE)?;
    let parent = paths::target_dir("dist")?;
    let _lock = files::lock(&parent)?;
    let made = files::scratch_dir(&parent)?;
    let folder = made.path();
    // Firmware is found beside the program's folder, man pages and completions in the `share` there.
    files::create_dir(&folder.join("bin"))?;
    files::copy_into(&tinderbox, &folder.join("bin"))?;
    for text in TEXTS {
        files::copy_into(&paths::root().join(text), folder)?;
    }
    pages(&folder.join("share"))?;
    firmware(&folder.join("firmware"))?;
    check::all(folder)?;
    let home = parent.join("tinderbox");
    files::keep(made, &home)?;
    println!("{}", home.display());
    Ok(ExitCode::SUCCESS)
}

/// Man pages and completions, made from the program's own description of its options.
fn pages(folder: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(paths::root())
        .args(["run", "--quiet", "-p", "vmm", "--example", "pages", "--"])
        .arg(folder);
    let status = command.status().context("start cargo")?;
    ensure!(status.success(), "the man pages cannot be made");
    Ok(())
}

/// QEMU's description of an image, which has its path on this machine: of no use on any other.
const DESCRIPTOR: &str = "descriptor.json";

/// Every firmware that is built.
fn firmware(folder: &Path) -> anyhow::Result<()> {
    let current = paths::target().join("firmware/current");
    for entry in fs::read_dir(&current).with_context(|| format!("read {}", current.display()))? {
        let from = entry.context("read the firmware's folder")?.path();
        let to = folder.join(files::file_name(&from).as_ref());
        files::create_dir(&to)?;
        for file in fs::read_dir(&from).with_context(|| format!("read {}", from.display()))? {
            let file = file.context("read the firmware's folder")?.path();
            if file.is_file() && files::file_name(&file) != DESCRIPTOR {
                files::copy_into(&file, &to)?;
            }
        }
    }
    Ok(())
}
