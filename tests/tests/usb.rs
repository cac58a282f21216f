//! SeaBIOS with USB on `/dev/kvm`: it boots a sector of ours from disks on the xHCI controller. That it takes keys of ours is in
//! `plugging`, which says why.

use anyhow::{Result, ensure};
use machine_tests::{BootSector, Vm, VmBuilder, boot_disc, patience};

/// Starts a machine with the boot sector on USB.
fn boot(name: &str, storage: &str, args: &[&str]) -> Result<(Vm, BootSector)> {
    let builder = VmBuilder::new(name)?;
    let disk = BootSector::create(builder.dir(), "boot.raw", "P")?;
    let usb = format!("storage,disk={}{storage}", disk.path().display());
    let vm = builder.args(["--firmware", "seabios-usb"]).args(args).args(["--usb", &usb]).start()?;
    Ok((vm, disk))
}

/// Waits for the machine's end; returns the firmware's log.
fn runs_to_its_end(mut vm: Vm, disk: &BootSector) -> Result<String> {
    vm.expect("boot: write ok\r\n", patience(60))?;
    let log = vm.firmware_log()?;
    ensure!(vm.wait(patience(5))?.code() == Some(0));
    ensure!(disk.runs()? == 1, "the write did not reach the image");
    Ok(log)
}

#[test]
fn superspeed_disk_boots_and_is_written() -> Result<()> {
    let (vm, disk) = boot("superspeed", "", &["--usb", "kbd"])?;
    let log = runs_to_its_end(vm, &disk)?;
    for line in [
        "ACPI: XHCI at mmio 0xfe900000",
        "XHCI port #1: 0x00021203, powered, enabled, pls 0, speed 4 [Super]",
        "USB MSC vendor='TINDERBX' product='HARDDISK' rev='0.1' type=0 removable=0",
        "USB MSC blksize=512 sectors=2048",
        "USB keyboard initialized",
    ] {
        ensure!(log.contains(line), "no {line:?} in the firmware's log:\n{log}");
    }
    Ok(())
}

#[test]
fn removable_read_only_disk_behind_a_hub_boots_and_refuses_the_write() -> Result<()> {
    let (mut vm, disk) = boot("hub", ",hub=1,removable=on,readonly=on", &["--usb", "hub"])?;
    vm.expect("boot: read ok\r\n", patience(60))?;
    vm.expect("boot: write failed", patience(5))?;
    ensure!(disk.runs()? == 0, "the write reached the image");
    let log = vm.firmware_log()?;
    let line = "1: /sysbus-xhci@00000000fe900000/hub@1/storage@1/channel@0/disk@0,0";
    ensure!(log.contains(line) && log.contains("removable=1"), "{log}");
    Ok(())
}

#[test]
fn boot_index_puts_usb_before_virtio_and_the_recording_has_both_ends() -> Result<()> {
    let builder = VmBuilder::new("boot_index")?;
    let halts = BootSector::create(builder.dir(), "virtio.raw", "H")?;
    let boots = BootSector::create(builder.dir(), "usb.raw", "P")?;
    let usb = format!("storage,disk={},speed=high,bootindex=0", boots.path().display());
    let pcap = builder.dir().join("usb.pcap");
    let recording = format!("--usb-pcap={}", pcap.display());
    let args = ["--firmware", "seabios-usb", "--usb", &usb, &recording];
    let vm = builder.args(args).disk(halts.path(), "").start()?;
    runs_to_its_end(vm, &boots)?;
    ensure!(halts.runs()? == 0, "the other disk ran");
    let bytes = std::fs::read(pcap)?;
    ensure!(bytes.get(20) == Some(&220), "not of usbmon's link type");
    for signature in [b"USBC", b"USBS"] {
        ensure!(bytes.windows(4).any(|window| window == signature), "no {signature:?} in the recording");
    }
    Ok(())
}

#[test]
fn disc_boots_by_el_torito() -> Result<()> {
    let builder = VmBuilder::new("disc")?;
    let disc = boot_disc(builder.dir(), "boot.iso")?;
    let usb = format!("storage,disk={},media=cdrom", disc.display());
    let mut vm = builder.args(["--firmware", "seabios-usb", "--usb", &usb]).start()?;
    vm.expect("boot: sector runs\r\n", patience(60))?;
    let log = vm.firmware_log()?;
    for line in ["product='CD-ROM' rev='0.1' type=5 removable=1", "Booting from DVD/CD"] {
        ensure!(log.contains(line), "no {line:?} in the firmware's log:\n{log}");
    }
    Ok(())
}
