//! The emulated computer: QEMU's TCG with AMD-V, all of whose files and channels are descriptors of this process.
//!
//! ```text
//!  memfd: script ──► fw_cfg            vport0p1 ──► pipe: status
//!  pipe: keys ─────► hvc0              hvc0 or vport0p2 ──► pipe: output of the job
//!                                      ttyS0 ──► pipe: log of the kernel (slow to emulate, and nearly silent)
//!                                      stderr ──► pipe: complaints of QEMU
//! ```
//!
//! So nothing is left behind, however this process ends: the kernel kills the emulator with it.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use anyhow::Context as _;

use super::job::share_tag;
use super::parts::{BootFiles, Qemu};

/// AMD-V and all else that TCG can do, but
/// - no five-level paging: each level costs a memory access on a nested miss;
/// - no XSAVE: TCG does not intercept XSETBV, so KVM would neither know a guest's XCR0 nor switch it;
/// - no ERMS and FSRM, with which Linux copies and clears by the byte, as which TCG then does it: a guest's boot takes a
///   third longer.
const CPU: &str = "max,+svm,-la57,-xsave,-erms,-fsrm";

/// Mitigations cost much and protect nothing here. A loaded machine delays timer interrupts for longer than the kernel
/// expects of hardware: it shall not check. Errors and what is worse go to the log.
const KERNEL_ARGUMENTS: &str = "console=ttyS0 quiet loglevel=4 8250.nr_uarts=1 panic=-1 mitigations=off nokaslr \
     tsc=reliable no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1";

/// Bytes that may wait for this process.
const OUTPUT_ROOM: usize = 1 << 20;

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
    pub(super) output: PipeReader,
    pub(super) kernel_log: PipeReader,
    pub(super) status: PipeReader,
    pub(super) complaints: PipeReader,
}

impl Emulator {
    /// How it ended; waits until it has.
    ///
    /// # Errors
    ///
    /// When that cannot be found out.
    pub(super) fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait()
    }
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
        let (output, output_end) = inherited_pipe()?;
        // A terminal drops what does not fit. A smaller pipe works, too, so its size is no matter of failure.
        let _ = rustix::pipe::fcntl_setpipe_size(&output_end, OUTPUT_ROOM);
        let (kernel_log, kernel_log_end) = inherited_pipe()?;
        let (status, status_end) = inherited_pipe()?;
        let (complaints, complaints_end) = inherited_pipe()?;

        let mut command = self.command();
        self.add_job(&mut command, &script);
        add_channel(&mut command, "kernel", &kernel_log_end);
        command.args(["-serial", "chardev:kernel", "-device", "virtio-serial-pci"]);
        add_channel(&mut command, "status", &status_end);
        command.args(["-device", "virtserialport,chardev=status,nr=1"]);
        self.add_output(&mut command, &output_end)?;
        self.add_folders(&mut command);
        // A group of its own: Ctrl-C on the terminal reaches this process alone, which then ends the emulator.
        command.stderr(complaints_end).process_group(0);
        let mut child = command.spawn().context("start setpriv (package util-linux)")?;
        Ok(Emulator { keyboard: child.stdin.take(), child, output, kernel_log, status, complaints })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        if let Some(modules) = &self.files.emulator_modules {
            command.env("QEMU_MODULE_DIR", modules);
        }
        command.args(["--pdeathsig", "KILL", "--"]);
        command.args(["taskset", "--cpu-list", &one_processor().to_string()]).arg(&self.qemu.binary);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.args(["-machine", "q35", "-accel", "tcg,thread=multi,tb-size=1024", "-cpu", CPU]);
        command.args(["-smp", &self.cpus.to_string(), "-m", &format!("{}M", self.memory_mib)]);
        command.arg("-kernel").arg(&self.files.kernel).arg("-initrd").arg(&self.files.initial_root);
        command.args(["-append", &kernel_arguments()]);
        command
    }

    fn add_job(&self, command: &mut Command, script: &OwnedFd) {
        let path = format!("/proc/self/fd/{}", script.as_raw_fd());
        command.args(["-fw_cfg", &format!("name=opt/org.tinderbox/script,file={path}")]);
        if self.keyboard {
            command.args(["-fw_cfg", "name=opt/org.tinderbox/terminal,string=yes"]);
        }
    }

    /// What the job prints to: a terminal (hvc0), or a port that loses nothing (vport0p2).
    fn add_output(&self, command: &mut Command, end: &PipeWriter) -> anyhow::Result<()> {
        if self.keyboard {
            command.args([
                "-chardev",
                "stdio,id=output,signal=off",
                "-device",
                "virtconsole,chardev=output,nr=0",
            ]);
            command.stdin(Stdio::piped()).stdout(end.try_clone().context("clone a pipe")?);
        } else {
            add_channel(command, "output", end);
            command.args(["-device", "virtserialport,chardev=output,nr=2"]);
            command.stdin(Stdio::null()).stdout(Stdio::null());
        }
        Ok(())
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

/// The processor that has all threads of the emulator.
///
/// In TCG, the CPU's thread clears the bit of a nested guest's virtual interrupt at each exit with a plain `and`, while
/// another thread may set the bit that announces an interrupt of the APIC. On two processors the latter gets lost now and
/// then, and a host without periodic ticks sleeps for ever. On one, no instruction gets in between.
fn one_processor() -> usize {
    processors().last().copied().unwrap_or_default()
}

/// The processors that this process may use.
pub(super) fn processors() -> Vec<usize> {
    let allowed = rustix::thread::sched_getaffinity(None).unwrap_or_default();
    (0..rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect()
}

/// What the kernel is told. Its time stamp counter is this machine's, and what it measures of that on a loaded machine
/// can be far off: then all its clocks are.
fn kernel_arguments() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    match tsc_khz(&cpu) {
        Some(khz) => format!("{KERNEL_ARGUMENTS} tsc_early_khz={khz}"),
        None => KERNEL_ARGUMENTS.to_owned(),
    }
}

/// The frequency of the time stamp counter, where /proc/cpuinfo has it: on a virtual machine "cpu MHz" is that, as long as
/// no counters show the momentary frequency.
fn tsc_khz(cpuinfo: &str) -> Option<u64> {
    let field = |name: &str| {
        cpuinfo.lines().find_map(|line| Some(line.strip_prefix(name)?.trim_start().strip_prefix(':')?.trim()))
    };
    let flags: Vec<&str> = field("flags")?.split(' ').collect();
    let known = ["hypervisor", "constant_tsc", "nonstop_tsc"].iter().all(|flag| flags.contains(flag));
    let (mhz, fraction) = field("cpu MHz")?.split_once('.')?;
    let khz = format!("{mhz}{fraction}").parse().ok()?;
    (known && !flags.contains(&"aperfmperf") && fraction.len() == 3).then_some(khz)
}

/// A character device that writes to `end`.
fn add_channel(command: &mut Command, id: &str, end: &PipeWriter) {
    let fd = end.as_raw_fd();
    command.args(["-add-fd", &format!("fd={fd},set={fd}")]);
    // Appending, because it would otherwise truncate, which a pipe refuses.
    command.args(["-chardev", &format!("file,id={id},path=/dev/fdset/{fd},append=on")]);
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

#[cfg(test)]
mod tests {
    use super::*;

    const VIRTUAL: &str = "flags\t\t: fpu tsc constant_tsc nonstop_tsc hypervisor\n";

    #[test]
    fn tsc_khz_is_read_on_a_virtual_machine() {
        assert_eq!(tsc_khz(&format!("cpu MHz\t\t: 2596.124\n{VIRTUAL}")), Some(2_596_124));
    }

    #[test]
    fn tsc_khz_is_unknown_where_the_momentary_frequency_is_shown() {
        let bare = "flags\t: fpu tsc constant_tsc nonstop_tsc aperfmperf\n";
        let counted = VIRTUAL.replace("hypervisor", "hypervisor aperfmperf");

        assert_eq!(tsc_khz(&format!("cpu MHz\t: 800.000\n{bare}")), None);
        assert_eq!(tsc_khz(&format!("cpu MHz\t: 800.000\n{counted}")), None);
    }

    #[test]
    fn escape_doubles_commas() {
        assert_eq!(escape(Path::new("/a,b")), "/a,,b");
    }
}
