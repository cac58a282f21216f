//! SeaBIOS: from a tarball to an image that is checked.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

use super::recipe::Recipe;
use crate::progress::Step;
use crate::{files, host, paths};

/// Counted up when the code below makes other bytes of the same recipe.
pub(crate) const CODE_VERSION: u32 = 1;

/// What follows the version in the banner. Without any, SeaBIOS adds the time and the host's name instead.
const EXTRA_VERSION: &str = "-tinderbox";

/// Debian packages: the configuration tool is a C program of the host's, the linker script is made by Python.
const TOOLS: [&str; 5] = ["binutils", "gcc", "libc6-dev", "make", "python3"];

/// Makes sure that what the build needs is installed.
pub(crate) fn ensure_tools() -> anyhow::Result<()> {
    host::ensure_packages("building SeaBIOS", &TOOLS)
}

/// The compiler and the linker: other versions make other bytes.
pub(crate) fn toolchain() -> anyhow::Result<String> {
    Ok(format!("{}; {}", version_line("gcc")?, version_line("ld")?))
}

fn version_line(program: &str) -> anyhow::Result<String> {
    let output = clean(program).arg("--version").output().with_context(|| format!("start {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// `program` with nothing of the caller's environment but the search path: compiler flags and cargo's job server would
/// show in the result.
fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/sbin:/usr/bin:/sbin:/bin"));
    command.env_clear().env("PATH", path).env("LC_ALL", "C");
    command
}

/// An image that passed all checks, and what belongs to it.
pub(crate) struct Product {
    pub(crate) image: PathBuf,
    /// The licence texts, which go wherever the image goes.
    pub(crate) licences: Vec<PathBuf>,
    /// What the source says it is.
    pub(crate) version: String,
    /// Holds all the files.
    _scratch: TempDir,
}

/// What a build needs beside its source.
pub(crate) struct Work<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) config: &'a str,
    pub(crate) step: &'a Step,
    pub(crate) log: &'a Path,
}

impl Work<'_> {
    /// Builds the source in `tarball`, in a new folder that ends in `place`. `version` is for sources that do not say it.
    pub(crate) fn compile(
        &self,
        tarball: &Path,
        version: Option<&str>,
        place: &str,
    ) -> anyhow::Result<Product> {
        let scratch = files::scratch_dir(&paths::target_dir("firmware")?)?;
        let tree = scratch.path().join(place);
        self.unpack(tarball, &tree)?;
        let version = settle_version(&tree, version)?;
        self.configure(&tree)?;
        self.make(&tree)?;
        let image = tree.join("out/bios.bin");
        let bytes = fs::read(&image).with_context(|| format!("read {}", image.display()))?;
        verify(&bytes, self.recipe.size, &version)?;
        let licences = ["COPYING", "COPYING.LESSER"].map(|name| tree.join(name));
        let licences = licences.into_iter().filter(|path| path.exists()).collect();
        Ok(Product { image, licences, version, _scratch: scratch })
    }

    fn unpack(&self, tarball: &Path, tree: &Path) -> anyhow::Result<()> {
        files::create_dir(tree)?;
        let mut tar = clean("tar");
        tar.args(["--extract", "--no-same-owner", "--strip-components=1", "--file"]).arg(tarball);
        self.run(tar.arg("--directory").arg(tree))?;
        let is_seabios = tree.join("src/Kconfig").exists() && tree.join("scripts/layoutrom.py").exists();
        ensure!(is_seabios, "{} does not hold the source of SeaBIOS", tarball.display());
        Ok(())
    }

    /// Puts our options in place, lets the tree fill in the others, and checks that it took ours.
    fn configure(&self, tree: &Path) -> anyhow::Result<()> {
        let path = tree.join(".config");
        files::write(&path, self.config)?;
        self.run(make(tree).arg("oldnoconfig"))?;
        let settled = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        if let Some(lost) = lost_option(self.config, &settled) {
            bail!("{}: this source does not take {lost}", self.recipe.config);
        }
        Ok(())
    }

    fn make(&self, tree: &Path) -> anyhow::Result<()> {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        self.run(make(tree).arg(format!("--jobs={jobs}")).arg(format!("EXTRAVERSION={EXTRA_VERSION}")))
    }

    fn run(&self, command: &mut Command) -> anyhow::Result<()> {
        self.step.command(command, self.log)
    }
}

fn make(tree: &Path) -> Command {
    let mut make = clean("make");
    make.arg("--directory").arg(tree).arg("PYTHON=python3");
    make
}

/// Makes the tree say its version in the file that its build reads, and gives that version.
fn settle_version(tree: &Path, version: Option<&str>) -> anyhow::Result<String> {
    let path = tree.join(".version");
    let said = fs::read_to_string(&path).unwrap_or_default();
    let version = version.or_else(|| said.lines().next()).unwrap_or("unknown").trim().to_owned();
    files::write(&path, format!("{version}\n"))?;
    Ok(version)
}

/// The first option of `wanted` that `settled`, the configuration after the tree completed it, does not have.
fn lost_option<'a>(wanted: &'a str, settled: &str) -> Option<&'a str> {
    let has = |line: &str| settled.lines().any(|settled| settled == line);
    wanted.lines().filter(|line| line.starts_with("CONFIG_")).find(|line| match line.strip_suffix("=n") {
        // What depends on something that is off is not mentioned at all.
        Some(option) => has(&format!("{option}=y")),
        None => !has(line),
    })
}

/// Checks that `image` is the SeaBIOS that was meant: its size, a reset vector, and its own version in the banner.
fn verify(image: &[u8], size: u64, version: &str) -> anyhow::Result<()> {
    ensure!(image.len() as u64 == size, "the image has {} bytes, the recipe says {size}", image.len());
    ensure!(has_reset_vector(image), "the image has no jump at its reset vector, 16 bytes before its end");
    let banner = format!("{version}{EXTRA_VERSION}");
    let found = image.windows(banner.len()).any(|bytes| bytes == banner.as_bytes());
    ensure!(found, "the image does not say {banner:?}: its build put time and host name in place of it");
    Ok(())
}

/// Whether the processor's first instruction, at f000:fff0, is a far jump (EA) into the same segment.
fn has_reset_vector(image: &[u8]) -> bool {
    image
        .last_chunk::<16>()
        .is_some_and(|[opcode, _, _, low, high, ..]| (opcode, low, high) == (&0xea, &0x00, &0xf0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of 64 KiB with this reset vector and this text.
    fn image(vector: [u8; 5], text: &str) -> Vec<u8> {
        let mut image = vec![0; 64 << 10];
        image[..text.len()].copy_from_slice(text.as_bytes());
        image[0xfff0..0xfff5].copy_from_slice(&vector);
        image
    }

    const JUMP: [u8; 5] = [0xea, 0x5b, 0xe0, 0x00, 0xf0];

    fn verdict(image: &[u8]) -> String {
        verify(image, 64 << 10, "1.16.2").map_or_else(|error| error.to_string(), |()| "good".to_owned())
    }

    #[test]
    fn verify_takes_a_good_image() {
        assert_eq!(verdict(&image(JUMP, "rel 1.16.2-tinderbox")), "good");
    }

    #[test]
    fn verify_refuses_another_size() {
        assert_eq!(verdict(&[0; 1 << 10]), "the image has 1024 bytes, the recipe says 65536");
    }

    #[test]
    fn verify_refuses_an_image_that_starts_nowhere() {
        assert!(verdict(&image([0xff; 5], "rel 1.16.2-tinderbox")).contains("no jump at its reset vector"));
    }

    #[test]
    fn verify_refuses_a_banner_with_time_and_host() {
        let message = verdict(&image(JUMP, "rel 1.16.2-20260101_000000-host-tinderbox"));

        assert!(message.contains(r#"does not say "1.16.2-tinderbox""#), "{message}");
    }

    #[test]
    fn lost_option_finds_what_the_tree_turned_back() {
        let settled = "CONFIG_QEMU=y\n# CONFIG_USB is not set\nCONFIG_ROM_SIZE=0\nCONFIG_ATA=y\n";

        assert_eq!(lost_option("# text\nCONFIG_QEMU=y\nCONFIG_USB=n\nCONFIG_NVME=n\n", settled), None);
        assert_eq!(lost_option("CONFIG_ROM_SIZE=128\n", settled), Some("CONFIG_ROM_SIZE=128"));
        assert_eq!(lost_option("CONFIG_ATA=n\n", settled), Some("CONFIG_ATA=n"));
        assert_eq!(lost_option("CONFIG_RENAMED=y\n", settled), Some("CONFIG_RENAMED=y"));
    }

    #[test]
    fn version_of_the_caller_comes_before_the_trees() {
        let tree = tempfile::tempdir().unwrap();

        assert_eq!(settle_version(tree.path(), None).unwrap(), "unknown");
        assert_eq!(settle_version(tree.path(), Some("rel-1.17.0-4-gabc")).unwrap(), "rel-1.17.0-4-gabc");
        assert_eq!(settle_version(tree.path(), None).unwrap(), "rel-1.17.0-4-gabc");
    }
}
