//! Devices whose other end is another process or the host's kernel, under Debian's own drivers: many in one machine, because a
//! boot is dear.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use machine_tests::{Vm, VmBuilder, all_hold, blank_disk, patience};

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
    ensure!(vm.shell("cd /mnt && ls -1 && cd / && umount /mnt")? == "below\nlarge\nwritten");
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

/// A tap interface of the host's, which goes with the test.
struct Tap(&'static str);

impl Tap {
    fn new(name: &'static str, address: &str) -> Result<Self> {
        let tap = Self(name);
        ip(&["tuntap", "add", name, "mode", "tap", "multi_queue"])?;
        ip(&["address", "add", address, "dev", name])?;
        ip(&["link", "set", name, "up"])?;
        Ok(tap)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = ip(&["link", "delete", self.0]);
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let status = Command::new("ip").args(args).status().context("start ip")?;
    ensure!(status.success(), "ip {args:?}: {status}");
    Ok(())
}

/// Finds the interface of address `mac`, for what follows.
fn find_interface(vm: &mut Vm, mac: &str) -> Result<()> {
    vm.shell(&format!("net=$(grep -l {mac} /sys/class/net/*/address | cut -d/ -f5)")).map(drop)
}

/// Bits per second of TCP to and from a server of the host's at `bound`, which the guest calls `server`.
fn throughput(vm: &mut Vm, dir: &Path, bound: &str, server: &str) -> Result<[u64; 2]> {
    let pid_file = dir.join(format!("iperf-{bound}"));
    let path = pid_file.display().to_string();
    let _server = Program::start("iperf3", &["-s", "-B", bound, "-I", &path], &pid_file)?;
    let mut measure = |option: &str| -> Result<u64> {
        let text =
            vm.shell(&format!("iperf3 -c {server} -t 3 {option} -f k | awk '/receiver/ {{print $(NF-2)}}'"))?;
        Ok(text.parse::<f64>().context(text.clone())? as u64 * 1000)
    };
    Ok([measure("")?, measure("-R")?])
}

/// The same by a tap interface, on which the guest is `.2` and the host `.1`.
fn throughput_of_tap(vm: &mut Vm, dir: &Path, network: &str, mac: &str) -> Result<[u64; 2]> {
    find_interface(vm, mac)?;
    let server = format!("{network}.1");
    vm.shell(&format!(
        "ip address add {network}.2/24 dev $net && ip link set $net up && ping -c 1 -W 5 {server}"
    ))?;
    throughput(vm, dir, &server, &server)
}

/// Whether the kernel works for a guest's network: its threads have their owner's id in their name.
fn kernel_helps() -> Result<bool> {
    let mut names =
        fs::read_dir("/proc")?.filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("comm")).ok());
    Ok(names.any(|name| name.starts_with("vhost-")))
}

fn networks(vm: &mut Vm, dir: &Path) -> Result<()> {
    ensure!(kernel_helps()?, "vhost=auto, and no thread of the kernel's");
    let with = throughput_of_tap(vm, dir, "10.98.1", "52:54:00:12:34:56")?;
    let without = throughput_of_tap(vm, dir, "10.98.2", "52:54:00:12:34:57")?;
    let pairs = "for q in /sys/class/net/*/queues/rx-1; do echo $q; done | wc -l";
    ensure!(vm.shell(pairs)? == "2", "a pair of queues for each vCPU");
    eprintln!("bits/s to the host and back: {with:?} by the kernel, {without:?} by the program");
    ensure!(with.into_iter().chain(without).all(|rate| rate > 1_000_000));
    Ok(())
}

/// A network for passt to show the guest: the host's, or else one that leads nowhere.
fn network() -> Result<Option<Tap>> {
    let routes = fs::read_to_string("/proc/net/route")?;
    if routes.lines().any(|line| line.split_whitespace().nth(1) == Some("00000000")) {
        return Ok(None);
    }
    let tap = Tap::new("tb2", "10.98.3.1/24")?;
    ip(&["route", "add", "default", "via", "10.98.3.2", "dev", "tb2"])?;
    Ok(Some(tap))
}

/// The host's network by passt, where the gateway's address stands for the host's own: a download, and as much as goes through.
fn network_of_passt(vm: &mut Vm, dir: &Path, file: &Path) -> Result<()> {
    find_interface(vm, "52:54:00:12:34:58")?;
    vm.shell("ip link set $net up && dhclient -1 $net")?;
    let gateway = vm.shell("ip route | awk '/^default/ {print $3}'")?;
    let content = fs::read(file)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let serving = thread::spawn(move || listener.accept()?.0.write_all(&content));
    let got = vm.shell(&format!("sha256sum < /dev/tcp/{gateway}/{port}"))?;
    ensure!(got.starts_with(&sum(file)?), "{got}");
    serving.join().map_err(|_| anyhow::anyhow!("the host's end"))??;
    let rates = throughput(vm, dir, "127.0.0.1", &gateway)?;
    eprintln!("bits/s to the host and back: {rates:?} by passt");
    ensure!(rates.into_iter().all(|rate| rate > 1_000_000));
    Ok(())
}

/// Its tap interface is gone: the link is down, and nothing else happens.
fn network_loses_its_tap(vm: &mut Vm, tap: Tap) -> Result<()> {
    drop(tap);
    find_interface(vm, "52:54:00:12:34:57")?;
    // To find out, something must be sent.
    vm.shell("ping -c 1 -W 1 10.98.2.1 || true")?;
    ensure!(vm.shell("cat /sys/class/net/$net/carrier")? == "0");
    let messages = vm.messages()?;
    ensure!(
        messages.contains("the host's side of a network interface is gone; its link is down"),
        "{messages}"
    );
    Ok(())
}

/// Runs a program of the host's, which must succeed; gives its output.
fn perl(script: &str) -> Result<String> {
    let output = Command::new("perl").args(["-e", script]).output().context("start perl")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{script}: {} {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// Streams through the host's kernel: 1000 connections to the guest, 200 of them at a time, and one from it.
fn streams(vm: &mut Vm) -> Result<()> {
    let listen = "socket(L,40,1,0) or die; bind(L,pack(q(SSLLx4),40,0,1234,0xffffffff)) or die $!; listen(L,1000); \
                  while (accept(my $s,L)) { push @s,$s; $_=<$s>; syswrite $s,uc; shift @s if @s>300 }";
    vm.shell(&format!("(perl -e '{listen}' &) ; sleep 1"))?;
    let shout = "for my $n (1..1000) { socket(my $s,40,1,0) or die; \
                 connect($s,pack(q(SSLLx4),40,0,1234,7)) or die qq($n: $!); syswrite $s,qq(call $n\n); \
                 $_=<$s>; die qq($n: $_) unless $_ eq qq(CALL $n\n); push @s,$s; shift @s if @s>200 } print q(all)";
    ensure!(perl(shout)? == "all");
    let host = thread::spawn(|| {
        perl(
            "socket(L,40,1,0); bind(L,pack(q(SSLLx4),40,0,9999,2)) or die $!; listen(L,1); accept(S,L); print <S>",
        )
    });
    thread::sleep(Duration::from_secs(1));
    vm.shell(
        "perl -e 'socket(S,40,1,0); connect(S,pack(q(SSLLx4),40,0,9999,2)) or die $!; syswrite S,qq(hello)'",
    )?;
    ensure!(host.join().map_err(|_| anyhow::anyhow!("the host's end"))?? == "hello");
    Ok(())
}

fn served_outside(name: &str, bus: &str) -> Result<()> {
    let builder = VmBuilder::new(name)?;
    // Not the test's own folder, which in the lab is on a file system without sockets.
    let temporary = tempfile::tempdir()?;
    let dir = temporary.path().to_owned();
    let folder = shared_folder(&dir)?;
    let file = blank_disk(&dir, "served.raw", 64 * MIB, "served")?;
    let (daemon, socket) = storage_daemon(&dir, &file)?;
    let _kernels = Tap::new("tb0", "10.98.1.1/24")?;
    let ours = Tap::new("tb1", "10.98.2.1/24")?;
    let fs = format!("tag=source,dir={}", folder.display());
    let blk = format!("blk,socket={},queues=2", socket.display());
    let args = ["--virtio-bus", bus, "--cpus", "2", "--memory", "512M", "--fs", &fs, "--vhost-user", &blk];
    let nets =
        ["--net", "tap,ifname=tb0,queues=2", "--net", "tap,ifname=tb1,vhost=off,queues=2", "--net", "passt"];
    let _network = network()?;
    let mut vm = builder.debian_disk("")?.args(args).args(nets).args(["--vsock", "cid=7"]).start()?;
    vm.login()?;
    let results = [
        ("files", files(&mut vm, &folder)),
        ("disk", disk(&mut vm, &file)),
        ("networks", networks(&mut vm, &dir)),
        ("network of passt", network_of_passt(&mut vm, &dir, &folder.join("large"))),
        ("streams", streams(&mut vm)),
        ("complaints", vm.no_complaints()),
        ("disk without back end", disk_loses_its_back_end(&mut vm, daemon)),
        ("network without tap", network_loses_its_tap(&mut vm, ours)),
    ];
    all_hold(results)?;
    vm.send("poweroff\n")?;
    vm.powers_off()
}

#[test]
fn devices_of_other_processes_and_the_kernel() -> Result<()> {
    served_outside("outside", "mmio")
}

#[test]
fn devices_of_other_processes_and_the_kernel_on_pci() -> Result<()> {
    served_outside("outside-pci", "pci")
}
