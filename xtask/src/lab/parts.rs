//! What the lab is made of: the emulator of the host's distribution, and a kernel with an initial root from Debian.
//!
//! ```text
//! target/lab/debian/           Debian's full kernel (the cloud one has no 9p) and static busybox, unpacked
//! target/lab/kernel-<hash of what it is made of>.elf
//! target/lab/initial-root-<hash of what it is made of>.cpio
//! target/lab/emulator-<hash of its content>/      a module of the emulator, mended
//! ```

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use super::cpio::Archive;
use super::modules::Modules;
use super::{assertion, kernel};
use crate::debian::PrivateApt;
use crate::{host, paths};

/// First process of the emulated host.
const INIT: &str = include_str!("init.sh");

/// What is not built into Debian's kernel: the root and the shares, the console, the job, KVM itself, and what helps it with
/// networks and sockets.
const MODULES: [&str; 10] = [
    "virtio_pci",
    "9p",
    "9pnet_virtio",
    "overlay",
    "virtio_console",
    "qemu_fw_cfg",
    "kvm_amd",
    "tun",
    "vhost_net",
    "vhost_vsock",
];

/// QEMU of the host's distribution.
#[derive(Debug, Clone)]
pub(crate) struct Qemu {
    /// `qemu-system-x86_64`. It knows its own folders for firmware and option ROMs.
    pub(crate) binary: PathBuf,
}

/// The emulator, installed if need be. The same serves as the VMM that benches compare with.
///
/// # Errors
///
/// When it is missing and may not be installed.
pub(crate) fn qemu() -> anyhow::Result<Qemu> {
    host::ensure_packages("the lab", &["qemu-system-x86"])?;
    Ok(Qemu { binary: PathBuf::from("/usr/bin/qemu-system-x86_64") })
}

/// What the emulated host starts from.
pub(super) struct BootFiles {
    pub(super) kernel: PathBuf,
    pub(super) initial_root: PathBuf,
    /// Modules of the emulator that come before its own, if it needs any.
    pub(super) emulator_modules: Option<PathBuf>,
}

/// Debian's kernel with all its modules, at their places below this folder.
///
/// # Errors
///
/// When Debian's mirror is out of reach, or a folder cannot be written.
pub(crate) fn kernel_package() -> anyhow::Result<PathBuf> {
    let dir = paths::target_dir("lab")?;
    let _alone = lock(&dir)?;
    packages(&dir)
}

/// The packages that the lab is made of, unpacked. Once there they stay: newer ones are taken when the folder is removed.
fn packages(dir: &Path) -> anyhow::Result<PathBuf> {
    let packages = dir.join("debian");
    if !packages.join(".packages").exists() {
        fetch(&packages)?;
    }
    Ok(packages)
}

/// The kernel and its initial root, fetched and packed where they are not there yet.
///
/// # Errors
///
/// When Debian's mirror is out of reach, or a folder cannot be written.
pub(super) fn boot_files() -> anyhow::Result<BootFiles> {
    let dir = paths::target_dir("lab")?;
    let _alone = lock(&dir)?;
    let packages = packages(&dir)?;
    let versions = fs::read_to_string(packages.join(".packages")).context("read what the lab is made of")?;
    let modules = MODULES.join(" ");
    let kernel = dir.join(format!("kernel-{}.elf", fingerprint(&[&versions])));
    let root = fingerprint(&[&versions, INIT, &modules, include_str!("cpio.rs")]);
    let initial_root = dir.join(format!("initial-root-{root}.cpio"));
    make(&kernel, |file| kernel::unpack(&bzimage(&packages)?, file))?;
    make(&initial_root, |mut file| Ok(file.write_all(&pack(&packages)?)?))?;
    Ok(BootFiles { kernel, initial_root, emulator_modules: assertion::modules(&dir)? })
}

/// Keeps other processes from making the same files until dropped.
fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join("lock");
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .with_context(|| format!("lock {}", path.display()))?;
    Ok(file)
}

fn fetch(into: &Path) -> anyhow::Result<()> {
    let apt = PrivateApt::open("lab", &["bookworm"], "main", false)?;
    let newest = apt.depends("linux-image-amd64")?;
    let kernel = newest.iter().find(|name| name.starts_with("linux-image-"));
    apt.unpack(&[kernel.context("linux-image-amd64 depends on no kernel")?, "busybox-static"], into)
}

/// The one kernel in the unpacked packages.
fn bzimage(packages: &Path) -> anyhow::Result<Vec<u8>> {
    let path = find_bzimage(packages)?;
    fs::read(&path).with_context(|| format!("read {}", path.display()))
}

/// Where it is.
pub(crate) fn find_bzimage(packages: &Path) -> anyhow::Result<PathBuf> {
    let boot = packages.join("boot");
    let entries = fs::read_dir(&boot).with_context(|| format!("read {}", boot.display()))?;
    let is_kernel = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("vmlinuz-");
    match entries.flatten().find(is_kernel) {
        Some(entry) => Ok(entry.path()),
        None => bail!("no kernel in {}: remove {} to fetch it again", boot.display(), packages.display()),
    }
}

/// Has `write` write the file at `path`, unless it is there.
pub(super) fn make(path: &Path, write: impl FnOnce(&File) -> anyhow::Result<()>) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let dir = path.parent().context("a file lies in a folder")?;
    let file = tempfile::NamedTempFile::new_in(dir).with_context(|| format!("create {}", path.display()))?;
    write(file.as_file()).with_context(|| format!("make {}", path.display()))?;
    file.persist(path).with_context(|| format!("create {}", path.display()))?;
    Ok(())
}

/// Short hash of all that decides what is in a file.
pub(super) fn fingerprint(inputs: &[&str]) -> String {
    let mut hash = Sha256::new();
    for input in inputs {
        hash.update((input.len() as u64).to_le_bytes());
        hash.update(input);
    }
    let mut digits = format!("{:x}", hash.finalize());
    digits.truncate(16);
    digits
}

fn pack(packages: &Path) -> anyhow::Result<Vec<u8>> {
    let modules = Modules::below(&packages.join("lib/modules"))?.in_load_order(&MODULES)?;
    let order: String = modules.iter().map(|(name, _)| format!("{name}\n")).collect();
    let mut archive = Archive::default();
    archive.directory("bin");
    archive.file("bin/busybox", &fs::read(packages.join("bin/busybox")).context("read busybox")?);
    archive.directory("modules");
    archive.file("modules/order", order.as_bytes());
    for (name, content) in &modules {
        archive.file(&format!("modules/{name}.ko"), content);
    }
    archive.file("init", INIT.as_bytes());
    Ok(archive.finish())
}
