//! SeaBIOS: configured with Kconfig, built with make.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use super::build::{Builder, Output, Work, clean, has_reset_vector};
use crate::files;

/// What follows the version in the banner. Without any, SeaBIOS adds the time and the host's name instead.
const EXTRA_VERSION: &str = "-tinderbox";

/// Builds a tree of SeaBIOS.
pub(crate) struct SeaBios;

impl Builder for SeaBios {
    fn code_version(&self) -> u32 {
        1
    }

    fn packages(&self) -> &[&str] {
        // The configuration tool is a C program of the host's, the linker script is made by Python.
        &["binutils", "gcc", "libc6-dev", "make", "python3"]
    }

    fn toolchain(&self) -> &[&str] {
        &["gcc", "ld"]
    }

    fn landmarks(&self) -> &[&str] {
        &["Makefile", "src/Kconfig", "scripts/layoutrom.py"]
    }

    fn compile(&self, work: &Work<'_>, tree: &Path, version: Option<&str>) -> anyhow::Result<Output> {
        let version = settle_version(tree, version)?;
        configure(work, tree)?;
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        work.run(make(tree).arg(format!("--jobs={jobs}")).arg(format!("EXTRAVERSION={EXTRA_VERSION}")))?;
        let image = tree.join("out/bios.bin");
        let bytes = fs::read(&image).with_context(|| format!("read {}", image.display()))?;
        verify(&bytes, &version)?;
        Ok(Output { image, version, symbols: Vec::new() })
    }
}

/// Puts our options in place, lets the tree fill in the others, and checks that it took ours.
fn configure(work: &Work<'_>, tree: &Path) -> anyhow::Result<()> {
    let path = tree.join(".config");
    files::write(&path, work.config)?;
    work.run(make(tree).arg("oldnoconfig"))?;
    let settled = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    if let Some(lost) = lost_option(work.config, &settled) {
        bail!(
            "{}: this source does not take {lost}",
            work.recipe.config.as_deref().unwrap_or("no configuration")
        );
    }
    Ok(())
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

/// Checks that `image` is the SeaBIOS that was meant: a reset vector, and its own version in the banner.
fn verify(image: &[u8], version: &str) -> anyhow::Result<()> {
    ensure!(has_reset_vector(image), "the image has no jump at its reset vector, 16 bytes before its end");
    let banner = format!("{version}{EXTRA_VERSION}");
    let found = image.windows(banner.len()).any(|bytes| bytes == banner.as_bytes());
    ensure!(found, "the image does not say {banner:?}: its build put time and host name in place of it");
    Ok(())
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
        verify(image, "1.16.2").map_or_else(|error| error.to_string(), |()| "good".to_owned())
    }

    #[test]
    fn verify_takes_a_good_image() {
        assert_eq!(verdict(&image(JUMP, "rel 1.16.2-tinderbox")), "good");
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
