//! Firmware and what follows under the real gdb.
#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use machine_tests::{BootSector, long_kernel, patience, program, tiny_kernel};
use tempfile::TempDir;

/// A machine that waits for gdb.
struct Session {
    dir: TempDir,
    tinderbox: Child,
}

impl Session {
    fn start(dir: TempDir, args: &[&str]) -> Self {
        let mut command = Command::new(program().unwrap());
        command.args(["run", "--memory", "64M", "--console", "none", "--gdb"]);
        command.arg(format!("unix:{}", dir.path().join("gdb").display())).args(args);
        let tinderbox = command.stdin(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + patience(30);
        while !dir.path().join("gdb").exists() {
            assert!(Instant::now() < end, "the socket did not come");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { dir, tinderbox }
    }

    /// What gdb says to `commands`, line by line.
    fn gdb(&self, commands: &[&str]) -> String {
        let connect = format!("target remote {}", self.dir.path().join("gdb").display());
        let set_up = ["set pagination off", "set confirm off", "set style enabled off", &connect];
        let mut gdb = Command::new("gdb");
        gdb.args(["-nx", "-batch"]);
        gdb.args(set_up.iter().chain(commands).flat_map(|command| ["-ex", command]));
        let output = gdb.stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    fn symbols(&self, object: &str, at: &str) -> String {
        format!("add-symbol-file {} {at}", self.dir.path().join(object).display())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.tinderbox.kill();
        let _ = self.tinderbox.wait();
    }
}

#[track_caller]
fn assert_says(text: &str, expected: &[&str]) {
    let mut rest = text;
    for line in expected {
        let place = rest.find(line).map(|place| place + line.len());
        assert!(place.is_some(), "no `{line}` where it should be in\n{text}");
        rest = rest.get(place.unwrap_or_default()..).unwrap_or_default();
    }
}

/// Any KVM will do.
#[test]
fn seabios_is_stepped_from_reset_to_the_boot_sector() {
    let dir = TempDir::new().unwrap();
    let disk = BootSector::create(dir.path(), "disk.raw", "P").unwrap();
    let path = disk.path().to_str().unwrap().to_owned();
    let session = Session::start(dir, &["--disk", &path, "--cpus", "2"]);

    let text = session.gdb(&[
        "set architecture i8086",
        "info threads",
        "info registers eip cs",
        "x/i $pc",
        "stepi",
        "monitor reset",
        "maintenance flush register-cache",
        "info registers eip",
        "break *0xfe05b",
        "continue",
        "delete",
        &session.symbols("boot.o", "0x7c00"),
        "break _start",
        "continue",
        "break main",
        "continue",
        "stepi",
        "x/i $pc",
        "set $ecx = 0x1234",
        "info registers ecx",
        "delete",
        "detach",
    ]);

    let expected = [
        "Thread 1.1",
        "Thread 1.2",
        "eip            0xfffffff0",
        "cs             0xf000",
        "ljmp",
        "0x000fe05b in",
        "eip            0xfffffff0",
        "Breakpoint 1, 0x000fe05b",
        "Breakpoint 2, 0x00007c00 in _start",
        "Breakpoint 3, 0x00007c05 in main",
        "<main+2>:",
        "ecx            0x1234",
        "detached",
    ];
    assert_says(&text, &expected);
    let mut session = session;
    assert_eq!(
        session.tinderbox.wait().unwrap().code(),
        Some(0),
        "the guest did not power off after gdb left"
    );
}

/// Any KVM will do.
#[test]
fn kernel_is_stopped_in_protected_mode_and_runs_on_without_gdb() {
    let dir = TempDir::new().unwrap();
    let kernel = tiny_kernel(dir.path()).unwrap();
    let args = ["--kernel", kernel.to_str().unwrap(), "--cmdline", "hello"];
    let mut session = Session::start(dir, &args);

    let text = session.gdb(&[
        &session.symbols("kernel.o", "-o 0xffc00"),
        "x/i $pc",
        "break print",
        "continue",
        "info registers eip",
        "delete",
        "detach",
    ]);

    assert_says(&text, &["<kernel>:", "Breakpoint 1, ", "in print", "<print>", "detached"]);
    assert_eq!(
        session.tinderbox.wait().unwrap().code(),
        Some(0),
        "the kernel did not power off after gdb left"
    );
}

/// Any KVM will do: the kernel uses few instructions.
#[test]
fn two_processors_are_debugged_in_long_mode() {
    let dir = TempDir::new().unwrap();
    let kernel = long_kernel(dir.path()).unwrap().to_str().unwrap().to_owned();
    let mut session = Session::start(dir, &["--kernel", &kernel, "--cpus", "2"]);

    let text = session.gdb(&[
        &format!("add-symbol-file {kernel}"),
        "stepi",
        "info registers r15 rip",
        "hbreak count",
        "continue",
        "stepi",
        "info registers r12",
        "set $r12 = 0x100000000",
        "continue",
        "stepi 2",
        "print/x {long}&number",
        "set var {long}&number = 7",
        "x/gd &number",
        "delete",
        "hbreak other",
        "continue",
        "info threads",
        "stepi 2",
        "print {int}&counted",
        "info registers rip",
        "delete",
        "detach",
    ]);

    let expected = [
        "r15            0x1122334455667788",
        "rip            0x20000a            0x20000a <_start+10>",
        "Thread 1 hit Breakpoint 1, 0x",
        "in count ()",
        "r12            0x1 ",
        "Thread 1 hit Breakpoint 1, 0x",
        "$1 = 0x100000001",
        "<number>:\t7",
        "Thread 2 hit Breakpoint 2, 0x",
        "in other ()",
        "Thread 1.1",
        "* 2    Thread 1.2",
        "$2 = 1",
        "<other+",
        "detached",
    ];
    assert_says(&text, &expected);
    assert_eq!(
        session.tinderbox.wait().unwrap().code(),
        Some(0),
        "the kernel did not power off after gdb left"
    );
}
