//! The virtio devices other than disks, each by its own option.

use clap::Args;

use super::net::NET;
use crate::config::{NetConfig, VirtioConfig};

/// Devices that guests have drivers for anyway.
#[derive(Args, Debug)]
#[command(next_help_heading = "Network and other devices")]
pub(crate) struct VirtioArgs {
    /// A network interface, repeatable. passt gives it the host's network without root; PORTS are passt's, such as 2222:22, a
    /// comma written twice
    #[arg(long = "net", value_name = NET)]
    nets: Vec<NetConfig>,
    /// A source of random bytes, virtio-rng: for guests whose CPU has none, or that trust it not
    #[arg(long)]
    rng: bool,
}

impl VirtioArgs {
    /// The devices as described.
    pub(crate) fn into_config(self) -> VirtioConfig {
        VirtioConfig { nets: self.nets, rng: self.rng }
    }
}
