//! Debian with its root on the USB controller of the system bus, by SeaBIOS and by edk2 with our driver, and USB disks of
//! each speed and transport under load. The disk is Debian's with the driver `xhci-plat-hcd` in its initial RAM disk, which
//! Debian's kernels leave out. What Debian's own disk does on the PCI controller is in `uefi`.

use anyhow::{Result, ensure};
use machine_tests::{Vm, VmBuilder, blank_disk, patience};

const MIB: u64 = 1 << 20;

/// The root file system is on USB disk `disk`, behind the controller called `controller`.
fn root_is_on(vm: &mut Vm, controller: &str, disk: &str) -> Result<()> {
    let root = vm.shell("findmnt -no SOURCE /")?;
    ensure!(root == format!("/dev/{disk}1"), "{root}");
    let device = vm.shell(&format!("readlink -f /sys/block/{disk}"))?;
    ensure!(device.contains(controller) && device.contains("/usb"), "{device}");
    Ok(())
}

/// Reads and writes of the root survive: what was written is there when all caches are gone.
fn root_keeps_what_is_written(vm: &mut Vm) -> Result<()> {
    vm.shell(
        "mount -o remount,rw / && dd if=/dev/urandom of=/root/random bs=1M count=8 conv=fsync 2>/dev/null",
    )?;
    let sum = vm.shell("sha256sum < /root/random")?;
    let read = vm.shell("echo 3 > /proc/sys/vm/drop_caches; sha256sum < /root/random")?;
    ensure!(read == sum, "{sum} was written, {read} is there");
    Ok(())
}

#[test]
fn seabios_boots_debian_from_the_system_bus() -> Result<()> {
    let builder = VmBuilder::new("usbboot_seabios")?.debian_usb_disk("")?;
    let mut vm = builder.args(["--firmware", "seabios-usb", "--memory", "512M"]).start()?;
    vm.login()?;
    root_is_on(&mut vm, "PNP0D10:00", "sda")?;
    let tree = vm.shell("lsusb -t")?;
    ensure!(
        tree.contains("Driver=xhci-hcd/8p, 5000M") && tree.contains("Driver=usb-storage, 5000M"),
        "{tree}"
    );
    let interrupts = vm.shell("grep xhci /proc/interrupts")?;
    ensure!(interrupts.contains("IO-APIC") && interrupts.contains("10-fasteoi"), "{interrupts}");
    root_keeps_what_is_written(&mut vm)?;
    vm.no_complaints()?;
    vm.presses_the_power_button()
}

/// The boot order has the disk's port as edk2 counts it: the first of high speed comes after eight of SuperSpeed.
#[test]
fn edk2_boots_debian_from_the_system_bus() -> Result<()> {
    let builder = VmBuilder::new("usbboot_edk2")?;
    let blank = blank_disk(builder.dir(), "blank.raw", MIB, "no boot loader")?;
    let blank = format!("storage,disk={}", blank.display());
    let builder = builder.args(["--usb", &blank]).debian_usb_disk(",speed=high,bootindex=0")?;
    let mut vm = builder.args(["--firmware", "edk2-usb", "--memory", "512M"]).start()?;
    vm.expect("BdsDxe: loading ", patience(30))?;
    let first = vm.expect("\r\n", patience(5))?;
    ensure!(first.contains("USB(0x8,0x0)"), "{first}");
    vm.login()?;
    ensure!(vm.shell("ls -d /sys/firmware/efi")? == "/sys/firmware/efi");
    let root = vm.shell("findmnt -no SOURCE / | cut -c 6-8")?;
    root_is_on(&mut vm, "PNP0D10:00", &root)?;
    let tree = vm.shell("lsusb -t")?;
    ensure!(tree.contains("Driver=uas, 480M") && tree.contains("Driver=usb-storage, 5000M"), "{tree}");
    root_keeps_what_is_written(&mut vm)?;
    vm.no_complaints()?;
    vm.presses_the_power_button()
}

/// The disks beside the root, by their serial numbers: their options, and what the guest says of them.
const DISKS: [(&str, &str, &str); 4] = [
    ("super", "", "Driver=usb-storage, 5000M"),
    ("high", ",speed=high", "Driver=uas, 480M"),
    ("behind", ",speed=high,hub=1", "Driver=uas, 480M"),
    ("bulk", ",speed=high", "Driver=usb-storage, 480M"),
];

/// Makes the disk with this serial number leave UAS for the bulk-only transport.
fn takes_bulk_only(vm: &mut Vm, serial: &str) -> Result<()> {
    let device = vm.shell(&format!("grep -lx {serial} /sys/bus/usb/devices/*/serial | cut -d/ -f6"))?;
    let ids =
        vm.shell(&format!("cd /sys/bus/usb/devices/{device}; echo $(cat idVendor):$(cat idProduct); cd"))?;
    vm.shell(&format!("echo {ids}:u > /sys/module/usb_storage/parameters/quirks"))?;
    vm.shell(&format!(
        "echo {device} > /sys/bus/usb/drivers/usb/unbind; echo {device} > /sys/bus/usb/drivers/usb/bind"
    ))?;
    vm.shell(&format!(
        "for n in $(seq 60); do [ -e /dev/disk/by-id/usb-*_{serial}-0:0 ] && break; sleep 1; done"
    ))?;
    Ok(())
}

/// Writes at random places and in order, and finds all of it again; then a file system.
fn keeps_what_is_written(vm: &mut Vm, serial: &str) -> Result<()> {
    let disk = vm.shell(&format!("readlink -f /dev/disk/by-id/usb-*_{serial}-0:0"))?;
    let job = "fio --output-format=terse --direct=1 --ioengine=libaio --verify=crc32c --verify_fatal=1";
    for pattern in
        ["--rw=randwrite --bs=4k --iodepth=8 --size=1M", "--rw=write --bs=256k --iodepth=4 --size=4M"]
    {
        let result = vm.shell(&format!("{job} --name={serial} --filename={disk} {pattern}"))?;
        // Terse, version 3: the fifth field is the error.
        ensure!(
            result.lines().any(|line| line.starts_with("3;") && line.split(';').nth(4) == Some("0")),
            "{result}"
        );
    }
    vm.shell(&format!("mkfs.ext4 -q {disk} && mount {disk} /mnt"))?;
    vm.shell("dd if=/dev/urandom of=/mnt/random bs=1M count=2 conv=fsync 2>/dev/null")?;
    let sum = vm.shell("sha256sum < /mnt/random")?;
    vm.shell(&format!("umount /mnt; blockdev --flushbufs {disk}; mount -o ro {disk} /mnt"))?;
    ensure!(vm.shell("sha256sum < /mnt/random")? == sum, "{serial}");
    vm.shell("umount /mnt")?;
    Ok(())
}

#[test]
fn a_usb_disk_of_each_speed_and_transport_keeps_what_is_written() -> Result<()> {
    let mut builder =
        VmBuilder::new("usb_disks")?.debian_disk("")?.args(["--device", "xhci", "--usb", "hub"]);
    for (serial, options, _) in DISKS {
        let disk = blank_disk(builder.dir(), &format!("{serial}.raw"), 32 * MIB, "")?;
        builder = builder
            .args(["--usb".into(), format!("storage,disk={},serial={serial}{options}", disk.display())]);
    }
    let mut vm = builder.args(["--memory", "512M"]).start()?;
    vm.login()?;
    takes_bulk_only(&mut vm, "bulk")?;
    let tree = vm.shell("lsusb -t")?;
    for (serial, _, line) in DISKS {
        ensure!(tree.contains(line), "no {line} ({serial}) in\n{tree}");
        keeps_what_is_written(&mut vm, serial)?;
    }
    ensure!(tree.matches("Driver=uas, 480M").count() == 2, "{tree}");
    let interrupts = vm.shell("grep -c 'PCI-MSI.*xhci_hcd' /proc/interrupts")?;
    ensure!(interrupts != "0", "no MSI-X");
    vm.no_complaints()?;
    vm.presses_the_power_button()
}
