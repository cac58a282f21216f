//! edk2's DEBUG build, which tells on the debug console what it does, and stops where an assumption of its is not met: needs a
//! KVM that runs 64-bit guests, or the lab.

use anyhow::{Context as _, Result, ensure};
use machine_tests::{VmBuilder, blank_disk, patience};

/// What is said in each phase, in their order: SEC, PEI, its end, DXE, and the choice of what boots.
const PHASES: [&str; 5] = [
    "SecCoreStartupWithStack(",
    "Platform PEIM Loaded",
    "Loading DXE CORE at ",
    "Loading driver at ",
    "[Bds]Booting ",
];

/// Lines that tell which of our devices it drives.
const DEVICES: [&str; 4] = ["NvmExpressDxe", "VirtioPciDeviceDxe|Virtio10", "XhciDxe", "PciBus"];

#[test]
fn every_phase_is_logged_and_no_assertion_fails() -> Result<()> {
    let builder = VmBuilder::new("edk2_debug")?;
    let dir = builder.dir().to_owned();
    let blank = |name: &str| blank_disk(&dir, name, 8 << 20, "");
    let (nvme, virtio, usb) = (blank("nvme.raw")?, blank("virtio.raw")?, blank("usb.raw")?);
    let builder = builder.disk(&nvme, ",bus=nvme").disk(&virtio, ",bus=virtio-pci,port=p");
    let usb = format!("storage,disk={}", usb.display());
    let args = ["--firmware", "edk2-debug", "--cpus", "2", "--memory", "512M"];
    let pci = ["--device", "root-port,id=p", "--device", "xhci", "--usb", &usb];
    let mut vm = builder.args(args).args(pci).start()?;
    vm.expect("UEFI Interactive Shell", patience(120))?;
    vm.expect("any other key to continue", patience(30))?;
    vm.send("\x1b")?;
    vm.expect("Shell>", patience(30))?;
    vm.send("reset -s\r")?;
    let log = std::fs::File::open(dir.join("firmware.log")).context("the log")?;
    vm.powers_off()?;
    let log = std::io::read_to_string(log)?;
    let mut rest = log.as_str();
    for phase in PHASES {
        let at = rest.find(phase).with_context(|| format!("no {phase:?} where it should be"))?;
        rest = &rest[at..];
    }
    for device in DEVICES {
        ensure!(device.split('|').any(|name| log.contains(name)), "nothing about {device}");
    }
    let complaints: Vec<_> = log.lines().filter(|line| line.contains("ASSERT")).collect();
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}
