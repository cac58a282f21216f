//! virtio devices under Debian's own drivers: many in one machine, because a boot is dear.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use machine_tests::{Vm, VmBuilder, blank_disk, patience};

const MIB: u64 = 1 << 20;

fn qemu_img(dir: &Path, args: &str) -> Result<String> {
    let output = Command::new("qemu-img").args(args.split(' ')).current_dir(dir).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "qemu-img {args}: {text} {}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

/// Gives a host without a network one that leads nowhere, which passt takes its addresses from.
fn some_network() -> Result<()> {
    let routes = fs::read_to_string("/proc/net/route")?;
    if routes.lines().any(|line| line.split_whitespace().nth(1) == Some("00000000")) {
        return Ok(());
    }
    let script = "modprobe dummy; ip link add dummy0 type dummy && ip link set dummy0 up && \
                  ip addr add 10.9.8.2/24 dev dummy0 && ip route add default via 10.9.8.1";
    ensure!(Command::new("sh").args(["-c", script]).status()?.success(), "no network for passt");
    Ok(())
}

/// Serves `content` to whoever connects, on a port of its choice.
fn server(content: Vec<u8>) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let _ = client.write_all(&content);
        }
    });
    Ok(port)
}

fn network_through_passt(vm: &mut Vm, port: u16, sum: &str) -> Result<()> {
    vm.shell("ip link set eth0 up && dhclient -1 eth0")?;
    ensure!(
        vm.shell("cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu")? == "52:54:00:12:34:56\n9000"
    );
    let gateway = vm.shell("ip route | awk '/^default/ {print $3}'")?;
    // The gateway's address stands for the host's own.
    let got = vm.shell(&format!("sha256sum < /dev/tcp/{gateway}/{port}"))?;
    ensure!(got.starts_with(sum), "{got}");
    Ok(())
}

fn consoles_and_ports(vm: &mut Vm, dir: &Path) -> Result<()> {
    ensure!(vm.shell("ls /dev/virtio-ports | tr '\\n' ' '")? == "log org.agent.0");
    vm.shell("stty -F /dev/hvc0 raw -echo; seq 1 20000 > /dev/hvc0; echo done > /dev/hvc1")?;
    vm.shell("echo to the file > /dev/virtio-ports/log")?;
    let mut late = Vec::new();
    let mut console = UnixStream::connect(dir.join("console"))?;
    console.set_read_timeout(Some(patience(5)))?;
    while !late.ends_with(b"\n20000\n") {
        let mut part = [0; 4096];
        let count = console.read(&mut part)?;
        late.extend_from_slice(&part[..count]);
    }
    ensure!(late.len() == 64 << 10, "a late client gets {} bytes", late.len());
    ensure!(fs::read(dir.join("log"))? == b"to the file\n");
    vm.shell("(exec 3<>/dev/virtio-ports/org.agent.0; read -r line <&3; echo \"got $line\" >&3) & sleep 1")?;
    let mut agent = UnixStream::connect(dir.join("agent"))?;
    agent.set_read_timeout(Some(patience(5)))?;
    agent.write_all(b"ping\n")?;
    let mut answer = [0; 9];
    agent.read_exact(&mut answer)?;
    ensure!(&answer == b"got ping\n");
    Ok(())
}

#[test]
fn network_images_and_random_bytes() -> Result<()> {
    some_network()?;
    let content: Vec<u8> = (0..8 * MIB).map(|n| ((n * n) >> 7) as u8).collect();
    let port = server(content.clone())?;
    let builder = VmBuilder::new("network")?;
    let dir = builder.dir().to_owned();
    fs::write(dir.join("content"), content)?;
    let sum = Command::new("sha256sum").arg(dir.join("content")).output()?.stdout;
    let sum = String::from_utf8(sum)?.split(' ').next().context("a sum")?.to_owned();
    blank_disk(&dir, "base.raw", 64 * MIB, "base")?;
    qemu_img(&dir, "create -q -f qcow2 -b base.raw -F raw data.qcow2")?;
    let args = ["--cpus", "2", "--memory", "512M", "--rng", "--net", "passt,mtu=9000", "--net", "null"];
    let socket = |name: &str| format!("unix:{}", dir.join(name).display());
    let ports =
        [format!("org.agent.0,{}", socket("agent")), format!("log,file:{}", dir.join("log").display())];
    let builder = builder.debian_disk(",snapshot=on")?.args(args);
    let builder = builder.args(["--virtio-console", &socket("console"), "--virtio-console", "pty"]);
    let builder = builder.args(ports.iter().flat_map(|port| ["--virtio-port", port]));
    let mut vm = builder.disk(&dir.join("data.qcow2"), ",queues=2,bps=200M").start()?;
    vm.login()?;
    ensure!(vm.shell("cat /sys/class/misc/hw_random/rng_current")?.starts_with("virtio_rng"));
    ensure!(vm.shell("head -c 4096 /dev/hwrng | wc -c")? == "4096");
    network_through_passt(&mut vm, port, &sum)?;
    consoles_and_ports(&mut vm, &dir)?;
    ensure!(vm.shell("ls /sys/block/vdb/mq | wc -l")? == "2");
    ensure!(vm.shell("head -c 4 /dev/vdb")? == "base");
    vm.shell("mkfs.ext4 -q -E nodiscard /dev/vdb && mount /dev/vdb /mnt")?;
    vm.shell("dd if=/dev/urandom of=/mnt/random bs=1M count=20 conv=fsync 2>/dev/null")?;
    let written = vm.shell("sha256sum < /mnt/random; rm /mnt/random; fstrim -v /mnt")?;
    ensure!(written.contains("trimmed"), "{written}");
    vm.shell("umount /mnt && e2fsck -fn /dev/vdb && blkdiscard -z -o 1M -l 4M /dev/vdb")?;
    vm.no_complaints()?;
    vm.send("poweroff\n")?;
    vm.powers_off()?;
    let report = qemu_img(&dir, "check -f qcow2 data.qcow2")?;
    ensure!(report.contains("No errors"), "{report}");
    let mut base = [0; 8];
    fs::File::open(dir.join("base.raw"))?.read_exact(&mut base)?;
    ensure!(base == *b"base\0\0\0\0", "the backing file is as it was");
    Ok(())
}
