//! SeaBIOS with our patch on `/dev/kvm`: it finds PCI Express by the ACPI tables, and boots a sector of ours from there.

use anyhow::{Result, ensure};
use machine_tests::{BootSector, VmBuilder, patience};

/// Boots from the disk that `plug` makes options of, before one on virtio-mmio that would stand still; the firmware's log has
/// `lines`.
fn boots(name: &str, plug: impl Fn(&str) -> Vec<String>, lines: &[&str]) -> Result<()> {
    let builder = VmBuilder::new(name)?;
    let halts = BootSector::create(builder.dir(), "mmio.raw", "H")?;
    let boots = BootSector::create(builder.dir(), "pci.raw", "P")?;
    let options = plug(&boots.path().display().to_string());
    let builder = builder.args(["--firmware", "seabios-usb"]).args(&options);
    let mut vm = builder.disk(halts.path(), "").start()?;
    vm.expect("boot: write ok\r\n", patience(60))?;
    let log = vm.firmware_log()?;
    ensure!(vm.wait(patience(5))?.code() == Some(0));
    ensure!(
        (boots.runs()?, halts.runs()?) == (1, 0),
        "the wrong disk was booted, or the write did not reach it"
    );
    for line in lines {
        ensure!(log.contains(line), "no {line:?} in the firmware's log:\n{log}");
    }
    Ok(())
}

/// The options of a disk on PCI.
fn disk(path: &str, keys: &str) -> Vec<String> {
    vec!["--disk".into(), format!("{path},bootindex=0,{keys}")]
}

/// The same behind a root port.
fn behind_a_port(path: &str, keys: &str) -> Vec<String> {
    [vec!["--device".into(), "root-port,id=p".into()], disk(path, &format!("{keys},port=p"))].concat()
}

#[test]
fn virtio_on_the_host_bridge() -> Result<()> {
    let lines = ["PCIe: using acpi mmconfig at 0xe0000000", "PCI: 32: 00000000c0000000 - 00000000e0000000"];
    boots("virtio", |path| disk(path, "bus=virtio-pci"), &lines)
}

#[test]
fn virtio_behind_a_root_port() -> Result<()> {
    boots("virtio_port", |path| behind_a_port(path, "bus=virtio-pci"), &["(max PCI bus is 01)"])
}

#[test]
fn nvme_on_the_host_bridge() -> Result<()> {
    boots("nvme", |path| disk(path, "bus=nvme"), &[])
}

#[test]
fn nvme_behind_a_root_port() -> Result<()> {
    boots("nvme_port", |path| behind_a_port(path, "bus=nvme"), &["(max PCI bus is 01)"])
}

#[test]
fn scsi_adapter_on_the_host_bridge() -> Result<()> {
    let plug = |path: &str| [disk(path, "bus=scsi"), vec!["--virtio-bus".into(), "pci".into()]].concat();
    boots("scsi", plug, &["virtio-scsi vendor='TINDERBX' product='HARDDISK'"])
}

#[test]
fn usb_controller_on_the_host_bridge() -> Result<()> {
    let plug = |path: &str| {
        let usb = format!("storage,disk={path},bootindex=0");
        ["--device", "xhci", "--usb", &usb].map(str::to_owned).to_vec()
    };
    boots("xhci", plug, &["XHCI init: regs @ 0x", "USB MSC vendor='TINDERBX'"])
}
