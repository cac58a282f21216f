//! `cargo xtask image`: guest disks, built from a distribution's packages and nothing else.
//!
//! ```text
//!   Debian's mirror ── mmdebstrap ──► root/ ◄── image/guest/ laid over it, image/customise run on it
//!                                       │ mke2fs -d
//!   ┌─────┬────────────┬──────────────┬─▼─────────────────────┬─────┐
//!   │ GPT │ 14: BIOS   │ 15: ESP      │ 1: ext4               │ GPT │   target/images/<hash of the recipe>/
//!   │     │ core.img   │ BOOTX64.EFI  │ kernel, grub.cfg, ... │     │     debian.raw  debian.qcow2  manifest.json
//!   └─────┴────────────┴──────────────┴───────────────────────┴─────┘
//!      grub-mkimage       mkfs.fat, mtools
//! ```
//!
//! Neither root (subordinate user ids will do), nor loop devices, nor a daemon. The disk boots by BIOS and UEFI wherever
//! there is a disk on virtio, NVMe, AHCI or USB, and a serial port; it does not know on whose machine it is. The console is
//! ttyS0, where root is logged in. What it prints, in this order, is what tests wait for: see [`marker`].
//!
//! Dates, identities and layout are fixed, so two builds differ in what mke2fs takes from the directory (inode order and
//! change times) and in what the mirror has meanwhile made newer; `manifest.json` says which versions are inside.

mod disk;
mod gpt;
mod grub;
mod recipe;
mod tree;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};

use self::recipe::Kind;
use crate::{host, lab, paths, progress, xhci_platform};

/// What the guest prints on the serial port on its way, in order.
pub(crate) mod marker {
    /// GRUB has its configuration and reads the kernel.
    pub(crate) const BOOT_LOADER: &str = "Loading Linux ...";
    /// The kernel has its console.
    pub(crate) const KERNEL: &str = "Linux version ";
    /// systemd has reached the login prompt, and logind listens to the power button. A shell of root follows by itself,
    /// with the prompt `root@debian:~# `.
    pub(crate) const USERSPACE: &str = " login: ";
}

/// The file system that the guest's kernel takes for its root.
pub(crate) const ROOT_UUID: &str = recipe::ROOT_UUID;

/// What must be installed here.
const HOST_PACKAGES: &[&str] = &[
    "mmdebstrap",
    "e2fsprogs",
    "dosfstools",
    "mtools",
    "grub-common",
    "grub-pc-bin",
    "grub-efi-amd64-bin",
    "qemu-utils",
];

/// Options of the verb.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    guest: Guest,
}

#[derive(clap::Subcommand)]
enum Guest {
    /// Debian 12 with its own kernel, root logged in on ttyS0; prints where the image is
    Debian {
        /// Format of the image
        #[arg(long, value_enum, default_value_t = Format::Raw)]
        format: Format,
        /// With the driver of USB controllers that are not on PCI, which Debian's kernels leave out, in its initial RAM disk
        #[arg(long)]
        xhci_platform: bool,
        /// With cloud-init, and nobody logged in: who may is for `run --cloud-init` to say
        #[arg(long, conflicts_with = "xhci_platform")]
        cloud: bool,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Raw,
    Qcow2,
}

/// Does it.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Guest::Debian { format, xhci_platform, cloud } = args.guest;
    let debian = if cloud { debian_cloud()? } else { debian()? };
    let image = if xhci_platform { xhci_platform::image(&debian)? } else { debian };
    let path = match format {
        Format::Raw => image.raw,
        Format::Qcow2 => image.qcow2()?,
    };
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// A finished guest disk. Machines that write shall get a copy or an overlay: the file is shared by all.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// The disk, block by block, sparse.
    pub(crate) raw: PathBuf,
}

impl Image {
    /// The same disk as qcow2, converted when first asked for.
    pub(crate) fn qcow2(&self) -> anyhow::Result<PathBuf> {
        let qcow2 = self.raw.with_extension("qcow2");
        if !qcow2.exists() {
            host::ensure_packages("converting a disk image", &["qemu-utils"])?;
            convert(&self.raw, &qcow2)?;
        }
        point_at_newest(&qcow2)?;
        Ok(qcow2)
    }

    /// Copies the kernel and its initial RAM disk to `vmlinuz` and `initrd.img` in the new folder `dir`, and puts the
    /// kernel there as an ELF file, `vmlinux`.
    ///
    /// # Errors
    ///
    /// When a program is missing and may not be installed, or the image has no kernel.
    pub(crate) fn extract_boot(&self, dir: &Path) -> anyhow::Result<()> {
        host::ensure_packages("reading a disk image", &["e2fsprogs"])?;
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        for name in ["vmlinuz", "initrd.img"] {
            self.extract(&self.link(name)?, &dir.join(name))?;
        }
        let (bzimage, elf) = (dir.join("vmlinuz"), dir.join("vmlinux"));
        let elf = File::create(&elf).with_context(|| format!("create {}", elf.display()))?;
        let bzimage = fs::read(&bzimage).with_context(|| format!("read {}", bzimage.display()))?;
        lab::unpack_kernel(&bzimage, &elf)
    }
}

impl Image {
    /// Where the link `name` at the root of Debian's file system leads: `vmlinuz` and `initrd.img` to the newest ones.
    ///
    /// # Errors
    ///
    /// When there is no such link.
    pub(crate) fn link(&self, name: &str) -> anyhow::Result<String> {
        let link = debugfs(&self.raw, &[], &format!("stat /{name}"))?;
        let target = link.split_once("Fast link dest: \"").and_then(|(_, rest)| rest.split_once('"'));
        let (target, _) = target.with_context(|| format!("no link /{name} in {}", self.raw.display()))?;
        Ok(format!("/{target}"))
    }

    /// Copies the file at `path` in the image's root file system to the new file `to`.
    ///
    /// # Errors
    ///
    /// When there is no such file.
    pub(crate) fn extract(&self, path: &str, to: &Path) -> anyhow::Result<()> {
        debugfs(&self.raw, &[], &format!("dump {path} {}", to.display()))?;
        ensure!(to.exists(), "no {path} in {}", self.raw.display());
        Ok(())
    }

    /// Puts the content of `from` in place of the file at `path`; for an image of one's own.
    ///
    /// # Errors
    ///
    /// When there is no room for it.
    pub(crate) fn replace(&self, path: &str, from: &Path) -> anyhow::Result<()> {
        debugfs(&self.raw, &["-w"], &format!("rm {path}"))?;
        debugfs(&self.raw, &["-w"], &format!("write {} {path}", from.display()))?;
        let found = debugfs(&self.raw, &[], &format!("stat {path}"))?;
        let size = from.metadata().with_context(|| format!("read {}", from.display()))?.len();
        ensure!(found.contains(&format!("Size: {size}\n")), "{} has no room for {path}", self.raw.display());
        Ok(())
    }
}

/// What debugfs, with `options`, answers to `request` about the root file system of `image`.
fn debugfs(image: &Path, options: &[&str], request: &str) -> anyhow::Result<String> {
    let file_system = format!("{}?offset={}", image.display(), recipe::ROOT.first * gpt::SECTOR);
    // It lies where only root's PATH leads.
    let program = Path::new("/sbin/debugfs");
    let output = Command::new(program).args(options).args(["-R", request, &file_system]).output();
    let output = output.with_context(|| format!("start {}", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The Debian disk, built if the recipe has changed or there is none.
///
/// # Errors
///
/// When host packages are missing and may not be installed, the mirror is away, or a program fails: its last lines are shown.
pub(crate) fn debian() -> anyhow::Result<Image> {
    image(Kind::Plain)
}

/// The same with cloud-init, as Debian's own cloud images are: a seed says who may log in.
///
/// # Errors
///
/// As those of [`debian`].
pub(crate) fn debian_cloud() -> anyhow::Result<Image> {
    image(Kind::Cloud)
}

fn image(kind: Kind) -> anyhow::Result<Image> {
    let images = paths::target_dir("images")?;
    let hash = recipe::hash(kind)?;
    let raw = images.join(&hash).join(kind.name()).with_extension("raw");
    if !raw.exists() {
        let _alone = lock(&images)?;
        if !raw.exists() {
            build(&images, kind, &hash)?;
        }
    }
    point_at_newest(&raw)?;
    Ok(Image { raw })
}

/// Makes `images/<hash>` complete, or not at all.
fn build(images: &Path, kind: Kind, hash: &str) -> anyhow::Result<()> {
    host::ensure_packages("building the guest image", HOST_PACKAGES)?;
    if tree::Rights::of_this_process() == tree::Rights::Namespace {
        host::ensure_packages("building the guest image without being root", &["uidmap"])?;
    }
    let log = paths::target_dir("log")?.join("image.log");
    sweep(images)?;
    let work = work_dir(images)?;
    let finished = work.path().join("finished");
    fs::create_dir(&finished).context("create a folder for the image")?;
    let raw = finished.join(kind.name()).with_extension("raw");

    let step = progress::step("install Debian's packages for the guest image");
    let tree = tree::Tree::install(kind, &step, work.path(), &log)?;
    step.done();
    let step = progress::step("write the guest image");
    disk::write(&step, &raw, &tree, work.path(), &log)?;
    step.done();

    write_manifest(&finished, hash, &tree, &raw)?;
    fs::rename(&finished, images.join(hash)).context("put the finished image in its place")
}

/// How work folders are named.
const WORK_PREFIX: &str = ".building-";

/// Removes what builds left that were killed. The caller holds the lock, so none of them is alive.
fn sweep(images: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(images).context("list target/images")? {
        let entry = entry.context("list target/images")?;
        if entry.file_name().to_string_lossy().starts_with(WORK_PREFIX) {
            drop(tree::Tree::left_in(&entry.path()));
            let gone = fs::remove_dir_all(entry.path());
            gone.with_context(|| format!("remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// A folder that goes away with its value, and that a user namespace may enter.
fn work_dir(images: &Path) -> anyhow::Result<tempfile::TempDir> {
    let work =
        tempfile::Builder::new().prefix(WORK_PREFIX).tempdir_in(images).context("create a work folder")?;
    fs::set_permissions(work.path(), fs::Permissions::from_mode(0o755)).context("open the work folder")?;
    Ok(work)
}

/// Held while one process builds; another waits, and then finds the result.
fn lock(images: &Path) -> anyhow::Result<File> {
    let file = File::create(images.join(".lock")).context("create the lock of target/images")?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).context("lock target/images")?;
    Ok(file)
}

/// What is in an image, for people and for `manifest.json`.
#[derive(serde::Serialize)]
struct Manifest<'a> {
    suite: &'a str,
    recipe: &'a str,
    bytes: u64,
    sha256: String,
    packages: BTreeMap<&'a str, &'a str>,
}

fn write_manifest(dir: &Path, recipe: &str, tree: &tree::Tree, raw: &Path) -> anyhow::Result<()> {
    let packages = tree.packages()?;
    let manifest = Manifest {
        suite: recipe::SUITE,
        recipe,
        bytes: recipe::DISK_BYTES,
        sha256: sha256(raw)?,
        packages: packages.lines().filter_map(|line| line.split_once(' ')).collect(),
    };
    let text = serde_json::to_string_pretty(&manifest).context("write the manifest")?;
    fs::write(dir.join("manifest.json"), text + "\n").context("write manifest.json")
}

/// By the program, which is many times faster on a gigabyte than this unoptimised one.
fn sha256(path: &Path) -> anyhow::Result<String> {
    let output = Command::new("sha256sum").arg("--zero").arg(path).output().context("start sha256sum")?;
    ensure!(output.status.success(), "sha256sum cannot read {}", path.display());
    Ok(String::from_utf8_lossy(&output.stdout).chars().take_while(|letter| !letter.is_whitespace()).collect())
}

/// Converts; `qcow2` appears when it is complete.
fn convert(raw: &Path, qcow2: &Path) -> anyhow::Result<()> {
    let step = progress::step("convert the guest image to qcow2");
    let unfinished = qcow2.with_extension(format!("qcow2.{}", std::process::id()));
    let mut command = Command::new("qemu-img");
    command.args(["convert", "-f", "raw", "-O", "qcow2"]).arg(raw).arg(&unfinished);
    step.command(&mut command, &paths::target_dir("log")?.join("image.log"))?;
    fs::rename(&unfinished, qcow2).with_context(|| format!("create {}", qcow2.display()))?;
    step.done();
    Ok(())
}

/// Makes `target/images/<file name>` lead to `image`, for people; programs use the path with the hash.
fn point_at_newest(image: &Path) -> anyhow::Result<()> {
    let (Some(folder), Some(name)) = (image.parent(), image.file_name()) else { return Ok(()) };
    let (Some(images), Some(hash)) = (folder.parent(), folder.file_name()) else { return Ok(()) };
    let target = Path::new(hash).join(name);
    let link = images.join(name);
    if fs::read_link(&link).is_ok_and(|found| found == target) {
        return Ok(());
    }
    let fresh = images.join(format!(".link-{}", std::process::id()));
    symlink(&target, &fresh)
        .and_then(|()| fs::rename(&fresh, &link))
        .with_context(|| format!("link {}", link.display()))
}
