//! Machine tests: the product seen from outside, as its users see it. Nothing here knows how it is made.
//!
//! ```text
//!  tests/firmware.rs ─┐                      ┌─ stdin, stdout = COM1
//!                     ├─► VmBuilder ──► Vm ──┤  signals    = the host's side
//!  tests/machine.rs  ─┘    disks             └─ exit status
//! ```
//!
//! `cargo xtask test` builds what they need, chooses where they run, and sets:
//!
//! | variable | meaning |
//! |---|---|
//! | `TINDERBOX` | the program under test |
//! | `TINDERBOX_TEST_DIR` | where logs and disks of each test are kept |
//! | `TINDERBOX_DEBIAN_BOOT` | a folder with kernels of Debian's, and the initial RAM disk of one |
//! | `TINDERBOX_DEBIAN` | the Debian image, which nobody writes to |
//! | `TINDERBOX_DEBIAN_COPY` | a copy of it, for one test of the file |
//! | `TINDERBOX_ACPI_MACHINES` | a file with a machine a line, its name and its arguments with tabs between them |
//! | `TINDERBOX_PYTHON` | an interpreter with the packages of `qmp/requirements.txt` |
//! | `TINDERBOX_VNG`, `TINDERBOX_VIRTIOFSD` | folders of programs: virtme-ng, and the virtiofsd that it takes |
//! | `TINDERBOX_VNG_KERNEL` | a kernel of Debian's, with its modules beside it |
//! | `TINDERBOX_SYMBOLS` | the symbols of edk2's modules |
//! | `TINDERBOX_TEST_PATIENCE` | factor on every time-out, for emulated hosts |
#![forbid(unsafe_code)]

mod disk;
mod guest;
mod qmp;
mod vm;

pub use disk::{BootSector, blank_disk, boot_disc, debian_boot_file, efi_disc, qemu_img};
pub use guest::{long_kernel, tiny_kernel};
pub use qmp::Qmp;
pub use vm::{Vm, VmBuilder};

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// A setting that `cargo xtask test` makes.
fn setting(name: &str) -> anyhow::Result<PathBuf> {
    let value =
        std::env::var_os(name).with_context(|| format!("{name} is not set; run `cargo xtask test`"))?;
    Ok(value.into())
}

/// The program under test.
///
/// # Errors
/// When `cargo xtask test` did not say.
pub fn program() -> anyhow::Result<PathBuf> {
    setting("TINDERBOX")
}

/// Machines whose tables are to be examined: the name and the arguments of each.
///
/// # Errors
/// When `cargo xtask test` did not say which.
pub fn acpi_machines() -> anyhow::Result<Vec<(String, Vec<String>)>> {
    let path = setting("TINDERBOX_ACPI_MACHINES")?;
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let machine = |line: &str| {
        let mut words = line.split('\t').filter(|word| !word.is_empty()).map(str::to_owned);
        Some((words.next()?, words.collect()))
    };
    Ok(text.lines().filter_map(machine).collect())
}

/// An interpreter with the package `qemu.qmp`.
///
/// # Errors
/// When `cargo xtask test` did not say where it is.
pub fn python() -> anyhow::Result<PathBuf> {
    setting("TINDERBOX_PYTHON")
}

/// The folders of virtme-ng and of its virtiofsd, and a kernel for it.
///
/// # Errors
/// When `cargo xtask test` did not say where they are.
pub fn vng() -> anyhow::Result<[PathBuf; 3]> {
    Ok([setting("TINDERBOX_VNG")?, setting("TINDERBOX_VIRTIOFSD")?, setting("TINDERBOX_VNG_KERNEL")?])
}

/// The folder with the symbols of edk2's modules.
///
/// # Errors
/// When `cargo xtask test` did not say where it is.
pub fn symbols() -> anyhow::Result<PathBuf> {
    setting("TINDERBOX_SYMBOLS")
}

/// `seconds` of an ordinary host, longer where the host is emulated.
#[must_use]
pub fn patience(seconds: u64) -> Duration {
    let factor = std::env::var("TINDERBOX_TEST_PATIENCE").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds * factor.unwrap_or(1))
}

/// A machine that took long to start tells everything that is wrong with it.
///
/// # Errors
/// When any of the `results` is one; all that are.
pub fn all_hold<const N: usize>(results: [(&str, anyhow::Result<()>); N]) -> anyhow::Result<()> {
    let failures: Vec<_> = results
        .into_iter()
        .filter_map(|(name, result)| Some(format!("{name}: {:#}", result.err()?)))
        .collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}
