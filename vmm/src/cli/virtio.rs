//! The virtio devices other than disks, each by its own option.

use clap::Args;

use crate::config::VirtioConfig;

/// Devices that guests have drivers for anyway.
#[derive(Args, Debug)]
#[command(next_help_heading = "Other devices")]
pub(crate) struct VirtioArgs {
    /// A source of random bytes, virtio-rng: for guests whose CPU has none, or that trust it not
    #[arg(long)]
    rng: bool,
}

impl VirtioArgs {
    /// The devices as described.
    pub(crate) fn into_config(self) -> VirtioConfig {
        VirtioConfig { rng: self.rng }
    }
}
