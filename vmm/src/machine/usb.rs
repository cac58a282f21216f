//! The USB controller on the system bus.

use anyhow::Context as _;
use usb::xhci::{self, Xhci};

use super::build::{Builder, Machine};
use super::disks::Disk;
use super::remote::{Chord, Refused};
use super::usb_devices::{Hands, UsbDevices};

impl Machine {
    /// Presses keys of the first keyboard, and releases them.
    pub(super) fn type_chord(&self, chord: Chord) -> Result<(), Refused> {
        let hands = self.usb.as_ref().map(|(_, hands)| hands);
        if hands.is_some_and(|hands| hands.type_chord(chord)) { Ok(()) } else { Err(Refused::NoKeyboard) }
    }
}

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
