//! Every switch of the machine type on and off, and every pair of them, seen by Debian's kernel: needs a KVM that runs
//! 64-bit guests, or the lab.
//!
//! The kernel starts without firmware or by SeaBIOS, and ends in the shell of its initial RAM disk, which takes half the
//! time of a whole boot.

use anyhow::{Context as _, Result, ensure};
use machine_tests::{Vm, VmBuilder, patience};

const CMDLINE: &str = "console=ttyS0,115200 rdinit=/bin/sh reboot=t";

/// Prints what a switch can change. A port that nothing decodes gives all ones.
const LOOK: &str = "mkdir -p /proc /sys; mount -t proc proc /proc; mount -t sysfs sysfs /sys; \
    mount -t devtmpfs devtmpfs /dev; \
    port() { [ \"$(dd if=/dev/port bs=1 skip=$2 count=1 2>/dev/null)\" = \"$(printf '\\377')\" ] || echo has-$1; }; \
    port pic 32; port elcr 1232; \
    printf '\\342' | dd of=/dev/port bs=1 seek=67 2>/dev/null; port pit 64; \
    ls /sys/class/rtc /sys/bus/acpi/devices 2>/dev/null; cat /proc/cmdline /proc/iomem /proc/ioports; \
    dmesg | while read -r line; do case $line in *IOAPIC\\[*) echo \"$line\";; esac; done";

/// A machine of these switches that starts in Debian's kernel.
fn boot(name: &str, switches: &str, cmdline: &str) -> Result<VmBuilder> {
    let builder = VmBuilder::new(name)?.debian_kernel("vmlinuz", cmdline)?;
    let builder = builder.args(["--no-reboot", "--memory", "256M"]);
    Ok(if switches.is_empty() { builder } else { builder.args(["--machine", switches]) })
}

/// What the guest of these switches sees.
fn sight(name: &str, switches: &str, args: &[&str]) -> Result<String> {
    let mut vm = boot(name, switches, CMDLINE)?.args(args).start()?;
    vm.expect("# ", patience(60))?;
    let text = vm.shell(LOOK)?;
    ends(vm)?;
    Ok(text)
}

fn ends(mut vm: Vm) -> Result<()> {
    vm.send("reboot\n")?;
    let status = vm.wait(patience(20))?;
    ensure!(status.code() == Some(0), "{status}");
    Ok(())
}

/// Which of the switches show in `text`.
fn shown(text: &str) -> [bool; 6] {
    [
        "IOAPIC[1]: apic_id 1, version 32, address 0xfec10000, GSI 24-47",
        "rtc0",
        "has-pit",
        "has-pic",
        "e0000000-efffffff : PCI MMCONFIG 0000 [bus 00-ff]",
        "PNP0D10:00",
    ]
    .map(|mark| text.contains(mark))
}

/// Firmware, irqchip, and which switches are on. A covering array: each pair of columns has each pair of values, but that
/// `irqchip=kernel` cannot do without the PIC.
const RUNS: [(&str, &str, [bool; 6]); 6] = [
    ("none", "split", [false, false, false, false, false, false]),
    ("none", "split", [true, true, true, true, false, true]),
    ("none", "kernel", [true, false, false, true, true, true]),
    ("seabios", "split", [false, true, false, false, true, true]),
    ("seabios", "split", [true, false, true, false, true, false]),
    ("seabios", "kernel", [false, true, true, true, false, false]),
];

#[test]
fn switches_change_what_they_say_and_nothing_else() -> Result<()> {
    for (n, (firmware, irqchip, wanted)) in RUNS.into_iter().enumerate() {
        let [ioapic2, rtc, pit, pic, pcie, usb] = wanted.map(|on| if on { "on" } else { "off" });
        let switches = format!(
            "irqchip={irqchip},ioapic2={ioapic2},rtc={rtc},pit={pit},pic={pic},pcie={pcie},usb={usb}"
        );
        let text = sight(&format!("pairs_{n}"), &switches, &["--firmware", firmware])?;
        ensure!(shown(&text) == wanted, "{switches}: {text}");
        ensure!(text.contains("has-elcr") == wanted[3], "{switches}: the PIC's other half: {text}");
        ensure!(
            text.contains("address 0xfec00000, GSI 0-23") && text.contains("ACPI0013:00"),
            "{switches}: {text}"
        );
    }
    Ok(())
}

#[test]
fn default_machine_is_that_of_the_contract() -> Result<()> {
    let text = sight("default", "", &[])?;
    ensure!(shown(&text) == [true, false, true, true, false, false], "{text}");
    Ok(())
}

/// Nothing but the test device drives IRQ 9 here, on which Linux has a handler for the event device.
#[test]
fn test_device_remembers_and_raises_interrupts() -> Result<()> {
    let mut vm = boot("testdev", "", CMDLINE)?.args(["--device", "pc-testdev"]).start()?;
    vm.expect("# ", patience(60))?;
    vm.shell("mkdir -p /proc; mount -t proc proc /proc; mount -t devtmpfs devtmpfs /dev")?;
    vm.shell("port() { dd of=/dev/port bs=1 seek=$1 2>/dev/null; }; printf abcd | port 224")?;
    ensure!(vm.shell("dd if=/dev/port bs=1 skip=232 count=4 2>/dev/null")? == "abcd");
    let count =
        "while read -r irq n rest; do case $rest in *ACPI:Ged) echo $n;; esac; done < /proc/interrupts";
    ensure!(vm.shell(count)? == "0");
    vm.shell("printf '\\1' | port 8201; printf '\\0' | port 8201")?;
    ensure!(vm.shell(count)? == "1");
    ends(vm)
}

#[test]
fn disks_are_on_the_command_line_where_acpi_does_not_tell_of_them() -> Result<()> {
    let disk = VmBuilder::new("cmdline_disk")?.dir().join("a.raw");
    std::fs::write(&disk, [0; 512])?;
    let disk = disk.to_str().context("a path in Unicode")?;
    for (name, switches, told) in [
        ("cmdline_auto", "acpi=off", true),
        ("cmdline_off", "acpi=off,auto-kernel-cmdline=off,rtc=on,pit=off", false),
        ("cmdline_acpi", "auto-kernel-cmdline=on", false),
    ] {
        let text = sight(name, switches, &["--disk", disk])?;
        ensure!(text.contains("virtio_mmio.device=512@0xfeb00000:5") == told, "{switches}: {text}");
        ensure!(text.contains("ACPI0013") != switches.contains("acpi=off"), "{switches}: {text}");
    }
    Ok(())
}

#[test]
fn machine_without_serial_port_is_silent() -> Result<()> {
    let cmdline = "console=ttyS0,115200 rdinit=/bin/reboot reboot=t";
    let mut vm = boot("silent", "isa-serial=off", cmdline)?.start()?;
    let error = vm.expect("anything", patience(60)).map_or_else(|error| error.to_string(), |_| String::new());
    ensure!(error.contains("the machine ended; the last output was \"\""), "{error}");
    ensure!(vm.wait(patience(5))?.code() == Some(0));
    Ok(())
}
