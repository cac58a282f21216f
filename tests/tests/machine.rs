//! Debian, unmodified, from its own boot loader and with its own kernel: needs a KVM that runs 64-bit guests, or the lab.
//!
//! A boot is dear in the lab, so each machine shows several things on its way.

use std::fs;

use anyhow::{Result, ensure};
use machine_tests::{Vm, VmBuilder, blank_disk, patience};

const MIB: u64 = 1 << 20;

/// Boots the image.
fn debian(name: &str, args: &[&str]) -> Result<VmBuilder> {
    Ok(VmBuilder::new(name)?.debian_disk("")?.args(args))
}

fn cpus(vm: &mut Vm) -> Result<u32> {
    Ok(vm.shell("nproc")?.parse()?)
}

fn ram_mib(vm: &mut Vm) -> Result<u64> {
    Ok(vm.shell("awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo")?.parse()?)
}

/// Makes Linux reset the machine by `way` (its `reboot=` types), and waits until it is up again.
fn reboots(vm: &mut Vm, way: &str, cause: &str) -> Result<()> {
    let resets = |vm: &Vm| anyhow::Ok(vm.messages()?.matches("the machine resets").count());
    let before = resets(vm)?;
    vm.shell(&format!("sync; mount -o remount,ro /; echo {way} > /sys/kernel/reboot/type"))?;
    vm.send("reboot -f\n")?;
    vm.expect("SeaBIOS (version", patience(30))?;
    let messages = vm.messages()?;
    ensure!(messages.trim_end().ends_with(&format!("the machine resets cause={cause}")), "{messages}");
    vm.login()?;
    ensure!(resets(vm)? == before + 1, "one reset, no more");
    vm.no_complaints()
}

#[test]
fn one_cpu_finds_a_complete_machine_and_powers_off() -> Result<()> {
    let mut vm = debian("one_cpu", &["--cpus", "1", "--memory", "512M"])?.start()?;
    vm.login()?;
    vm.no_complaints()?;
    ensure!(cpus(&mut vm)? == 1);
    ensure!((400..512).contains(&ram_mib(&mut vm)?));
    ensure!(vm.shell("cat /sys/devices/system/clocksource/clocksource0/current_clocksource")? == "kvm-clock");
    let devices = vm.shell("ls /sys/bus/acpi/devices")?;
    for id in ["ACPI0013:00", "LNRO0005:00", "PNP0501:00", "PNP0C0C:00", "QEMU0002:00"] {
        ensure!(devices.contains(id), "no {id} in {devices}");
    }
    ensure!(vm.shell("cat /sys/class/tty/ttyS0/type")? == "4", "a 16550A with its FIFOs");
    let interrupts = vm.shell("grep virtio0 /proc/interrupts")?;
    ensure!(interrupts.contains("IO-APIC") && interrupts.contains("fasteoi"), "{interrupts}");
    vm.shell("modprobe qemu_fw_cfg")?;
    let signature = vm.shell("cat /sys/firmware/qemu_fw_cfg/by_name/bootorder/raw | tr -d '\\0'")?;
    ensure!(signature == "/virtio-mmio@00000000feb00000/disk@0,0", "{signature}");
    vm.send("poweroff\n")?;
    vm.powers_off()
}

#[test]
fn two_cpus_and_three_disks_survive_a_reboot() -> Result<()> {
    let builder = VmBuilder::new("two_cpus")?.debian_copy("")?.args(["--cpus", "2", "--memory", "1G"]);
    let data = blank_disk(builder.dir(), "data.raw", 64 * MIB, "data")?;
    let fixed = blank_disk(builder.dir(), "fixed.raw", 8 * MIB, "fixed")?;
    let before = fs::read(&fixed)?;
    let mut vm = builder.disk(&data, "").disk(&fixed, ",readonly=on").start()?;
    vm.login()?;
    ensure!(cpus(&mut vm)? == 2);
    ensure!(vm.shell("blockdev --getsize64 /dev/vdb /dev/vdc")? == "67108864\n8388608");
    ensure!(vm.shell("head -c 5 /dev/vdc")? == "fixed");
    ensure!(vm.shell("cat /sys/block/vdb/ro /sys/block/vdc/ro")? == "0\n1");
    vm.shell("! dd if=/dev/zero of=/dev/vdc bs=512 count=1 oflag=direct 2>/dev/null")?;
    vm.shell("mkfs.ext4 -q /dev/vdb && mount /dev/vdb /mnt")?;
    vm.shell("dd if=/dev/urandom of=/mnt/random bs=1M count=16 conv=fsync 2>/dev/null")?;
    let sum = vm.shell("sha256sum < /mnt/random")?;
    vm.no_complaints()?;
    // Linux jumps to the reset vector, where SeaBIOS sees that this is no power-on and resets the machine.
    vm.send("reboot\n")?;
    vm.expect("SeaBIOS (version", patience(60))?;
    vm.login()?;
    ensure!(cpus(&mut vm)? == 2);
    vm.shell("mount -o ro /dev/vdb /mnt")?;
    ensure!(
        vm.shell("sha256sum < /mnt/random")? == sum,
        "what was written before the reboot is there after it"
    );
    vm.no_complaints()?;
    vm.presses_the_power_button()?;
    ensure!(fs::read(&fixed)? == before, "the read-only disk is as it was");
    Ok(())
}

#[test]
fn four_cpus_use_memory_above_4_gib_and_reset_in_every_way() -> Result<()> {
    let mut vm = debian("four_cpus", &["--cpus", "4", "--memory", "6G"])?.start()?;
    vm.login()?;
    ensure!(cpus(&mut vm)? == 4);
    ensure!((5600..6144).contains(&ram_mib(&mut vm)?));
    ensure!(vm.shell("grep -c '^100000000-1bfffffff : System RAM' /proc/iomem")? == "1");
    let topology = vm.shell("lscpu | grep -E '^(Socket|Core|Thread)' | tr -s ' '")?;
    ensure!(topology == "Thread(s) per core: 1\nCore(s) per socket: 4\nSocket(s): 1", "{topology}");
    vm.shell("for n in 0 1 2 3; do taskset -c $n true || exit 1; done")?;
    vm.no_complaints()?;
    reboots(&mut vm, "acpi", "reset register")?;
    reboots(&mut vm, "triple", "triple fault")?;
    ensure!(cpus(&mut vm)? == 4);
    vm.presses_the_power_button()
}

#[test]
fn identity_credentials_and_files_reach_the_guest() -> Result<()> {
    let uuid = "00112233-4455-6677-8899-aabbccddeeff";
    let args = [
        ["--cpus", "2"],
        ["--uuid", uuid],
        ["--smbios", "type=0,vendor=Acme BIOS,date=08/01/2026"],
        ["--smbios", "type=1,manufacturer=Acme,product=Toaster,,2,serial=s42,family=kitchen"],
        ["--smbios", "type=3,asset=shelf 7"],
        ["--smbios", "type=11,value=io.systemd.credential:tinderbox.test=from the host"],
        ["--fw-cfg", "name=opt/tinderbox/test,string=a file"],
    ];
    let builder = debian("identity", args.as_flattened())?;
    let data = blank_disk(builder.dir(), "data.raw", MIB, "data")?;
    let mut vm = builder.disk(&data, ",serial=my data").start()?;
    vm.login()?;
    let identity = "sys_vendor product_name product_serial product_family product_uuid chassis_asset_tag \
                    bios_vendor bios_date";
    let told = vm.shell(&format!("cd /sys/class/dmi/id && cat {identity}; cd"))?;
    let expected =
        ["Acme", "Toaster,2", "s42", "kitchen", uuid, "shelf 7", "Acme BIOS", "08/01/2026"].join("\n");
    ensure!(told == expected, "{told}");
    let types = vm.shell("modprobe dmi_sysfs && ls /sys/firmware/dmi/entries | tr '\\n' ' '")?;
    // Caches (7-…) are described as far as the processor tells.
    let without_caches: Vec<_> = types.split(' ').filter(|name| !name.starts_with("7-")).collect();
    let expected = ["0-0", "1-0", "11-0", "127-0", "16-0", "17-0", "19-0", "3-0", "32-0", "4-0"];
    ensure!(without_caches == expected, "{types}");
    ensure!(vm.shell("cat /run/credentials/@system/tinderbox.test")? == "from the host");
    vm.shell("modprobe qemu_fw_cfg")?;
    ensure!(vm.shell("cat /sys/firmware/qemu_fw_cfg/by_name/opt/tinderbox/test/raw")? == "a file");
    ensure!(vm.shell("cat /sys/block/vdb/serial")? == "my data");
    vm.no_complaints()?;
    vm.presses_the_power_button()
}

/// The boot disk is the last of 24, and each has an interrupt of its own.
#[test]
fn twenty_four_disks_are_found_and_interrupt() -> Result<()> {
    let builder = VmBuilder::new("many_disks")?;
    let blanks = (0..23)
        .map(|n| blank_disk(builder.dir(), &format!("{n}.raw"), MIB, &format!("disk {n}")))
        .collect::<Result<Vec<_>>>()?;
    let builder = blanks.iter().fold(builder, |builder, disk| builder.disk(disk, ""));
    let args = [
        "--cpus",
        "2",
        "--memory",
        "512M",
        "--machine",
        "irqchip=kernel",
        "--rtc",
        "base=2030-05-06T07:08:09",
    ];
    let mut vm = builder.debian_disk(",bootindex=0")?.args(args).start()?;
    vm.login()?;
    let labels = vm.shell(
        "for n in $(seq 0 22); do disk=$(ls /sys/bus/virtio/devices/virtio$n/block); head -c 7 /dev/$disk | tr -d '\\0'; echo; done",
    )?;
    let expected: Vec<_> = (0..23).map(|n| format!("disk {n}")).collect();
    ensure!(labels.lines().eq(expected.iter().map(String::as_str)), "{labels}");
    let silent = vm.shell("awk '/virtio/ && $2 + $3 == 0' /proc/interrupts")?;
    ensure!(silent.is_empty(), "no interrupt came from\n{silent}");
    ensure!(vm.shell("grep -c 'IO-APIC.*virtio' /proc/interrupts")? == "24");
    ensure!(vm.shell("cat /sys/class/rtc/rtc0/name")?.starts_with("rtc_cmos"));
    // The clock's own interrupt, of the alarm, wakes this up.
    vm.shell("echo 0 > /sys/class/rtc/rtc0/wakealarm; echo +2 > /sys/class/rtc/rtc0/wakealarm; sleep 4")?;
    ensure!(vm.shell("awk '/rtc0/ {print $2 + $3}' /proc/interrupts")? != "0", "the clock's alarm");
    let drift = vm.shell("echo $(( $(date +%s) - $(cat /sys/class/rtc/rtc0/since_epoch) ))")?;
    ensure!(["-1", "0", "1"].contains(&drift.as_str()), "the clock is off by {drift} s");
    let today = vm.shell("date -u -d @$(cat /sys/class/rtc/rtc0/since_epoch) +%F")?;
    ensure!(today == "2030-05-06", "{today}");
    vm.no_complaints()?;
    vm.presses_the_power_button()
}

#[test]
fn topology_and_features_are_as_asked() -> Result<()> {
    let cpus_args = ["--cpus", "4,sockets=2,cores=1,threads=2", "--cpu", "host,-ssse3,-kvm-steal-time"];
    let memory_args = ["--memory", "512M,shared=on,prefault=on"];
    let mut vm = debian("topology", &cpus_args)?.args(memory_args).start()?;
    vm.expect("SeaBIOS (version", patience(30))?;
    ensure!(vm.resident_mib()? >= 512, "all memory is there before the guest wants it");
    vm.login()?;
    ensure!(cpus(&mut vm)? == 4);
    let topology = vm.shell("lscpu | grep -E '^ *(Socket|Core|Thread)' | tr -s ' ' | sed 's/^ //'")?;
    ensure!(topology == "Thread(s) per core: 2\nCore(s) per socket: 1\nSocket(s): 2", "{topology}");
    let siblings =
        vm.shell("cat /sys/devices/system/cpu/cpu[0-3]/topology/thread_siblings_list | sort -u")?;
    ensure!(siblings == "0-1\n2-3", "{siblings}");
    let flags = vm.shell("grep -m1 ^flags /proc/cpuinfo")?;
    let has = |name: &str| flags.split_ascii_whitespace().any(|flag| flag == name);
    ensure!(has("pni") && has("hypervisor"), "what was not named stays: {flags}");
    for gone in ["ssse3", "sse4_1", "sse4_2"] {
        ensure!(!has(gone), "{gone} is off, or needs what is off: {flags}");
    }
    ensure!(vm.shell("dmesg | grep -c 'stealtime' || true")? == "0", "kvm-steal-time is off");
    vm.no_complaints()?;
    vm.presses_the_power_button()
}
