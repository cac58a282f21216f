//! Programs of the host's that serve a machine's devices.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// A program of the host's that ends with the test.
pub struct Program(Child);

impl Program {
    /// Starts `program`, and returns when it has made the file `ready`.
    ///
    /// # Errors
    /// When it does not start, or not in time.
    pub fn start(program: &str, args: &[&str], ready: &Path) -> anyhow::Result<Self> {
        let mut child = Self(Command::new(program).args(args).spawn().context(program.to_owned())?);
        let deadline = Instant::now() + crate::patience(10);
        while !ready.exists() {
            ensure!(Instant::now() < deadline && child.0.try_wait()?.is_none(), "{program} does not start");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// QEMU's own back end for disks, with two queues on the image `disk`, and the socket in `dir` at which it listens.
///
/// # Errors
/// When it does not start.
pub fn storage_daemon(dir: &Path, disk: &Path) -> anyhow::Result<(Program, PathBuf)> {
    let socket = dir.join("blk.sock");
    let file = format!("driver=file,node-name=file,filename={}", disk.display());
    let address = format!("addr.type=unix,addr.path={}", socket.display());
    let export = format!("vhost-user-blk,id=export,node-name=disk,writable=on,num-queues=2,{address}");
    let disk = "driver=raw,node-name=disk,file=file";
    let args = ["--blockdev", &file, "--blockdev", disk, "--export", &export];
    Ok((Program::start("qemu-storage-daemon", &args, &socket)?, socket))
}
