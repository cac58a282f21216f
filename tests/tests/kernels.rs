//! Debian's kernel started by the VMM itself, by SeaBIOS and by qboot: needs a KVM that runs 64-bit guests, or the lab.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use anyhow::{Context as _, Result, ensure};
use machine_tests::{Vm, VmBuilder, blank_disk, patience, qemu_img};
use rustix::process::Signal;

/// Debian's own root.
const ROOT: &str = "root=/dev/vda1 ro console=ttyS0,115200 loglevel=6 cryptomgr.notests init_on_alloc=0";
/// Nothing but the shell of the initial RAM disk.
const SHELL: &str = "console=ttyS0,115200 rdinit=/bin/sh reboot=t";

/// A machine that starts in Debian's kernel and goes on with Debian's disk, which has these keys.
fn with_root(name: &str, disk: &str) -> Result<VmBuilder> {
    let builder = VmBuilder::new(name)?.debian_disk(disk)?.debian_kernel("vmlinuz", ROOT)?;
    Ok(builder.args(["--cpus", "2", "--memory", "512M"]))
}

/// The kernel was told what was said, and found both vCPUs.
fn is_complete(vm: &mut Vm) -> Result<()> {
    vm.login()?;
    ensure!(vm.shell("nproc")? == "2");
    ensure!(vm.shell("cat /proc/cmdline")? == ROOT);
    vm.no_complaints()
}

/// The root is behind a PCI root port, whose bus and windows the VMM assigns, each time anew.
#[test]
fn kernel_starts_without_firmware_and_again_after_a_reset() -> Result<()> {
    let builder = with_root("direct_boot", ",bus=virtio-pci,port=p")?;
    let builder = builder.args(["--device", "root-port,id=p", "--smbios", "type=1,serial=s42"]);
    let mut vm = builder.start()?;
    for reset in [true, false] {
        is_complete(&mut vm)?;
        let ram_mib: u64 = vm.shell("awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo")?.parse()?;
        ensure!((400..512).contains(&ram_mib));
        ensure!(vm.shell("cat /sys/class/dmi/id/product_serial")? == "s42");
        ensure!(vm.shell("dmesg | grep -c 'ACPI: RSDP 0x00000000000E0000'")? == "1");
        ensure!(vm.shell("readlink /sys/block/vda")?.contains("/0000:00:01.0/0000:01:00.0/virtio"));
        if reset {
            vm.shell("sync; mount -o remount,ro /")?;
            vm.send("reboot -f\n")?;
        }
    }
    vm.presses_the_power_button()
}

#[test]
fn qboot_starts_a_bzimage() -> Result<()> {
    let mut vm = with_root("qboot_kernel", "")?.args(["--firmware", "qboot"]).start()?;
    is_complete(&mut vm)?;
    vm.presses_the_power_button()
}

/// The root is on the PCI root bus, a second disk behind a root port, and neither has an address: SeaBIOS sees no PCI. So Linux
/// assigns all.
#[test]
fn seabios_starts_a_bzimage_by_the_option_rom() -> Result<()> {
    let builder = with_root("seabios_kernel", ",bus=virtio-pci")?;
    let disk = blank_disk(builder.dir(), "behind.raw", 8 << 20, "behind")?;
    let builder = builder.disk(&disk, ",bus=virtio-pci,port=p").args(["--device", "root-port,id=p"]);
    let mut vm = builder.args(["--firmware", "seabios"]).start()?;
    is_complete(&mut vm)?;
    pci_is_in_order(&mut vm)?;
    pci_functions_come_and_go(&mut vm)?;
    vm.no_complaints()?;
    vm.presses_the_power_button()
}

/// What Linux says of PCI when something is wrong with it.
const PCI_COMPLAINTS: &str = "(pci|virtio|BAR).*(can.t|failed|conflict|invalid|no space|broken|timed? ?out)";

/// The kernel trusts the configuration space, and functions that work interrupt by messages.
fn pci_is_in_order(vm: &mut Vm) -> Result<()> {
    ensure!(vm.shell("dmesg | grep -c 'MMCONFIG at .* reserved in ACPI motherboard resources'")? == "1");
    let lspci = vm.shell("lspci -vv 2>&1")?;
    ensure!(lspci.matches("MSI-X: Enable+ Count=2 Masked-").count() == 2, "{lspci}");
    ensure!(lspci.matches("Kernel driver in use: virtio-pci").count() == 2, "{lspci}");
    ensure!(lspci.contains("Express (v2) Root Port (Slot+)") && !lspci.contains("!!!"), "{lspci}");
    ensure!(vm.shell("setpci -s 00:00.0 VENDOR_ID DEVICE_ID")? == "1b36\n0008");
    pci_is_content(vm)
}

/// The kernel found nothing wrong but that no firmware gave the port a bus, and that there are no I/O ports for it: Linux 6.1
/// takes the zeros of a bridge that forwards none for a window from 0.
fn pci_is_content(vm: &mut Vm) -> Result<()> {
    const EXPECTED: &str = "bridge configuration invalid \\(\\[bus 00-00\\]\\), reconfiguring|0000:00:01.0: bridge window \\[io ";
    let complaints =
        vm.shell(&format!("dmesg | grep -iE '{PCI_COMPLAINTS}' | grep -vE '{EXPECTED}' || true"))?;
    ensure!(complaints.is_empty(), "the kernel complains:\n{complaints}");
    Ok(())
}

/// The function behind the port, then the port with it, is removed and found again; it is reset by itself and with its bus.
fn pci_functions_come_and_go(vm: &mut Vm) -> Result<()> {
    const READ: &str = "head -c 6 /dev/vdb";
    const FUNCTION: &str = "/sys/bus/pci/devices/0000:01:00.0";
    ensure!(vm.shell(READ)? == "behind");
    for function in ["0000:01:00.0", "0000:00:01.0"] {
        vm.shell(&format!("echo 1 > /sys/bus/pci/devices/{function}/remove; test ! -e /dev/vdb"))?;
        vm.shell("echo 1 > /sys/bus/pci/rescan; udevadm settle")?;
        ensure!(vm.shell(READ)? == "behind", "after {function} went and came");
    }
    let driver = "/sys/bus/pci/drivers/virtio-pci";
    vm.shell(&format!("echo 0000:01:00.0 > {driver}/unbind"))?;
    for method in ["flr", "bus"] {
        vm.shell(&format!("echo {method} > {FUNCTION}/reset_method && echo 1 > {FUNCTION}/reset"))?;
    }
    vm.shell(&format!("echo 0000:01:00.0 > {driver}/bind; udevadm settle"))?;
    ensure!(vm.shell(READ)? == "behind", "after resets");
    pci_is_content(vm)
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

/// Writes sectors of the disk `$ARGV[0]` in a scattered order, and says of each when it is flushed.
const WRITER: &str = r#"open F, "+<", $ARGV[0] or die; for ($n = 0;; $n++) { sysseek F, $n * 797 % 131072 * 512, 0; syswrite F, pack "A512", "record $n of $ARGV[0] ";
    F->sync or die; syswrite STDOUT, "flushed $n $ARGV[0]\n" }"#;

/// The process ends in mid-write, as by the host's lack of memory, without a chance to do anything.
#[test]
fn killed_machine_has_on_its_disks_what_the_guest_flushed() -> Result<()> {
    let builder = with_root("killed", "")?;
    let dir = builder.dir().to_owned();
    let (raw, qcow2) = (blank_disk(&dir, "data.raw", 64 << 20, "")?, dir.join("data.qcow2"));
    qemu_img(&dir, "create -q -f qcow2 data.qcow2 64M")?;
    let mut vm = builder.disk(&raw, "").disk(&qcow2, "").start()?;
    vm.login()?;
    vm.shell(&format!("for d in b c; do perl -MIO::Handle -e '{WRITER}' /dev/vd$d & done"))?;
    vm.expect(" 300 /dev/vdc\r\n", patience(60))?;
    vm.signal(Signal::KILL)?;
    ensure!(vm.wait(patience(5))?.signal() == Some(Signal::KILL.as_raw()));
    let said = fs::read_to_string(dir.join("serial.log"))?;
    flushed_records_are_there(&said, "/dev/vdb", &fs::read(&raw)?)?;
    // Clusters that a killed process had taken and not used yet are leaks, which cost nothing but room.
    qemu_img(&dir, "check -q -r leaks -f qcow2 data.qcow2")?;
    let report = qemu_img(&dir, "check -f qcow2 data.qcow2")?;
    ensure!(report.contains("No errors were found"), "{report}");
    qemu_img(&dir, "convert -f qcow2 -O raw data.qcow2 content.raw")?;
    flushed_records_are_there(&said, "/dev/vdc", &fs::read(dir.join("content.raw"))?)
}

/// Checks the records of `disk`, whose bytes these are, up to the last of which the guest `said` that it is flushed.
fn flushed_records_are_there(said: &str, disk: &str, bytes: &[u8]) -> Result<()> {
    let lines = said.split_inclusive("\r\n").filter_map(|line| line.strip_suffix(&format!(" {disk}\r\n")));
    let last = lines.filter_map(|line| line.strip_prefix("flushed ")?.parse().ok()).max();
    let last: usize = last.context("nothing was flushed")?;
    for n in 0..=last {
        let record = format!("record {n} of {disk} ");
        let found = bytes.get(n * 797 % 131_072 * 512..).unwrap_or_default();
        ensure!(found.starts_with(record.as_bytes()), "{record}is lost; the last is {last}");
    }
    Ok(())
}
