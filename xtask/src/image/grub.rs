//! GRUB's images, made to find each other without `grub-bios-setup`, which wants a block device.
//!
//! By BIOS: `boot.img` in LBA 0 loads the first block of `core.img`, which loads the rest of it; both know where by a
//! number that is written into them here. By UEFI: an application, found by name on the EFI system partition.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::gpt::SECTOR;
use crate::{paths, progress::Step};

/// Modules for either platform: the disk's partitions and file systems, the commands of our configurations.
const MODULES: &[&str] = &[
    "part_gpt",
    "ext2",
    "fat",
    "normal",
    "configfile",
    "linux",
    "regexp",
    "test",
    "echo",
    "serial",
    "terminal",
    "ls",
    "cat",
    "minicmd",
    "halt",
    "reboot",
    "search",
    "search_fs_uuid",
];

/// Where Debian's packages put GRUB's own files.
const LIBRARY: &str = "/usr/lib/grub";

/// `boot.img`: the block number of `core.img`, 64 bits.
const BOOT_KERNEL_SECTOR: usize = 0x5c;
/// `boot.img`: a jump over the instructions that ask which drive this is; without it they are run, which hard disks want.
const BOOT_DRIVE_CHECK: usize = 0x66;
/// `core.img`, end of its first block: the list of blocks to load, one entry of start (64), count (16) and segment (16 bits).
const CORE_BLOCK_LIST: usize = 0x1f4;
/// The paragraph at 0x8200, where the second block of `core.img` belongs.
const CORE_SEGMENT: u16 = 0x820;

const NOP: u8 = 0x90;

/// What a BIOS boots.
pub(super) struct Bios {
    /// For LBA 0.
    pub(super) boot: Vec<u8>,
    /// For the BIOS boot partition.
    pub(super) core: Vec<u8>,
}

/// Makes the images for BIOS; `core.img` shall lie in the partition of `sectors` blocks that starts at block `lba`.
pub(super) fn bios(step: &Step, dir: &Path, log: &Path, lba: u64, sectors: u64) -> anyhow::Result<Bios> {
    let core = dir.join("core.img");
    let prefix = "(,gpt1)/boot/grub";
    step.command(&mut mkimage("i386-pc", prefix, &["biosdisk"], &core), log)?;
    let boot = Path::new(LIBRARY).join("i386-pc/boot.img");
    let boot = std::fs::read(&boot).with_context(|| format!("read {}", boot.display()))?;
    let core = std::fs::read(&core).with_context(|| format!("read {}", core.display()))?;
    ensure!(
        core.len() as u64 <= sectors * SECTOR,
        "GRUB's core image does not fit into the BIOS boot partition"
    );
    Ok(Bios { boot: patch_boot(boot, lba)?, core: patch_core(core, lba)? })
}

/// Makes the UEFI application; returns its path in `dir`.
pub(super) fn efi(step: &Step, dir: &Path, log: &Path) -> anyhow::Result<PathBuf> {
    let application = dir.join("BOOTX64.EFI");
    step.command(&mut mkimage("x86_64-efi", "/EFI/debian", &["efi_gop"], &application), log)?;
    Ok(application)
}

/// The command that packs GRUB for `platform`, with the embedded configuration `core.cfg`: the root file system is
/// partition 1 of the disk that GRUB came from, whatever the name of that disk here. (Said here because what reads that
/// file knows no comments.)
fn mkimage(platform: &str, prefix: &str, more: &[&str], output: &Path) -> Command {
    let mut command = Command::new("grub-mkimage");
    command.args(["--format", platform, "--prefix", prefix, "--output"]).arg(output);
    command.arg("--directory").arg(Path::new(LIBRARY).join(platform));
    command.arg("--config").arg(paths::root().join("xtask/src/image/core.cfg"));
    command.args(MODULES).args(more);
    command
}

/// Tells `boot.img` that `core.img` is at block `core`.
fn patch_boot(mut boot: Vec<u8>, core: u64) -> anyhow::Result<Vec<u8>> {
    ensure!(boot.len() as u64 == SECTOR, "GRUB's boot.img has {} bytes, not one block", boot.len());
    write(&mut boot, BOOT_KERNEL_SECTOR, &core.to_le_bytes());
    write(&mut boot, BOOT_DRIVE_CHECK, &[NOP, NOP]);
    Ok(boot)
}

/// Tells the first block of `core.img`, which will lie at block `lba`, where the others are.
fn patch_core(mut core: Vec<u8>, lba: u64) -> anyhow::Result<Vec<u8>> {
    let blocks = (core.len() as u64).div_ceil(SECTOR);
    ensure!(blocks > 1, "GRUB's core.img has {} bytes, no more than its loader", core.len());
    let others = u16::try_from(blocks - 1).context("GRUB's core.img is larger than its loader can count")?;
    write(&mut core, CORE_BLOCK_LIST, &(lba + 1).to_le_bytes());
    write(&mut core, CORE_BLOCK_LIST + 8, &others.to_le_bytes());
    write(&mut core, CORE_BLOCK_LIST + 10, &CORE_SEGMENT.to_le_bytes());
    Ok(core)
}

fn write(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_image_names_the_core_block() {
        let boot = patch_boot(vec![0xff; 512], 2048).unwrap();
        assert_eq!(boot[0x5c..0x64], 2048u64.to_le_bytes());
    }

    #[test]
    fn boot_image_checks_the_drive_after_patching() {
        let boot = patch_boot(vec![0xff; 512], 2048).unwrap();
        assert_eq!(boot[0x65..0x69], [0xff, NOP, NOP, 0xff]);
    }

    #[test]
    fn boot_image_of_two_blocks_is_refused() {
        assert!(patch_boot(vec![0; 1024], 2048).unwrap_err().to_string().contains("1024 bytes"));
    }

    #[test]
    fn core_image_counts_the_last_partial_block() {
        let core = patch_core(vec![0; 512 + 512 + 1], 2048).unwrap();
        assert_eq!(core[0x1f4..0x200], [0x01, 0x08, 0, 0, 0, 0, 0, 0, 2, 0, 0x20, 0x08]);
    }

    #[test]
    fn core_image_without_a_second_block_is_refused() {
        assert!(patch_core(vec![0; 512], 2048).unwrap_err().to_string().contains("512 bytes"));
    }
}
