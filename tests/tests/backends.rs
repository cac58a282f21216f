//! Devices whose other end is another process or the host's kernel, under Debian's own drivers: many in one machine, because a
//! boot is dear.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use machine_tests::{Vm, VmBuilder, blank_disk, patience};

const MIB: u64 = 1 << 20;

/// A program of the host's that ends with the test.
struct Program(Child);

impl Program {
    /// Starts `program`, and returns when it has made the file `ready`.
    fn start(program: &str, args: &[&str], ready: &Path) -> Result<Self> {
        let mut child = Self(Command::new(program).args(args).spawn().context(program.to_owned())?);
        let deadline = Instant::now() + patience(10);
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

/// QEMU's own back end for disks, with two queues on `disk`.
fn storage_daemon(dir: &Path, disk: &Path) -> Result<(Program, PathBuf)> {
    let socket = dir.join("blk.sock");
    let file = format!("driver=file,node-name=file,filename={}", disk.display());
    let address = format!("addr.type=unix,addr.path={}", socket.display());
    let export = format!("vhost-user-blk,id=export,node-name=disk,writable=on,num-queues=2,{address}");
    let disk = "driver=raw,node-name=disk,file=file";
    let args = ["--blockdev", &file, "--blockdev", disk, "--export", &export];
    Ok((Program::start("qemu-storage-daemon", &args, &socket)?, socket))
}

fn sum(path: &Path) -> Result<String> {
    let output = Command::new("sha256sum").arg(path).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split(' ').next().context("a sum")?.to_owned())
}

/// The folder that the guest shall see.
fn shared_folder(dir: &Path) -> Result<PathBuf> {
    let folder = dir.join("shared");
    fs::create_dir_all(folder.join("below"))?;
    fs::write(folder.join("hello"), "from the host\n")?;
    let content: Vec<u8> = (0..8 * MIB).map(|n| ((n * n) >> 7) as u8).collect();
    fs::write(folder.join("large"), content)?;
    Ok(folder)
}

fn files(vm: &mut Vm, folder: &Path) -> Result<()> {
    vm.shell("mount -t virtiofs source /mnt")?;
    ensure!(vm.shell("cat /mnt/hello")? == "from the host");
    ensure!(vm.shell("sha256sum /mnt/large")?.starts_with(&sum(&folder.join("large"))?), "a file of 8 MiB");
    vm.shell("dd if=/dev/urandom of=/mnt/written bs=1M count=8 conv=fsync 2>/dev/null")?;
    ensure!(vm.shell("sha256sum /mnt/written")?.starts_with(&sum(&folder.join("written"))?));
    vm.shell("cd /mnt && mv hello below/moved && ln -s below/moved link && echo more >> link && cd /")?;
    ensure!(fs::read_to_string(folder.join("below/moved"))? == "from the host\nmore\n");
    vm.shell("rm /mnt/link && rmdir /mnt/below 2>&1 | grep -q 'not empty' && umount /mnt")?;
    ensure!(!folder.join("link").exists());
    // The driver lets go of the device, which resets it, and takes it again.
    vm.shell(
        "cd /sys/bus/virtio/drivers/virtiofs && d=$(ls -d virtio*) && echo $d > unbind && echo $d > bind",
    )?;
    vm.shell("mount -t virtiofs source /mnt")?;
    ensure!(vm.shell("cd /mnt && ls && cd / && umount /mnt")? == "below\nlarge\nwritten");
    Ok(())
}

fn disk(vm: &mut Vm, file: &Path) -> Result<()> {
    ensure!(vm.shell("blockdev --getsize64 /dev/vdb; ls /sys/block/vdb/mq | wc -l")? == "67108864\n2");
    ensure!(vm.shell("head -c 6 /dev/vdb")? == "served");
    vm.shell("mkfs.ext4 -q /dev/vdb && mount /dev/vdb /mnt")?;
    vm.shell("dd if=/dev/urandom of=/mnt/random bs=1M count=20 conv=fsync 2>/dev/null")?;
    vm.shell("umount /mnt && e2fsck -fn /dev/vdb 2>&1")?;
    vm.shell("echo written | dd of=/dev/vdb bs=512 seek=2000 oflag=direct conv=sync 2>/dev/null")?;
    ensure!(fs::read(file)?[2000 * 512..].starts_with(b"written\n"), "what is written is in the file");
    Ok(())
}

/// Its back end is gone: the device says so, and nothing else happens.
fn disk_loses_its_back_end(vm: &mut Vm, daemon: Program) -> Result<()> {
    drop(daemon);
    let status = "cat /sys/block/vdb/device/status";
    let deadline = Instant::now() + patience(5);
    while vm.shell(status)? != "0x0000004f" {
        ensure!(Instant::now() < deadline, "the device works on: {}", vm.shell(status)?);
    }
    let messages = vm.messages()?;
    ensure!(messages.contains("a virtio device lost its back end, and needs a reset"), "{messages}");
    ensure!(
        vm.shell("mount -t virtiofs source /mnt && cat /mnt/below/moved && umount /mnt")?.ends_with("more")
    );
    Ok(())
}

fn served_by_other_processes(name: &str, bus: &str) -> Result<()> {
    let builder = VmBuilder::new(name)?;
    let dir = builder.dir().to_owned();
    let folder = shared_folder(&dir)?;
    let file = blank_disk(&dir, "served.raw", 64 * MIB, "served")?;
    let (daemon, socket) = storage_daemon(&dir, &file)?;
    let fs = format!("tag=source,dir={}", folder.display());
    let blk = format!("blk,socket={},queues=2", socket.display());
    let builder = builder.debian_disk(",snapshot=on")?.args(["--virtio-bus", bus, "--memory", "512M"]);
    let mut vm = builder.args(["--cpus", "2", "--fs", &fs, "--vhost-user", &blk]).start()?;
    vm.login()?;
    files(&mut vm, &folder).context("files")?;
    disk(&mut vm, &file).context("disk")?;
    vm.no_complaints()?;
    disk_loses_its_back_end(&mut vm, daemon).context("back end")?;
    vm.send("poweroff\n")?;
    vm.powers_off()
}

#[test]
fn files_and_disks_of_other_processes() -> Result<()> {
    served_by_other_processes("vhost-user", "mmio")
}

#[test]
fn files_and_disks_of_other_processes_on_pci() -> Result<()> {
    served_by_other_processes("vhost-user-pci", "pci")
}
