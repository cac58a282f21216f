//! As many CPUs as there can be: needs a KVM that runs 64-bit guests, or a lab.

use anyhow::{Result, ensure};
use machine_tests::{VmBuilder, blank_disk, patience};

/// One CPU starts by itself: each interrupts its host 250 times a second until late in the boot, and where hundreds of them share
/// one processor of a lab nothing else gets done.
const SHELL: &str = "console=ttyS0,115200 maxcpus=1 rdinit=/bin/sh reboot=t";

/// More CPUs than xAPIC mode has ids for: those on both sides of its end and the last one start, and the last one takes the
/// interrupt of a virtio-mmio disk.
#[test]
fn last_of_288_cpus_takes_the_interrupt_of_a_disk() -> Result<()> {
    let builder = VmBuilder::new("wide")?.debian_kernel("vmlinuz", SHELL)?;
    let disk = blank_disk(builder.dir(), "data.raw", 1 << 20, "data")?;
    let mut vm = builder.disk(&disk, "").args(["--cpus", "288", "--memory", "1G", "--no-reboot"]).start()?;
    vm.expect("# ", patience(120))?;
    vm.shell("mkdir -p /sys /proc; mount -t sysfs sysfs /sys; mount -t proc proc /proc; mount -t devtmpfs devtmpfs /dev")?;
    // No kernel messages between the lines of a command's output.
    vm.shell("echo 1 > /proc/sys/kernel/printk")?;
    ensure!(vm.shell("cd /sys/devices/system/cpu; cat present online")? == "0-287\n0");
    for cpu in [254, 255, 256, 287] {
        vm.shell(&format!("echo 1 > cpu{cpu}/online"))?;
    }
    ensure!(vm.shell("cat online")? == "0,254-256,287");
    let irq = vm.shell(
        "modprobe virtio_mmio; modprobe virtio_blk; while [ ! -b /dev/vda ]; do sleep 1; done; \
         while read -r irq rest; do case $rest in *virtio0) echo ${irq%:};; esac; done < /proc/interrupts",
    )?;
    vm.shell(&format!(
        "echo 287 > /proc/irq/{irq}/smp_affinity_list; dd if=/dev/vda of=/dev/null bs=4k 2>/dev/null"
    ))?;
    ensure!(vm.shell(&format!("cat /proc/irq/{irq}/effective_affinity_list"))? == "287");
    // A column for each CPU that runs.
    let taken = vm.shell(&format!(
        "while read -r irq rest; do case $irq in {irq}:) set -- $rest; echo $5;; esac; done < /proc/interrupts"
    ))?;
    ensure!(taken.parse::<u32>()? > 0, "{taken}");
    vm.send("reboot\n")?;
    vm.powers_off()
}
