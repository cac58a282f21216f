//! USB under Debian's own drivers, on the controller on PCI: descriptors, keys and pointers, a locked stick, a serial port, ports
//! that sleep and are woken, a driver that comes and goes a hundred times, disks that are pulled out while they are written.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use machine_tests::{Qmp, Vm, VmBuilder, blank_disk, patience};

/// Debian's own root, below a kernel that the VMM starts.
const ROOT: &str = "root=/dev/vda1 ro console=ttyS0,115200 loglevel=6 cryptomgr.notests init_on_alloc=0";

/// In the guest's shell: all devices have addresses.
const ALL_ARE_THERE: &str = "[ $(cat /sys/bus/usb/devices/*/manufacturer | grep -c Tinderbox) = 7 ]";

/// Waits in the guest until `condition` holds: a minute, for after a hundred drivers udev has a long queue.
fn wait_for(vm: &mut Vm, condition: &str) -> Result<()> {
    let command = format!(
        "for i in $(seq 600); do {condition} && break; sleep 0.1; done; {condition} || {{ dmesg | tail -n 20; false; }}"
    );
    vm.shell(&command).with_context(|| format!("waiting for {condition}")).map(drop)
}

/// Has the guest read `count` events of the device `name`, from now on.
fn start_reading(vm: &mut Vm, name: &str, count: u32) -> Result<()> {
    let node = format!("/dev/input/$(grep -l '{name}' /sys/class/input/event*/device/name | cut -d/ -f5)");
    vm.shell(&format!(
        "(dd if={node} of=/tmp/events bs=24 count={count} status=none; touch /tmp/read) & true"
    ))?;
    wait_for(vm, "ls -l /proc/[0-9]*/fd 2> /dev/null | grep -q /dev/input/event")?;
    // For 50 ms after it was opened a device of HID is not listened to.
    vm.shell("sleep 1").map(drop)
}

/// Type, code and value of each event that was read.
fn events_read(vm: &mut Vm) -> Result<String> {
    wait_for(vm, "[ -e /tmp/read ]")?;
    vm.shell("od -An -v -tx2 -w24 /tmp/events | awk '{print $9, $10, $12 $11}'; rm /tmp/read")
}

/// Has the guest read `count` events of the device `name` while `act` happens.
fn input_events(vm: &mut Vm, name: &str, count: u32, act: impl FnOnce() -> Result<()>) -> Result<String> {
    start_reading(vm, name, count)?;
    act()?;
    events_read(vm)
}

fn descriptors_are_read_whole(vm: &mut Vm) -> Result<()> {
    let complaints = vm.shell("lsusb -v 2>&1 > /tmp/lsusb || true")?;
    ensure!(complaints.is_empty(), "lsusb complains: {complaints}");
    let odd = vm.shell("grep -Ei 'unrecognized|unknown|junk|invalid|error|cannot' /tmp/lsusb || true")?;
    ensure!(odd.is_empty(), "lsusb -v: {odd}");
    for descriptor in ["HID Device Descriptor", "Hub Port Status", "Mass Storage", "Report Descriptor"] {
        vm.shell(&format!("grep -q '{descriptor}' /tmp/lsusb")).context(descriptor)?;
    }
    Ok(())
}

/// On the console that has no screen, and as events.
fn keys_and_pointers(vm: &mut Vm, qmp: &mut Qmp) -> Result<()> {
    vm.shell(
        "systemctl stop getty@tty1 2>/dev/null; (read -r line < /dev/tty1; echo $line > /tmp/line) & sleep 1",
    )?;
    qmp.type_keys("shift+h i spc 4 2 ret")?;
    wait_for(vm, "[ -s /tmp/line ]")?;
    ensure!(vm.shell("cat /tmp/line")? == "Hi 42");
    let event = |kind: &str, data: &str| format!(r#"{{"events":[{{"type":"{kind}","data":{{{data}}}}}]}}"#);
    let key = |down: bool| event("key", &format!(r#""down":{down},"key":{{"type":"qcode","data":"shift"}}"#));
    let keys = input_events(vm, "USB keyboard", 6, || {
        qmp.execute("input-send-event", &key(true))?;
        qmp.execute("input-send-event", &key(false)).map(drop)
    })?;
    // EV_MSC, EV_KEY and EV_SYN, down and up: the left shift key is 42.
    ensure!(keys.contains("0001 002a 00000001\n") && keys.contains("0001 002a 00000000"), "{keys}");
    let moved = input_events(vm, "USB mouse", 3, || {
        let both = r#"{"events":[{"type":"rel","data":{"axis":"x","value":5}},{"type":"rel","data":{"axis":"y","value":-3}}]}"#;
        qmp.execute("input-send-event", both).map(drop)
    })?;
    ensure!(moved.contains("0002 0000 00000005"), "{moved}");
    let pointed = input_events(vm, "USB tablet", 2, || {
        qmp.execute("input-send-event", &event("abs", r#""axis":"x","value":4660"#)).map(drop)
    })?;
    ensure!(pointed.starts_with("0003 0000 00001234"), "{pointed}");
    let button = |down: bool| event("btn", &format!(r#""down":{down},"button":"left""#));
    let pressed = input_events(vm, "USB tablet", 6, || {
        qmp.execute("input-send-event", &button(true))?;
        qmp.execute("input-send-event", &button(false)).map(drop)
    })?;
    ensure!(pressed.contains("0001 0110 00000001\n") && pressed.contains("0001 0110 00000000"), "{pressed}");
    Ok(())
}

/// A disk that is locked and can be taken out, and a serial port whose other end is a socket.
fn stick_is_locked_and_port_is_open(vm: &mut Vm, port: &Path) -> Result<()> {
    vm.shell("disk=$(basename $(readlink -f /dev/disk/by-id/usb-*LOCKED*:0)); cd /sys/block/$disk")?;
    ensure!(vm.shell("cat ro removable size")? == "1\n1\n2048");
    ensure!(vm.shell("head -c 12 /dev/$disk")? == "locked stick");
    vm.shell("! dd if=/dev/zero of=/dev/$disk count=1 oflag=direct 2> /dev/null && cd")?;
    wait_for(vm, "[ -c /dev/ttyACM0 ]")?;
    vm.shell("exec 5<> /dev/ttyACM0; stty raw -echo <&5; echo to the host >&5")?;
    let mut host = UnixStream::connect(port)?;
    host.set_read_timeout(Some(patience(10)))?;
    let mut heard = [0; 12];
    host.read_exact(&mut heard)?;
    ensure!(heard == *b"to the host\n", "{heard:?}");
    host.write_all(b"to the guest\n")?;
    ensure!(vm.shell("read -r line <&5; exec 5>&-; echo $line")? == "to the guest");
    Ok(())
}

/// A port sleeps when nobody uses its device, and a key wakes it.
///
/// With less of a delay Linux puts a device to sleep at once when it has woken, and forgets what that says meanwhile: reports of
/// transfers that `hid_suspend` takes back.
fn ports_sleep_and_wake(vm: &mut Vm, qmp: &mut Qmp) -> Result<()> {
    vm.shell("dev() { dirname $(grep -l \"$1\" /sys/bus/usb/devices/*/product); }")?;
    for name in ["USB keyboard", "USB tablet"] {
        vm.shell(&format!(
            "d=$(dev '{name}'); echo 1000 > $d/power/autosuspend_delay_ms; echo auto > $d/power/control"
        ))?;
        wait_for(vm, &format!("[ $(cat $(dev '{name}')/power/runtime_status) = suspended ]"))?;
    }
    let status = |vm: &mut Vm, name| vm.shell(&format!("cat $(dev '{name}')/power/runtime_status"));
    ensure!(vm.shell("cat $(dev 'USB keyboard')/power/wakeup")? == "enabled");
    for _ in 0..3 {
        vm.shell("(read -r line < /dev/tty1; echo $line > /tmp/woken) & sleep 1")?;
        wait_for(vm, "[ $(cat $(dev 'USB keyboard')/power/runtime_status) = suspended ]")?;
        qmp.type_keys("w a k e ret")?;
        wait_for(vm, "[ -s /tmp/woken ]")?;
        ensure!(vm.shell("cat /tmp/woken; rm /tmp/woken")? == "wake");
    }
    ensure!(status(vm, "USB tablet")? == "suspended", "the tablet sleeps on");
    let moved = r#"{"events":[{"type":"abs","data":{"axis":"y","value":7}}]}"#;
    start_reading(vm, "USB tablet", 2)?;
    wait_for(vm, "[ $(cat $(dev 'USB tablet')/power/runtime_status) = suspended ]")?;
    qmp.execute("input-send-event", moved)?;
    let events = events_read(vm)?;
    ensure!(events.starts_with("0003 0001 00000007"), "{events}");
    vm.shell("for d in /sys/bus/usb/devices/*/power/control; do echo on > $d; done").map(drop)
}

/// No driver has had to work around anything so far.
fn nothing_to_complain_of(vm: &mut Vm) -> Result<()> {
    vm.no_complaints()?;
    let warnings = vm.shell("dmesg --level=emerg,alert,crit,err,warn | grep -Ei 'usb|hci|hid' || true")?;
    ensure!(warnings.is_empty(), "{warnings}");
    Ok(())
}

/// The driver lets go of the controller and takes it again, many times: mostly before it has found all devices.
fn driver_is_bound_again(vm: &mut Vm) -> Result<()> {
    vm.shell("pci=$(basename $(ls -d /sys/bus/pci/drivers/xhci_hcd/0000:*))")?;
    for _ in 0..10 {
        vm.shell(
            "done=0; for i in $(seq 10); do echo $pci > /sys/bus/pci/drivers/xhci_hcd/unbind && \
             echo $pci > /sys/bus/pci/drivers/xhci_hcd/bind && done=$i; done; [ $done = 10 ]",
        )?;
    }
    wait_for(vm, ALL_ARE_THERE)?;
    let errors = vm.shell("dmesg | grep -E 'xhci_hcd.*(WARN|ERROR|died)|Call Trace|BUG' || true")?;
    ensure!(errors.is_empty(), "{errors}");
    wait_for(vm, "[ -b /dev/disk/by-id/usb-*LOCKED*:0 ]")?;
    ensure!(vm.shell("head -c 12 /dev/disk/by-id/usb-*LOCKED*:0")? == "locked stick");
    Ok(())
}

/// What was synchronised is on the disk, whenever it is pulled out.
fn disk_comes_and_goes(vm: &mut Vm, qmp: &mut Qmp, port: &str, driver: &str) -> Result<()> {
    let plug =
        format!(r#"{{"driver":"{driver}","id":"stick","drive":"n","port":"{port}","serial":"STICK"}}"#);
    qmp.execute("device_add", &plug)?;
    let disk = "/dev/disk/by-id/usb-*STICK*:0";
    wait_for(vm, &format!("[ -b {disk} ]"))?;
    vm.shell(&format!("mkfs.ext4 -q -F {disk} && mount {disk} /mnt"))?;
    vm.shell(
        "dd if=/dev/urandom of=/mnt/kept bs=1M count=4 conv=fsync status=none; sum=$(sha256sum < /mnt/kept)",
    )?;
    vm.shell("(while dd if=/dev/zero of=/mnt/lost bs=256k count=32 oflag=direct status=none; do :; done) & sleep 2")?;
    qmp.execute("device_del", r#"{"id":"stick"}"#)?;
    qmp.event("DEVICE_DELETED")?;
    wait_for(vm, &format!("! [ -e {disk} ]"))?;
    vm.shell("wait; umount /mnt")?;
    qmp.execute("device_add", &plug)?;
    wait_for(vm, &format!("[ -b {disk} ]"))?;
    vm.shell(&format!("mount {disk} /mnt && [ \"$(sha256sum < /mnt/kept)\" = \"$sum\" ] && umount /mnt"))?;
    vm.shell(&format!("e2fsck -fn {disk} > /dev/null"))?;
    qmp.execute("device_del", r#"{"id":"stick"}"#)?;
    qmp.event("DEVICE_DELETED").map(drop)
}

#[test]
fn debian_types_points_plugs_sleeps_and_binds_again() -> Result<()> {
    let builder = VmBuilder::new("usbguest")?.debian_disk("")?.debian_kernel("vmlinuz", ROOT)?;
    let (first, stick) = (builder.dir().join("first.raw"), builder.dir().join("stick.raw"));
    for path in [&first, &stick] {
        File::create(path)?.set_len(32 << 20)?;
    }
    let locked = blank_disk(builder.dir(), "locked.raw", 1 << 20, "locked stick")?;
    // The test's folder may be on another host.
    let sockets = tempfile::tempdir()?;
    let [port, qmp] = ["serial", "qmp"].map(|name| sockets.path().join(name));
    let storage = [
        format!("storage,disk={}", first.display()),
        format!("storage,disk={},serial=LOCKED,readonly=on,removable=on,speed=high,hub=1", locked.display()),
    ];
    let serial = format!("serial,to=unix:{}", port.display());
    let devices = ["kbd", "mouse", "tablet", "hub", &storage[0], &storage[1], &serial];
    let devices = devices.into_iter().flat_map(|device| ["--usb", device]);
    let builder = builder.args(["--cpus", "2", "--memory", "512M", "--device", "xhci"]).args(devices);
    let mut vm = builder.args(["--qmp", &format!("unix:{}", qmp.display())]).start()?;
    vm.login()?;
    let mut qmp = Qmp::connect(&qmp)?;
    wait_for(&mut vm, ALL_ARE_THERE)?;
    descriptors_are_read_whole(&mut vm).context("lsusb")?;
    keys_and_pointers(&mut vm, &mut qmp).context("typing")?;
    stick_is_locked_and_port_is_open(&mut vm, &port).context("a stick and a serial port")?;
    ports_sleep_and_wake(&mut vm, &mut qmp).context("suspend")?;
    nothing_to_complain_of(&mut vm)?;
    let file = format!(r#"{{"driver":"file","filename":"{}"}}"#, stick.display());
    qmp.execute("blockdev-add", &format!(r#"{{"driver":"raw","node-name":"n","file":{file}}}"#))?;
    disk_comes_and_goes(&mut vm, &mut qmp, "5", "usb-storage").context("a disk of SuperSpeed")?;
    disk_comes_and_goes(&mut vm, &mut qmp, "4.2", "usb-uas").context("a disk behind the hub")?;
    driver_is_bound_again(&mut vm).context("unbind and bind")?;
    vm.presses_the_power_button()
}
