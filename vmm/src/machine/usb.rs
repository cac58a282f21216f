//! The USB controllers: on the system bus, or as a PCI function.

use std::sync::Arc;

use anyhow::Context as _;
use usb::pci::XhciFunction;
use usb::xhci::{self, Xhci};

use super::build::{Builder, Machine};
use super::disks::Disk;
use super::drives::Drives;
use super::hands::Hands;
use super::usb_devices::UsbDevices;
use super::usb_plugs::Plugs;

impl Machine {
    /// The ports of the USB controller, if there is one.
    pub(super) fn plugs(&self) -> Option<Arc<Plugs>> {
        self.usb.as_ref().map(|usb| Arc::clone(&usb.plugs))
    }
}

/// What runs until the machine ends.
pub(super) struct Usb {
    _controllers: Vec<Xhci>,
    plugs: Arc<Plugs>,
}

impl Builder<'_> {
    /// The controllers of the plan, with `devices` plugged into the last of them, some under `hands`, and the function of the one on PCI.
    pub(super) fn usb(
        &mut self,
        devices: UsbDevices,
        disks: &[Disk],
        hands: Hands,
        drives: Arc<Drives>,
    ) -> anyhow::Result<(Option<Usb>, Option<XhciFunction>)> {
        let system = self.system_usb()?;
        let (on_pci, function) = self.pci_usb()?.unzip();
        let controllers: Vec<_> = system.into_iter().chain(on_pci).collect();
        let Some(last) = controllers.last() else { return Ok((None, None)) };
        let plugs = Arc::new(devices.plug(self.plan, disks, last.control(), hands, drives)?);
        Ok((Some(Usb { _controllers: controllers, plugs }), function))
    }

    /// The controller of `usb=on`.
    fn system_usb(&mut self) -> anyhow::Result<Option<Xhci>> {
        let Some(plan) = self.plan.usb else { return Ok(None) };
        let memory = self.ram.memory().clone();
        let interrupts = Box::new(self.line(plan.gsi));
        let started = Xhci::start(xhci::Config::default(), memory, interrupts);
        let (controller, registers) = started.context("start the USB controller")?;
        self.mmio("xhci", plan.mmio, registers)?;
        Ok(Some(controller))
    }

    /// The controller of `--device xhci`.
    fn pci_usb(&self) -> anyhow::Result<Option<(Xhci, XhciFunction)>> {
        let Some((_, messages)) = self.plan.pci_usb() else { return Ok(None) };
        let memory = self.ram.memory().clone();
        let started = XhciFunction::start(xhci::Config::default(), messages, memory);
        started.context("start the USB controller").map(Some)
    }
}
