//! QEMU's command line as a tool meets it: what the program says, on which stream, and its exit status. No test needs KVM.
#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Runs `program`, in a folder with a firmware image `bios.bin`.
fn run(program: &str, folder: &TempDir, args: &[&str]) -> Output {
    File::create(folder.path().join("bios.bin")).unwrap().set_len(128 << 10).unwrap();
    let mut command = Command::new(program);
    command.args(args).current_dir(folder.path()).stdin(Stdio::null());
    command.env_remove("TINDERBOX_LOG").env_remove("TINDERBOX_QEMU_ALIAS").output().unwrap()
}

fn qemu(args: &[&str]) -> Output {
    run(env!("CARGO_BIN_EXE_tinderbox"), &TempDir::new().unwrap(), &[&["qemu"], args].concat())
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn version_and_help_are_qemus_even_where_ours_have_the_same_name() {
    for option in ["--version", "-version"] {
        assert!(stdout(&qemu(&[option])).starts_with("QEMU emulator version 7.2.0 (tinderbox "), "{option}");
    }
    for option in ["--help", "-help", "-h"] {
        assert!(stdout(&qemu(&[option])).contains("\n-nographic\n"), "{option}");
    }
}

#[test]
fn name_of_qemu_takes_its_options() {
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("qemu-system-x86_64");
    symlink(env!("CARGO_BIN_EXE_tinderbox"), &program).unwrap();
    let output = run(program.to_str().unwrap(), &folder, &["-machine", "help"]);
    assert!(stdout(&output).starts_with("Supported machines are:\nmicrovm "), "{}", stderr(&output));
}

#[test]
fn second_serial_port_is_noted_and_its_file_left_alone() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("b.log"), "old").unwrap();
    let args = "qemu -dry-run -bios bios.bin -serial file:a.log -serial file:b.log";
    let output = run(env!("CARGO_BIN_EXE_tinderbox"), &folder, &args.split(' ').collect::<Vec<_>>());
    let note = "tinderbox: note: -serial file:b.log changes nothing: there is one serial port, and the first -serial has it\n";
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), note));
    assert_eq!(fs::read_to_string(folder.path().join("b.log")).unwrap(), "old");
}

#[test]
fn dry_run_shows_the_machine_that_qemus_options_describe() {
    let args =
        "-dry-run -M microvm,pit=off -m 1G -smp 2 -nographic -bios bios.bin -drive file=a.raw,if=virtio";
    let output = qemu(&args.split(' ').collect::<Vec<_>>());
    let text = stdout(&output);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    for line in ["  disk 0  virtio-mmio 0  read-write  a.raw", "  memory    1024 MiB, transparent huge pages"]
    {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
    assert!(!text.contains("PIT"), "{text}");
}

#[test]
fn wrong_options_are_usage_errors_of_one_line() {
    let message = |args: &[&str]| {
        let output = qemu(args);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""));
        stderr(&output)
    };
    assert_eq!(
        message(&["-nographics"]),
        "tinderbox: unknown option -nographics, did you mean -nographic?\n"
    );
    let vnc = "tinderbox: -vnc is not supported: there is no display, use -nographic and the serial port\n";
    assert_eq!(message(&["-M", "microvm", "-vnc", ":0"]), vnc);
    assert!(message(&["-M", "pc"]).starts_with("tinderbox: -M pc: this machine is not a pc, use microvm; "));
}

#[test]
fn notes_go_to_stderr_and_change_no_status() {
    let output = qemu(&["-dry-run", "-bios", "bios.bin", "-nographic", "-sandbox", "on"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "tinderbox: note: -sandbox changes nothing: there is no sandbox yet\n");
}

#[test]
fn other_machines_are_taken_for_microvm_if_the_environment_says_so() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("bios.bin"), vec![0; 128 << 10]).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinderbox"));
    command.args(["qemu", "-M", "q35", "-dry-run", "-nographic", "-bios", "bios.bin"]);
    let output = command.current_dir(folder.path()).env("TINDERBOX_QEMU_ALIAS", "microvm").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}
