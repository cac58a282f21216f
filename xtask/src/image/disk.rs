//! The disk: partition table, boot loader, file systems, all written into one sparse file by ordinary programs.

use std::fs::{File, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::gpt::SECTOR;
use super::tree::{Rights, Tree};
use super::{grub, recipe};
use crate::progress::Step;

/// Writes `disk` with the content of `tree`; what is needed on the way goes to `work`.
pub(super) fn write(step: &Step, disk: &Path, tree: &Tree, work: &Path, log: &Path) -> anyhow::Result<()> {
    write_table_and_loader(step, disk, work, log).with_context(|| format!("write {}", disk.display()))?;
    write_esp(step, disk, work, log)?;
    write_root(step, disk, tree, log)
}

/// Everything outside the file systems.
fn write_table_and_loader(step: &Step, disk: &Path, work: &Path, log: &Path) -> anyhow::Result<()> {
    let bios = grub::bios(step, work, log, recipe::BIOS_BOOT.first, recipe::BIOS_BOOT.sectors)?;
    let file = File::create_new(disk)?;
    file.set_len(recipe::DISK_BYTES)?;
    file.write_all_at(&recipe::TABLE.front(&bios.boot), 0)?;
    file.write_all_at(&bios.core, recipe::BIOS_BOOT.offset())?;
    let (first, back) = recipe::TABLE.back();
    file.write_all_at(&back, first * SECTOR)?;
    Ok(())
}

/// FAT32 with GRUB under the name that firmware tries by itself. UEFI 2.10, 3.5.1.1.
fn write_esp(step: &Step, disk: &Path, work: &Path, log: &Path) -> anyhow::Result<()> {
    let application = grub::efi(step, work, log)?;
    let image = format!("{}@@{}", disk.display(), recipe::ESP.offset());
    let mtools = |program: &str| {
        let mut command = Command::new(program);
        command.env("SOURCE_DATE_EPOCH", recipe::SOURCE_DATE_EPOCH).arg("-i").arg(&image);
        command
    };
    step.command(&mut mkfs_fat(disk), log)?;
    step.command(mtools("mmd").args(["::/EFI", "::/EFI/BOOT"]), log)?;
    step.command(mtools("mcopy").arg(application).arg("::/EFI/BOOT/BOOTX64.EFI"), log)
}

fn mkfs_fat(disk: &Path) -> Command {
    let mut command = Command::new("/usr/sbin/mkfs.fat");
    // It would choose the cluster size by the size of the whole disk, and get too few clusters for FAT32.
    command.args(["-F", "32", "-s", "1", "--invariant", "-n", "ESP", "-i", recipe::ESP_SERIAL]);
    command.args(["--offset", &recipe::ESP.first.to_string(), "-h", &recipe::ESP.first.to_string()]);
    command.arg(disk).arg((recipe::ESP.bytes() / 1024).to_string());
    command
}

/// ext4 with the content of `tree`.
fn write_root(step: &Step, disk: &Path, tree: &Tree, log: &Path) -> anyhow::Result<()> {
    // In a namespace the writer is neither us nor in our group.
    let during = if tree.rights == Rights::Namespace { 0o666 } else { 0o644 };
    set_mode(disk, during)?;
    step.command(&mut mke2fs(disk, tree), log)?;
    set_mode(disk, 0o644)
}

fn mke2fs(disk: &Path, tree: &Tree) -> Command {
    let mut command = tree.rights.command("/usr/sbin/mke2fs");
    command.env("SOURCE_DATE_EPOCH", recipe::SOURCE_DATE_EPOCH);
    command.env("E2FSPROGS_FAKE_TIME", recipe::SOURCE_DATE_EPOCH);
    // Newer hosts turn on features that this release's GRUB cannot read.
    command.args(["-q", "-F", "-t", "ext4", "-O", "^metadata_csum_seed,^orphan_file", "-m", "0"]);
    command.args(["-L", "root", "-U", recipe::ROOT_UUID]);
    command.arg("-E").arg(format!(
        "hash_seed={},lazy_itable_init=0,lazy_journal_init=0,offset={}",
        recipe::ROOT_UUID,
        recipe::ROOT.offset()
    ));
    command.arg("-d").arg(&tree.root).arg(disk).arg(format!("{}k", recipe::ROOT.bytes() / 1024));
    command
}

fn set_mode(file: &Path, mode: u32) -> anyhow::Result<()> {
    std::fs::set_permissions(file, Permissions::from_mode(mode))
        .with_context(|| format!("chmod {}", file.display()))
}
