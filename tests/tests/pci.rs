//! Functions on PCI under Debian's drivers: needs a KVM that runs 64-bit guests, or the lab.

use anyhow::{Result, ensure};
use machine_tests::{Qmp, Vm, VmBuilder, all_hold, blank_disk};

/// Debian's kernel with Debian's own root, wherever that is plugged in.
const KERNEL: &str = "root=UUID=11111111-2222-4333-8444-555555555555 ro console=ttyS0,115200 loglevel=6 cryptomgr.notests \
                      init_on_alloc=0";

/// What Linux warns of that is as it should be: that nobody protects the host from this machine's buses, and that there is no
/// way to configuration space before ACPI has told of ECAM.
const EXPECTED: &str = "IOMMU|No config space access function found";

/// The kernel's warnings have nothing to do with buses and disks.
fn is_content(vm: &mut Vm) -> Result<()> {
    vm.no_complaints()?;
    let warnings = "dmesg --level emerg,alert,crit,err,warn | grep -iE 'pci|acpi|nvme|virtio|bar |irq|msi'";
    let warnings = vm.shell(&format!("{warnings} | grep -vE '{EXPECTED}' || true"))?;
    ensure!(warnings.is_empty(), "the kernel warns:\n{warnings}");
    Ok(())
}

/// Four writers on each of two disks, a CPU for each, that read and check what they wrote.
const FIO: &str = "fio --direct=1 --ioengine=libaio --rw=randwrite --bs=4k --size=1m --offset_increment=1m --iodepth=16 \
                   --numjobs=4 --cpus_allowed=0-3 --cpus_allowed_policy=split --verify=crc32c --do_verify=1 \
                   --verify_fatal=1 --group_reporting --output-format=terse --terse-version=3";

/// Writes to the whole of the NVMe disk from two CPUs at once, past the page cache.
const WRITE: &str = "for cpu in 0 1; do dd if=/dev/urandom of=/root/$cpu bs=1M count=4 status=none; \
    taskset -c $cpu dd if=/root/$cpu of=$nvme bs=64k seek=$((cpu * 64)) oflag=direct status=none & done; wait";
/// Finds that there, past the page cache again.
const READ_BACK: &str = "blockdev --flushbufs $nvme; cat /root/0 /root/1 | cmp -n 8388608 - $nvme";

/// Two functions of one device, an NVMe controller and a virtio disk with four queues each, and the root on a second
/// controller behind a root port. The kernel moves the BARs of both to other addresses than the VMM gave them.
#[test]
fn disks_lose_nothing_wherever_their_registers_go() -> Result<()> {
    let builder = VmBuilder::new("pci_disks")?;
    let nvme = blank_disk(builder.dir(), "nvme.raw", 8 << 20, "")?;
    let virtio = blank_disk(builder.dir(), "virtio.raw", 8 << 20, "")?;
    let builder = builder.debian_disk(",bus=nvme,port=p")?;
    let builder = builder.disk(&nvme, ",bus=nvme,serial=second,addr=9.0");
    let builder = builder.disk(&virtio, ",bus=virtio-pci,serial=third,queues=4,addr=9.1");
    let moved = "pci=resource_alignment=20@00:09.0;20@00:09.1";
    let builder = builder.debian_kernel("vmlinuz", &format!("{KERNEL} {moved}"))?;
    let args = ["--cpus", "4", "--memory", "512M", "--device", "root-port,id=p"];
    // In a folder of its own: those of the tests may be on another host.
    let sockets = tempfile::tempdir()?;
    let socket = sockets.path().join("qmp");
    let mut vm = builder.args(args).args(["--qmp", &format!("unix:{}", socket.display())]).start()?;
    vm.login()?;
    let mut qmp = Qmp::connect(&socket)?;
    vm.shell("nvme=$(readlink -f /dev/disk/by-id/nvme-Tinderbox_NVMe_disk_second)")?;
    vm.shell(
        "virtio=$(readlink -f /dev/disk/by-id/virtio-third); ctrl=${nvme%n1}; test -b $nvme -a -b $virtio",
    )?;
    let results = [
        ("registers", registers_are_elsewhere(&mut vm)),
        ("queues", every_queue_is_used(&mut vm)),
        ("lists", lists_are_in_order(&mut vm)),
        ("refusals", refusals_have_their_status(&mut vm)),
        ("sleep", function_sleeps_and_wakes(&mut vm)),
        ("data", data_stay(&mut vm)),
        ("sizes", disks_grow(&mut vm, &mut qmp)),
        ("warnings", is_content(&mut vm)),
    ];
    all_hold(results)?;
    vm.shell("sync; mount -o remount,ro /")?;
    vm.send("reboot -f\n")?;
    vm.login()?;
    vm.shell("nvme=$(readlink -f /dev/disk/by-id/nvme-Tinderbox_NVMe_disk_second)")?;
    vm.shell(READ_BACK)?;
    is_content(&mut vm)?;
    vm.presses_the_power_button()
}

/// Through resets by the driver and of the function, and a removal.
fn data_stay(vm: &mut Vm) -> Result<()> {
    vm.shell(WRITE)?;
    vm.shell(READ_BACK)?;
    vm.shell(&format!("echo 1 > /sys/bus/pci/devices/0000:00:09.0/reset; {READ_BACK}"))?;
    vm.shell(&format!("echo 1 > /sys/class/nvme/${{ctrl##*/}}/reset_controller; {READ_BACK}"))?;
    vm.shell("echo 1 > /sys/bus/pci/devices/0000:00:09.0/remove; [ ! -e $nvme ]")?;
    vm.shell("echo 1 > /sys/bus/pci/rescan; udevadm settle; sleep 1")?;
    vm.shell("nvme=$(readlink -f /dev/disk/by-id/nvme-Tinderbox_NVMe_disk_second)")?;
    vm.shell(READ_BACK).map(drop)
}

/// The kernel learns of it by an event of the controller's, and by an interrupt of the virtio function's; what is new can be
/// written. No disk shrinks, and none that is a snapshot grows.
fn disks_grow(vm: &mut Vm, qmp: &mut Qmp) -> Result<()> {
    for (device, disk) in [("disk1", "$nvme"), ("disk2", "$virtio")] {
        qmp.execute("block_resize", &format!(r#"{{"device":"{device}","size":12582912}}"#))?;
        let size = format!("blockdev --getsize64 {disk}");
        vm.shell(&format!("for n in $(seq 50); do [ $({size}) = 12582912 ] && break; sleep 0.1; done"))?;
        ensure!(vm.shell(&size)? == "12582912", "{device}");
        vm.shell(&format!("dd if=/root/0 of={disk} bs=1M seek=8 count=4 oflag=direct status=none"))?;
        vm.shell(&format!("blockdev --flushbufs {disk}; tail -c 4194304 {disk} | cmp /root/0 -"))?;
    }
    let shrinks = qmp.execute("block_resize", r#"{"device":"disk1","size":8388608}"#);
    ensure!(shrinks.is_err_and(|error| error.to_string().contains("can grow, not shrink")));
    let snapshot = qmp.execute("block_resize", r#"{"device":"disk0","size":85899345920}"#);
    ensure!(snapshot.is_err_and(|error| error.to_string().contains("only a raw image")));
    Ok(())
}

/// Each function has a MiB to begin with, where the VMM puts one behind the other.
fn registers_are_elsewhere(vm: &mut Vm) -> Result<()> {
    for function in ["00:09.0", "00:09.1"] {
        let bar = vm.shell(&format!("awk '$1 != \"0x0000000000000000\" {{ print $1; exit }}' /sys/bus/pci/devices/0000:{function}/resource"))?;
        ensure!(bar.ends_with("00000") && bar.len() == 18, "{function} is at {bar}");
    }
    Ok(())
}

/// Four writers find four queues, each with an interrupt of its own that comes.
fn every_queue_is_used(vm: &mut Vm) -> Result<()> {
    ensure!(vm.shell("ls -d /sys/block/${nvme##*/}/mq/* /sys/block/${virtio##*/}/mq/* | wc -l")? == "8");
    let result = vm.shell(&format!("{FIO} --name=nvme --filename=$nvme --name=virtio --filename=$virtio"))?;
    let result = result.lines().find(|line| line.starts_with("3;fio")).unwrap_or_default();
    let fields: Vec<_> = result.split(';').collect();
    // Error, KiB read, KiB written, of all eight writers.
    let sums = [4, 5, 46].map(|field| fields.get(field).copied());
    ensure!(sums == [Some("0"), Some("8192"), Some("8192")], "{result}");
    let silent = "awk '/MSI/ && (/nvme[0-9]+q[1-4]$/ || /virtio[0-9]+-req/) { n = 0; \
                  for (i = 2; i <= 5; i++) n += $i; lines++; if (n < 10) print } END { print lines }' /proc/interrupts";
    let silent = vm.shell(silent)?;
    ensure!(silent == "12", "of three disks with four queues each, these are silent: {silent}");
    Ok(())
}

/// What tools read of configuration space and of the controller.
fn lists_are_in_order(vm: &mut Vm) -> Result<()> {
    let lspci = vm.shell("lspci -vv 2>&1")?;
    ensure!(lspci.matches("MSI-X: Enable+").count() == 3 && !lspci.contains("!!!"), "{lspci}");
    ensure!(lspci.matches("Kernel driver in use: nvme").count() == 2, "{lspci}");
    ensure!(lspci.matches("Express (v2) Root Complex Integrated Endpoint").count() == 2, "{lspci}");
    ensure!(lspci.matches("Power Management version 3").count() >= 3, "{lspci}");
    let header = vm.shell("setpci -s 00:09.0 HEADER_TYPE; setpci -s 00:09.1 HEADER_TYPE")?;
    ensure!(header == "80\n80", "both functions say that there are more: {header}");
    // Read-only registers stay, whatever is written.
    let identity = "setpci -s 00:09.1 VENDOR_ID.L 8.L CAP_EXP.L";
    let before = vm.shell(identity)?;
    vm.shell("setpci -s 00:09.1 VENDOR_ID.L=0 8.L=ffffffff CAP_EXP.L=0")?;
    ensure!(vm.shell(identity)? == before);
    let smart = vm.shell("nvme smart-log $ctrl")?;
    ensure!(smart.contains("critical_warning") && smart.contains("media_errors"), "{smart}");
    ensure!(vm.shell("nvme id-ctrl $ctrl")?.contains("Tinderbox NVMe disk"));
    Ok(())
}

/// Commands that Linux itself never sends are refused with the status of the standard, the last word of what the tool says.
/// NVMe 1.4, figures 128 and 129.
fn refusals_have_their_status(vm: &mut Vm) -> Result<()> {
    const OPCODE: &str = "001)";
    const FIELD: &str = "002)";
    const LBA_RANGE: &str = "080)";
    const LOG_PAGE: &str = "109)";
    let read = "nvme io-passthru $nvme --opcode=2 --namespace-id=1 --data-len=4096 --read";
    let commands = [
        ("nvme admin-passthru $ctrl --opcode=0xff".to_owned(), OPCODE),
        ("nvme get-log $ctrl --log-id=0x77 --log-len=512".to_owned(), LOG_PAGE),
        (format!("{read} --cdw10=0xffffffff --cdw11=0xffffffff"), LBA_RANGE),
        (format!("{read} --cdw10=0 --cdw12=0x1fff"), FIELD),
        ("nvme delete-ns $ctrl --namespace-id=1".to_owned(), OPCODE),
    ];
    for (command, status) in commands {
        let answer = vm.shell(&format!("{command} 2>&1 || true"))?;
        ensure!(answer.contains("(0x") && answer.contains(status), "{command}: {answer}, not {status}");
    }
    Ok(())
}

/// D3hot and back keep everything.
fn function_sleeps_and_wakes(vm: &mut Vm) -> Result<()> {
    let function = "00:09.1";
    vm.shell("sum=$(cksum < $virtio); echo 0000:00:09.1 > /sys/bus/pci/drivers/virtio-pci/unbind")?;
    let command = vm.shell(&format!("setpci -s {function} COMMAND"))?;
    vm.shell(&format!("setpci -s {function} CAP_PM+4.b=3"))?;
    ensure!(vm.shell(&format!("lspci -vs {function} -vv | grep -c 'Status: D3'"))? == "1");
    vm.shell(&format!("setpci -s {function} CAP_PM+4.b=0"))?;
    ensure!(vm.shell(&format!("setpci -s {function} COMMAND"))? == command, "no soft reset");
    // Nobody drives it, so that a reset does no harm; registers are as before after it.
    ensure!(vm.shell("cat /sys/bus/pci/devices/0000:00:09.1/reset_method")? == "flr");
    vm.shell("echo 1 > /sys/bus/pci/devices/0000:00:09.1/reset")?;
    ensure!(vm.shell(&format!("setpci -s {function} COMMAND"))? == command, "Linux restores what it saved");
    vm.shell("echo 0000:00:09.1 > /sys/bus/pci/drivers/virtio-pci/bind; udevadm settle")?;
    vm.shell("virtio=$(readlink -f /dev/disk/by-id/virtio-third); test \"$(cksum < $virtio)\" = \"$sum\"")?;
    Ok(())
}

/// Functions without MSI-X: the disk of the root, a second one behind a root port, and a USB controller with a disk. Linux has
/// one message for each, for more would have to be remapped.
#[test]
fn functions_without_msix_interrupt_by_msi() -> Result<()> {
    let builder = VmBuilder::new("pci_msi")?;
    let nvme = blank_disk(builder.dir(), "nvme.raw", 8 << 20, "")?;
    let usb = blank_disk(builder.dir(), "usb.raw", 8 << 20, "")?;
    let builder = builder.debian_disk(",bus=nvme,msix=off")?;
    let builder = builder.disk(&nvme, ",bus=nvme,msix=off,serial=second,port=p");
    let builder = builder.debian_kernel("vmlinuz", KERNEL)?;
    let usb = format!("storage,disk={}", usb.display());
    let args = ["--cpus", "4", "--memory", "512M", "--device", "root-port,id=p", "--device", "xhci,msix=off"];
    let mut vm = builder.args(args).args(["--usb", &usb]).start()?;
    vm.login()?;
    vm.shell("nvme=$(readlink -f /dev/disk/by-id/nvme-Tinderbox_NVMe_disk_second)")?;
    // The driver of USB disks gives them a second.
    vm.shell("for n in $(seq 100); do [ -b /dev/sda ] && break; sleep 0.1; done; usb=/dev/sda; test -b $nvme -a -b $usb")?;
    all_hold([
        ("messages", functions_have_one_message(&mut vm)),
        ("fio", writers_share_a_message(&mut vm)),
        ("affinity", message_moves_between_processors(&mut vm)),
        ("usb", usb_disk_keeps_data(&mut vm)),
        ("mask", masked_message_waits(&mut vm)),
        ("resets", resets_leave_data(&mut vm)),
        ("warnings", is_content(&mut vm)),
    ])?;
    vm.presses_the_power_button()
}

/// MSI and nothing else, enabled by both drivers and shown by the kernel.
fn functions_have_one_message(vm: &mut Vm) -> Result<()> {
    for class in ["0108", "0c03"] {
        let lspci = vm.shell(&format!("lspci -vv -d ::{class} 2>&1"))?;
        let functions = lspci.matches("Kernel driver in use").count();
        ensure!(functions == if class == "0108" { 2 } else { 1 }, "{lspci}");
        ensure!(lspci.matches("MSI: Enable+ Count=1/").count() == functions, "{lspci}");
        ensure!(lspci.matches("Maskable+ 64bit+").count() == functions, "{lspci}");
        ensure!(!lspci.contains("MSI-X") && !lspci.contains("!!!"), "{lspci}");
    }
    let kinds = vm.shell("cat $(ls -d /sys/bus/pci/drivers/{nvme,xhci_hcd}/0000*/msi_irqs/*)")?;
    ensure!(kinds == "msi\nmsi\nmsi", "{kinds}");
    let silent = "awk '/PCI-MSI/ && /nvme|xhci/ { n = 0; for (i = 2; i <= 5; i++) n += $i; lines++; \
                  if (n < 5) print } END { print lines }' /proc/interrupts";
    let silent = vm.shell(silent)?;
    ensure!(silent == "3", "of three messages, these are silent: {silent}");
    Ok(())
}

fn writers_share_a_message(vm: &mut Vm) -> Result<()> {
    let result = vm.shell(&format!("{FIO} --name=nvme --filename=$nvme"))?;
    let result = result.lines().find(|line| line.starts_with("3;fio")).unwrap_or_default();
    let fields: Vec<_> = result.split(';').collect();
    let sums = [4, 5, 46].map(|field| fields.get(field).copied());
    ensure!(sums == [Some("0"), Some("4096"), Some("4096")], "{result}");
    Ok(())
}

/// The kernel masks the message while it writes another address, in the midst of transfers.
fn message_moves_between_processors(vm: &mut Vm) -> Result<()> {
    vm.shell(WRITE)?;
    vm.shell("irq=$(ls /sys/class/nvme/$(basename ${nvme%n1})/device/msi_irqs)")?;
    vm.shell(
        "for n in 0 1 2 3 0 1 2 3; do echo $n > /proc/irq/$irq/smp_affinity_list; \
         dd if=$nvme of=/dev/null bs=64k count=16 iflag=direct status=none || break; done; [ $n = 3 ]",
    )?;
    vm.shell(READ_BACK).map(drop)
}

fn usb_disk_keeps_data(vm: &mut Vm) -> Result<()> {
    vm.shell("dd if=/dev/urandom of=/root/usb bs=1M count=4 status=none; dd if=/root/usb of=$usb bs=64k oflag=direct status=none")?;
    vm.shell("blockdev --flushbufs $usb; cmp -n 4194304 /root/usb $usb").map(drop)
}

/// A completion waits behind the mask bit and is shown as pending; no later one comes, and nothing is lost.
fn masked_message_waits(vm: &mut Vm) -> Result<()> {
    vm.shell("place=$(basename $(readlink -f /sys/class/nvme/$(basename ${nvme%n1})/device))")?;
    let [mask, pending] = ["CAP_MSI+10.L", "CAP_MSI+14.L"];
    vm.shell(&format!("setpci -s $place {mask}=1"))?;
    vm.shell("dd if=$nvme of=/dev/null bs=4k count=1 iflag=direct status=none & reader=$!")?;
    let wait = format!(
        "for n in $(seq 50); do [ $(setpci -s $place {pending}) = 00000001 ] && break; sleep 0.1; done"
    );
    vm.shell(&format!("{wait}; setpci -s $place {pending} | grep -q 1; kill -0 $reader"))?;
    vm.shell(&format!("setpci -s $place {mask}=0; wait $reader"))?;
    ensure!(vm.shell(&format!("setpci -s $place {pending}"))? == "00000000");
    Ok(())
}

/// Of the function, and of the bus behind the port, each under the driver, which brings its state back.
fn resets_leave_data(vm: &mut Vm) -> Result<()> {
    let place = "/sys/bus/pci/devices/$place";
    let methods = vm.shell(&format!("cat {place}/reset_method"))?;
    ensure!(methods == "flr bus", "{methods}");
    for method in methods.split_whitespace() {
        vm.shell(&format!("echo {method} > {place}/reset_method; echo 1 > {place}/reset; {READ_BACK}"))?;
    }
    Ok(())
}

/// A kernel that wants no messages hears virtio functions by their pins; slots 1 and 5 share one, behind a port is another.
#[test]
fn functions_interrupt_by_their_pins() -> Result<()> {
    let builder = VmBuilder::new("pci_pins")?;
    let other = blank_disk(builder.dir(), "other.raw", 8 << 20, "other")?;
    let behind = blank_disk(builder.dir(), "behind.raw", 8 << 20, "behind")?;
    let builder = builder.debian_disk(",bus=virtio-pci,addr=1")?;
    let builder = builder.disk(&other, ",bus=virtio-pci,serial=other,addr=5");
    let builder = builder.disk(&behind, ",bus=virtio-pci,serial=behind,port=p");
    let builder = builder.debian_kernel("vmlinuz", &format!("{KERNEL} pci=nomsi"))?;
    let args =
        ["--cpus", "2", "--memory", "512M", "--device", "root-port,id=p", "--rng", "--virtio-bus", "pci"];
    let mut vm = builder.args(args).start()?;
    vm.login()?;
    for disk in ["other", "behind"] {
        let read = vm.shell(&format!(
            "dd if=/dev/disk/by-id/virtio-{disk} bs=1M iflag=direct status=none | head -c 6"
        ))?;
        ensure!(read.starts_with(disk), "{read}");
    }
    ensure!(vm.shell("head -c 64 /dev/hwrng | wc -c")? == "64");
    let interrupts = vm.shell("cat /proc/interrupts")?;
    let lines: Vec<_> = interrupts.lines().filter(|line| line.contains("virtio")).collect();
    ensure!(lines.iter().all(|line| line.contains("-fasteoi")), "{interrupts}");
    let shared = lines.iter().any(|line| line.contains(" 17-fasteoi") && line.matches("virtio").count() == 2);
    ensure!(shared && lines.len() == 3, "{interrupts}");
    is_content(&mut vm)?;
    vm.presses_the_power_button()
}
