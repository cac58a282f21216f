//! The USB controller on the system bus.

use anyhow::Context as _;
use usb::xhci::{self, Xhci};

use super::build::Builder;
use super::disks::Disk;
use super::usb_devices::{Hands, UsbDevices};

impl Builder<'_> {
    /// The controller of `usb=on`, with `devices` plugged in.
    pub(super) fn usb(
        &mut self,
        devices: UsbDevices,
        disks: &[Disk],
    ) -> anyhow::Result<Option<(Xhci, Hands)>> {
        let Some(plan) = self.plan.usb else { return Ok(None) };
        let memory = self.ram.memory().clone();
        let interrupts = Box::new(self.line(plan.gsi));
        let started = Xhci::start(xhci::Config::default(), memory, interrupts);
        let (controller, registers) = started.context("start the USB controller")?;
        self.mmio("xhci", plan.mmio, registers)?;
        let hands = devices.plug(self.plan, disks, controller.control())?;
        Ok(Some((controller, hands)))
    }
}
