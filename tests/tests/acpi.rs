//! What Debian's kernel makes of the ACPI tables: it complains of nothing, and has the very bytes that `tinderbox acpi dump`
//! writes without a machine. Needs a KVM that runs 64-bit guests, or the lab.
//!
//! The kernel ends in the shell of its initial RAM disk, which has few programs, so it leaves what it found on a disk:
//! a table in every slot, then its log. The dump is linked where this kernel found its tables; nothing else is adjusted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use acpi::Resolved;
use acpi::inspect;
use anyhow::{Context as _, Result, bail, ensure};
use machine_tests::{Vm, VmBuilder, blank_disk, patience, program};

const CMDLINE: &str = "console=ttyS0,115200 rdinit=/bin/sh reboot=t";

/// What Linux says of tables that are not as they should be.
const COMPLAINTS: [&str; 5] = ["ACPI Error", "ACPI Warning", "ACPI Exception", "ACPI BIOS", "[Firmware Bug]"];

/// Room for a table.
const SLOT: usize = 64 << 10;
/// The slot of the kernel's log, which has all that follow too.
const LOG_SLOT: usize = 40;
const DISK_LEN: u64 = 4 << 20;

/// Mounts what is needed, and makes `keep SLOT FILE`, which leaves a file on the disk. sysfs gives no more than a page at a
/// time, so a file is copied first.
const PREPARE: &str = "mkdir -p /proc /sys /dev; mount -t proc proc /proc; mount -t sysfs sysfs /sys; \
    mount -t devtmpfs devtmpfs /dev; modprobe virtio_mmio; modprobe virtio_blk; \
    keep() { cat $2 > /kept; dd if=/kept of=/dev/vda bs=65536 seek=$1 2>/dev/null; }; \
    while [ ! -b /dev/vda ]; do sleep 1; done";

/// Leaves every table on the disk and names them.
const KEEP_TABLES: &str = "n=0; for table in /sys/firmware/acpi/tables/*; do \
    [ -f $table ] && { keep $n $table; echo $table; n=$((n + 1)); }; done; true";

/// Prints where the kernel found the root.
const ROOT: &str = "dmesg | while read -r line; do case $line in \
    *'ACPI: RSDP '*|*'ACPI: XSDT '*) echo \"$line\";; esac; done";

/// Boots the machine of `args`, lets `look` look, and holds its tables against the dump.
fn examine(name: &str, args: &[&str], look: impl FnOnce(&mut Vm) -> Result<()>) -> Result<()> {
    let builder = VmBuilder::new(name)?.debian_kernel("vmlinuz", CMDLINE)?;
    let folder = builder.dir().to_owned();
    let disk = blank_disk(&folder, "found.raw", DISK_LEN, "")?;
    let mut vm = builder.disk(&disk, "").args(["--no-reboot"]).args(args).start()?;
    vm.expect("# ", patience(60))?;
    vm.shell(PREPARE)?;
    look(&mut vm)?;
    let names = vm.shell(KEEP_TABLES)?;
    let [rsdp_at, xsdt_at] = root(&vm.shell(ROOT)?)?;
    vm.shell(&format!("dmesg > /log; keep {LOG_SLOT} /log; sync"))?;
    vm.send("reboot\n")?;
    let status = vm.wait(patience(20))?;
    ensure!(status.code() == Some(0), "{status}");
    let found = fs::read(&disk)?;
    no_complaints(found.get(LOG_SLOT * SLOT..).context("no log")?)?;
    let signatures = names.lines().map(|name| name.rsplit('/').next().unwrap_or_default());
    let tables = signatures.zip(found.chunks(SLOT)).map(|(name, slot)| (name.to_owned(), slot)).collect();
    let disk = format!("--disk={}", disk.display());
    equals_dump(&tables, &dump(&folder, &[&[disk.as_str()], args].concat())?, [rsdp_at, xsdt_at])
}

/// Addresses of RSDP and XSDT, from lines such as `ACPI: RSDP 0x00000000000E0000 000024 (v02 BOCHS )`.
fn root(lines: &str) -> Result<[u64; 2]> {
    let place = |signature: &str| {
        let line = lines.lines().find_map(|line| line.split_once(signature))?.1;
        u64::from_str_radix(line.split_whitespace().next()?.strip_prefix("0x")?, 16).ok()
    };
    let place = |signature| place(signature).with_context(|| format!("no {signature}in {lines}"));
    Ok([place("ACPI: RSDP ")?, place("ACPI: XSDT ")?])
}

fn no_complaints(log: &[u8]) -> Result<()> {
    let log = String::from_utf8_lossy(log);
    ensure!(log.contains("Linux version"), "the log has no beginning");
    let lines = log.lines().filter(|line| COMPLAINTS.iter().any(|complaint| line.contains(complaint)));
    let lines: Vec<_> = lines.collect();
    ensure!(lines.is_empty(), "the kernel complains:\n{}", lines.join("\n"));
    Ok(())
}

/// Folder of `tinderbox acpi dump` for the same machine.
fn dump(folder: &Path, args: &[&str]) -> Result<std::path::PathBuf> {
    let output = folder.join("dump");
    let mut command = Command::new(program()?);
    command.args(["acpi", "dump", "--output"]).arg(&output).args(args);
    let ran = command.output().context("start tinderbox")?;
    ensure!(ran.status.success(), "acpi dump: {}", String::from_utf8_lossy(&ran.stderr));
    Ok(output.join("fw_cfg"))
}

/// Every table of the guest is that of the dump, byte for byte, and there are no others.
fn equals_dump(guest: &BTreeMap<String, &[u8]>, dump: &Path, [rsdp_at, xsdt_at]: [u64; 2]) -> Result<()> {
    let file = |name: &str| fs::read(dump.join(name)).with_context(|| format!("read {name} of the dump"));
    let (rsdp, tables) = (file("etc/acpi/rsdp")?, file("etc/acpi/tables")?);
    // Before it is linked, the RSDP's pointer is the place of the XSDT among the tables.
    let offset = rsdp.get(24..32).and_then(|field| field.try_into().ok()).map(u64::from_le_bytes);
    let tables_at = xsdt_at - offset.context("the dump's RSDP is too short")?;
    let files = [("etc/acpi/rsdp", rsdp.as_slice()), ("etc/acpi/tables", &tables)];
    let place = |name: &str| if name == "etc/acpi/rsdp" { rsdp_at } else { tables_at };
    let linked = inspect::link(&file("etc/table-loader")?, &files, place)?;
    let [(_, _, rsdp), (_, _, tables)] = linked.as_slice() else { bail!("the script places other files") };
    let expected = Resolved { rsdp: rsdp.clone(), tables: tables.clone() };
    // Linux shows no root tables; it found the others by them.
    let expected: BTreeMap<_, _> = expected.each().into_iter().filter(|(name, _)| *name != "XSDT").collect();
    let names = |names: Vec<&str>| names.join(", ");
    ensure!(
        guest.keys().eq(expected.keys()),
        "the guest has {}, the dump {}",
        names(guest.keys().map(String::as_str).collect()),
        names(expected.keys().copied().collect())
    );
    for (name, bytes) in expected {
        ensure!(guest[name].starts_with(bytes), "{name} of the guest is not that of the dump");
    }
    Ok(())
}

/// What `/bin/sh` does as the first process of a machine that may have no console: [`KEEP_TABLES`], and the log, on the disk
/// that says it is for that. The kernel takes no quotes between those around it.
const ALONE: &str = "mkdir -p /proc /sys /dev; mount -t proc proc /proc; mount -t sysfs sysfs /sys; \
    mount -t devtmpfs dev /dev; modprobe virtio_mmio; modprobe virtio_blk; d=; while [ -z $d ]; do \
    for n in /sys/block/vd*; do [ found = $(cat $n/serial) ] && d=/dev/${n##*/}; done; done; \
    keep() { cat $2 > /kept; dd if=/kept of=$d bs=65536 seek=$1; }; cd /sys/firmware/acpi/tables; n=0; \
    for t in *; do [ -f $t ] && { keep $n $t; echo table $n $t; n=$((n+1)); } >> /log; done; \
    dmesg >> /log; keep 40 /log; sync; reboot -f";

/// Of the CPUs that the tables tell of, two start: until late in its boot each interrupts its host 250 times a second, and where
/// hundreds of them share one processor of a lab nothing else gets done.
const ALONE_CMDLINE: &str =
    "console=ttyS0,115200 reboot=t maxcpus=2 cryptomgr.notests init_on_alloc=0 rdinit=/bin/sh";

/// The same for a machine that shows nothing and is asked nothing.
fn examine_alone(name: &str, args: &[String]) -> Result<()> {
    let cmdline = format!("{ALONE_CMDLINE} -- -c \"{ALONE}\"");
    let builder = VmBuilder::new(name)?.debian_kernel("vmlinux", &cmdline)?;
    let folder = builder.dir().to_owned();
    let found = blank_disk(&folder, "found.raw", DISK_LEN, "")?;
    let args = with_disks(&folder, args)?;
    let machine = [args, vec![format!("--disk={},serial=found", found.display())]].concat();
    let vm = builder.args(["--no-reboot"]).args(&machine).start()?;
    let status = vm.wait(patience(90))?;
    ensure!(status.code() == Some(0), "{status}");
    let bytes = fs::read(&found)?;
    let log = bytes.get(LOG_SLOT * SLOT..).context("no log")?;
    no_complaints(log)?;
    let text = String::from_utf8_lossy(log);
    let cpus = format!("smpboot: Allowing {} CPUs, 0 hotplug CPUs", cpus(&machine));
    ensure!(text.contains(&cpus), "no {cpus:?} in its log");
    let table = |line: &str| {
        let (slot, name) = line.strip_prefix("table ")?.split_once(' ')?;
        Some((name.to_owned(), bytes.get(slot.parse::<usize>().ok()? * SLOT..)?))
    };
    let tables: BTreeMap<_, _> = text.lines().filter_map(table).collect();
    let machine: Vec<_> = machine.iter().map(String::as_str).collect();
    equals_dump(&tables, &dump(&folder, &machine)?, root(&text)?)
}

/// How many CPUs a machine of these arguments has.
fn cpus(args: &[String]) -> &str {
    let mut words = args.iter().skip_while(|arg| !arg.starts_with("--cpus"));
    let Some(option) = words.next() else { return "1" };
    let value = option.strip_prefix("--cpus=").or(words.next().map(String::as_str)).unwrap_or_default();
    value.split(',').next().unwrap_or_default()
}

/// The arguments, with a disk of its own wherever they have one. One of so many that there is no room for another is left out.
fn with_disks(folder: &Path, args: &[String]) -> Result<Vec<String>> {
    let mut disks = 0;
    let mut words = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let value =
            if arg == "--disk" { rest.next().map(String::as_str) } else { arg.strip_prefix("--disk=") };
        let Some(value) = value else {
            words.push(arg.clone());
            continue;
        };
        disks += 1;
        if disks == 8 || disks == 24 {
            continue; // all transports of a machine
        }
        let options = value.find(',').and_then(|comma| value.get(comma..)).unwrap_or_default();
        let disk = blank_disk(folder, &format!("{disks}.raw"), 1 << 20, "")?;
        words.push(format!("--disk={}{options}", disk.display()));
    }
    Ok(words)
}

#[test]
fn machines_of_the_list_have_the_tables_of_their_dumps() -> Result<()> {
    let mut failures = Vec::new();
    for (n, (name, args)) in machine_tests::acpi_machines()?.iter().enumerate() {
        let began = Instant::now();
        let result = examine_alone(&format!("machine_{n}"), args);
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        println!("{word:6} {:3} s  {name}", began.elapsed().as_secs());
        failures.extend(result.err().map(|error| format!("{name} ({}): {error:#}", args.join(" "))));
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

#[test]
fn default_machine_has_the_tables_of_the_dump() -> Result<()> {
    examine("acpi_default", &["--cpus", "2", "--memory", "256M"], |_| Ok(()))
}

/// Two nodes of two threads each, by SeaBIOS, and a generation id that changes.
#[test]
fn nodes_threads_and_generation_id_are_as_asked() -> Result<()> {
    let args = [
        "--firmware=seabios",
        "--cpus=4,sockets=2,threads=2",
        "--memory=512M",
        "--machine=rtc=on",
        "--device=pvpanic",
        "--device=vmgenid,guid=00112233-4455-6677-8899-aabbccddeeff",
        "--numa=node,cpus=0-1,memory=256M",
        "--numa=node,cpus=2-3,memory=256M",
        "--numa=distance,from=0,to=1,value=21",
        "--numa=access,from=0,to=0,latency=90,bandwidth=20G",
        "--numa=access,from=1,to=1,latency=95,bandwidth=20G",
        "--numa=access,from=0,to=1,latency=140,bandwidth=10G",
    ];
    examine("acpi_nodes", &args, |vm| {
        let nodes =
            vm.shell("cd /sys/devices/system/node; cat online node[01]/cpulist node[01]/distance; cd /")?;
        ensure!(nodes == "0-1\n0-1\n2-3\n10 21\n21 10", "{nodes}");
        let speed = vm.shell("cat /sys/devices/system/node/node1/access1/initiators/read_latency")?;
        ensure!(speed == "95", "{speed}");
        let driver = vm.shell("ls /sys/bus/acpi/drivers/vmgenid")?;
        ensure!(driver.contains("TBOX0001:00"), "{driver}");
        let reseeds = "dmesg | while read -r line; do case $line in *'virtual machine fork'*) echo \"$line\";; esac; done";
        ensure!(vm.shell(reseeds)?.is_empty(), "nobody changed the id yet");
        vm.send("\x01g")?;
        vm.shell("sleep 1")?;
        ensure!(vm.shell(reseeds)?.contains("crng reseeded due to virtual machine fork"));
        Ok(())
    })
}
