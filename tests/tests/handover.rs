//! Kernels that need no 64-bit guest: one of ours that firmware starts, SeaBIOS by the option ROM, qboot by itself; and one
//! of somebody else's that is started without firmware.

use std::fs;

use anyhow::{Result, ensure};
use machine_tests::{BootSector, Vm, VmBuilder, debian_boot_file, patience, tiny_kernel};

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

/// tboot tells what it was told: the command line, the memory map, and that its module is no kernel.
#[test]
fn multiboot_kernel_starts_without_firmware() -> Result<()> {
    let builder = VmBuilder::new("multiboot")?;
    let module = builder.dir().join("module");
    fs::write(&module, b"no kernel")?;
    let kernel = debian_boot_file("tboot")?;
    let files = [("--kernel", kernel), ("--initrd", module)];
    let files = files.into_iter().flat_map(|(option, path)| [option.into(), path.into_os_string()]);
    let cmdline = "logging=serial serial=115200,8n1,0x3f8";
    let args = ["--memory", "256M", "--no-reboot", "--cmdline", cmdline];
    let mut vm = builder.args(files).args(args).start()?;
    vm.expect("TBOOT: command line: ", patience(20))?;
    vm.expect(&format!("/tboot {cmdline}\r\n"), patience(5))?;
    vm.expect("TBOOT: original e820 map:", patience(5))?;
    let map = vm.expect("Failed to get EFI memory map", patience(5))?;
    ensure!(map.contains("0000000000000000 - 000000000009fc00  (1)"), "{map}");
    ensure!(map.contains("0000000000100000 - 0000000010000000  (1)"), "{map}");
    vm.expect("Image size is smaller than ELF header size", patience(20)).map(drop)
}
