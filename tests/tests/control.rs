//! What programs change under a running Debian by QMP, as its drivers see it: needs a KVM that runs 64-bit guests, or the lab.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use machine_tests::{Qmp, Vm, VmBuilder, all_hold, patience};

/// A disc of `blocks` blocks that are full of one letter.
fn disc(dir: &Path, letter: u8, blocks: usize) -> Result<PathBuf> {
    let path = dir.join(format!("{}.iso", char::from(letter)));
    fs::write(&path, vec![letter; blocks * 2048])?;
    Ok(path)
}

/// Puts another disc into a drive.
fn change(client: &mut Qmp, drive: &str, disc: &Path, force: bool) -> Result<String> {
    let arguments =
        format!(r#"{{"id":"{drive}","filename":"{}","format":"raw","force":{force}}}"#, disc.display());
    client.execute("blockdev-change-medium", &arguments)
}

/// What the guest reads of the disc in `/dev/NAME`: how many bytes, and which letters.
fn reads(vm: &mut Vm, name: &str, expected: &str) -> Result<()> {
    let read = vm
        .shell(&format!("head -c 99999 /dev/{name} | tee /tmp/disc | wc -c; fold -w1 /tmp/disc | sort -u"))?;
    ensure!(read.split_whitespace().collect::<Vec<_>>().join(" ") == expected, "{name}: {read}");
    Ok(())
}

/// The drive on SCSI begins empty. The guest locks it, so that the host has to ask; when the guest opens it, the host is told.
fn disc_on_scsi(vm: &mut Vm, client: &mut Qmp, first: &Path, second: &Path) -> Result<()> {
    let empty = vm.shell("blockdev --getsize64 /dev/sr0 2>&1 || true")?;
    ensure!(empty.contains("No medium"), "{empty}");
    change(client, "scsi-drive", first, true)?;
    client.event(r#""tray-open":true"#)?;
    client.event(r#""tray-open":false"#)?;
    reads(vm, "sr0", "4096 a")?;
    // CDROM_LOCKDOOR.
    vm.shell("perl -e 'open(D, q(<), q(/dev/sr0)) or die $!; defined ioctl(D, 0x5329, 1) or die $!'")?;
    let refused = client.execute("eject", r#"{"id":"scsi-drive"}"#);
    let refused = refused.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(refused.contains("is locked and force was not specified"), "{refused}");
    // The guest gives it: CDROM_LOCKDOOR, CDROMEJECT.
    vm.shell("perl -e 'open(D, q(<), q(/dev/sr0)) or die $!; ioctl(D, 0x5329, 0); defined ioctl(D, 0x5309, 0) or die $!'")?;
    client.event(r#""tray-open":true"#)?;
    change(client, "scsi-drive", second, true)?;
    reads(vm, "sr0", "8192 b")
}

/// The drive on USB has a disc from the start, which the host takes without asking.
fn disc_on_usb(vm: &mut Vm, client: &mut Qmp, second: &Path) -> Result<()> {
    reads(vm, "sr1", "4096 a")?;
    change(client, "usb-drive", second, true)?;
    reads(vm, "sr1", "8192 b")?;
    client.execute("eject", r#"{"id":"usb-drive","force":true}"#)?;
    let gone = vm.shell("head -c 1 /dev/sr1 2>&1 || true")?;
    ensure!(gone.contains("No medium"), "{gone}");
    Ok(())
}

fn link_goes_and_comes(vm: &mut Vm, client: &mut Qmp) -> Result<()> {
    vm.shell("net=$(ls -d /sys/class/net/e*) && ip link set ${net##*/} up && cat $net/carrier | grep -x 1")?;
    client.execute("set_link", r#"{"name":"lan","up":false}"#)?;
    vm.shell("until grep -qx 0 $net/carrier; do sleep 0.1; done")?;
    client.execute("set_link", r#"{"name":"lan","up":true}"#)?;
    vm.shell("until grep -qx 1 $net/carrier; do sleep 0.1; done")?;
    Ok(())
}

#[test]
fn discs_and_links_come_and_go() -> Result<()> {
    let builder = VmBuilder::new("control")?;
    let dir = builder.dir().to_owned();
    let (first, second) = (disc(&dir, b'a', 2)?, disc(&dir, b'b', 4)?);
    // A lab's folders hold no sockets.
    let sockets = tempfile::tempdir()?;
    let socket = sockets.path().join("qmp");
    let usb = format!("storage,disk={},media=cdrom,id=usb-drive", first.display());
    let qmp = format!("unix:{}", socket.display());
    let args = ["--memory", "512M", "--machine", "pcie=on", "--device", "xhci", "--usb", &usb, "--qmp", &qmp];
    let drive = ["--disk", ",media=cdrom,id=scsi-drive", "--net", "null,id=lan"];
    let mut vm = builder.debian_disk("")?.args(args).args(drive).start()?;
    vm.login()?;
    let mut client = Qmp::connect(&socket)?;
    let results = [
        ("SCSI", disc_on_scsi(&mut vm, &mut client, &first, &second)),
        ("USB", disc_on_usb(&mut vm, &mut client, &second)),
        ("link", link_goes_and_comes(&mut vm, &mut client)),
    ];
    all_hold(results)?;
    client.execute("system_powerdown", "{}")?;
    client.event("POWERDOWN")?;
    client.event(r#""guest-shutdown""#)?;
    let status = vm.wait(patience(60))?;
    ensure!(status.success(), "{status}");
    Ok(())
}
