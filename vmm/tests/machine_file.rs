//! Machine files, `config` and `doctor` as a user meets them. No test needs KVM.
#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use std::fs;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Runs the program in a folder with a firmware image, and the file `vm.toml`.
fn run(file: &str, args: &[&str]) -> Output {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("bios.bin"), vec![0; 128 << 10]).unwrap();
    fs::write(folder.path().join("vm.toml"), file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinderbox"));
    command.args(args).current_dir(folder.path()).stdin(Stdio::null()).env_remove("TINDERBOX_LOG");
    command.env("TINDERBOX_FIRMWARE_DIR", folder.path()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const FILE: &str = "memory = \"1G\"\nfirmware = \"./bios.bin\"\ndisk = [\"a.raw\"]\n";

#[test]
fn file_describes_a_machine_and_the_command_line_has_the_last_word() {
    let output = run(FILE, &["run", "--config", "vm.toml", "--dry-run", "--disk", "b.raw", "--memory", "2G"]);
    let text = stdout(&output);
    for line in [
        "  memory    2048 MiB",
        "  disk 0  virtio-mmio 0  read-write  a.raw",
        "  disk 1  virtio-mmio 1  read-write  b.raw",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}{}", stderr(&output));
    }
}

#[test]
fn config_prints_a_file_that_config_takes() {
    let options =
        ["config", "a.raw", "--memory", "1G", "--cpus", "2", "--no-reboot", "--firmware", "./bios.bin"];
    let file = stdout(&run("", &options));
    let again = run(&file, &["run", "--config=vm.toml", "--dry-run"]);
    let direct: Vec<_> = ["run", "--dry-run"].iter().chain(options.get(1..).unwrap()).copied().collect();
    assert_eq!(stdout(&again), stdout(&run("", &direct)), "{file}{}", stderr(&again));
}

#[test]
fn wrong_files_are_usage_errors_of_one_line() {
    let message = |file: &str| {
        let output = run(file, &["run", "--config", "vm.toml", "--dry-run"]);
        assert_eq!(output.status.code(), Some(2));
        stderr(&output)
    };
    assert_eq!(
        message("memry = 1\n"),
        "tinderbox: --config vm.toml: unknown key `memry`, did you mean memory?\n"
    );
    assert!(message("memory = \"5X\"\n").starts_with("tinderbox: --memory 5X: not a size"));
    let broken = message("cpus = 2\nmemory = \n");
    assert!(
        broken.starts_with("tinderbox: --config vm.toml: line 2: ") && broken.lines().count() == 1,
        "{broken}"
    );
    let absent = run("", &["run", "--config", "no.toml"]);
    assert!(
        stderr(&absent).starts_with("tinderbox: --config: read no.toml: No such file"),
        "{}",
        stderr(&absent)
    );
}

#[test]
fn doctor_says_what_is_bad_and_how_to_mend_it() {
    let output = run("", &["doctor", "--kvm", "/nonexistent/kvm"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.contains("BAD") && text.contains("/nonexistent/kvm does not exist: load the module"),
        "{text}"
    );
    assert!(text.contains("\nto mend\n  KVM: "), "{text}");
}
