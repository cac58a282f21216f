//! The two programs, and how a careful user starts each for the same machine.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Vmm {
    /// Tinderbox.
    Ours,
    /// QEMU's microvm.
    Qemu,
}

impl Vmm {
    /// Both; who begins changes from round to round.
    pub(super) const fn turn(round: u32) -> [Self; 2] {
        if round % 2 == 1 { [Self::Ours, Self::Qemu] } else { [Self::Qemu, Self::Ours] }
    }
}

impl fmt::Display for Vmm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "ours",
            Self::Qemu => "QEMU",
        })
    }
}

/// What both start with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Start {
    /// The firmware, which boots the disk.
    Firmware,
    /// A kernel: ours without firmware, QEMU's by its qboot.
    Kernel {
        /// The bzImage.
        kernel: PathBuf,
        /// Its initial RAM disk.
        initrd: PathBuf,
        /// Its command line.
        cmdline: String,
    },
}

/// What both get alike, and where they are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) tinderbox: PathBuf,
    pub(super) qemu: PathBuf,
    /// The firmware image, the very same file for both, if both need one.
    pub(super) firmware: PathBuf,
    pub(super) start: Start,
    /// RAM in MiB, all of it below 3 GiB, so that it is one range.
    pub(super) memory_mib: u32,
    pub(super) cpus: u32,
}

/// Files that belong to one boot alone.
pub(super) struct Files<'a> {
    /// The raw disk.
    pub(super) disk: &'a Path,
    /// Whether the disk stays as it is, whatever the guest writes.
    pub(super) snapshot: bool,
    /// Gets what the guest writes to port 0x402.
    pub(super) debugcon: &'a Path,
    /// Where COM1 leads.
    pub(super) console: Console<'a>,
}

/// Where a guest's serial port leads.
#[derive(Clone, Copy)]
pub(super) enum Console<'a> {
    /// Into a file; nobody types.
    File(&'a Path),
    /// To the standard streams of its VMM.
    Stdio,
}

impl Console<'_> {
    /// As both programs call it.
    fn option(self) -> OsString {
        match self {
            Self::File(path) => option("file:", path.to_string_lossy()),
            Self::Stdio => "stdio".into(),
        }
    }
}

impl Machine {
    /// The command that boots `files.disk` with `vmm`.
    pub(super) fn command(&self, vmm: Vmm, files: &Files<'_>) -> Command {
        let mut command = match vmm {
            Vmm::Ours => self.tinderbox(files),
            Vmm::Qemu => self.qemu(files),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn tinderbox(&self, files: &Files<'_>) -> Command {
        let mut command = Command::new(&self.tinderbox);
        command.arg("run").arg(option("", files.disk.to_string_lossy()));
        command.args(files.snapshot.then_some("--snapshot"));
        command.args(["--memory", &format!("{}M", self.memory_mib), "--cpus", &self.cpus.to_string()]);
        command.args(["--machine", "pic=off,pit=off"]);
        match &self.start {
            Start::Firmware => command.arg("--firmware").arg(&self.firmware),
            Start::Kernel { kernel, initrd, cmdline } => {
                command.arg("--kernel").arg(kernel).arg("--initrd").arg(initrd).args(["--cmdline", cmdline])
            }
        };
        command.arg("--debugcon").arg(option("file:", files.debugcon.to_string_lossy()));
        command.arg("--console").arg(files.console.option());
        command
    }

    /// Nothing that the other does not have: no display, no monitor, no legacy chips. `graphics=off` makes the firmware
    /// talk on the serial port, and `force-legacy=off` the transports speak version 2, both as ours do.
    fn qemu(&self, files: &Files<'_>) -> Command {
        let mut command = Command::new(&self.qemu);
        command.args(["-nodefaults", "-no-user-config", "-display", "none"]);
        command.args(["-machine", "microvm,acpi=on,pit=off,pic=off,rtc=off,isa-serial=on,graphics=off"]);
        command.args(["-accel", "kvm", "-cpu", "host", "-smp", &self.cpus.to_string()]);
        command.args(["-m", &format!("{}M", self.memory_mib)]);
        command.arg("-bios").arg(&self.firmware);
        if let Start::Kernel { kernel, initrd, cmdline } = &self.start {
            command.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd).args(["-append", cmdline]);
        }
        command.args(["-global", "virtio-mmio.force-legacy=off"]);
        command.args(["-object", "iothread,id=io"]);
        let snapshot = if files.snapshot { "on" } else { "off" };
        let drive = format!("if=none,id=disk,format=raw,snapshot={snapshot},file=");
        command.arg("-drive").arg(option(&drive, escaped(files.disk)));
        command.args(["-device", "virtio-blk-device,drive=disk,iothread=io"]);
        command.arg("-chardev").arg(option("file,id=log,path=", escaped(files.debugcon)));
        command.args(["-device", "isa-debugcon,iobase=0x402,chardev=log"]);
        command.arg("-serial").arg(files.console.option());
        command
    }
}

fn option(name: &str, value: impl AsRef<str>) -> OsString {
    format!("{name}{}", value.as_ref()).into()
}

/// A path as a value among others, where QEMU wants each comma twice.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            tinderbox: "/t".into(),
            qemu: "/q".into(),
            firmware: "/fw".into(),
            start: Start::Firmware,
            memory_mib: 256,
            cpus: 3,
        }
    }

    fn words(vmm: Vmm) -> String {
        words_of(&machine(), vmm)
    }

    fn words_of(machine: &Machine, vmm: Vmm) -> String {
        let console = Console::File(Path::new("/s"));
        let files = Files { disk: Path::new("/a,b"), snapshot: false, debugcon: Path::new("/d"), console };
        let command = machine.command(vmm, &files);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn command_gives_both_the_same_machine() {
        let (ours, qemu) = (words(Vmm::Ours), words(Vmm::Qemu));

        assert!(ours.contains("--memory 256M --cpus 3 --machine pic=off,pit=off --firmware /fw "), "{ours}");
        assert!(qemu.contains("-smp 3 -m 256M -bios /fw "), "{qemu}");
    }

    #[test]
    fn kernel_needs_firmware_with_qemu_alone() {
        let start = Start::Kernel { kernel: "/k".into(), initrd: "/i".into(), cmdline: "a".into() };
        let machine = Machine { start, ..machine() };

        let (ours, qemu) = (words_of(&machine, Vmm::Ours), words_of(&machine, Vmm::Qemu));

        assert!(ours.contains("--kernel /k --initrd /i --cmdline a") && !ours.contains("/fw"), "{ours}");
        assert!(qemu.contains("-bios /fw -kernel /k -initrd /i -append a"), "{qemu}");
    }

    #[test]
    fn command_of_qemu_doubles_commas_in_paths() {
        assert!(words(Vmm::Qemu).contains("file=/a,,b "));
    }
}
