//! A machine in the background: whoever starts it learns whether it got there. Any KVM will do.
#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use machine_tests::{Qmp, patience, program};
use tempfile::TempDir;

/// A folder with firmware that halts: `cli; hlt; jmp` back to the `hlt`, at the reset vector.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut image = vec![0; 64 << 10];
    image[0xfff0..0xfff4].copy_from_slice(&[0xfa, 0xf4, 0xeb, 0xfd]);
    fs::write(folder.path().join("halt.bin"), image).unwrap();
    folder
}

/// Runs a command line to its end, which is the machine's own only if it does not get to the background.
fn tinderbox(folder: &TempDir, line: &str) -> Output {
    let mut command = Command::new(program().unwrap());
    command.args(line.split_whitespace()).current_dir(folder).stdin(Stdio::null());
    // Who holds the pipe's end would be waited for.
    command.stderr(fs::File::create(folder.path().join("stderr")).unwrap());
    command.output().unwrap()
}

fn stderr(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("stderr")).unwrap()
}

/// The number in the file, and whether its process is there.
fn process(file: &Path) -> (u32, bool) {
    let number: u32 = fs::read_to_string(file).unwrap().trim().parse().unwrap();
    (number, Path::new("/proc").join(number.to_string()).join("fd").exists())
}

/// What is made in the starting folder goes with the run, though its process is in another by then.
#[test]
fn machine_runs_on_after_its_command_and_leaves_nothing_behind() {
    for line in [
        "run --daemonize --firmware halt.bin --console none --pidfile pid --qmp unix:qmp",
        "qemu -M microvm -daemonize -bios halt.bin -display none -pidfile pid -qmp unix:qmp,server=on,wait=off",
    ] {
        let folder = folder();
        let output = tinderbox(&folder, line);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&folder));
        let pid_file = folder.path().join("pid");
        let (number, runs) = process(&pid_file);
        assert!(runs);
        let link = |name: &str| fs::read_link(format!("/proc/{number}/{name}")).unwrap();
        assert_eq!(link("cwd"), Path::new("/"));
        assert_eq!([link("fd/0"), link("fd/1"), link("fd/2")], ["/dev/null"; 3].map(Path::new));
        let session = fs::read_to_string(format!("/proc/{number}/stat")).unwrap();
        let session = session.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap().to_owned();
        assert_eq!(session, number.to_string(), "it leads a session of its own");
        let mut client = Qmp::connect(&folder.path().join("qmp")).unwrap();
        assert!(client.execute("query-status", "{}").unwrap().contains("\"running\""));
        client.execute("quit", "{}").unwrap();
        let end = Instant::now() + patience(20);
        while pid_file.exists() {
            assert!(Instant::now() < end, "the machine did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!folder.path().join("qmp").exists());
    }
}

#[test]
fn machine_that_does_not_get_there_fails_in_front() {
    let folder = folder();
    let output = tinderbox(&folder, "run --daemonize --console none --firmware halt.bin --disk missing.raw");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&folder).lines().count(), 1, "{}", stderr(&folder));
    assert!(stderr(&folder).contains("missing.raw"));
    let output = tinderbox(&folder, "run --daemonize --firmware halt.bin");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&folder).contains("as with --console none"), "{}", stderr(&folder));
    let output = tinderbox(&folder, "qemu -daemonize -nographic -bios halt.bin");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&folder));
}
