//! `cargo xtask bench`: ours beside QEMU's microvm, on the same firmware, disk and memory, in one run.
//!
//! ```text
//!  boot.rs   builds all parts ── job.json ──► itself, on a host with /dev/kvm (the lab, if need be)
//!                                               │  measure.rs: one boot after the other, in turn
//!  report.rs two columns and their ratio        │    vmm.rs      the two command lines
//!      ▲                                        │    serial.rs   when did it print what
//!      └────────────── result.json ◄────────────┘    tracing.rs  the kernel's own view: first entry, exits by reason
//!                                                    memory.rs   what is resident beside guest RAM
//! ```
//!
//! Both programs are seen by one instrument, the kernel's tracing, and by what their guests print. Neither knows.
//!
//! Devices at work are compared in the same way: `block.rs`, `net.rs` and `usb.rs` list cases for `compare.rs`, `workload.rs` measures them by the
//! shells (`shell.rs`) of guests that boot as for `bench direct`, and `rates.rs` shows operations per second and what each
//! operation costs.

mod block;
mod boot;
mod compare;
mod measure;
mod memory;
mod net;
mod rates;
mod report;
mod serial;
mod shell;
mod tracing;
mod usb;
mod vmm;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use boot::Way;

/// Options of the verb.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// From the start of the process to userspace: times, KVM exits, resident memory
    Boot(boot::Args),
    /// The same for a kernel that is given to the VMM: ours without firmware, QEMU's by qboot
    Direct(boot::Args),
    /// A disk on virtio-mmio, virtio-pci and NVMe: operations per second, KVM exits and CPU time per operation
    Block(block::Args),
    /// A network interface on a tap interface, by the VMM and by vhost-net: streams and round trips, the same numbers
    Net(net::Args),
    /// A USB disk by bulk-only transport and by UAS, on a controller on PCI: the same numbers
    Usb(usb::Args),
    /// Do the job in this file: how verbs call themselves in the lab
    #[command(hide = true)]
    Workload {
        #[arg(long, value_name = "FILE")]
        inside: PathBuf,
    },
}

/// Does it.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Boot(args) => boot::run(&args, Way::Boot),
        What::Direct(args) => boot::run(&args, Way::Direct),
        What::Block(args) => block::run(&args),
        What::Net(args) => net::run(&args),
        What::Usb(args) => usb::run(&args),
        What::Workload { inside } => workload::run_file(&inside).map(|()| ExitCode::SUCCESS),
    }
}
