//! virtme-ng with what it needs: itself from PyPI, a virtiofsd that it takes, and a kernel of Debian's with its modules.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::{files, host, lab, paths, progress, python};

/// The virtiofsd in Rust, for which crates.io answers with its checksum. Debian 12 has the one in C, which virtme-ng refuses.
const VIRTIOFSD: &str = "1.14.0";

/// The settings of `tests/tests/vng.rs`, made where they are not there yet.
pub(crate) fn tools() -> anyhow::Result<[(&'static str, PathBuf); 3]> {
    // What virtme-ng itself calls.
    host::ensure_packages("virtme-ng", &["busybox-static", "file", "kmod", "udev", "zstd"])?;
    let package = lab::kernel_package()?;
    let kernel = lab::find_bzimage(&package)?;
    index_modules(&package, &kernel)?;
    Ok([
        ("TINDERBOX_VNG", python::environment("vng")?),
        ("TINDERBOX_VIRTIOFSD", virtiofsd()?),
        ("TINDERBOX_VNG_KERNEL", kernel),
    ])
}

/// virtme-ng would have depmod do it, which takes minutes on the emulated host.
fn index_modules(package: &Path, kernel: &Path) -> anyhow::Result<()> {
    let name = files::file_name(kernel);
    let version = name.strip_prefix("vmlinuz-").context("the kernel's name has its version")?;
    if package.join("lib/modules").join(version).join("modules.dep").exists() {
        return Ok(());
    }
    let log = paths::target_dir("log")?.join("vng.log");
    let step = progress::step(format!("index the modules of {version}"));
    step.command(Command::new("/usr/sbin/depmod").arg("-b").arg(package).arg(version), &log)
}

/// The folder of a virtiofsd built for this machine.
fn virtiofsd() -> anyhow::Result<PathBuf> {
    let home = paths::target_dir("tools")?.join(format!("virtiofsd-{VIRTIOFSD}"));
    let programs = home.join("bin");
    if programs.join("virtiofsd").exists() {
        return Ok(programs);
    }
    host::ensure_packages("building virtiofsd", &["libcap-ng-dev", "libseccomp-dev"])?;
    let log = paths::target_dir("log")?.join("virtiofsd.log");
    let step = progress::step(format!("build virtiofsd {VIRTIOFSD}"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["install", "--locked", "--version", &format!("={VIRTIOFSD}"), "virtiofsd", "--root"])
        .arg(&home);
    step.command(&mut cargo, &log)?;
    Ok(programs)
}
