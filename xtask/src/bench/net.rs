//! `cargo xtask bench net`: a network interface on a tap interface of the host's, ours beside QEMU's.
//!
//! What the kernel's vhost-net does is counted as the VMM's CPU time where the kernel has its threads in the VMM's process (Linux 6.4).

use std::process::ExitCode;

use clap::ValueEnum;

use super::compare::{self, Common, words};
use super::workload::{Case, Workload};

/// Options of the verb.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Measure this way of the packets, repeatable [default: all]
    #[arg(long, value_enum)]
    way: Vec<Way>,
}

/// How packets go.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// virtio-mmio, by the VMM.
    Mmio,
    /// virtio-pci, by the VMM.
    Pci,
    /// virtio-mmio, by the kernel.
    Vhost,
}

/// The tap interface, which each VMM makes and takes with it, gets its address as soon as it is there. Then there is a server.
const BESIDE: &str = "until ip address add 10.98.9.1/24 dev tbench 2>/dev/null; do sleep 0.1; done; \
    ip link set tbench up; exec iperf3 -s -B 10.98.9.1 >/dev/null";

/// The guest's end, until the server answers.
const PREPARE: &str = "net=$(ls /sys/class/net | grep -v lo); ip address add 10.98.9.2/24 dev $net; ip link set $net up; \
    for n in $(seq 30); do iperf3 -c 10.98.9.1 -t 1 >/dev/null && break; sleep 1; done";

/// Does it.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    compare::run(&args.common, &args.way, Way::case)
}

impl Way {
    fn case(&self) -> Case {
        let (name, bus, device, vhost) = match self {
            Self::Mmio => ("virtio-mmio", "mmio", "virtio-net-device", "off"),
            Self::Pci => ("virtio-pci", "pci", "virtio-net-pci", "off"),
            Self::Vhost => ("virtio-mmio with vhost-net", "mmio", "virtio-net-device", "on"),
        };
        let ours = format!("tap,ifname=tbench,vhost={vhost}");
        let wire = format!("tap,id=n,ifname=tbench,script=no,downscript=no,vhost={vhost}");
        let mut qemu = words(&["-netdev", &wire, "-device", &format!("{device},netdev=n")]);
        if *self == Self::Pci {
            qemu.splice(0..0, words(&["-machine", "pcie=on"]));
        }
        Case {
            name: name.to_owned(),
            ours: words(&["--virtio-bus", bus, "--net", &ours]),
            qemu,
            disk_mib: 0,
            beside: Some(BESIDE.to_owned()),
            prepare: PREPARE.to_owned(),
            workloads: workloads(),
        }
    }
}

fn workloads() -> Vec<Workload> {
    let workload =
        |name: &str, command: &str| Workload { name: name.to_owned(), command: command.to_owned() };
    vec![
        workload("TCP to the host, 64 KiB an operation", &tcp("")),
        workload("TCP from the host, 64 KiB an operation", &tcp("-R")),
        // "N packets transmitted, N received, 0% packet loss, time Nms"
        workload(
            "round trips, one at a time",
            "ping -q -f -c 1000 10.98.9.1 | awk '/received/ { sub(\"ms\", \"\", $NF); print $4, $NF }'",
        ),
    ]
}

/// A stream for four seconds: what arrived of it, and how long that took.
fn tcp(direction: &str) -> String {
    format!(
        "iperf3 -c 10.98.9.1 -t 4 {direction} -J | perl -0ne '/\"sum_received\":\\s*{{[^}}]*?\"seconds\":\\s*([\\d.]+)\
         [^}}]*?\"bytes\":\\s*(\\d+)/ or exit 1; printf(\"%d %d\\n\", $2 / 65536, $1 * 1000)'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_get_the_same_device_and_wire() {
        let expected = [
            ("mmio", "vhost=off", "virtio-net-device,"),
            ("pci", "vhost=off", "virtio-net-pci,"),
            ("mmio", "vhost=on", "virtio-net-device,"),
        ];
        for (way, (bus, vhost, device)) in Way::value_variants().iter().zip(expected) {
            let Case { ours, qemu, .. } = way.case();
            assert_eq!(ours, ["--virtio-bus", bus, "--net", &format!("tap,ifname=tbench,{vhost}")]);
            assert!(
                qemu.iter().any(|word| word.ends_with(vhost) && word.contains("ifname=tbench")),
                "{qemu:?}"
            );
            assert!(qemu.last().is_some_and(|word| word.starts_with(device)), "{qemu:?}");
        }
    }

    #[test]
    fn what_iperf3_says_becomes_two_numbers() {
        let said = r#"{ "end": { "sum_sent": { "seconds": 9, "bytes": 1 }, "sum_received": {
            "start": 0, "end": 4.5, "seconds": 4.5, "bytes": 6553600, "bits_per_second": 1 } } }"#;
        let command = tcp("-R").replace("iperf3 -c 10.98.9.1 -t 4 -R -J", "printf %s \"$SAID\"");
        let output =
            std::process::Command::new("sh").args(["-c", &command]).env("SAID", said).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "100 4500\n");
    }
}
