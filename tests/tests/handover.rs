//! A kernel of ours that firmware starts: SeaBIOS by the option ROM, qboot by itself. Needs no 64-bit guest.

use std::fs;

use anyhow::{Result, ensure};
use machine_tests::{BootSector, Vm, VmBuilder, patience, tiny_kernel};

/// A machine with the kernel, an initrd and a command line, all of which the kernel shows.
fn machine(name: &str, firmware: &str) -> Result<VmBuilder> {
    let builder = VmBuilder::new(name)?;
    let kernel = tiny_kernel(builder.dir())?;
    let initrd = builder.dir().join("initrd");
    fs::write(&initrd, b"of text\0")?;
    let files = [("--kernel", kernel), ("--initrd", initrd)];
    let files = files.into_iter().flat_map(|(option, path)| [option.into(), path.into_os_string()]);
    Ok(builder.args(files).args(["--firmware", firmware, "--cmdline", "one two"]))
}

/// The kernel finds what the command line named, and powers off.
fn starts(mut vm: Vm) -> Result<()> {
    vm.expect("kernel: runs\r\n", patience(20))?;
    vm.expect("kernel: command line one two\r\n", patience(5))?;
    vm.expect("kernel: initrd of text\r\n", patience(5))?;
    ensure!(vm.wait(patience(5))?.code() == Some(0));
    Ok(())
}

#[test]
fn seabios_starts_a_kernel_by_the_option_rom() -> Result<()> {
    starts(machine("seabios", "seabios")?.start()?)
}

#[test]
fn seabios_starts_a_kernel_before_any_disk() -> Result<()> {
    let builder = machine("seabios_disk", "seabios")?;
    let disk = BootSector::create(builder.dir(), "boot.raw", "P")?;
    starts(builder.disk(disk.path(), "").start()?)?;
    ensure!(disk.runs()? == 0);
    Ok(())
}

#[test]
fn seabios_without_option_rom_boots_the_disk() -> Result<()> {
    let builder = machine("no_option_rom", "seabios")?.args(["--machine", "x-option-roms=off"]);
    let disk = BootSector::create(builder.dir(), "boot.raw", "P")?;
    let vm = builder.disk(disk.path(), "").start()?;
    ensure!(vm.wait(patience(20))?.code() == Some(0));
    ensure!(disk.runs()? == 1);
    Ok(())
}

#[test]
fn qboot_starts_a_kernel() -> Result<()> {
    starts(machine("qboot", "qboot")?.start()?)
}

#[test]
fn qboot_starts_a_kernel_in_little_memory() -> Result<()> {
    starts(machine("qboot_small", "qboot")?.args(["--memory", "16M"]).start()?)
}
