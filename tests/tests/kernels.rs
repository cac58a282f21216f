//! Debian's kernel started by the VMM itself, by SeaBIOS and by qboot: needs a KVM that runs 64-bit guests, or the lab.

use anyhow::{Result, ensure};
use machine_tests::{Vm, VmBuilder, blank_disk, patience};

/// Debian's own root.
const ROOT: &str = "root=/dev/vda1 ro console=ttyS0,115200 loglevel=6 cryptomgr.notests init_on_alloc=0";
/// Nothing but the shell of the initial RAM disk.
const SHELL: &str = "console=ttyS0,115200 rdinit=/bin/sh reboot=t";

/// A machine that starts in Debian's kernel and goes on with Debian's disk.
fn with_root(name: &str) -> Result<VmBuilder> {
    let builder = VmBuilder::new(name)?.debian_disk("")?.debian_kernel("vmlinuz", ROOT)?;
    Ok(builder.args(["--cpus", "2", "--memory", "512M"]))
}

/// The kernel was told what was said, and found both vCPUs.
fn is_complete(vm: &mut Vm) -> Result<()> {
    vm.login()?;
    ensure!(vm.shell("nproc")? == "2");
    ensure!(vm.shell("cat /proc/cmdline")? == ROOT);
    vm.no_complaints()
}

#[test]
fn kernel_starts_without_firmware_and_again_after_a_reset() -> Result<()> {
    let mut vm = with_root("direct_boot")?.args(["--smbios", "type=1,serial=s42"]).start()?;
    for reset in [true, false] {
        is_complete(&mut vm)?;
        let ram_mib: u64 = vm.shell("awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo")?.parse()?;
        ensure!((400..512).contains(&ram_mib));
        ensure!(vm.shell("cat /sys/class/dmi/id/product_serial")? == "s42");
        ensure!(vm.shell("dmesg | grep -c 'ACPI: RSDP 0x00000000000E0000'")? == "1");
        if reset {
            vm.shell("sync; mount -o remount,ro /")?;
            vm.send("reboot -f\n")?;
        }
    }
    vm.presses_the_power_button()
}

/// Writes to the whole of an NVMe disk from both CPUs at once, past the page cache.
const WRITE: &str = "for cpu in 0 1; do dd if=/dev/urandom of=/root/$cpu bs=1M count=4 status=none; \
    taskset -c $cpu dd if=/root/$cpu of=/dev/nvme1n1 bs=64k seek=$((cpu * 64)) oflag=direct status=none & done; wait";
/// Finds that there, past the page cache again.
const READ_BACK: &str =
    "blockdev --flushbufs /dev/nvme1n1; cat /root/0 /root/1 | cmp -n 8388608 - /dev/nvme1n1";

/// Root and a second disk, each a controller with a queue pair for each CPU. Resets by the driver and of the machine, and a
/// removal, each find the disk again.
#[test]
fn nvme_disks_keep_their_data_through_every_reset() -> Result<()> {
    let builder = VmBuilder::new("nvme")?;
    let blank = blank_disk(builder.dir(), "blank.raw", 8 << 20, "")?;
    let builder = builder.debian_disk(",bus=nvme")?.disk(&blank, ",bus=nvme,serial=second");
    let builder = builder.debian_kernel("vmlinuz", &ROOT.replace("vda1", "nvme0n1p1"))?;
    let mut vm = builder.args(["--cpus", "2", "--memory", "512M"]).start()?;
    vm.login()?;
    ensure!(vm.shell("ls /dev/disk/by-id | grep -c 'nvme-Tinderbox_NVMe_disk_second$'")? == "1");
    vm.shell(WRITE)?;
    vm.shell(READ_BACK)?;
    vm.shell(&format!("echo 1 > /sys/class/nvme/nvme1/reset_controller; {READ_BACK}"))?;
    vm.shell("echo 1 > /sys/bus/pci/devices/0000:00:02.0/remove; [ ! -e /dev/nvme1n1 ]")?;
    vm.shell("echo 1 > /sys/bus/pci/rescan; udevadm settle; sleep 1")?;
    vm.shell(READ_BACK)?;
    nvme_is_content(&mut vm)?;
    vm.shell("sync; mount -o remount,ro /")?;
    vm.send("reboot -f\n")?;
    vm.login()?;
    vm.shell(READ_BACK)?;
    nvme_is_content(&mut vm)?;
    vm.presses_the_power_button()
}

/// Neither the driver nor the rest of the kernel found anything wrong.
fn nvme_is_content(vm: &mut Vm) -> Result<()> {
    let complaints = vm.shell("dmesg | grep nvme | grep -iE 'timeout|abort|fail|error|invalid' || true")?;
    ensure!(complaints.is_empty(), "the driver complains: {complaints}");
    vm.no_complaints()
}

/// Debian's own root, by the kernel and the initial RAM disk that firmware was given.
fn firmware_starts(name: &str, firmware: &str) -> Result<()> {
    let mut vm = with_root(name)?.args(["--firmware", firmware]).start()?;
    is_complete(&mut vm)?;
    vm.presses_the_power_button()
}

#[test]
fn seabios_starts_a_bzimage_by_the_option_rom() -> Result<()> {
    firmware_starts("seabios_kernel", "seabios")
}

#[test]
fn qboot_starts_a_bzimage() -> Result<()> {
    firmware_starts("qboot_kernel", "qboot")
}

/// A kernel has written all over its own memory when the machine resets.
#[test]
fn qboot_starts_an_elf_kernel_and_again_after_a_reset() -> Result<()> {
    let builder = VmBuilder::new("qboot_elf")?.debian_kernel("vmlinux", SHELL)?;
    let mut vm = builder.args(["--firmware", "qboot"]).start()?;
    for _ in 0..2 {
        vm.expect("Linux version", patience(30))?;
        vm.expect("# ", patience(60))?;
        vm.shell("mkdir -p /proc && mount -t proc proc /proc")?;
        ensure!(vm.shell("cat /proc/cmdline")? == SHELL);
        vm.send("reboot -f\n")?;
    }
    vm.expect("Linux version", patience(30)).map(drop)
}

/// Nothing but the initial RAM disk: Debian's kernel cannot be told of virtio-mmio devices by its command line.
#[test]
fn cpus_start_by_the_mp_table_where_there_is_no_acpi() -> Result<()> {
    let builder = VmBuilder::new("mp_table")?.debian_kernel("vmlinuz", SHELL)?;
    let mut vm = builder.args(["--cpus", "2", "--machine", "acpi=off", "--no-reboot"]).start()?;
    vm.expect("# ", patience(60))?;
    vm.shell("mkdir -p /sys /proc; mount -t sysfs sysfs /sys; mount -t proc proc /proc")?;
    ensure!(vm.shell("cat /sys/devices/system/cpu/online")? == "0-1");
    let interrupts = vm.shell("cat /proc/interrupts")?;
    let serial = interrupts.lines().find(|line| line.contains("ttyS0")).unwrap_or_default();
    ensure!(serial.contains("IO-APIC") && serial.contains("4-edge"), "{interrupts}");
    vm.send("reboot\n")?;
    vm.powers_off()
}
