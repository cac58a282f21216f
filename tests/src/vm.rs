//! A running tinderbox: its serial port, its host side, its end.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::disk::{debian_boot_file, debian_copy};

/// What Linux says of tables and devices that it has to work around.
const COMPLAINTS: &str =
    "ACPI Error|ACPI BIOS|ACPI Warning|Firmware Bug|Spurious|lockup|Call Trace|I/O error";

/// A machine about to start. Each test has a folder, in which logs and disks stay after it.
pub struct VmBuilder {
    dir: PathBuf,
    args: Vec<OsString>,
}

impl VmBuilder {
    /// A machine for the test `name`, with an empty folder.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let dir = crate::setting("TINDERBOX_TEST_DIR")?.join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("empty {}", dir.display()))?;
        }
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        Ok(Self { dir, args: Vec::new() })
    }

    /// The test's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Adds command line arguments of `tinderbox run`.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds a disk.
    #[must_use]
    pub fn disk(self, path: &Path, options: &str) -> Self {
        let mut value = path.as_os_str().to_owned();
        value.push(options);
        self.args(["--disk".into(), value])
    }

    /// Gives the machine the file `kernel` of Debian's, its initial RAM disk, and a command line.
    ///
    /// # Errors
    /// When `cargo xtask test` did not say where they are.
    pub fn debian_kernel(self, kernel: &str, cmdline: &str) -> anyhow::Result<Self> {
        let (kernel, initrd) = (debian_boot_file(kernel)?, debian_boot_file("initrd.img")?);
        let files = ["--kernel".as_ref(), kernel.as_os_str(), "--initrd".as_ref(), initrd.as_os_str()];
        Ok(self.args(files).args(["--cmdline", cmdline]))
    }

    /// Adds the Debian image as a disk; what the guest writes is gone when the machine ends.
    ///
    /// # Errors
    /// When `cargo xtask test` did not say where it is.
    pub fn debian_disk(self, options: &str) -> anyhow::Result<Self> {
        let disk = crate::setting("TINDERBOX_DEBIAN")?;
        Ok(self.disk(&disk, &format!(",snapshot=on{options}")))
    }

    /// Adds a copy of the Debian image as a disk, of which there is one for all tests of a file.
    ///
    /// # Errors
    /// When it has been taken.
    pub fn debian_copy(self, options: &str) -> anyhow::Result<Self> {
        let disk = debian_copy(&self.dir)?;
        Ok(self.disk(&disk, options))
    }

    /// Adds the Debian image as a USB disk; what the guest writes is gone when the machine ends.
    ///
    /// # Errors
    /// When `cargo xtask test` did not say where it is.
    pub fn debian_usb_disk(self, options: &str) -> anyhow::Result<Self> {
        let disk = crate::setting("TINDERBOX_DEBIAN")?;
        let usb = format!("storage,disk={},snapshot=on{options}", disk.display());
        Ok(self.args(["--usb".to_owned(), usb]))
    }

    /// Starts the machine, its console on our pipes and the firmware's log in the folder.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(self) -> anyhow::Result<Vm> {
        let program = crate::program()?;
        let mut debugcon = OsString::from("file:");
        debugcon.push(self.dir.join("firmware.log"));
        let plan = Command::new(&program).arg("run").args(&self.args).arg("--dry-run").output()?;
        fs::write(self.dir.join("plan.txt"), plan.stdout)?;
        let mut child = Command::new(&program)
            .arg("run")
            .args(&self.args)
            .arg("--debugcon")
            .arg(debugcon)
            .env("TINDERBOX_LOG", "info")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(self.dir.join("stderr.log"))?)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let input = child.stdin.take().context("no stdin")?;
        let output = child.stdout.take().context("no stdout")?;
        let serial = Arc::new(Serial::default());
        let log = File::create(self.dir.join("serial.log"))?;
        let reader = Arc::clone(&serial);
        thread::spawn(move || reader.follow(output, log));
        Ok(Vm { child, input: Some(input), serial, read: 0, commands: 0, dir: self.dir })
    }
}

/// What the guest has written so far.
#[derive(Default)]
struct Serial {
    text: Mutex<(Vec<u8>, bool)>, // the bytes, and whether there will be no more
    changed: Condvar,
}

impl Serial {
    fn follow(&self, mut from: impl std::io::Read, mut log: File) {
        let mut buffer = [0; 4096];
        loop {
            let count = from.read(&mut buffer).unwrap_or(0);
            let mut text = self.lock();
            text.0.extend_from_slice(&buffer[..count]);
            text.1 = count == 0;
            self.changed.notify_all();
            drop(text);
            let _ = log.write_all(&buffer[..count]);
            if count == 0 {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, (Vec<u8>, bool)> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A machine that runs.
pub struct Vm {
    child: Child,
    input: Option<ChildStdin>,
    serial: Arc<Serial>,
    read: usize,
    commands: u32,
    dir: PathBuf,
}

impl Vm {
    /// Waits until the guest prints `text`, after what was waited for before; gives what it printed up to there.
    ///
    /// # Errors
    /// When it does not come in time, or the machine ended.
    pub fn expect(&mut self, text: &str, within: Duration) -> anyhow::Result<String> {
        let deadline = Instant::now() + within;
        let mut serial = self.serial.lock();
        loop {
            let fresh = &serial.0[self.read..];
            if let Some(at) = find(fresh, text.as_bytes()) {
                let before = String::from_utf8_lossy(&fresh[..at]).into_owned();
                self.read += at + text.len();
                return Ok(before);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if serial.1 || left.is_zero() {
                let why = if serial.1 { "the machine ended" } else { "time is up" };
                let tail: Vec<_> = fresh.iter().rev().take(400).rev().copied().collect();
                let tail = String::from_utf8_lossy(&tail);
                bail!(
                    "waiting for {text:?}: {why}; the last output was {tail:?}; see {}",
                    self.dir.display()
                );
            }
            serial = self.serial.changed.wait_timeout(serial, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Types `text`.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn send(&mut self, text: &str) -> anyhow::Result<()> {
        let input = self.input.as_mut().context("the console is closed")?;
        input.write_all(text.as_bytes()).context("type on the console")
    }

    /// Waits for the shell of the Debian image.
    ///
    /// # Errors
    /// When it does not come in time.
    pub fn login(&mut self) -> anyhow::Result<()> {
        self.expect("root@", crate::patience(60))?;
        self.expect("# ", crate::patience(5))?;
        // A dumb terminal: no colours, no line editing that repeats what we type. And no kernel messages between the
        // lines of a command's output: they stay in dmesg.
        self.shell(
            "export TERM=dumb PS1='' PS2=''; stty -echo; bind 'set enable-bracketed-paste off'; dmesg -n 1",
        )
        .map(drop)
    }

    /// Runs `command` in the guest's shell and gives its output; it must succeed.
    ///
    /// # Errors
    /// When it fails, or does not end in time.
    pub fn shell(&mut self, command: &str) -> anyhow::Result<String> {
        self.commands += 1;
        let n = self.commands;
        // The quotes keep the echo of what is typed from looking like the output.
        self.send(&format!("echo st''art-{n}; {command}; echo e''nd-{n}-$?\n"))?;
        self.expect(&format!("start-{n}\r\n"), crate::patience(20))?;
        let output = self.expect(&format!("end-{n}-"), crate::patience(30))?;
        let status = self.expect("\r\n", crate::patience(5))?;
        if status.trim() != "0" {
            bail!("{command:?} in the guest ended with {status}: {output}");
        }
        Ok(output.replace("\r\n", "\n").trim().to_owned())
    }

    /// The kernel found nothing wrong with the machine.
    ///
    /// # Errors
    /// When it complains.
    pub fn no_complaints(&mut self) -> anyhow::Result<()> {
        let lines =
            self.shell(&format!("dmesg | grep -E -B 8 -A 24 '{COMPLAINTS}' | head -n 100 || true"))?;
        ensure!(lines.is_empty(), "the kernel complains:\n{lines}");
        Ok(())
    }

    /// The guest shuts down by itself, and so does the program.
    ///
    /// # Errors
    /// When it does not in time, or fails.
    pub fn powers_off(self) -> anyhow::Result<()> {
        let status = self.wait(crate::patience(60))?;
        ensure!(status.code() == Some(0), "{status}");
        Ok(())
    }

    /// Presses the power button; the guest does the rest.
    ///
    /// # Errors
    /// When it does not.
    pub fn presses_the_power_button(self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        self.powers_off()
    }

    /// Sends `signal` to the program.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, signal).context("signal the program")
    }

    /// Waits for the machine to end by itself.
    ///
    /// # Errors
    /// When it does not in time; it is ended then.
    pub fn wait(mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().context("wait for the program")? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("the machine does not end; see {}", self.dir.display())
    }

    /// Host memory that the program has taken, in MiB.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident_mib(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number")?;
        Ok(kib >> 10)
    }

    /// What the firmware logged so far.
    ///
    /// # Errors
    /// When there is no log.
    pub fn firmware_log(&self) -> anyhow::Result<String> {
        let bytes = fs::read(self.dir.join("firmware.log")).context("read the firmware's log")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What the program said on stderr so far.
    ///
    /// # Errors
    /// When there is no log.
    pub fn messages(&self) -> anyhow::Result<String> {
        fs::read_to_string(self.dir.join("stderr.log")).context("read the program's messages")
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // Nothing outlives its test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
