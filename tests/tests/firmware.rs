//! SeaBIOS on `/dev/kvm` up to a boot sector of ours, and a kernel of ours: everything that needs no 64-bit guest, so it runs on any KVM.

use anyhow::{Result, ensure};
use machine_tests::{BootSector, Vm, VmBuilder, blank_disk, boot_disc, patience, tiny_kernel};
use rustix::process::Signal;

/// Starts a machine with the boot sector that does `actions`.
fn boot(name: &str, actions: &str, args: &[&str]) -> Result<(Vm, BootSector)> {
    let builder = VmBuilder::new(name)?;
    let disk = BootSector::create(builder.dir(), "boot.raw", actions)?;
    let vm = builder.disk(disk.path(), "").args(args).start()?;
    Ok((vm, disk))
}

fn runs_once(vm: &mut Vm) -> Result<()> {
    vm.expect("boot: sector runs\r\n", patience(20))?;
    vm.expect("boot: read ok\r\n", patience(5))?;
    vm.expect("boot: write ok\r\n", patience(5)).map(drop)
}

#[test]
fn boot_sector_reads_writes_and_powers_off() -> Result<()> {
    let (mut vm, disk) = boot("boot_sector", "P", &[])?;
    let banner = vm.expect("Booting from Hard Disk", patience(20))?;
    ensure!(banner.contains("SeaBIOS (version"), "no banner: {banner:?}");
    runs_once(&mut vm)?;
    ensure!(vm.wait(patience(5))?.code() == Some(0));
    ensure!(disk.runs()? == 1, "the write reached the image");
    Ok(())
}

#[test]
fn firmware_finds_fw_cfg_acpi_and_the_disk() -> Result<()> {
    let (mut vm, _disk) = boot("firmware_log", "H", &["--cpus", "2", "--memory", "256M"])?;
    vm.expect("boot: halted", patience(20))?;
    let log = vm.firmware_log()?;
    for line in [
        "Found QEMU fw_cfg",
        "QEMU fw_cfg DMA interface supported",
        "Running on KVM",
        "Found 2 cpu(s) max supported 2 cpu(s)",
        "ACPI: virtio-mmio device VR00 at 0xfeb00000, irq 24",
        "/virtio-mmio@00000000feb00000/disk@0,0",
        "Booting from 0000:7c00",
    ] {
        ensure!(log.contains(line), "no {line:?} in the firmware's log:\n{log}");
    }
    Ok(())
}

#[test]
fn disk_on_scsi_boots_by_its_place_in_the_order_and_is_written() -> Result<()> {
    let builder = VmBuilder::new("scsi_disk")?;
    let other = blank_disk(builder.dir(), "other.raw", 1 << 20, "no boot sector")?;
    let disk = BootSector::create(builder.dir(), "boot.raw", "P")?;
    let builder = builder.disk(&other, ",bus=scsi").disk(disk.path(), ",bus=scsi,bootindex=0");
    let mut vm = builder.start()?;
    vm.expect("Booting from Hard Disk", patience(60))?;
    runs_once(&mut vm)?;
    let log = vm.firmware_log()?;
    for line in [
        "1: /virtio-mmio@00000000feb00000/channel@0/disk@1,0",
        "virtio-scsi vendor='TINDERBX' product='HARDDISK' rev='0.1' type=0 removable=0",
    ] {
        ensure!(log.contains(line), "no {line:?} in the firmware's log:\n{log}");
    }
    ensure!(vm.wait(patience(5))?.code() == Some(0));
    ensure!(disk.runs()? == 1, "the write reached the image");
    Ok(())
}

#[test]
fn disc_on_scsi_boots_by_el_torito() -> Result<()> {
    let builder = VmBuilder::new("scsi_disc")?;
    let disc = boot_disc(builder.dir(), "boot.iso")?;
    let mut vm = builder.disk(&disc, ",media=cdrom").start()?;
    vm.expect("boot: sector runs\r\n", patience(60))?;
    let log = vm.firmware_log()?;
    for line in ["product='CD-ROM' rev='0.1' type=5 removable=1", "Booting from DVD/CD"] {
        ensure!(log.contains(line), "no {line:?} in the firmware's log:\n{log}");
    }
    Ok(())
}

#[test]
fn firmware_takes_our_smbios_and_shows_the_uuid() -> Result<()> {
    let uuid = "00112233-4455-6677-8899-aabbccddeeff";
    let args = ["--uuid", uuid, "--smbios", "type=11,value=a", "--fw-cfg", "opt/a,string=b"];
    let (mut vm, _disk) = boot("smbios", "P", &args)?;
    vm.expect(&format!("Machine UUID {uuid}"), patience(20))?;
    let log = vm.firmware_log()?;
    ensure!(log.contains("Copying SMBIOS 3.0 from"), "{log}");
    ensure!(vm.wait(patience(20))?.code() == Some(0));
    Ok(())
}

#[test]
fn kernel_without_firmware_gets_its_command_line_and_initrd() -> Result<()> {
    let builder = VmBuilder::new("direct_kernel")?;
    let (kernel, initrd) = (tiny_kernel(builder.dir())?, builder.dir().join("initrd"));
    std::fs::write(&initrd, b"of 18 bytes here\r\0")?;
    let (kernel, initrd) = (kernel.into_os_string(), initrd.into_os_string());
    let args = ["--kernel".into(), kernel, "--initrd".into(), initrd, "--cmdline".into(), "one two".into()];
    let mut vm = builder.args(args).start()?;
    let before = vm.expect("kernel: runs\r\n", patience(20))?;
    ensure!(before.trim().is_empty(), "somebody else runs first: {before}");
    vm.expect("kernel: command line one two\r\n", patience(5))?;
    vm.expect("kernel: initrd of 18 bytes here\r", patience(5))?;
    ensure!(vm.wait(patience(5))?.code() == Some(0));
    Ok(())
}

#[test]
fn reset_register_boots_again_in_the_same_process() -> Result<()> {
    let (mut vm, disk) = boot("reset_register", "RRP", &["--cpus", "2"])?;
    for _ in 0..3 {
        vm.expect("SeaBIOS (version", patience(20))?;
        runs_once(&mut vm)?;
    }
    ensure!(vm.wait(patience(5))?.code() == Some(0));
    ensure!(disk.runs()? == 3);
    Ok(())
}

#[test]
fn triple_fault_resets_the_machine() -> Result<()> {
    let (mut vm, disk) = boot("triple_fault", "TP", &[])?;
    runs_once(&mut vm)?;
    runs_once(&mut vm)?;
    ensure!(vm.messages()?.contains("triple fault"), "the reset's cause is logged");
    ensure!(vm.wait(patience(5))?.code() == Some(0));
    ensure!(disk.runs()? == 2);
    Ok(())
}

#[test]
fn guest_reset_ends_the_run_if_so_told() -> Result<()> {
    for (name, action) in [("no_reboot_register", "R"), ("no_reboot_triple_fault", "T")] {
        let (vm, disk) = boot(name, action, &["--no-reboot"])?;
        ensure!(vm.wait(patience(20))?.code() == Some(0), "{name}");
        ensure!(disk.runs()? == 1, "{name}");
    }
    Ok(())
}

#[test]
fn first_disk_on_the_command_line_boots() -> Result<()> {
    let builder = VmBuilder::new("boot_order")?;
    let first = BootSector::create(builder.dir(), "first.raw", "P")?;
    let second = BootSector::create(builder.dir(), "second.raw", "P")?;
    let data = blank_disk(builder.dir(), "data.raw", 1 << 20, "no boot sector")?;
    let vm = builder.disk(first.path(), "").disk(second.path(), "").disk(&data, "").start()?;
    ensure!(vm.wait(patience(20))?.code() == Some(0));
    ensure!((first.runs()?, second.runs()?) == (1, 0));
    Ok(())
}

#[test]
fn disk_with_the_least_boot_index_boots() -> Result<()> {
    let builder = VmBuilder::new("bootindex")?;
    let first = BootSector::create(builder.dir(), "first.raw", "P")?;
    let second = BootSector::create(builder.dir(), "second.raw", "P")?;
    let vm = builder.disk(first.path(), "").disk(second.path(), ",bootindex=0").start()?;
    ensure!(vm.wait(patience(20))?.code() == Some(0));
    ensure!((first.runs()?, second.runs()?) == (0, 1));
    Ok(())
}

#[test]
fn disk_without_boot_sector_is_passed_over() -> Result<()> {
    let builder = VmBuilder::new("no_boot_sector")?;
    let data = blank_disk(builder.dir(), "data.raw", 1 << 20, "no boot sector")?;
    let mut vm = builder.disk(&data, "").start()?;
    vm.expect("No bootable device", patience(20)).map(drop)
}

#[test]
fn readonly_disk_refuses_writes_and_stays_as_it_was() -> Result<()> {
    let builder = VmBuilder::new("readonly")?;
    let disk = BootSector::create(builder.dir(), "boot.raw", "P")?;
    let mut vm = builder.disk(disk.path(), ",readonly=on").start()?;
    vm.expect("boot: read ok\r\n", patience(20))?;
    vm.expect("boot: write failed\r\n", patience(5))?;
    ensure!(disk.runs()? == 0);
    Ok(())
}

#[test]
fn second_machine_on_a_writable_image_is_refused() -> Result<()> {
    let (mut vm, disk) = boot("locked", "H", &[])?;
    vm.expect("boot: halted", patience(20))?;
    for options in ["", ",readonly=on"] {
        let second = VmBuilder::new("locked_second")?.disk(disk.path(), options).start()?;
        let log = std::env::var_os("TINDERBOX_TEST_DIR").unwrap_or_default();
        ensure!(second.wait(patience(5))?.code() == Some(1));
        let message = std::fs::read_to_string(std::path::Path::new(&log).join("locked_second/stderr.log"))?;
        ensure!(message.contains("boot.raw") && message.contains("in use"), "{message}");
        ensure!(message.trim_end().lines().count() == 1, "one line: {message}");
    }
    Ok(())
}

#[test]
fn second_signal_ends_a_guest_that_ignores_the_power_button() -> Result<()> {
    let (mut vm, _disk) = boot("signals", "H", &[])?;
    vm.expect("boot: halted", patience(20))?;
    vm.signal(Signal::INT)?;
    std::thread::sleep(patience(1));
    ensure!(vm.messages()?.contains("the power button is pressed"), "SIGINT is as good as SIGTERM");
    vm.signal(Signal::TERM)?;
    ensure!(vm.wait(patience(5))?.code() == Some(1), "stopping is not powering off");
    Ok(())
}

#[test]
fn console_none_has_no_serial_port() -> Result<()> {
    let builder = VmBuilder::new("console_none")?;
    let disk = BootSector::create(builder.dir(), "boot.raw", "P")?;
    let vm = builder.disk(disk.path(), "").args(["--console", "none"]).start()?;
    // The boot sector waits for a transmitter for ever: all ones look ready, so it runs on and powers off.
    ensure!(vm.wait(patience(20))?.code() == Some(0));
    Ok(())
}

/// A machine with `device`, whose guest writes `value` to `port` and does nothing else.
fn writes_port(name: &str, device: &str, port: u16, value: u8, actions: &str) -> Result<Vm> {
    let builder = VmBuilder::new(name)?;
    let disk = BootSector::create(builder.dir(), "boot.raw", actions)?;
    disk.writes_port(port, value)?;
    builder.disk(disk.path(), "").args(["--device", device]).start()
}

#[test]
fn debug_exit_ends_the_run_with_the_status_of_the_guest() -> Result<()> {
    let vm = writes_port("debug_exit", "debug-exit", 0xf4, 0x10, "O")?;
    ensure!(vm.wait(patience(20))?.code() == Some(33));
    let vm = writes_port("debug_exit_elsewhere", "debug-exit,port=0x501", 0x501, 0, "O")?;
    ensure!(vm.wait(patience(20))?.code() == Some(1));
    Ok(())
}

#[test]
fn reset_ports_reset_the_machine_if_there() -> Result<()> {
    for (device, port, value, cause) in
        [("reset-port", 0xcf9, 0x06, "reset port"), ("keyboard-reset", 0x64, 0xfe, "keyboard controller")]
    {
        let mut vm = writes_port(device, device, port, value, "OP")?;
        runs_once(&mut vm)?;
        runs_once(&mut vm)?;
        ensure!(vm.messages()?.contains(cause), "{}", vm.messages()?);
        ensure!(vm.wait(patience(5))?.code() == Some(0));
    }
    Ok(())
}

#[test]
fn panicked_guest_ends_the_run_with_a_failure() -> Result<()> {
    let builder = VmBuilder::new("pvpanic")?;
    let stderr = builder.dir().join("stderr.log");
    drop(builder);
    let vm = writes_port("pvpanic", "pvpanic", 0x505, 1, "O")?;
    ensure!(vm.wait(patience(20))?.code() == Some(1));
    let messages = std::fs::read_to_string(stderr)?;
    ensure!(messages.ends_with("tinderbox: the guest panicked\n"), "{messages}");
    Ok(())
}

/// The one path that has no message and no eventfd: PIT, PIC, LINT0 of the first vCPU.
#[test]
fn pit_interrupts_through_the_pic_wherever_it_is() -> Result<()> {
    for irqchip in ["split", "kernel"] {
        let machine = format!("irqchip={irqchip}");
        let (mut vm, _disk) = boot(&format!("pit_{irqchip}"), "I", &["--machine", &machine])?;
        vm.expect("boot: ten ticks", patience(20))?;
    }
    Ok(())
}

#[test]
fn seabios_boots_with_a_clock_and_one_ioapic_and_no_pic() -> Result<()> {
    let (mut vm, _disk) = boot("rtc_one_ioapic", "P", &["--machine", "rtc=on,pic=off,pit=off,ioapic2=off"])?;
    runs_once(&mut vm)?;
    ensure!(vm.wait(patience(20))?.code() == Some(0));
    Ok(())
}
