//! The command line as a user meets it: what the program says, on which stream, and its exit status. No test needs KVM.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its set-up fails")]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use tempfile::TempDir;

/// How a run ended.
struct Ran {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

/// A folder for images to name on the command line.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().into()
    }

    /// A file of `len` zero bytes.
    fn file(&self, name: &str, len: u64) -> String {
        File::create(self.path(name)).unwrap().set_len(len).unwrap();
        self.path(name)
    }

    fn tinderbox(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tinderbox"));
        command.args(args).stdin(Stdio::null()).env_remove("TINDERBOX_LOG");
        command.env("TINDERBOX_FIRMWARE_DIR", self.0.path()).output().unwrap().into()
    }

    /// Runs a machine whose firmware is good enough to get as far as opening KVM, which is not there.
    fn run(&self, args: &[&str]) -> Ran {
        let firmware = self.file("bios.bin", 128 << 10);
        let common = ["run", "--firmware", &firmware, "--kvm", "/nonexistent/kvm"];
        self.tinderbox(&[&common, args].concat())
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ran {
    /// The one line on stderr, without the program's name.
    #[track_caller]
    fn fails(&self, status: i32) -> &str {
        assert_eq!((self.status, self.stdout.as_str()), (Some(status), ""), "{}", self.stderr);
        let line = self.stderr.strip_prefix("tinderbox: ").and_then(|text| text.strip_suffix('\n'));
        let line = line.unwrap_or_else(|| panic!("no message of ours: {:?}", self.stderr));
        assert!(!line.contains('\n'), "more than a line: {line}");
        line
    }

    #[track_caller]
    fn says(&self) -> &str {
        assert_eq!((self.status, self.stderr.as_str()), (Some(0), ""));
        &self.stdout
    }
}

/// The message for a wrong command line.
#[track_caller]
fn usage(args: &[&str]) -> String {
    Bench::new().tinderbox(args).fails(2).to_owned()
}

#[test]
fn help_has_examples_and_exit_statuses() {
    for args in [&["--help"][..], &["run", "--help"]] {
        let ran = Bench::new().tinderbox(args);
        let help = ran.says();
        assert!(help.contains("\nExamples:\n  tinderbox run debian.raw\n"), "{help}");
        assert!(help.contains("\nExit status:\n  0  the guest powered off"), "{help}");
    }
}

#[test]
fn version_is_one_line() {
    let expected = format!("tinderbox {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(Bench::new().tinderbox(&["--version"]).says(), expected);
}

#[test]
fn commands_that_are_none_are_usage_errors() {
    assert_eq!(usage(&[]), "no command, see `tinderbox --help`");
    assert_eq!(usage(&["boot"]), "unknown command boot, see `tinderbox --help`");
    assert_eq!(usage(&["firmware"]), "no command, see `tinderbox firmware --help`");
}

#[test]
fn unknown_options_are_usage_errors() {
    assert_eq!(usage(&["run", "--nic", "x"]), "unknown option --nic, see `tinderbox run --help`");
    assert_eq!(usage(&["run", "--dsk", "x"]), "unknown option --dsk, did you mean --disk?");
    assert_eq!(usage(&["run", "-M", "microvm"]), "unknown option -M, see `tinderbox run --help`");
}

#[test]
fn missing_and_repeated_values_are_usage_errors() {
    assert_eq!(usage(&["run", "--memory"]), "--memory needs a value, see `tinderbox run --help`");
    assert_eq!(usage(&["run", "--disk"]), "--disk needs a value, see `tinderbox run --help`");
    assert_eq!(usage(&["run", "--cpus", "1", "--cpus", "2"]), "--cpus is given twice, give it once");
}

#[test]
fn disks_that_cannot_be_are_usage_errors() {
    let disk = |text: &str| usage(&["run", "--disk", text]);
    let bus =
        "--disk a.raw,bus=ide: unknown bus `ide`, use bus=virtio-mmio, bus=virtio-pci, bus=scsi or bus=nvme";
    assert_eq!(disk("a.raw,bus=ide"), bus);
    let key = "--disk a,b=c: unknown key `b`, use id, bus, media, port, addr, msix, readonly, bootindex, serial, format, cache, aio, snapshot, backing-dir, queues, bps, bps-burst, iops or iops-burst; a comma in a path is written twice";
    assert_eq!(disk("a,b=c"), key);
    let ring = "--disk a,aio=io_uring,iops=5: aio=io_uring is for raw images, not with limits such as bps= or iops=: leave one of them out, or use aio=threads";
    assert_eq!(disk("a,aio=io_uring,iops=5"), ring);
    let readonly = "--disk a,readonly=1: readonly=1 is no choice, use readonly=on or readonly=off";
    assert_eq!(disk("a,readonly=1"), readonly);
    assert_eq!(
        disk(""),
        "--disk: no path, write PATH[,bus=virtio-mmio|virtio-pci|scsi|nvme][,readonly=on|off]"
    );
}

#[test]
fn boot_index_of_two_disks_is_a_usage_error() {
    let args = ["run", "a.raw", "--disk", "b.raw,bootindex=3", "--disk", "c.raw,bootindex=3"];
    assert_eq!(usage(&args), "bootindex=3 is given to two disks, b.raw and c.raw: give each its own");
}

#[test]
fn disks_without_a_transport_are_a_usage_error() {
    let args: Vec<_> = ["run"].into_iter().chain(["--disk", "a.raw"].repeat(25)).collect();
    assert_eq!(
        usage(&args),
        "25 virtio devices, disks among them, are too many: this machine has 24 virtio-mmio transports"
    );
}

#[test]
fn consoles_that_cannot_be_are_usage_errors() {
    let console = "--console tty: unknown console, use stdio, file:PATH, unix:PATH, pty, pipe:PATH or none";
    assert_eq!(usage(&["run", "--console", "tty"]), console);
    let debugcon = "--debugcon stdio: unknown destination, use file:PATH";
    assert_eq!(usage(&["run", "--debugcon", "stdio"]), debugcon);
}

#[test]
fn clocks_that_cannot_be_are_usage_errors() {
    let refused = usage(&["run", "--rtc", "base=noon"]);
    assert!(
        refused.contains("--rtc") && refused.contains("use base=utc, base=localtime, or for example"),
        "{refused}"
    );
    let contradiction = usage(&["run", "--rtc", "base=localtime", "--machine", "rtc=off"]);
    assert!(contradiction.ends_with("--rtc: --machine rtc=off leaves no clock, leave one of them out"));
}

#[test]
fn time_of_the_clock_switches_it_on() {
    let bench = Bench::new();
    let shown = |args: &[&str]| bench.run(&[&["--dry-run"], args].concat()).stdout.contains("RTC");
    assert!(shown(&["--rtc", "base=2026-08-04"]) && !shown(&[]));
}

#[test]
fn memory_that_cannot_be_is_a_usage_error() {
    let memory = |text: &str| usage(&["run", "--memory", text]);
    assert_eq!(memory("lots"), "--memory lots: not a size, write for example 512M or 6G");
    assert_eq!(memory("1M"), "--memory 1M is too small: firmware needs at least 16M");
    assert_eq!(memory("17408K1"), "--memory 17408K1: not a size, write for example 512M or 6G");
    assert_eq!(memory("17409K"), "--memory must be a multiple of 1M, not 17826816 bytes");
    let small = "--memory 513M is no multiple of 2M, which hugepages=2M needs";
    assert_eq!(memory("513M,hugepages=2M"), small);
    let expected =
        "--memory 1G,shared=on,merge=on: shared and merge exclude each other: only private pages are merged";
    assert_eq!(memory("1G,shared=on,merge=on"), expected);
    let large = memory("16000000T");
    let expected = "--memory 16777216000000M is too large: the guest's CPU addresses ";
    assert!(large.starts_with(expected), "{large}");
}

#[test]
fn options_of_a_kernel_need_one() {
    let missing = "--kernel is missing, see `tinderbox run --help`";
    assert_eq!(usage(&["run", "--initrd", "initrd.img"]), missing);
    assert_eq!(usage(&["run", "--cmdline", "quiet"]), missing);
    let nothing = "--firmware none starts nothing by itself, give it a kernel with --kernel FILE";
    assert_eq!(usage(&["run", "--firmware", "none"]), nothing);
}

#[test]
fn kernels_that_cannot_start_are_refused_before_kvm_is_opened() {
    let bench = Bench::new();
    let message = |args: &[&str]| {
        let ran = bench.tinderbox(&[&["run", "--kvm", "/nonexistent/kvm"], args].concat());
        ran.fails(1).replace(&bench.path(""), "")
    };
    let zeros = bench.file("zeros", 4096);
    assert!(message(&["--kernel", &zeros]).starts_with("--kernel: zeros is no kernel: "));
    assert!(message(&["--kernel", &zeros, "--dry-run"]).starts_with("--kernel: zeros is no kernel: "));
    assert_eq!(message(&["--kernel", "/usr"]), "--kernel: /usr is no file");
    let absent = message(&["--kernel", &bench.path("absent")]);
    assert!(absent.starts_with("--kernel: read absent: No such file"), "{absent}");
}

#[test]
fn dry_run_shows_a_kernel_and_what_it_finds() {
    let bench = Bench::new();
    let kernel = bench.path("kernel");
    // Multiboot with addresses: magic, flags, checksum, header, load, load end, bss end, entry.
    let header = [0x1bad_b002_u32, 0x1_0000, 0xe451_4ffe, 0x10_0000, 0x10_0000, 0, 0x10_2000, 0x10_0000];
    fs::write(&kernel, header.map(u32::to_le_bytes).concat()).unwrap();
    let ran = bench.tinderbox(&["run", "--dry-run", "--kernel", &kernel, "--cmdline", "test"]);
    let text = ran.says();
    for line in [
        "  firmware  none",
        "  command line  test",
        "  multiboot, flat  entered at 0x100000",
        "  0x0000100000-0x000010001f  32 B    kernel",
    ] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
}

#[test]
fn vcpus_that_cannot_be_are_usage_errors() {
    let cpus = |text: &str| usage(&["run", "--cpus", text]);
    assert_eq!(cpus("0"), "--cpus 0 is out of range: this machine has 1 to 288 vCPUs");
    assert_eq!(cpus("289"), "--cpus 289 is out of range: this machine has 1 to 288 vCPUs");
    assert_eq!(cpus("two"), "--cpus two: not a number of vCPUs, write for example 4");
    let contradiction =
        "--cpus 4,sockets=3: 4 vCPUs and sockets=3 contradict each other: 4 is no multiple of 3";
    assert_eq!(cpus("4,sockets=3"), contradiction);
}

#[test]
fn processors_that_cannot_be_are_usage_errors() {
    let cpu = |text: &str| usage(&["run", "--cpu", text]);
    assert!(cpu("486").starts_with("--cpu 486: unknown model `486`, use host, "));
    assert_eq!(cpu("host,-avx3"), "--cpu host,-avx3: unknown feature `avx3`, did you mean avx or avx2?");
    let expected = "--cpu host,+avx2,-avx: +avx2 and -avx exclude each other: avx2 needs avx";
    assert_eq!(cpu("host,+avx2,-avx"), expected);
}

#[test]
fn cpu_list_needs_no_kvm() {
    let ran = Bench::new().tinderbox(&["run", "--cpu", "list", "--kvm", "/nonexistent/kvm"]);
    assert!(ran.says().contains("\n  avx512f "), "{}", ran.stdout);
}

#[test]
fn memory_beyond_the_host_is_refused() {
    let sizes = [("32G", 32), ("1T", 1 << 10), ("32T", 32 << 10), ("60T", 60 << 10)];
    let host = rustix::system::sysinfo();
    let room = ((host.totalram + host.totalswap) * u64::from(host.mem_unit)) >> 30;
    let Some((size, gib)) = sizes.into_iter().find(|(_, gib)| *gib > room) else { return };

    let ran = Bench::new().run(&["--memory", size]);

    let expected = format!("--memory {}M is more than this host has: ", gib << 10);
    assert!(ran.fails(1).starts_with(&expected), "{}", ran.stderr);
}

#[test]
fn firmware_that_is_no_image_is_refused() {
    let bench = Bench::new();
    let message = |path: &str| {
        let ran = bench.tinderbox(&["run", "--kvm", "/nonexistent/kvm", "--firmware", path]);
        ran.fails(1).replace(&bench.path(""), "")
    };
    let cut = "--firmware: firmware image cut.bin has 131071 bytes, not a multiple of 64 KiB";
    assert!(message(&bench.file("cut.bin", 131_071)).starts_with(cut));
    let large = "--firmware: firmware image large.bin has 16842752 bytes, more than the 16 MiB";
    assert!(message(&bench.file("large.bin", (16 << 20) + (64 << 10))).starts_with(large));
    let empty = "--firmware: firmware image empty.bin is empty";
    assert!(message(&bench.file("empty.bin", 0)).starts_with(empty));
    assert!(message(&bench.path("no.bin")).starts_with("--firmware: there is no firmware image no.bin"));
    assert!(message("/usr/").starts_with("--firmware: firmware image /usr/ is a directory"));
}

#[test]
fn firmware_of_an_unknown_name_is_refused() {
    for more in [&["--dry-run"][..], &[]] {
        let ran = Bench::new().tinderbox(&[&["run", "--firmware", "coreboot"], more].concat());
        let message = ran.fails(1);
        assert!(message.starts_with("--firmware: no ") && message.contains("coreboot"), "{message}");
    }
}

#[test]
fn disk_that_is_no_image_is_refused() {
    let bench = Bench::new();
    let message = |path: &str| bench.run(&[path]).fails(1).replace(&bench.path(""), "");
    assert!(message(&bench.path("no.raw")).contains("disk image no.raw does not exist"));
    assert!(message(&bench.file("empty.raw", 0)).contains("disk image empty.raw is empty"));
    let odd = "disk image odd.raw has 1000 bytes, not a multiple of 512";
    assert!(message(&bench.file("odd.raw", 1000)).contains(odd));
    assert!(message("/usr").contains("disk image /usr is a directory"));
    assert!(message("/dev/null").contains("disk image /dev/null is neither a file nor a block device"));
}

#[test]
fn disk_twice_in_one_machine_is_refused() {
    let bench = Bench::new();
    let disk = bench.file("a.raw", 1 << 20);
    let ran = bench.run(&[&disk, "--disk", &disk]);
    assert!(ran.fails(1).contains("a.raw is in use"), "{}", ran.stderr);
}

#[test]
fn readonly_disk_may_be_shared() {
    let bench = Bench::new();
    let disk = format!("{},readonly=on", bench.file("a.raw", 1 << 20));
    let ran = bench.run(&["--disk", &disk, "--disk", &disk]);
    assert!(ran.fails(1).starts_with("/nonexistent/kvm does not exist"), "{}", ran.stderr);
}

#[test]
fn refused_run_leaves_its_disk_as_it_was() {
    let bench = Bench::new();
    let disk = bench.path("a.raw");
    fs::write(&disk, [0x5a; 1024]).unwrap();
    bench.run(&[&disk]).fails(1);
    assert_eq!(fs::read(&disk).unwrap(), [0x5a; 1024]);
}

#[test]
fn smbios_that_cannot_be_is_a_usage_error() {
    let smbios = |text: &str| usage(&["run", "--smbios", text]);
    let key = "--smbios type=1,name=x: unknown key `name`, type=1 has manufacturer, product, version, serial, \
               uuid, sku and family; a comma in a value is written twice";
    assert_eq!(smbios("type=1,name=x"), key);
    assert_eq!(smbios("type=9"), "--smbios type=9: type=9 cannot be given, use 0, 1, 3, 4, 11 or 17");
    let control = "--smbios type=1,serial=a\\nb: serial has a control character (0x0a), use printable text";
    assert_eq!(smbios("type=1,serial=a\nb"), control);
    let twice = usage(&["run", "--smbios", "type=1,serial=a", "--smbios", "type=1,serial=b"]);
    assert_eq!(twice, "--smbios type=1: serial is given twice, give it once");
    let uuid = usage(&["run", "--uuid", "1"]);
    assert_eq!(uuid, "--uuid 1: not a UUID, write for example 6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    let uuid = "00112233-4455-6677-8899-aabbccddeeff";
    let both = usage(&["run", "--uuid", uuid, "--smbios", &format!("type=1,uuid={uuid}")]);
    assert_eq!(both, "--uuid and --smbios type=1,uuid= are both given, give one");
}

#[test]
fn fw_cfg_files_that_cannot_be_are_usage_errors() {
    let file = |text: &str| usage(&["run", "--fw-cfg", text]);
    let reserved = "--fw-cfg name=etc/e820,string=x: the name must start with opt/, as in opt/etc/e820";
    assert_eq!(file("name=etc/e820,string=x"), reserved);
    assert_eq!(file("opt/a"), "--fw-cfg opt/a: write one of string=TEXT and file=PATH");
    let twice = usage(&["run", "--fw-cfg", "opt/a,string=x", "--fw-cfg", "opt/a,file=x"]);
    assert_eq!(twice, "--fw-cfg opt/a is given twice, give it once");
}

#[test]
fn files_for_the_guest_are_opened_before_kvm() {
    let bench = Bench::new();
    let message = |args: &[&str]| bench.run(args).fails(1).replace(&bench.path(""), "");
    let missing = message(&["--fw-cfg", &format!("opt/a,file={}", bench.path("no"))]);
    assert!(missing.starts_with("--fw-cfg opt/a: read no: No such file"), "{missing}");
    let empty = message(&["--smbios", &format!("type=11,path={}", bench.file("empty", 0))]);
    assert_eq!(empty, "--smbios type=11,path=: the file is empty, which SMBIOS cannot carry");
}

#[test]
fn kvm_that_is_not_there_is_named() {
    let ran = Bench::new().run(&[]);
    assert!(ran.fails(1).starts_with("/nonexistent/kvm does not exist: load the module"), "{}", ran.stderr);
}

#[test]
fn device_that_is_not_kvm_is_named() {
    let bench = Bench::new();
    let firmware = bench.file("bios.bin", 128 << 10);
    for device in ["/dev/null", &bench.file("kvm", 0)] {
        let ran = bench.tinderbox(&["run", "--firmware", &firmware, "--kvm", device]);
        assert!(ran.fails(1).contains(&format!("{device} is not a KVM device")), "{}", ran.stderr);
    }
}

/// Root makes a device that somebody else may not open, and becomes somebody else; others find one that is root's.
#[test]
fn kvm_without_permission_is_named() {
    let bench = Bench::new();
    let (mut kvm, program) = (bench.path("kvm"), bench.path("tinderbox"));
    // By another process: a descriptor of ours that a test beside this one inherits would keep the copy busy.
    assert!(Command::new("cp").args([env!("CARGO_BIN_EXE_tinderbox"), &program]).status().unwrap().success());
    fs::set_permissions(bench.0.path(), Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(program);
    if mknodat(CWD, &kvm, FileType::CharacterDevice, Mode::RUSR, makedev(10, 232)).is_ok() {
        command.uid(65534).gid(65534);
    } else {
        kvm = "/dev/mem".into();
    }
    command.args(["run", "--firmware", &bench.file("bios.bin", 128 << 10), "--kvm", &kvm]);

    let ran = Ran::from(command.output().unwrap());

    assert!(ran.fails(1).starts_with(&format!("no permission to open {kvm}: ")), "{}", ran.stderr);
}

#[test]
fn line_breaks_in_a_path_stay_in_one_line() {
    let ran = Bench::new().run(&["no\nsuch.raw"]);
    assert!(ran.fails(1).contains("no\\nsuch.raw"), "{}", ran.stderr);
}

#[test]
fn disk_that_cannot_have_its_engine_says_why() {
    let bench = Bench::new();
    let disk = bench.file("a.raw", 1 << 20);
    let ran = bench.run(&["--snapshot", "--disk", &format!("{disk},aio=io_uring")]);
    let error = format!("disk image {disk}: aio=io_uring is for raw images without snapshot=on");
    assert!(ran.fails(1).contains(&error), "{}", ran.stderr);
}

#[test]
fn dry_run_needs_neither_kvm_nor_disks() {
    let args = [
        "--dry-run",
        "--memory",
        "6G",
        "--cpus",
        "2,sockets=2",
        "a.raw",
        "--disk",
        "b,,c,readonly=on,aio=threads",
    ];
    let ran = Bench::new().run(&args);
    let text = ran.says();
    for line in [
        "  memory    6144 MiB, transparent huge pages",
        "  vCPUs     2, sockets=2,cores=1,threads=1, APIC ids 0 to 1",
        "  0x0100000000-0x01bfffffff  3072 MiB  RAM",
        "  disk 0  virtio-mmio 0  read-write              a.raw",
        "  disk 1  virtio-mmio 1  read-only, aio=threads  b,c",
    ] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
}

#[test]
fn dry_run_for_a_reader_that_has_gone_is_no_failure() {
    let bench = Bench::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinderbox"));
    command.args(["run", "--dry-run", "--firmware", &bench.file("bios.bin", 128 << 10)]);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn firmware_list_shows_the_bundle_and_run_takes_it_by_name() {
    let bench = Bench::new();
    fs::create_dir(bench.path("testbios")).unwrap();
    bench.file("testbios/bios.bin", 256 << 10);
    let manifest = r#"{ "name": "testbios", "version": "1.2", "boots": "nothing", "licence": "Apache-2.0",
        "size": 262144, "sha256": "8a39d2abd3999ab73c34db2476849cddf303ce389b35826850f9a700589b4a90",
        "image": "bios.bin" }"#;
    fs::write(bench.path("testbios/manifest.json"), manifest).unwrap();

    let list = bench.tinderbox(&["firmware", "list"]);
    let machine = bench.tinderbox(&["run", "--firmware", "testbios", "--dry-run"]);

    let row = list.says().lines().find(|line| line.starts_with("testbios ")).unwrap();
    assert!(row.contains("1.2") && row.contains("256 KiB"), "{row}");
    assert!(machine.says().contains("  firmware  testbios, 256 KiB\n"), "{}", machine.stdout);
}

#[test]
fn log_filter_that_is_none_is_a_usage_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinderbox"));
    let output = command.args(["firmware", "list"]).env("TINDERBOX_LOG", "a=b=c").output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(message.starts_with("tinderbox: TINDERBOX_LOG=a=b=c: "), "{message}");
}

#[test]
fn probe_without_a_device_says_absent() {
    let ran = Bench::new().tinderbox(&["probe-kvm", "--kvm", "/nonexistent/kvm"]);
    assert_eq!(ran.status, Some(0));
    assert!(ran.stdout.starts_with("absent: /nonexistent/kvm does not exist"), "{}", ran.stdout);
}

#[test]
fn acpi_dump_writes_every_table_without_firmware_or_disk() {
    let bench = Bench::new();
    let ran = bench.tinderbox(&["acpi", "dump", "--disk", "absent.raw", "-o", &bench.path("out/tables")]);
    assert_eq!(ran.says(), "");
    for (name, magic) in [("dsdt.dat", "DSDT"), ("xsdt.dat", "XSDT"), ("rsdp.dat", "RSD PTR ")] {
        let bytes = fs::read(bench.path(&format!("out/tables/{name}"))).unwrap();
        assert!(bytes.starts_with(magic.as_bytes()), "{name}");
    }
    let script = fs::read(bench.path("out/tables/fw_cfg/etc/table-loader")).unwrap();
    assert_eq!((script.is_empty(), script.len() % 128), (false, 0));
}

#[test]
fn nodes_that_cannot_be_are_refused() {
    let nodes = |numa: &[&str]| usage(&[&["acpi", "show", "--cpus=2", "--memory=1G"], numa].concat());
    assert_eq!(
        nodes(&["--numa=node,cpus=0-1,memory=2G"]),
        "--numa nodes have 2048M together, and --memory is 1024M: make them equal"
    );
    assert_eq!(
        nodes(&["--numa=node,cpus=0,memory=1G"]),
        "--numa gives vCPU 1 to no node, add it to the cpus= of one"
    );
    assert_eq!(nodes(&["--numa=node,mem=1G"]), "--numa node,mem=1G: unknown key `mem`, use cpus or memory");
    assert!(
        nodes(&["--numa=node,cpus=0-1,memory=1G", "--machine=acpi=off"]).starts_with("--numa and --machine")
    );
}

#[test]
fn acpi_show_prints_tables_and_devices() {
    let ran = Bench::new().tinderbox(&["acpi", "show", "--cpus", "2"]);
    let text = ran.says();
    assert!(text.contains("\nAPIC  Multiple APIC Description Table, 90 bytes\n"), "{text}");
    assert!(text.contains("\n  \\_SB.GED   ACPI0013\n"), "{text}");
}

#[test]
fn acpi_of_machines_that_cannot_be_is_a_usage_error() {
    let bits = "--address-bits 99: not a number of physical address bits, write one from 32 to 52";
    assert_eq!(usage(&["acpi", "show", "--address-bits", "99"]), bits);
    assert!(usage(&["acpi", "show", "--cpus", "100000"]).starts_with("--cpus 100000 "));
    assert!(
        usage(&["acpi", "show", "--address-bits", "32", "--memory", "8G"]).starts_with("--memory 8192M ")
    );
    assert_eq!(usage(&["acpi"]), "no command, see `tinderbox acpi --help`");
}

#[test]
fn acpi_dump_needs_a_folder_that_can_be() {
    assert_eq!(usage(&["acpi", "dump"]), "--output is missing, see `tinderbox acpi dump --help`");
    let bench = Bench::new();
    let line = bench.tinderbox(&["acpi", "dump", "-o", &bench.file("file", 1)]).fails(1).to_owned();
    assert!(line.starts_with("--output: create "), "{line}");
}

#[test]
fn images_of_other_formats_are_opened_or_refused_in_words() {
    let bench = Bench::new();
    let qcow2 = bench.path("a.qcow2");
    fs::write(&qcow2, b"QFI\xfb\0\0\0\x03").unwrap();
    let failure = bench.run(&[&qcow2]);
    let failure = failure.fails(1);
    assert!(failure.starts_with(&format!("disk image {qcow2} cannot be used as qcow2: ")), "{failure}");
    let disguised = bench.path("a.raw");
    fs::copy(&qcow2, &disguised).unwrap();
    let expected = format!(
        "disk image {disguised} begins like qcow2 but is called a raw image, which a guest could have arranged; say format=raw or format=qcow2"
    );
    assert_eq!(bench.run(&[&disguised]).fails(1), expected);
    let vmdk = bench.path("a.vmdk");
    fs::write(&vmdk, b"# Disk DescriptorFile\n").unwrap();
    let expected = format!(
        "disk image {vmdk} is of format vmdk, which can only be read; add readonly=on or snapshot=on"
    );
    assert_eq!(bench.run(&[&vmdk]).fails(1), expected);
}

#[test]
fn networks_that_cannot_be_are_named() {
    assert_eq!(
        usage(&["run", "--net", "user"]),
        "--net user: unknown kind of network `user`, use tap, passt or null"
    );
    let bench = Bench::new();
    let ran = bench.run(&["--net", "passt,socket=/nonexistent/socket"]);
    let expected =
        "--net passt: connect to the socket /nonexistent/socket: No such file or directory (os error 2)";
    assert_eq!(ran.fails(1), expected);
    let ran = bench.run(&["--net", "tap,ifname=much-too-long-a-name"]);
    let expected = "--net tap: `much-too-long-a-name` is no name of an interface; it has 1 to 15 characters";
    assert_eq!(ran.fails(1), expected);
}

#[test]
fn usb_devices_are_named_with_what_to_do() {
    let usb = |usb: &[&str]| usage(&[&["run", "a.raw", "--dry-run"], usb].concat());
    assert_eq!(
        usb(&["--usb=camera"]),
        "--usb camera: unknown device `camera`, use storage, kbd, mouse, tablet, hub, serial or host=VENDOR:PRODUCT"
    );
    assert_eq!(usb(&["--usb=storage"]), "--usb storage: storage has no disk, write storage,disk=FILE");
    assert_eq!(
        usb(&["--usb=kbd", "--machine=usb=off"]),
        "--usb and --machine usb=off exclude each other: devices need the controller, so leave one of them out"
    );
    assert_eq!(
        usb(&["--usb=kbd", "--machine=acpi=off"]),
        "--usb and --machine acpi=off exclude each other: nothing but ACPI tells of the USB controller, so leave one of them out"
    );
    assert_eq!(
        usb(&["--usb=kbd,hub=1"]),
        "--usb kbd,hub=1: there is no such hub yet, write --usb hub before it"
    );
    assert_eq!(usb(&["--usb-pcap=a.pcap"]), "--usb-pcap records what is on USB, add a device with --usb");
    let twice = ["run", "a.raw", "--disk=b.raw,bootindex=1", "--usb=storage,disk=c.raw,bootindex=1"];
    assert_eq!(usage(&twice), "bootindex=1 is given to two disks, b.raw and c.raw: give each its own");
}

#[test]
fn usb_devices_are_in_the_dry_run_with_their_ports() {
    let args = ["--usb=storage,disk=a.raw", "--usb=hub", "--usb=kbd,hub=1", "--dry-run"];
    let ran = Bench::new().run(&args);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let usb = ran.stdout.split("\n\n").find(|section| section.starts_with("USB\n")).unwrap();
    assert_eq!(
        usb,
        "USB\n  storage  USB 3 port 1    a.raw\n  hub      USB 2 port 1\n  kbd      USB 2 port 1.1"
    );
}

#[test]
fn usb_files_that_cannot_be_made_are_named() {
    let ran = Bench::new().run(&["--usb=serial,file=/nonexistent/log"]);
    assert!(ran.fails(1).starts_with("--usb serial: open /nonexistent/log"));
    let ran = Bench::new().run(&["--usb=kbd", "--usb-pcap=/nonexistent/a.pcap"]);
    assert!(ran.fails(1).starts_with("--usb-pcap: create /nonexistent/a.pcap"));
}

#[test]
fn standard_streams_belong_to_one_console() {
    let expected = "--virtio-console, --virtio-port and --usb serial: stdio is taken, by --console stdio unless it says otherwise; \
                    give it to one of them alone";
    assert_eq!(usage(&["run", "--virtio-console", "stdio"]), expected);
    assert_eq!(
        usage(&["run", "--console", "none", "--virtio-console", "stdio", "--virtio-port", "a,stdio"]),
        expected
    );
}
