use std::fmt::Write as _;

use super::TransportPlan;
use crate::config::Config;

/// The whole command line of a kernel. Without ACPI Linux finds virtio-mmio devices only by it.
pub(super) fn kernel_cmdline(config: &Config, transports: &[TransportPlan]) -> Option<String> {
    let mut text = config.kernel.as_ref()?.cmdline.clone();
    if !config.options.has_acpi() && config.options.auto_kernel_cmdline.or(true) {
        for transport in transports.iter().filter(|transport| transport.device.is_some()) {
            let (len, start, gsi) = (transport.mmio.len, transport.mmio.start, transport.gsi);
            // Writing to a string cannot fail.
            let _ = write!(text, " virtio_mmio.device={len}@{start:#x}:{gsi}");
        }
    }
    Some(text)
}
