//! `cargo xtask test`: every test there is, from the inside out.
//!
//! | ring | where | what |
//! |---|---|---|
//! | check | here | fmt, clippy, doc, unit and device tests |
//! | firmware | this machine's `/dev/kvm`, or the lab without one | SeaBIOS and qboot to code of ours; their builds are reproducible |
//! | machine | `/dev/kvm` if it runs 64-bit guests, else the lab | Debian from its boot loader |
//! | uefi, acpi | as `machine`, after it | Debian by edk2; the tables as its kernel sees them |
//! | switches, kernels, pci | as `machine`, and beside it in a second lab | the machine's switches; Debian's kernel without its boot loader; PCI functions under its drivers |
//! | plugging | the same, after `kernels` | a USB keyboard in SeaBIOS and GRUB |
//! | devices | as `machine`, if asked for by name | every virtio device under Debian's drivers |
//! | cpus | the same | 288 of them |
//! | vng | the same | virtme-ng, which takes tinderbox for QEMU |
//! | symbols | the same | edk2 under gdb, with the symbols of its modules |
//! | control | the same | what programs change by QMP, under Debian's drivers |
//! | backends | the same | devices whose other end is another process or the host's kernel |
//! | debug | the same | what edk2's DEBUG build says of the machine |
//! | usbboot | the same | Debian with its root on the USB controller of the system bus; USB disks under load |
//! | usbguest | the same | every USB device under Debian's drivers, and all that happens to one |
//! | cloud | the same | Debian with cloud-init, told by a seed who may log in |
//!
//! Logs and disks of the machine tests stay in `target/tests`.

mod ring;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};

use self::ring::{Disk, Ring, Turn};
use crate::accel::{self, Accel};
use crate::debian::PrivateApt;
use crate::image::{self, Image};
use crate::lab::{self, Lab};
use crate::{
    check, conformance, files, firmware, host, matrix, paths, product, python, run, vng, xhci_platform,
};

/// Options of the verb.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    more: Option<More>,
    /// Where 64-bit guests run [default: /dev/kvm if it runs them, else the lab]
    #[arg(long)]
    accel: Option<Accel>,
    /// Run this ring alone, or these: repeatable
    #[arg(long, value_enum)]
    only: Vec<Ring>,
    /// Run the machine tests with this in their names
    filter: Option<String>,
}

/// What is no ring.
#[derive(clap::Subcommand)]
enum More {
    /// Boot Debian by every firmware, from every bus, with 1 and 4 CPUs: a line of verdict and time each
    Matrix {
        /// Where it runs [default: as for the tests]
        #[arg(long)]
        accel: Option<Accel>,
        #[command(flatten)]
        args: matrix::Args,
    },
}

/// Runs the rings; the first that fails ends it.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(More::Matrix { accel, args }) = &args.more {
        return matrix::run(args, *accel);
    }
    let wanted = |ring: &Ring| args.only.is_empty() || args.only.contains(ring);
    if wanted(&Ring::Check) {
        check::all(false)?;
    }
    if args.only == [Ring::Check] {
        return Ok(ExitCode::SUCCESS);
    }
    let tinderbox = product::build(product::FIRMWARE)?;
    if wanted(&Ring::Firmware) {
        for name in ["seabios", "qboot"] {
            println!("{name} is reproducible: sha256 {}", firmware::check_reproducible(name)?);
        }
        firmware_tests(&args, &tinderbox)?;
    }
    let first: Vec<_> = Ring::at(Turn::First).filter(wanted).collect();
    let asked = Ring::at(Turn::Asked).filter(|ring| args.only.contains(ring));
    let second: Vec<_> = Ring::at(Turn::Beside).filter(wanted).chain(asked).collect();
    if !(first.is_empty() && second.is_empty()) {
        linux_tests(&args, &tinderbox, &first, &second)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// SeaBIOS runs on any KVM that opens.
fn firmware_tests(args: &Args, tinderbox: &Path) -> anyhow::Result<()> {
    let accel = args.accel.unwrap_or(if Path::new("/dev/kvm").exists() { Accel::Kvm } else { Accel::Lab });
    firmware::build("qboot")?;
    firmware::build("seabios-usb")?;
    let suites = ["reset", "firmware", "handover", "terminal", "daemon", "usb", "ecam", "timeline"]
        .map(|name| Suite::new(name, tinderbox));
    suites.into_iter().try_for_each(|suite| {
        let suite = suite?;
        if suite.folder.ends_with("handover") {
            tboot(&suite.folder.join("boot"))?;
        }
        suite.run(accel, args.filter.as_deref())
    })?;
    // The lab has no Python.
    if accel == Accel::Kvm {
        let suite = Suite::new("qmp", tinderbox)?
            .with("TINDERBOX_PYTHON", python::environment("qmp")?.join("python"));
        suite.run(accel, args.filter.as_deref())?;
        host::ensure_packages("the debugger's tests", &["gdb"])?;
        Suite::new("gdb", tinderbox)?.run(accel, args.filter.as_deref())?;
    }
    Ok(())
}

/// Puts a multiboot kernel of Debian's into `folder`: tboot, for whose module a kernel is to be.
fn tboot(folder: &Path) -> anyhow::Result<()> {
    let package = paths::target().join("lab/tboot");
    if !package.join(".packages").exists() {
        PrivateApt::open("lab", &["bookworm"], "main", false)?.unpack(&["tboot"], &package)?;
    }
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let kernel = folder.join("tboot");
    let file = fs::File::create(&kernel).with_context(|| format!("create {}", kernel.display()))?;
    let packed = package.join("boot/tboot.gz");
    let status = Command::new("gzip").args(["--decompress", "--stdout"]).arg(&packed).stdout(file).status();
    ensure!(status.context("start gzip")?.success(), "unpack {}", packed.display());
    Ok(())
}

/// Has Debian's kernel look at the tables of the machines in `list`.
pub(crate) fn acpi_machines(list: &str, accel: Option<Accel>) -> anyhow::Result<ExitCode> {
    let tinderbox = product::build(product::FIRMWARE)?;
    let choice = accel::choose(accel, &tinderbox)?;
    eprintln!("{}", choice.why);
    let suite = Suite::of(Ring::Acpi, &tinderbox)?.with_acpi_machines(list)?;
    image::debian()?.extract_boot(&suite.folder.join("boot"))?;
    // Each takes a while, so each is shown as it comes.
    suite.showing().run(choice.accel, Some("machines_of_the_list"))?;
    Ok(ExitCode::SUCCESS)
}

/// What needs 64-bit guests: the rings of `first`, and those of `second`, beside them if there are labs for both.
fn linux_tests(args: &Args, tinderbox: &Path, first: &[Ring], second: &[Ring]) -> anyhow::Result<()> {
    let choice = accel::choose(args.accel, tinderbox)?;
    eprintln!("{}", choice.why);
    firmware::build("qboot")?;
    // Before any guest runs: a build takes all processors, and guests that wait for theirs complain of lockups.
    for needs in [first, second].concat().into_iter().filter_map(Ring::needs) {
        needs.firmware.iter().try_for_each(|name| firmware::build(name).map(drop))?;
        if needs.vng {
            vng::tools()?;
        }
    }
    let (debian, filter) = (image::debian()?, args.filter.as_deref());
    let run = |rings: &[Ring]| {
        rings.iter().try_for_each(|ring| suite(*ring, tinderbox, &debian)?.run(choice.accel, filter))
    };
    match lab::spare_processor() {
        Some(processor) if choice.accel == Accel::Lab && !first.is_empty() && !second.is_empty() => {
            beside(processor, second, filter, || run(first))
        }
        _ => run(&[first, second].concat()),
    }
}

/// The tests of `ring`, with all that they need.
fn suite(ring: Ring, tinderbox: &Path, debian: &Image) -> anyhow::Result<Suite> {
    let needs = ring.needs().context("the ring has no guest")?;
    host::ensure_packages(&format!("the ring \"{}\" of the tests", ring.name()), needs.packages)?;
    let image = match needs.disk {
        Disk::Plain => debian.clone(),
        Disk::UsbPlatform => xhci_platform::image(debian)?,
        Disk::Cloud => image::debian_cloud()?,
    };
    let mut suite = Suite::of(ring, tinderbox)?;
    image.extract_boot(&suite.folder.join("boot"))?;
    if needs.copy {
        run::copy(&image.raw, &suite.copy())?;
    }
    if needs.acpi_machines {
        suite = suite.with_acpi_machines(&conformance::guest::golden())?;
    }
    if needs.vng {
        suite = vng::tools()?.into_iter().fold(suite, |suite, (name, path)| suite.with(name, path));
    }
    if needs.symbols {
        let symbols = paths::target().join("firmware/current/edk2-debug/symbols");
        suite = suite.with("TINDERBOX_SYMBOLS", symbols);
    }
    Ok(suite.with("TINDERBOX_DEBIAN", image.raw))
}

/// Runs `rings` in a lab of their own on another processor, while `rest` runs.
fn beside(
    processor: usize,
    rings: &[Ring],
    filter: Option<&str>,
    rest: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let names: Vec<_> = rings.iter().map(|ring| ring.name()).collect();
    eprintln!("beside this run: {}; their output comes last", names.join(", "));
    let log = paths::target_dir("log")?.join("beside.log");
    let file = fs::File::create(&log).with_context(|| format!("create {}", log.display()))?;
    let this = std::env::current_exe().context("find this program")?;
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &processor.to_string()]).arg(this);
    command
        .args(["test", "--accel", "lab"])
        .args(names.iter().flat_map(|name| ["--only", name]))
        .args(filter);
    command.stdout(file.try_clone().context("clone a file")?).stderr(file);
    let mut beside = command.spawn().context("start taskset (package util-linux)")?;
    let result = rest();
    let status = beside.wait().context("wait for the tests")?;
    print!("{}", fs::read_to_string(&log).with_context(|| format!("read {}", log.display()))?);
    result?;
    ensure!(status.success(), "{} failed: {status}", names.join(" or "));
    Ok(())
}

/// Memory of a lab for guests of half a GiB, which has another beside it.
const SMALL_LAB_MIB: u64 = 2048;

/// The tests of one file of `tests/tests`.
struct Suite {
    program: PathBuf,
    tinderbox: PathBuf,
    folder: PathBuf,
    /// `None`: as much as there is.
    lab_memory_mib: Option<u64>,
    /// What else the tests are told.
    settings: Vec<(&'static str, PathBuf)>,
    /// What the tests print is shown at once, and not only if they fail.
    shows: bool,
}

impl Suite {
    fn new(name: &str, tinderbox: &Path) -> anyhow::Result<Self> {
        let folder = paths::target().join("tests").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("empty {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let program = product::machine_tests(name)?;
        let (tinderbox, lab_memory_mib) = (tinderbox.into(), Some(SMALL_LAB_MIB));
        Ok(Self { program, tinderbox, folder, lab_memory_mib, settings: Vec::new(), shows: false })
    }

    /// The tests of `ring`, in a lab of the memory that they need.
    fn of(ring: Ring, tinderbox: &Path) -> anyhow::Result<Self> {
        let large = ring.needs().is_some_and(|needs| needs.large_lab);
        Ok(Self { lab_memory_mib: (!large).then_some(SMALL_LAB_MIB), ..Self::new(&ring.name(), tinderbox)? })
    }

    fn showing(self) -> Self {
        Self { shows: true, ..self }
    }

    /// Tells the tests of `path`.
    fn with(mut self, setting: &'static str, path: PathBuf) -> Self {
        self.settings.push((setting, path));
        self
    }

    /// Gives the tests of the ring `acpi` a list of machines.
    fn with_acpi_machines(self, list: &str) -> anyhow::Result<Self> {
        let path = self.folder.join("machines.txt");
        files::write(&path, list)?;
        Ok(self.with("TINDERBOX_ACPI_MACHINES", path))
    }

    /// Where one test finds an image that it may write to.
    fn copy(&self) -> PathBuf {
        self.folder.join("copy.raw")
    }

    fn run(&self, accel: Accel, filter: Option<&str>) -> anyhow::Result<()> {
        let status = match accel {
            Accel::Kvm => {
                let command = self.command(filter, 2, 1);
                let (program, rest) = command.split_first().context("no command")?;
                Command::new(program).args(rest).status().context("start the tests")?.code()
            }
            Accel::Lab => {
                // One machine at a time: the lab has one CPU.
                let lab = Lab {
                    share: vec![self.folder.clone()],
                    memory_mib: self.lab_memory_mib,
                    ..Lab::default()
                };
                Some(lab.run(&self.command(filter, 1, 8))?.into())
            }
        };
        ensure!(status == Some(0), "tests failed; their logs are in {}", self.folder.display());
        // Disks are large, and of no use once everything passed.
        remove_disks(&self.folder)
    }

    /// The test program with its settings: how many tests at once, and the factor on their time-outs.
    fn command(&self, filter: Option<&str>, threads: u32, patience: u32) -> Vec<OsString> {
        let setting = |name: &str, value: &Path| {
            let mut setting = OsString::from(format!("{name}="));
            setting.push(value);
            setting
        };
        let mut command: Vec<OsString> = vec!["env".into(), "RUST_BACKTRACE=0".into()];
        command.push(setting("TINDERBOX", &self.tinderbox));
        command.push(setting("TINDERBOX_TEST_DIR", &self.folder));
        command.extend(self.settings.iter().map(|(name, path)| setting(name, path)));
        command.push(setting("TINDERBOX_DEBIAN_COPY", &self.copy()));
        command.push(setting("TINDERBOX_DEBIAN_BOOT", &self.folder.join("boot")));
        command.push(format!("TINDERBOX_TEST_PATIENCE={patience}").into());
        command.push(self.program.clone().into());
        command.push(format!("--test-threads={threads}").into());
        command.extend(self.shows.then(|| "--nocapture".into()));
        command.extend(filter.map(OsString::from));
        command
    }
}

/// Removes `*.raw` from the tests' folders.
fn remove_disks(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_disks(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "raw") {
            fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}
