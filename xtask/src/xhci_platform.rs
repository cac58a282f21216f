//! Debian's disk with one driver more: `xhci-plat-hcd`, for the USB controller on the system bus, which Debian's kernels for
//! x86 leave out.
//!
//! ```text
//!  linux-source-6.1: xhci-plat.c, headers beside it ──┐
//!  linux-headers-<release>, linux-kbuild-6.1 ─────────┴─ make ──► xhci-plat-hcd.ko ──┐
//!  debian.raw: /boot/initrd.img-<release> ── lz4 -d, cpio ── depmod ── cpio, lz4 ◄───┘
//!                                                                  └──► debian-xhci-platform.raw
//! ```
//!
//! Kernel, boot loader and everything else stay Debian's. The packages are of the very version that the disk's kernel has.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::debian::{Mirrors, PrivateApt};
use crate::image::Image;
use crate::progress::{self, Step};
use crate::{files, host, paths, run};

/// What builds a module and packs an initial RAM disk. The compiler is the one that the kernel was built with; the kernel's
/// own build tools need the libraries.
const PACKAGES: &[&str] =
    &["gcc-12", "libc6-dev", "libelf1", "make", "cpio", "kmod", "lz4", "xz-utils", "e2fsprogs"];

/// What a module's build reads.
const KBUILD: &str = "obj-m := xhci-plat-hcd.o\nxhci-plat-hcd-y := xhci-plat.o\n";

/// The disk; made from `debian` if it is not there or older.
///
/// # Errors
///
/// When the packages of that kernel are not in Debian's archive any more, or a program fails.
pub(crate) fn image(debian: &Image) -> anyhow::Result<Image> {
    let raw = debian.raw.with_file_name("debian-xhci-platform.raw");
    let folder = debian.raw.parent().context("the image is in no folder")?;
    let _lock = files::lock(folder)?;
    if run::is_older(&raw, &debian.raw) {
        make(debian, &raw, files::scratch_dir(folder)?.path())?;
    }
    Ok(Image { raw })
}

fn make(debian: &Image, raw: &Path, scratch: &Path) -> anyhow::Result<()> {
    host::ensure_packages("building a driver for the guest's kernel", PACKAGES)?;
    let kernel = Kernel::of(debian)?;
    let log = paths::target_dir("log")?.join("xhci-platform.log");
    let packages = kernel.unpack_packages()?;
    let step = progress::step(format!("build xhci-plat-hcd for Linux {}", kernel.release));
    let work = Work { step, log: &log, dir: scratch };
    let module = work.build_module(&kernel, &packages)?;
    let initrd = work.add_to_initrd(debian, &kernel, &module)?;
    work.step.done();
    let new = scratch.join("disk.raw");
    run::copy(&debian.raw, &new)?;
    Image { raw: new.clone() }.replace(&kernel.initrd, &initrd)?;
    fs::rename(&new, raw).with_context(|| format!("create {}", raw.display()))
}

/// The kernel in an image.
struct Kernel {
    /// As `uname -r` prints it.
    release: String,
    /// The version of its package.
    version: String,
    /// The path of its initial RAM disk.
    initrd: String,
}

impl Kernel {
    fn of(image: &Image) -> anyhow::Result<Self> {
        let initrd = image.link("initrd.img")?;
        let release = initrd.rsplit_once("initrd.img-").map(|(_, release)| release.to_owned());
        let release = release.with_context(|| format!("{initrd} does not say which kernel it is for"))?;
        let manifest = image.raw.with_file_name("manifest.json");
        let text = fs::read(&manifest).with_context(|| format!("read {}", manifest.display()))?;
        let manifest: serde_json::Value =
            serde_json::from_slice(&text).context("parse the image's manifest")?;
        let version = manifest["packages"][format!("linux-image-{release}")].as_str();
        let version =
            version.with_context(|| format!("no kernel {release} in the image's manifest"))?.to_owned();
        Ok(Self { release, version, initrd })
    }

    /// Its series, by which packages are called: `6.1`.
    fn series(&self) -> String {
        self.release.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
    }

    /// The release without its flavour: `6.1.0-57`.
    fn abi(&self) -> &str {
        self.release.rsplit_once('-').map_or(&self.release, |(abi, _)| abi)
    }

    /// The packages that a module is built from.
    fn packages(&self) -> [String; 4] {
        let (release, abi, series, version) = (&self.release, self.abi(), self.series(), &self.version);
        [
            format!("linux-headers-{release}={version}"),
            format!("linux-headers-{abi}-common={version}"),
            format!("linux-kbuild-{series}={version}"),
            format!("linux-source-{series}={version}"),
        ]
    }

    /// Unpacks them below `target/`.
    fn unpack_packages(&self) -> anyhow::Result<PathBuf> {
        let mut suites = vec!["bookworm", "bookworm-updates"];
        suites.extend(Mirrors::of_this_machine()?.security.map(|_| "bookworm-security"));
        let dir = paths::target_dir("apt")?.join("kernel-packages");
        let packages = self.packages();
        PrivateApt::open("kernel", &suites, "main", false)?
            .unpack(&packages.each_ref().map(String::as_str), &dir)
            .context("an image built anew has the kernel of today: remove target/images")?;
        Ok(dir)
    }
}

/// What is done on the way.
struct Work<'a> {
    step: Step,
    log: &'a Path,
    dir: &'a Path,
}

impl Work<'_> {
    fn run<A: AsRef<OsStr>>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = A>,
        dir: &Path,
    ) -> anyhow::Result<()> {
        self.step.command(Command::new(program).args(args).current_dir(dir), self.log)
    }

    /// The module, built out of tree.
    fn build_module(&self, kernel: &Kernel, packages: &Path) -> anyhow::Result<PathBuf> {
        let (sources, dir) = (packages.join("usr/src"), self.dir.join("module"));
        files::create_dir(&dir)?;
        let source = sources.join(format!("linux-source-{}.tar.xz", kernel.series()));
        let wanted = ["*/drivers/usb/host/xhci-plat.c", "*/drivers/usb/host/*.h"];
        let flags = ["--extract", "--strip-components=4", "--wildcards", "--file"].map(OsStr::new);
        let args = flags.into_iter().chain([source.as_os_str()]).chain(wanted.map(OsStr::new));
        self.run("tar", args, &dir)?;
        files::write(&dir.join("Kbuild"), KBUILD)?;
        // The headers' own makefile has the path in it where they are installed.
        let headers = sources.join(format!("linux-headers-{}", kernel.release));
        let makefile = sources.join(format!("linux-headers-{}-common/Makefile", kernel.abi()));
        let module = format!("M={}", dir.display());
        let args = ["--file".as_ref(), makefile.as_os_str(), module.as_ref(), "modules".as_ref()];
        self.run("make", args, &headers)?;
        Ok(dir.join("xhci-plat-hcd.ko"))
    }

    /// The kernel's initial RAM disk with `module` in it, known to `modprobe`.
    fn add_to_initrd(&self, debian: &Image, kernel: &Kernel, module: &Path) -> anyhow::Result<PathBuf> {
        let [packed, archive, tree] = ["initrd.lz4", "initrd.cpio", "tree"].map(|name| self.dir.join(name));
        debian.extract(&kernel.initrd, &packed)?;
        files::create_dir(&tree)?;
        self.run("lz4", [OsStr::new("-dqf"), packed.as_ref(), archive.as_ref()], self.dir)?;
        self.run(
            "cpio",
            [OsStr::new("--extract"), "--quiet".as_ref(), "--file".as_ref(), archive.as_ref()],
            &tree,
        )?;
        let updates = tree.join("usr/lib/modules").join(&kernel.release).join("updates");
        files::create_dir(&updates)?;
        files::copy_into(module, &updates)?;
        self.run("/sbin/depmod", ["--basedir".as_ref(), tree.as_os_str(), kernel.release.as_ref()], &tree)?;
        // Nobody but root may own what the kernel makes of it.
        let pack = "find . -print0 | LC_ALL=C sort -z | cpio --create --null --format=newc --owner=+0:+0 --quiet > \"$0\"";
        self.run("sh", ["-c".as_ref(), pack.as_ref(), archive.as_os_str()], &tree)?;
        // The kernel knows the old format alone.
        self.run("lz4", [OsStr::new("-l9qf"), archive.as_ref(), packed.as_ref()], self.dir)?;
        Ok(packed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_of_the_version_of_the_kernel() {
        let kernel =
            Kernel { release: "6.1.0-57-amd64".into(), version: "6.1.192-3".into(), initrd: String::new() };

        let expected = [
            "linux-headers-6.1.0-57-amd64=6.1.192-3",
            "linux-headers-6.1.0-57-common=6.1.192-3",
            "linux-kbuild-6.1=6.1.192-3",
            "linux-source-6.1=6.1.192-3",
        ];
        assert_eq!(kernel.packages(), expected);
    }
}
