//! virtio devices under Debian's own drivers: many in one machine, because a boot is dear.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use machine_tests::{Qmp, Vm, VmBuilder, all_hold, blank_disk, boot_disc, patience, qemu_img};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const MIB: u64 = 1 << 20;

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

/// What passt gives the guest is the host's network, of which there must be one.
fn has_network() -> Result<bool> {
    let routes = fs::read_to_string("/proc/net/route")?;
    Ok(routes.lines().any(|line| line.split_whitespace().nth(1) == Some("00000000")))
}

fn network_through_passt(vm: &mut Vm, port: u16, sum: &str) -> Result<()> {
    vm.shell("net=$(grep -l 52:54:00:12:34:56 /sys/class/net/*/address | cut -d/ -f5)")?;
    ensure!(vm.shell("cat /sys/class/net/$net/mtu")? == "9000");
    if !has_network()? {
        return Ok(());
    }
    vm.shell("ip link set $net up && dhclient -1 $net")?;
    let gateway = vm.shell("ip route | awk '/^default/ {print $3}'")?;
    // The gateway's address stands for the host's own.
    let got = vm.shell(&format!("sha256sum < /dev/tcp/{gateway}/{port}"))?;
    ensure!(got.starts_with(sum), "{got}");
    Ok(())
}

fn consoles_and_ports(vm: &mut Vm, dir: &Path, log: &Path) -> Result<()> {
    ensure!(vm.shell("ls /dev/virtio-ports | tr '\\n' ' '")? == "log org.agent.0");
    // A console that nobody has open forgets its settings.
    vm.shell("(stty raw -echo; seq 1 20000) <>/dev/hvc1 >&0; echo done > /dev/hvc0")?;
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
    ensure!(fs::read(log)? == b"to the file\n");
    let mut agent = UnixStream::connect(dir.join("agent"))?;
    agent.set_read_timeout(Some(patience(5)))?;
    agent.write_all(b"ping\n")?;
    vm.shell("(exec 3<>/dev/virtio-ports/org.agent.0; read -r line <&3; echo \"got $line\" >&3)")?;
    let mut answer = [0; 9];
    agent.read_exact(&mut answer)?;
    ensure!(&answer == b"got ping\n");
    Ok(())
}

/// What a program in the guest says to the host's port 9999 and back, and what the host says to its port 1234.
fn streams(vm: &mut Vm, dir: &Path) -> Result<()> {
    let host = UnixListener::bind(dir.join("v_9999"))?;
    let answering = thread::spawn(move || -> Result<String> {
        let (mut stream, _) = host.accept()?;
        stream.write_all(b"hello from the host\n")?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    });
    let connect = "socket(S,40,1,0) or die; connect(S,pack(q(SSLLx4),40,0,9999,2)) or die $!; \
                   print scalar <S>; syswrite S,qq(x)x3000000";
    ensure!(vm.shell(&format!("perl -e '{connect}'"))? == "hello from the host");
    let said = answering.join().map_err(|_| anyhow::anyhow!("the host's end"))??;
    ensure!(said.len() == 3_000_000 && said.bytes().all(|byte| byte == b'x'), "{} bytes came", said.len());
    let listen = "socket(L,40,1,0); bind(L,pack(q(SSLLx4),40,0,1234,0xffffffff)) or die $!; listen(L,1); \
                  accept(S,L); $_=<S>; syswrite S,uc";
    vm.shell(&format!("(perl -e '{listen}' &) ; sleep 1"))?;
    let mut client = UnixStream::connect(dir.join("v"))?;
    client.set_read_timeout(Some(patience(5)))?;
    client.write_all(b"CONNECT 1234\nshout\n")?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("OK ") && answer.ends_with("\nSHOUT\n"), "{answer:?}");
    Ok(())
}

/// A thousand connections at a time, each with an answer of its own.
fn many_streams(vm: &mut Vm, dir: &Path) -> Result<()> {
    const COUNT: usize = 1000;
    let host = UnixListener::bind(dir.join("v_7777"))?;
    let answering = thread::spawn(move || -> Result<usize> {
        // This process has no more descriptors than others: each stream is kept until all are there.
        let mut streams = Vec::new();
        for n in 0..COUNT {
            let (mut stream, _) = host.accept()?;
            stream.write_all(format!("{n}\n").as_bytes())?;
            streams.push(stream);
        }
        Ok(streams.len())
    });
    let connect = "for $n (1..1000) { socket($s[$n],40,1,0) or die $!; \
                   connect($s[$n],pack(q(SSLLx4),40,0,7777,2)) or die qq($n: $!); } \
                   $sum += readline $s[$_] for 1..1000; print $sum";
    let sum = vm.shell(&format!("ulimit -n 4096; perl -e '{connect}'"))?;
    let answered = answering.join().map_err(|_| anyhow::anyhow!("the host's end"))??;
    ensure!((answered, sum.as_str()) == (COUNT, "499500"), "{answered}, {sum}");
    Ok(())
}

/// Asks again and again until the answer is the one to wait for; returns that.
fn ask_until(mut ask: impl FnMut() -> Result<String>, is_it: impl Fn(&str) -> bool) -> Result<String> {
    let deadline = Instant::now() + patience(10);
    loop {
        let answer = ask()?;
        if is_it(&answer) {
            return Ok(answer);
        }
        ensure!(Instant::now() < deadline, "no more than {answer}");
        thread::sleep(patience(1) / 10);
    }
}

/// The guest says how much memory it has, again and again.
fn statistics(vm: &mut Vm, qmp: &Path) -> Result<()> {
    let total = vm.shell("awk '/MemTotal/ {printf \"%d\", $2 * 1024}' /proc/meminfo")?;
    let mut qmp = Qmp::connect(qmp)?;
    let property = |name: &str| format!(r#""path":"/machine/peripheral/balloon0","property":"{name}""#);
    let interval = property("guest-stats-polling-interval");
    qmp.execute("qom-set", &format!(r#"{{{interval},"value":1}}"#))?;
    let get = format!("{{{}}}", property("guest-stats"));
    let first = qmp.execute("qom-get", &get)?;
    ensure!(first.contains(&format!(r#""stat-total-memory":{total}"#)), "{total}: {first}");
    ask_until(|| qmp.execute("qom-get", &get), |now| now != first).context("it says nothing new")?;
    qmp.execute("qom-set", &format!(r#"{{{interval},"value":0}}"#)).map(drop)
}

/// Memory that the guest has used and freed is the host's again.
fn memory_comes_back(vm: &mut Vm) -> Result<()> {
    vm.shell("dd if=/dev/zero of=/dev/shm/x bs=1M count=150 2>/dev/null")?;
    let before = vm.resident_mib()?;
    vm.shell("rm /dev/shm/x; sleep 8")?;
    let after = vm.resident_mib()?;
    ensure!(after + 100 < before, "{before} MiB before, {after} MiB after");
    Ok(())
}

/// Asked what it has free, the guest tells, and uses it again.
fn free_memory_is_hinted(vm: &mut Vm, qmp: &Path) -> Result<()> {
    const LEAST: u64 = 64 * MIB;
    let mut qmp = Qmp::connect(qmp)?;
    qmp.execute("x-balloon-hint", "{}")?;
    let report = ask_until(|| qmp.execute("x-query-balloon-hint", "{}"), |now| now.contains("completed"))?;
    let discarded = report.split("\"discarded\":").nth(1).and_then(|rest| rest.split([',', '}']).next());
    let discarded: u64 = discarded.unwrap_or_default().parse().context(report)?;
    ensure!(discarded > LEAST, "{discarded} bytes");
    let sums = vm.shell(
        "dd if=/dev/urandom of=/dev/shm/x bs=1M count=100 status=none; cp /dev/shm/x /dev/shm/y; \
         sha256sum < /dev/shm/x; sha256sum < /dev/shm/y; rm /dev/shm/x /dev/shm/y",
    )?;
    ensure!(sums.split_once('\n').is_some_and(|(x, y)| x == y), "{sums}");
    Ok(())
}

fn images(vm: &mut Vm) -> Result<()> {
    ensure!(vm.shell("ls /sys/block/vdb/mq | wc -l")? == "2");
    ensure!(vm.shell("head -c 4 /dev/vdb")? == "base");
    verify(vm, "/dev/vdb")?;
    vm.shell("mkfs.ext4 -q -E nodiscard /dev/vdb && mount /dev/vdb /mnt")?;
    vm.shell("dd if=/dev/urandom of=/mnt/random bs=1M count=20 conv=fsync 2>/dev/null")?;
    let trimmed = vm.shell("rm /mnt/random; fstrim -v /mnt")?;
    ensure!(trimmed.contains("trimmed"), "{trimmed}");
    vm.shell("umount /mnt && e2fsck -fn /dev/vdb 2>&1 && blkdiscard -f -z -o 1M -l 4M /dev/vdb")?;
    Ok(())
}

/// A disk and a disc on SCSI: what is written comes back, and the disc has what the host's file has.
fn scsi(vm: &mut Vm, disc: &str) -> Result<()> {
    let kinds = "for d in /sys/bus/scsi/devices/[0-9]*:*; do echo $(cat $d/type $d/vendor $d/model); done | tr '\\n' ,";
    let found = vm.shell(kinds)?;
    ensure!(found == "0 TINDERBX HARDDISK,5 TINDERBX CD-ROM,", "{found}");
    verify(vm, "/dev/sda")?;
    // What was unmapped may be anything; what was zeroed is zero.
    let zeroed = vm.shell(
        "blkdiscard -f /dev/sda && blkdiscard -f -z /dev/sda && head -c 65536 /dev/sda | tr -d '\\0' | wc -c",
    )?;
    ensure!(zeroed.ends_with("\n0"), "{zeroed}");
    let sum = vm.shell("sha256sum < /dev/sr0")?;
    ensure!(sum.starts_with(disc), "{sum}");
    let refused = vm.shell("dd if=/dev/zero of=/dev/sr0 bs=2048 count=1 2>&1 | head -1")?;
    ensure!(refused.contains("Read-only") || refused.contains("failed to open"), "{refused}");
    Ok(())
}

/// fio writes a disk in a scattered order, several requests at a time, and finds every block as it wrote it.
fn verify(vm: &mut Vm, disk: &str) -> Result<()> {
    let fio = format!(
        "fio --name=v --filename={disk} --rw=randwrite --bsrange=512-64k --size=8M --direct=1 --ioengine=libaio \
         --iodepth=16 --verify=crc32c --verify_fatal=1 --fsync=64 --output-format=terse >/tmp/fio 2>&1; echo $?"
    );
    let status = vm.shell(&fio)?;
    ensure!(status == "0", "{disk}: {status} {}", vm.shell("tail -5 /tmp/fio")?);
    Ok(())
}

/// A file of the host's is a disk and memory at once, and what the guest flushes is in the file.
fn persistent_memory(vm: &mut Vm, file: &Path) -> Result<()> {
    ensure!(vm.shell("cat /sys/block/pmem0/size")? == "65536");
    ensure!(vm.shell("cat /sys/block/pmem0/queue/dax")? == "1");
    vm.shell("mkfs.ext4 -q -b 4096 /dev/pmem0 && mount -o dax=always /dev/pmem0 /mnt")?;
    vm.shell("echo kept by the host > /mnt/a; sync /mnt/a; grep -q 'dax=always' /proc/mounts; umount /mnt")?;
    let bytes = fs::read(file)?;
    ensure!(bytes.windows(16).any(|window| window == b"kept by the host"), "not in the file");
    Ok(())
}

/// The seed disk of cloud-init, as NoCloud looks for it.
fn seed(vm: &mut Vm) -> Result<()> {
    let found = vm.shell("blkid -t LABEL=CIDATA -o device -c /dev/null")?;
    ensure!(found.starts_with("/dev/vd"), "{found:?}");
    ensure!(vm.shell("cat /dev/disk/by-id/virtio-cloud-init | wc -c")? != "0");
    let files =
        vm.shell(&format!("mount -o ro {found} /mnt && cat /mnt/user-data /mnt/meta-data; umount /mnt"))?;
    ensure!(files.contains("#cloud-config") && files.contains("instance-id: tinderbox"), "{files}");
    Ok(())
}

fn random_bytes(vm: &mut Vm) -> Result<()> {
    ensure!(vm.shell("cat /sys/class/misc/hw_random/rng_current")?.starts_with("virtio_rng"));
    ensure!(vm.shell("head -c 4096 /dev/hwrng | wc -c")? == "4096");
    Ok(())
}

/// What is typed and pointed at arrives as Linux's events.
fn hands(vm: &mut Vm, qmp: &Path) -> Result<()> {
    const EVENT: usize = 24;
    let expected = [
        ("keyboard", "1 42 1,0 0 0,1 30 1,0 0 0,1 30 0,0 0 0,1 42 0,0 0 0,"),
        ("mouse", "2 0 300,0 0 0,2 1 -5,0 0 0,"),
        ("tablet", "3 0 1000,0 0 0,3 1 2000,0 0 0,1 272 1,0 0 0,2 8 1,0 0 0,"),
    ];
    vm.shell("modprobe -a virtio_input evdev")?;
    for (name, events) in expected {
        let len = EVENT * events.matches(',').count();
        // An axis that stays where it is makes no event.
        vm.shell(&format!(
            "e=$(grep -l 'Tinderbox virtio {name}' /sys/class/input/event*/device/name | cut -d/ -f5); \
             (timeout 100 head -c {len} /dev/input/$e >/tmp/{name} &)"
        ))?;
    }
    vm.shell("sleep 1")?;
    let mut qmp = Qmp::connect(qmp)?;
    qmp.type_keys("shift+a")?;
    let send = |qmp: &mut Qmp, events: &str| {
        qmp.execute("input-send-event", &format!("{{\"events\":[{events}]}}")).map(drop)
    };
    let axis = |kind: &str, axis: &str, value: i32| {
        format!("{{\"type\":\"{kind}\",\"data\":{{\"axis\":\"{axis}\",\"value\":{value}}}}}")
    };
    let button =
        |name: &str| format!("{{\"type\":\"btn\",\"data\":{{\"down\":true,\"button\":\"{name}\"}}}}");
    send(&mut qmp, &axis("rel", "x", 300))?;
    send(&mut qmp, &axis("rel", "y", -5))?;
    send(&mut qmp, &[axis("abs", "x", 1000), axis("abs", "y", 2000)].join(","))?;
    send(&mut qmp, &[button("left"), button("wheel-up")].join(","))?;
    for (name, events) in expected {
        let read =
            format!("od -An -v -t d2 -w{EVENT} /tmp/{name} | awk '{{printf \"%s %s %s,\", $9, $10, $11}}'");
        ask_until(|| vm.shell(&read), |now| now == events).context(name)?;
    }
    Ok(())
}

/// What `sha256sum` says of a file.
fn sum(path: &Path) -> Result<String> {
    let output = Command::new("sha256sum").arg(path).output()?.stdout;
    Ok(String::from_utf8(output)?.split(' ').next().context("a sum")?.to_owned())
}

/// Lets this process have as many descriptors as it may: half of a thousand streams are its own.
fn raise_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

#[test]
fn every_virtio_device_works_beside_the_others_on_mmio() -> Result<()> {
    every_virtio_device_works_beside_the_others("mmio")
}

#[test]
fn every_virtio_device_works_beside_the_others_on_pci() -> Result<()> {
    every_virtio_device_works_beside_the_others("pci")
}

fn every_virtio_device_works_beside_the_others(bus: &str) -> Result<()> {
    raise_limit()?;
    let content: Vec<u8> = (0..4 * MIB).map(|n| ((n * n) >> 7) as u8).collect();
    let port = server(content.clone())?;
    let builder = VmBuilder::new(bus)?;
    let dir = builder.dir().to_owned();
    fs::write(dir.join("content"), content)?;
    let content = sum(&dir.join("content"))?;
    let disc = boot_disc(&dir, "disc.iso")?;
    let disc_sum = sum(&disc)?;
    let target = blank_disk(&dir, "target.raw", 16 * MIB, "")?;
    let user_data = dir.join("user-data");
    fs::write(&user_data, "#cloud-config\n")?;
    let cloud_init = format!("user-data={}", user_data.display());
    blank_disk(&dir, "base.raw", 64 * MIB, "base")?;
    qemu_img(&dir, "create -q -f qcow2 -b base.raw -F raw data.qcow2")?;
    // A lab's folders hold no sockets.
    let sockets = tempfile::tempdir()?;
    let sockets = sockets.path();
    let socket = |name: &str| format!("unix:{}", sockets.join(name).display());
    let vsock = format!("socket={}", sockets.join("v").display());
    let pmem = sockets.join("pmem");
    let pmem_option = format!("{},size=32M", pmem.display());
    let ports =
        [format!("org.agent.0,{}", socket("agent")), format!("log,file:{}", dir.join("log").display())];
    let wire = if has_network()? { "passt,mtu=9000" } else { "null,mtu=9000" };
    let args =
        ["--cpus", "2", "--memory", "512M", "--rng", "--net", wire, "--net", "null", "--virtio-bus", bus];
    let builder = builder.debian_disk("")?.args(args);
    let builder = builder.args([
        "--balloon",
        "16M",
        "--vsock",
        &vsock,
        "--cloud-init",
        &cloud_init,
        "--pmem",
        &pmem_option,
    ]);
    let qmp = sockets.join("qmp");
    let builder = builder.args(["--input", "kbd", "--input", "mouse", "--input", "tablet"]);
    let builder = builder.args(["--qmp", &socket("qmp")]);
    let builder = builder.args(["--virtio-console", "pty", "--virtio-console", &socket("console")]);
    let builder = builder.args(ports.iter().flat_map(|port| ["--virtio-port", port]));
    let builder = builder.disk(&dir.join("data.qcow2"), ",queues=2,bps=200M");
    let mut vm = builder.disk(&target, ",bus=scsi").disk(&disc, ",media=cdrom").start()?;
    vm.login()?;
    let results = [
        ("random bytes", random_bytes(&mut vm)),
        ("network", network_through_passt(&mut vm, port, &content)),
        ("consoles", consoles_and_ports(&mut vm, sockets, &dir.join("log"))),
        ("vsock", streams(&mut vm, sockets)),
        ("many streams", many_streams(&mut vm, sockets)),
        ("balloon", memory_comes_back(&mut vm)),
        ("hints", free_memory_is_hinted(&mut vm, &qmp)),
        ("statistics", statistics(&mut vm, &qmp)),
        ("images", images(&mut vm)),
        ("SCSI", scsi(&mut vm, &disc_sum)),
        ("cloud-init", seed(&mut vm)),
        ("hands", hands(&mut vm, &qmp)),
        ("persistent memory", persistent_memory(&mut vm, &pmem)),
    ];
    all_hold(results)?;
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
