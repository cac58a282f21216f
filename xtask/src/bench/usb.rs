//! `cargo xtask bench usb`: a USB disk by each transport, ours beside QEMU's same device, each on a controller on PCI.

use std::process::ExitCode;

use clap::ValueEnum;

use super::block;
use super::compare::{self, Common, words};
use super::workload::{Case, Workload};

/// Options of the verb.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Measure disks of this kind, repeatable [default: all]
    #[arg(long, value_enum)]
    device: Vec<Device>,
}

/// How commands get to the disk.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Device {
    /// The bulk-only transport, at SuperSpeed
    UsbStorage,
    /// USB Attached SCSI, at high speed: ours has no streams, without which Linux drives none faster
    UsbUas,
}

/// The disk under test is the one with this serial number; its driver takes its time to find it.
const PREPARE: &str = "for n in $(seq 60); do disk=$(ls /dev/disk/by-id/*bench* 2>/dev/null | head -n 1); \
    test -b \"$disk\" && break; sleep 1; done; disk=$(readlink -f $disk); \
    echo none > /sys/block/${disk##*/}/queue/scheduler; cat \"$disk\" > /dev/null";

/// Does it.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    compare::run(&args.common, &args.device, Device::case)
}

impl Device {
    fn case(&self) -> Case {
        let name = compare::name(self);
        let speed = if *self == Self::UsbUas { ",speed=high" } else { "" };
        let disk = format!("storage,disk={{dir}}/disk.raw,serial=bench{speed}");
        let mut qemu = words(&["-drive", "if=none,id=bench,format=raw,file={dir}/disk.raw"]);
        let controller = if *self == Self::UsbUas { "qemu-xhci,id=xhci,p3=0" } else { "qemu-xhci,id=xhci" };
        qemu.extend(words(&["-machine", "pcie=on", "-device", controller]));
        qemu.extend(words(match self {
            Self::UsbStorage => &["-device", "usb-storage,bus=xhci.0,drive=bench,serial=bench"],
            Self::UsbUas => &[
                "-device",
                "usb-uas,id=uas,bus=xhci.0,serial=bench",
                "-device",
                "scsi-hd,bus=uas.0,drive=bench,serial=bench",
            ],
        }));
        let ours = [words(&["--device", "xhci", "--usb"]), vec![disk]].concat();
        Case {
            name,
            ours,
            qemu,
            disk_mib: block::DISK_MIB,
            beside: None,
            prepare: PREPARE.to_owned(),
            workloads: workloads(),
        }
    }
}

/// As for other disks; fewer of each, for each is dearer.
fn workloads() -> Vec<Workload> {
    vec![
        block::fio("4k random reads, one at a time", "randread", 4, 1, 500),
        block::fio("4k random reads, 32 at a time", "randread", 4, 32, 1000),
        block::fio("4k random writes, 32 at a time", "randwrite", 4, 32, 1000),
        block::fio("128k reads in order, 8 at a time", "read", 128, 8, 300),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_get_the_disk_by_the_same_transport_on_pci() {
        let [storage, uas] = [Device::UsbStorage, Device::UsbUas].map(|device| device.case());

        assert_eq!(storage.ours.join(" "), "--device xhci --usb storage,disk={dir}/disk.raw,serial=bench");
        assert_eq!(
            uas.ours.join(" "),
            "--device xhci --usb storage,disk={dir}/disk.raw,serial=bench,speed=high"
        );
        assert!(storage.qemu.join(" ").ends_with("usb-storage,bus=xhci.0,drive=bench,serial=bench"));
        assert!(uas.qemu.join(" ").contains("usb-uas,id=uas,bus=xhci.0,serial=bench "));
    }
}
