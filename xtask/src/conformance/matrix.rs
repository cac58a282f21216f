//! The machines whose tables are examined. A new option is a new axis, or a new grid of few axes.

/// One machine: its name and the options that make it.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) name: String,
    pub(super) args: Vec<String>,
    /// Physical address bits of its CPU.
    pub(super) address_bits: u32,
    /// The folder of its golden disassembly.
    pub(super) golden: Option<&'static str>,
}

/// One choice on an axis: what it is called, and its options.
type Choice = (&'static str, &'static [&'static str]);

const ADDRESS_BITS: u32 = 46;

const CPUS: &[Choice] = &[
    ("1 cpu", &[]),
    ("2 cpus", &["--cpus", "2"]),
    ("7 cpus", &["--cpus", "7"]),
    ("64 cpus", &["--cpus", "64"]),
    ("254 cpus", &["--cpus", "254"]),
    ("288 cpus", &["--cpus", "288"]),
];
const DISKS: &[Choice] = &[
    ("no disk", &[]),
    ("1 disk", &["--disk", "0.raw"]),
    ("2 disks", &["--disk", "0.raw", "--disk", "1.raw,readonly=on"]),
    ("24 disks", ALL_DISKS),
];
/// `--disk=PATH` is one argument, so that it repeats.
const ALL_DISKS: &[&str] = &["--disk=n.raw"; 24];
const SERIAL: &[Choice] = &[("serial", &[]), ("no serial", &["--console", "none"])];
const MEMORY: &[Choice] = &[
    ("16M", &["--memory", "16M"]),
    ("3G", &["--memory", "3G"]),
    ("64G", &["--memory", "64G"]),
    ("32T", &["--memory", "32T"]),
];
const TOPOLOGY: &[Choice] = &[
    ("3 cores of 2 threads", &["--cpus", "6,cores=3,threads=2"]),
    ("5 sockets of 3 cores", &["--cpus", "15,sockets=5,cores=3"]),
    ("2 sockets of 3 dies", &["--cpus", "24,sockets=2,dies=3,threads=2"]),
    ("126 cores of 2 threads", &["--cpus", "252,threads=2"]),
];
const NODES: &[Choice] = &[
    ("1 node", &["--cpus=2", "--memory=4G", "--numa=node,cpus=0-1,memory=4G"]),
    (
        "2 nodes around the hole",
        &["--cpus=4", "--memory=6G", "--numa=node,cpus=0,cpus=2-3,memory=2G", "--numa=node,cpus=1,memory=4G"],
    ),
    ("3 nodes at distances", DISTANT_NODES),
    ("memory apart", MEMORY_APART),
    (
        "254 cpus in 2 nodes",
        &["--cpus=254", "--numa=node,cpus=0-126,memory=1M", "--numa=node,cpus=127-253,memory=511M"],
    ),
];
const DISTANT_NODES: &[&str] = &[
    "--cpus=3,sockets=3",
    "--numa=node,cpus=2,memory=256M",
    "--numa=node,cpus=0,memory=128M",
    "--numa=node,cpus=1,memory=128M",
    "--numa=distance,from=0,to=1,value=12",
    "--numa=distance,from=0,to=2,value=255",
    "--numa=distance,from=2,to=0,value=254",
];
/// A node of vCPUs alone and two of memory alone, with and without a word on their speed.
const MEMORY_APART: &[&str] = &[
    "--cpus=2",
    "--memory=3G",
    "--numa=node,cpus=0-1",
    "--numa=node,memory=1G",
    "--numa=node,memory=1G",
    "--numa=node,memory=1G",
    "--numa=access,from=0,to=1,latency=90,bandwidth=100G",
    "--numa=access,from=0,to=2,latency=350",
];
const SWITCHES: &[Choice] = &[
    ("default switches", &[]),
    ("no pic", &["--machine", "pic=off"]),
    ("rtc", &["--machine", "rtc=on"]),
    ("no ioapic2", &["--machine", "ioapic2=off"]),
    ("no pic, rtc", &["--machine", "pic=off,rtc=on"]),
    ("no pic, no ioapic2", &["--machine", "pic=off,ioapic2=off"]),
    ("rtc, no ioapic2", &["--machine", "rtc=on,ioapic2=off"]),
    ("pcie", &["--machine", "pcie=on"]),
    ("usb", &["--machine", "usb=on"]),
    ("usb, pcie, no ioapic2", &["--machine", "usb=on,pcie=on,ioapic2=off"]),
    ("pcie, no ioapic2", &["--machine", "pcie=on,ioapic2=off"]),
    (
        "no pic, no pit, rtc, no ioapic2, no isa-serial",
        &["--machine", "pic=off,pit=off,rtc=on,ioapic2=off,isa-serial=off"],
    ),
];
/// Without the second IOAPIC there are 8 transports.
const FEW_DISKS: &[Choice] = &[("no disk", &[]), ("8 disks", EIGHT_DISKS)];
const EIGHT_DISKS: &[&str] = &["--disk=n.raw"; 8];
const DEVICES: &[Choice] = &[
    ("no device", &[]),
    ("pvpanic", &["--device", "pvpanic"]),
    (
        "every device",
        &[
            "--device=pvpanic",
            "--device=debug-exit",
            "--device=reset-port",
            "--device=keyboard-reset",
            "--device=vmgenid",
        ],
    ),
];

/// What can be plugged into the host bridge.
const PCI: &[Choice] = &[
    ("root port", &["--device=root-port,id=a"]),
    (
        "disks behind 3 root ports",
        &[
            "--device=root-port,id=a",
            "--device=root-port,id=b",
            "--device=root-port,id=c",
            "--disk=0.raw,bus=virtio-pci,port=a",
            "--disk=1.raw,bus=nvme,port=b",
        ],
    ),
    (
        "disks and xhci on the root bus",
        &["--disk=0.raw,bus=nvme", "--disk=1.raw,bus=virtio-pci", "--device=xhci"],
    ),
    ("virtio devices on pci", &["--virtio-bus=pci", "--rng", "--balloon=0M", "--net=null"]),
];
const ROUTING: &[Choice] = &[
    ("", &[]),
    ("no ioapic2", &["--machine", "ioapic2=off"]),
    ("irqchip in kvm", &["--machine", "irqchip=kernel"]),
    ("usb, rtc", &["--machine", "usb=on,rtc=on"]),
];

/// Every combination of the choices of a grid's axes is a machine.
const GRIDS: &[&[&[Choice]]] = &[
    &[CPUS, DISKS, SERIAL],
    &[SWITCHES, FEW_DISKS, DEVICES],
    &[PCI, ROUTING],
    &[MEMORY],
    &[TOPOLOGY],
    &[NODES],
];

/// Machines whose disassembly is kept as text.
const GOLDEN: &[(&str, &[&str])] = &[
    ("default", &["--disk", "0.raw"]),
    ("four-cpus-two-disks", &["--cpus", "4", "--disk", "0.raw", "--disk", "1.raw"]),
    ("no-serial", &["--console", "none"]),
    (
        "no-ioapic2-rtc-pvpanic-vmgenid",
        &["--machine", "ioapic2=off,rtc=on", "--device", "pvpanic", "--device", "vmgenid", "--disk", "0.raw"],
    ),
    ("no-pic", &["--machine", "pic=off,pit=off"]),
    (
        "two-nodes",
        &[
            "--cpus=4,sockets=2,threads=2",
            "--memory=4G",
            "--numa=node,cpus=0-1,memory=2G",
            "--numa=node,cpus=2-3,memory=2G",
            "--numa=distance,from=0,to=1,value=21",
            "--numa=access,from=0,to=0,latency=90,bandwidth=20G",
            "--numa=access,from=0,to=1,latency=140,bandwidth=10G",
        ],
    ),
    ("usb", &["--machine", "usb=on", "--disk", "0.raw"]),
    ("pcie", &["--machine", "pcie=on"]),
    ("pcie-no-ioapic2", &["--machine", "pcie=on,ioapic2=off"]),
    ("root-ports", &["--device=root-port,id=a", "--device=root-port,id=b", "--disk=0.raw,bus=nvme,port=b"]),
];

/// All machines, those with golden text first.
pub(super) fn cells() -> Vec<Cell> {
    golden().into_iter().chain(GRIDS.iter().flat_map(|axes| product(axes))).collect()
}

/// The machines with golden text.
pub(super) fn golden() -> Vec<Cell> {
    let cell = |&(name, args): &(&'static str, &'static [&str])| Cell {
        name: name.into(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        address_bits: ADDRESS_BITS,
        golden: Some(name),
    };
    GOLDEN.iter().map(cell).collect()
}

fn product(axes: &[&[Choice]]) -> Vec<Cell> {
    let none = Cell { name: String::new(), args: vec![], address_bits: ADDRESS_BITS, golden: None };
    axes.iter().fold(vec![none], |cells, axis| cells.iter().flat_map(|cell| along(cell, axis)).collect())
}

/// The cell with each choice of an axis.
fn along(cell: &Cell, axis: &[Choice]) -> Vec<Cell> {
    let with = |&(name, args): &Choice| {
        let gap = if cell.name.is_empty() || name.is_empty() { "" } else { ", " };
        let args = cell.args.iter().cloned().chain(args.iter().map(|&arg| arg.to_owned())).collect();
        Cell { name: format!("{}{gap}{name}", cell.name), args, ..cell.clone() }
    };
    axis.iter().map(with).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn cells_are_at_least_forty_and_each_has_its_own_name() {
        let cells = cells();
        let names: BTreeSet<_> = cells.iter().map(|cell| cell.name.as_str()).collect();
        assert!(cells.len() >= 40, "{}", cells.len());
        assert_eq!(names.len(), cells.len());
    }

    #[test]
    fn product_has_every_combination_once() {
        let cells = product(&[&[("a", &["-a"]), ("b", &[])], &[("c", &["-c"]), ("d", &["-d"])]]);
        let names: Vec<_> = cells.iter().map(|cell| cell.name.as_str()).collect();
        assert_eq!(names, ["a, c", "a, d", "b, c", "b, d"]);
        assert_eq!(cells[1].args, ["-a", "-d"]);
    }
}
