//! A USB keyboard is typed on in SeaBIOS and in GRUB. Needs a KVM that has a TSC of the guest's own, or the lab.
//!
//! SeaBIOS and GRUB would run on any KVM. But without the PIC it asks its keyboard at ticks of the TSC, and begins with 0 as the
//! last one: where KVM emulates kernel mode the guest's TSC is the host's, and whenever bit 31 of it (in units of about
//! 5 MHz) is set, that is for 7 minutes in every 14, no tick ever comes.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use machine_tests::{BootSector, Qmp, Vm, VmBuilder, blank_disk, patience};
use tempfile::TempDir;

/// Starts a machine that a program controls. The socket is in a folder of its own: those of the tests may be on another host.
fn controlled(builder: VmBuilder) -> Result<(Vm, TempDir)> {
    let folder = tempfile::tempdir()?;
    let qmp = format!("unix:{}", folder.path().join("qmp").display());
    Ok((builder.args(["--qmp", &qmp]).start()?, folder))
}

/// A program that controls the machine with its socket in `folder`.
fn qmp(folder: &TempDir) -> Result<Qmp> {
    Qmp::connect(&folder.path().join("qmp"))
}

#[test]
fn keys_reach_a_boot_sector_through_the_firmware() -> Result<()> {
    let builder = VmBuilder::new("keys")?;
    let disk = BootSector::create(builder.dir(), "boot.raw", "K")?;
    let builder = builder.args(["--firmware", "seabios-usb", "--usb", "kbd"]).disk(disk.path(), "");
    let (mut vm, folder) = controlled(builder)?;
    vm.expect("boot: keys please\r\n", patience(60))?;
    qmp(&folder)?.type_keys("h shift+i 3 q")?;
    vm.expect("hI3q", patience(20))?;
    ensure!(vm.wait(patience(5))?.code() == Some(0));
    Ok(())
}

/// Where the EFI system partition of `image` begins, by its GUID partition table.
fn efi_partition(image: &Path) -> Result<u64> {
    const EFI: [u8; 16] =
        [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
    let mut entries = [0; 128 * 128];
    let mut file = File::open(image)?;
    file.seek(SeekFrom::Start(1024))?;
    file.read_exact(&mut entries)?;
    let entry = entries.chunks(128).find(|entry| entry[..16] == EFI).context("no EFI system partition")?;
    Ok(u64::from_le_bytes(entry[32..40].try_into()?) * 512)
}

/// Makes GRUB wait at its menu.
fn with_menu(dir: &Path) -> Result<()> {
    let (image, settings) = (dir.join("debian.raw"), dir.join("extra.cfg"));
    fs::write(&settings, "set timeout=600\n")?;
    let place = format!("{}@@{}", image.display(), efi_partition(&image)?);
    let status = Command::new("mcopy").args(["-i", &place]).arg(&settings).arg("::extra.cfg").status();
    ensure!(status.context("start mcopy (package mtools)")?.success(), "mcopy failed");
    Ok(())
}

#[test]
fn keys_reach_the_boot_menu_and_grub() -> Result<()> {
    let builder = VmBuilder::new("menus")?;
    let blank = blank_disk(builder.dir(), "blank.raw", 1 << 20, "no boot loader")?;
    let builder = builder.disk(&blank, "").debian_copy("")?;
    with_menu(builder.dir())?;
    // Two bytes are a number for SeaBIOS: 25 s to press the key in.
    let menu = ["--fw-cfg", "etc/show-boot-menu,string=1", "--fw-cfg", "etc/boot-menu-wait,string=aa"];
    let builder = builder.args(["--firmware", "seabios-usb", "--usb", "kbd", "--memory", "256M"]).args(menu);
    let (mut vm, folder) = controlled(builder)?;
    vm.expect("Press ESC for boot menu.", patience(30))?;
    let mut qmp = qmp(&folder)?;
    qmp.type_keys("esc")?;
    vm.expect("Select boot device:", patience(10))?;
    vm.expect("2. ", patience(10))?;
    qmp.type_keys("2")?;
    vm.expect("GNU GRUB", patience(30))?;
    // The menu listens to the serial port, until it is told otherwise.
    vm.send("c")?;
    vm.expect("grub> ", patience(10))?;
    vm.send("terminal_input console\r")?;
    vm.expect("grub> ", patience(10))?;
    qmp.type_keys("e c h o spc b y shift+minus u s b ret")?;
    vm.expect("by_usb", patience(10))?;
    Ok(())
}
