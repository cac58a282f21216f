//! The emulated computer: QEMU's TCG with AMD-V, all of whose files and channels are descriptors of this process.
//!
//! ```text
//!  memfd ──► fw_cfg opt/org.tinderbox/script      ttyS0 ──► kernel log (pipe)
//!  pipe ───► hvc0 ──► console (pipe)              vport "status" ──► status (pipe)
//!                                                 stderr ──► complaints of QEMU (pipe)
//! ```
//!
//! So nothing is left behind, however this process ends: the kernel kills the emulator with it.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::Context as _;

use super::job::share_tag;
use super::parts::{BootFiles, Qemu};

/// AMD-V and all else that TCG can do, but no five-level paging: each level costs a memory access on a nested miss.
const CPU: &str = "max,+svm,-la57";

/// Mitigations cost much and protect nothing here. Errors and what is worse go to the log.
const KERNEL_ARGUMENTS: &str =
    "console=ttyS0 quiet loglevel=4 mitigations=off nokaslr tsc=reliable nowatchdog panic=-1 8250.nr_uarts=1";

/// What is emulated, and what it starts with.
pub(super) struct Computer<'a> {
    pub(super) qemu: &'a Qemu,
    pub(super) files: &'a BootFiles,
    pub(super) cpus: u32,
    pub(super) memory_mib: u64,
    /// Folders outside that it may write.
    pub(super) shares: &'a [PathBuf],
    /// The script its first process runs.
    pub(super) script: &'a [u8],
    /// Whether the script gets a terminal, and this process its keyboard.
    pub(super) keyboard: bool,
}

/// A running emulator; dropped, it is killed.
pub(super) struct Emulator {
    child: Child,
    /// What the keys go to, if there is a keyboard.
    pub(super) keyboard: Option<ChildStdin>,
    pub(super) console: PipeReader,
    pub(super) kernel_log: PipeReader,
    pub(super) status: PipeReader,
    pub(super) complaints: PipeReader,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Fails only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Computer<'_> {
    /// Switches it on.
    ///
    /// # Errors
    ///
    /// When descriptors run out, or the emulator cannot be started. That it refuses an option shows in its complaints.
    pub(super) fn start(&self) -> anyhow::Result<Emulator> {
        let script = inherited_file(self.script).context("hand over the lab's job")?;
        let (kernel_log, kernel_log_end) = inherited_pipe()?;
        let (status, status_end) = inherited_pipe()?;
        let (console, console_end) = std::io::pipe().context("make a pipe")?;
        let (complaints, complaints_end) = std::io::pipe().context("make a pipe")?;

        let mut command = self.command();
        self.add_job(&mut command, &script);
        add_serial_port(&mut command, &kernel_log_end);
        add_console_and_status(&mut command, &status_end);
        self.add_folders(&mut command);
        let stdin = if self.keyboard { Stdio::piped() } else { Stdio::null() };
        // A group of its own: Ctrl-C on the terminal reaches this process alone, which then ends the emulator.
        command.stdin(stdin).stdout(console_end).stderr(complaints_end).process_group(0);
        let mut child = command.spawn().context("start setpriv (package util-linux)")?;
        Ok(Emulator { keyboard: child.stdin.take(), child, console, kernel_log, status, complaints })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.qemu.binary);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.args(["-machine", "q35", "-accel", "tcg,thread=multi,tb-size=1024", "-cpu", CPU]);
        command.args(["-smp", &self.cpus.to_string(), "-m", &format!("{}M", self.memory_mib)]);
        command.arg("-kernel").arg(&self.files.kernel).arg("-initrd").arg(&self.files.initial_root);
        command.args(["-append", KERNEL_ARGUMENTS]);
        command
    }

    fn add_job(&self, command: &mut Command, script: &OwnedFd) {
        let path = format!("/proc/self/fd/{}", script.as_raw_fd());
        command.args(["-fw_cfg", &format!("name=opt/org.tinderbox/script,file={path}")]);
        if self.keyboard {
            command.args(["-fw_cfg", "name=opt/org.tinderbox/terminal,string=yes"]);
        }
    }

    fn add_folders(&self, command: &mut Command) {
        let root = "local,path=/,mount_tag=host,security_model=none,multidevs=remap,readonly=on";
        command.args(["-virtfs", root]);
        for (index, folder) in self.shares.iter().enumerate() {
            let path = escape(folder);
            let share = format!(
                "local,path={path},mount_tag={},security_model=none,multidevs=remap",
                share_tag(index)
            );
            command.args(["-virtfs", &share]);
        }
    }
}

/// The kernel's own console; slow to emulate, and silent unless something is wrong.
fn add_serial_port(command: &mut Command, log: &PipeWriter) {
    add_channel(command, "kernel", 1, log);
    command.args(["-serial", "chardev:kernel"]);
}

fn add_console_and_status(command: &mut Command, status: &PipeWriter) {
    add_channel(command, "status", 2, status);
    command.args(["-chardev", "stdio,id=console,signal=off", "-device", "virtio-serial-pci"]);
    command.args(["-device", "virtconsole,chardev=console"]);
    command.args(["-device", "virtserialport,chardev=status,name=status"]);
}

/// A character device that writes to a descriptor of this process.
fn add_channel(command: &mut Command, id: &str, set: u32, end: &PipeWriter) {
    command.args(["-add-fd", &format!("fd={},set={set}", end.as_raw_fd())]);
    // Appending, because it would otherwise truncate, which a pipe refuses.
    command.args(["-chardev", &format!("file,id={id},path=/dev/fdset/{set},append=on")]);
}

/// A path as the value of a QEMU option, where a comma is written twice.
fn escape(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

/// A pipe whose writing end the next program inherits.
fn inherited_pipe() -> anyhow::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = std::io::pipe().context("make a pipe")?;
    inherit(&writer)?;
    Ok((reader, writer))
}

/// A file without a name, which the next program inherits.
fn inherited_file(content: &[u8]) -> anyhow::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("lab-job", rustix::fs::MemfdFlags::empty())?;
    let mut file = File::from(fd);
    file.write_all(content)?;
    Ok(file.into())
}

fn inherit(fd: impl AsFd) -> anyhow::Result<()> {
    rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty()).context("let a descriptor be inherited")
}
