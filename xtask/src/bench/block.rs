//! `cargo xtask bench block`: a disk on each bus, ours beside QEMU's same device.

use std::process::ExitCode;

use clap::ValueEnum;

use super::compare::{self, Common, words};
use super::workload::{Case, Workload};

/// Options of the verb.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Measure disks on this bus, repeatable [default: all]
    #[arg(long, value_enum)]
    bus: Vec<Bus>,
}

/// What the disk is plugged into.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bus {
    VirtioMmio,
    VirtioPci,
    Nvme,
}

/// In MiB. It is in the host's memory, so that the host's storage plays no part.
pub(super) const DISK_MIB: u32 = 64;

/// The disk under test is the one with this serial number; the guest's scheduler leaves requests alone.
const PREPARE: &str = "disk=$(readlink -f /dev/disk/by-id/*bench); test -b $disk && \
    echo none > /sys/block/${disk##*/}/queue/scheduler; cat \"$disk\" > /dev/null";

/// Does it.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    compare::run(&args.common, &args.bus, Bus::case)
}

impl Bus {
    fn case(&self) -> Case {
        let name = compare::name(self);
        let disk = format!("{{dir}}/disk.raw,serial=bench,bus={name}");
        let mut qemu = words(&["-drive", "if=none,id=bench,format=raw,file={dir}/disk.raw"]);
        // What QEMU can give each: a thread beside that of its main loop, doorbells that are no exits to it.
        qemu.extend(words(match self {
            Self::VirtioMmio => &["-device", "virtio-blk-device,drive=bench,serial=bench,iothread=io"],
            Self::VirtioPci => {
                &["-machine", "pcie=on", "-device", "virtio-blk-pci,drive=bench,serial=bench,iothread=io"]
            }
            Self::Nvme => &["-machine", "pcie=on", "-device", "nvme,drive=bench,serial=bench,ioeventfd=on"],
        }));
        Case {
            name,
            ours: vec!["--disk".to_owned(), disk],
            qemu,
            disk_mib: DISK_MIB,
            beside: None,
            prepare: PREPARE.to_owned(),
            workloads: workloads(),
        }
    }
}

fn workloads() -> Vec<Workload> {
    vec![
        fio("4k random reads, one at a time", "randread", 4, 1, 2000),
        fio("4k random reads, 32 at a time", "randread", 4, 32, 4000),
        fio("4k random writes, 32 at a time", "randwrite", 4, 32, 4000),
        fio("128k reads in order, 8 at a time", "read", 128, 8, 1000),
    ]
}

/// fio on `$disk`, past the guest's page cache. Of its terse output (version 3), fields 6 and 47 are KiB read and written, 9 and 50 the
/// milliseconds they took.
pub(super) fn fio(name: &str, kind: &str, block_kib: u32, depth: u32, count: u32) -> Workload {
    let command = format!(
        "fio --name=f --filename=$disk --direct=1 --ioengine=libaio --rw={kind} --bs={block_kib}k --iodepth={depth} \
         --norandommap --io_size={}k --randseed=1 --output-format=terse --terse-version=3 | \
         awk -F';' '{{ print ($6 + $47) / {block_kib}, $9 + $50 }}'",
        block_kib * count,
    );
    Workload { name: name.to_owned(), command }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_get_the_same_device_on_each_bus() {
        let devices = Bus::value_variants().iter().map(|bus| {
            let case = bus.case();
            (case.ours[1].clone(), case.qemu.last().cloned().unwrap())
        });

        let expected =
            [("virtio-mmio", "virtio-blk-device,"), ("virtio-pci", "virtio-blk-pci,"), ("nvme", "nvme,")];
        for ((ours, qemu), (bus, device)) in devices.zip(expected) {
            assert_eq!(ours, format!("{{dir}}/disk.raw,serial=bench,bus={bus}"));
            assert!(qemu.starts_with(device) && qemu.contains("drive=bench"), "{qemu}");
        }
    }
}
