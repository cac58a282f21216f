//! edk2: Debian from the boot loader on its EFI system partition, and its kernel as an EFI application: needs a KVM that
//! runs 64-bit guests, or the lab.

use anyhow::{Result, ensure};
use machine_tests::{Vm, VmBuilder, blank_disk, efi_disc, patience};

/// Nothing but the shell of the initial RAM disk, which leaves by the firmware's run-time service.
const SHELL: &str = "console=ttyS0,115200 rdinit=/bin/sh reboot=efi";

/// A machine that edk2 starts.
fn edk2(builder: VmBuilder, cpus: &str, memory: &str) -> VmBuilder {
    builder.args(["--firmware", "edk2", "--cpus", cpus, "--memory", memory])
}

/// The device that edk2 tries first, by its path.
fn first_try(vm: &mut Vm) -> Result<String> {
    vm.expect("BdsDxe: loading ", patience(30))?;
    vm.expect("\r\n", patience(5))
}

#[test]
fn debian_boots_from_the_disk_with_the_boot_index() -> Result<()> {
    let builder = VmBuilder::new("uefi_disk")?;
    let blank = blank_disk(builder.dir(), "blank.raw", 1 << 20, "no boot loader")?;
    let builder = builder.disk(&blank, "").debian_disk(",bootindex=0")?;
    let mut vm = edk2(builder, "4", "6G").start()?;
    let first = first_try(&mut vm)?;
    // The transport's address as edk2 writes it: eight bytes, little-endian.
    ensure!(first.contains("0002B0FE00000000"), "not the second disk: {first}");
    vm.login()?;
    ensure!(vm.shell("ls -d /sys/firmware/efi")? == "/sys/firmware/efi");
    ensure!(vm.shell("nproc")? == "4");
    let ram_mib: u64 = vm.shell("awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo")?.parse()?;
    ensure!((5600..6144).contains(&ram_mib), "{ram_mib} MiB");
    ensure!(vm.shell("cat /sys/class/rtc/rtc0/name")?.starts_with("rtc_cmos"), "edk2's clock");
    vm.no_complaints()?;
    vm.presses_the_power_button()
}

/// Debian's own kernel on the controller of PCI. The boot order has the port as edk2 counts it: the first of high speed comes
/// after eight of SuperSpeed.
#[test]
fn debian_boots_from_a_usb_disk_and_mounts_another() -> Result<()> {
    let builder = VmBuilder::new("uefi_usb")?;
    let blank = blank_disk(builder.dir(), "blank.raw", 64 << 20, "no boot loader")?;
    let blank = format!("storage,disk={}", blank.display());
    let builder = builder.args(["--device", "xhci", "--usb", &blank]);
    let builder = builder.debian_usb_disk(",speed=high,bootindex=0")?;
    let mut vm = edk2(builder, "2", "512M").start()?;
    let first = first_try(&mut vm)?;
    ensure!(first.contains("/USB(0x8,0x0)"), "not the second disk: {first}");
    vm.login()?;
    let root = vm.shell("findmnt -no SOURCE / | cut -c 6-8")?;
    let device = vm.shell(&format!("readlink -f /sys/block/{root}"))?;
    ensure!(device.contains("/pci0000:00/") && device.contains("/usb"), "{device}");
    let tree = vm.shell("lsusb -t")?;
    ensure!(tree.contains("Driver=uas, 480M") && tree.contains("Driver=usb-storage, 5000M"), "{tree}");
    let other = if root == "sda" { "sdb" } else { "sda" };
    vm.shell(&format!("mkfs.ext4 -q /dev/{other} && mount /dev/{other} /mnt"))?;
    vm.shell("dd if=/dev/urandom of=/mnt/random bs=1M count=8 conv=fsync 2>/dev/null")?;
    let sum = vm.shell("sha256sum < /mnt/random")?;
    vm.shell(&format!("umount /mnt && blockdev --flushbufs /dev/{other} && mount -o ro /dev/{other} /mnt"))?;
    ensure!(vm.shell("sha256sum < /mnt/random")? == sum, "what was written is there");
    vm.no_complaints()?;
    vm.presses_the_power_button()
}

#[test]
fn disc_on_scsi_boots_its_loader() -> Result<()> {
    let builder = VmBuilder::new("uefi_scsi")?;
    let disc = efi_disc(builder.dir(), "boot.iso")?;
    let blank = blank_disk(builder.dir(), "blank.raw", 1 << 20, "no boot loader")?;
    let builder = builder.disk(&blank, ",bus=scsi").disk(&disc, ",media=cdrom,bootindex=0");
    let mut vm = edk2(builder, "1", "512M").start()?;
    let first = first_try(&mut vm)?;
    ensure!(first.contains("Scsi(0x1,0x0)"), "not the disc: {first}");
    // It has the boot loader alone, and not what that looks for.
    vm.expect("GNU GRUB", patience(60)).map(drop)
}

#[test]
fn kernel_starts_as_an_efi_application_and_resets_by_the_firmware() -> Result<()> {
    let builder = VmBuilder::new("uefi_kernel")?.debian_kernel("vmlinuz", SHELL)?;
    let mut vm = edk2(builder, "1", "512M").args(["--no-reboot"]).start()?;
    vm.expect("# ", patience(60))?;
    vm.shell("mkdir -p /proc /sys; mount -t proc proc /proc; mount -t sysfs sysfs /sys")?;
    ensure!(vm.shell("cat /sys/firmware/efi/fw_platform_size")? == "64");
    let cmdline = vm.shell("cat /proc/cmdline")?;
    ensure!(cmdline.starts_with(SHELL), "{cmdline}");
    vm.send("reboot -f\n")?;
    vm.powers_off()
}

/// Three disks with nothing on them, one of them a second function: all are tried, the boot order first, then comes the shell.
#[test]
fn shell_follows_disks_that_do_not_boot_in_their_order() -> Result<()> {
    let builder = VmBuilder::new("uefi_shell")?;
    let dir = builder.dir().to_owned();
    let blank = |name: &str| blank_disk(&dir, name, 8 << 20, "");
    let (first, second, third) = (blank("1.raw")?, blank("2.raw")?, blank("3.raw")?);
    let builder = builder.disk(&first, ",bus=virtio-pci,addr=4");
    let builder = builder.disk(&second, ",bus=nvme,addr=5,bootindex=1");
    let builder = builder.disk(&third, ",bus=virtio-pci,addr=4.1,bootindex=0");
    let mut vm = edk2(builder, "1", "256M").start()?;
    for place in ["Pci(0x4,0x1)", "Pci(0x5,0x0)", "Pci(0x4,0x0)"] {
        vm.expect("BdsDxe: failed to load ", patience(30))?;
        let tried = vm.expect("\r\n", patience(5))?;
        ensure!(tried.contains(place) && tried.ends_with("Not Found"), "{tried}, not the disk at {place}");
    }
    vm.expect("UEFI Interactive Shell", patience(30))?;
    vm.expect("any other key to continue", patience(10))?;
    vm.send("\x1b")?;
    vm.expect("Shell>", patience(10))?;
    vm.send("reset -s\r")?;
    vm.powers_off()
}
