//! virtme-ng, which takes tinderbox for QEMU: a kernel of Debian's on the host's own root, by virtiofs. Needs a KVM that runs
//! 64-bit guests, or the lab.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use machine_tests::{VmBuilder, patience, program, vng};

/// The lab's emulator has no AVX for a guest of its guest, and the kernel's cryptography would use it.
const CPU_OF_THE_LAB: &str = "--qemu-opts=-cpu host,-avx,-avx2,-aes,-pclmulqdq";

#[test]
fn command_runs_on_the_root_of_the_host_and_its_status_comes_back() -> Result<()> {
    let builder = VmBuilder::new("vng")?; // for its folder
    let [programs, virtiofsd, kernel] = vng()?;
    // vng keeps a cache and makes sockets; a lab's shared folders hold none.
    let home = tempfile::tempdir()?;
    let qemu = home.path().join("qemu-system-x86_64");
    symlink(program()?, &qemu)?;
    fs::write(home.path().join("marker"), "this host's file\n")?;
    let folders = [programs.clone(), virtiofsd];
    let path: Vec<_> =
        folders.into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())).collect();
    let inside = format!(
        "uname -r; cat {}/marker; findmnt -no FSTYPE /; echo complaint >&2; exit 7",
        home.path().display()
    );
    let (out, err) = (builder.dir().join("stdout"), builder.dir().join("stderr"));
    let mut command = Command::new(programs.join("vng"));
    command.arg("--run").arg(&kernel).arg("--qemu").arg(&qemu).args(["--memory", "512M", "--cpus", "1"]);
    if env::var_os("TINDERBOX_LAB").is_some() {
        command.arg(CPU_OF_THE_LAB);
    }
    command
        .args(["--", &inside])
        .env("PATH", env::join_paths(path)?)
        .env("HOME", home.path())
        .current_dir(&home);
    command.stdin(Stdio::null()).stdout(File::create(&out)?).stderr(File::create(&err)?);
    let mut child = command.spawn()?;
    let end = Instant::now() + patience(100);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > end {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    let (out, err) = (fs::read_to_string(out)?, fs::read_to_string(err)?);
    let version = kernel.file_name().map(OsString::from).unwrap_or_default();
    let version = version.to_string_lossy().replace("vmlinuz-", "");
    let lines: Vec<_> = out.lines().map(str::trim_end).collect();
    ensure!(lines == [version.as_str(), "this host's file", "virtiofs"], "{status}: {out}{err}");
    ensure!(err.contains("complaint"), "{err}");
    ensure!(status.code() == Some(7), "{status}");
    Ok(())
}
