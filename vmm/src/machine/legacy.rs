//! The devices that a machine has by switch or on request: PIC, PIT, RTC, and ports that end or reset a session.

use std::sync::Arc;

use bus::IrqLine;
use chipset::exit::DebugExit;
use chipset::pic::{Half, Pic};
use chipset::pit::Pit;
use chipset::pvpanic::{PanicEvent, PvPanic};
use chipset::reset_port::{KeyboardReset, ResetControl};
use chipset::rtc::{RamSize, Rtc};
use chipset::test_device::{Latch, Lines, Memory};
use chipset::time::{Clock, SteadyClock};

use super::build::Builder;
use super::control::{Cause, Control, Event};
use super::plan::{ExtraPlan, Gsi, Range, TEST_LINES};
use super::timers::{Alarm, Timer};
use crate::config::{ExtraDevice, Irqchip};
use crate::kvm::VcpuWaker;

/// IRQs of the PIC, which reach the first IOAPIC as well.
const PIC_IRQS: Gsi = 16;

impl Builder<'_> {
    /// The PIC, unless KVM has it. `waker` is the first vCPU's, which takes its interrupts.
    pub(super) fn pic(&mut self, waker: VcpuWaker) -> anyhow::Result<()> {
        let Some(plan) = self.plan.pic.filter(|_| self.plan.irqchip == Irqchip::Split) else { return Ok(()) };
        let intr = IrqLine::new(move |level| {
            if level {
                waker.wake()
            }
        });
        let pic = Pic::new(intr);
        self.pio("pic1", plan.first, pic.ports(Half::First))?;
        self.pio("pic2", plan.second, pic.ports(Half::Second))?;
        self.pio("elcr", plan.elcr, pic.elcr())?;
        self.board.pic = Some(pic);
        Ok(())
    }

    /// The wire to `gsi`: to the PIC and to an IOAPIC, as far as there are inputs.
    pub(super) fn line(&self, gsi: Gsi) -> IrqLine {
        if let Some(line) = self.vm.line(gsi) {
            return line;
        }
        let pic = self.board.pic.as_ref().filter(|_| gsi < PIC_IRQS).and_then(|pic| pic.line(gsi));
        let ioapic = self.board.ioapics.iter().find_map(|ioapic| ioapic.line(ioapic_input(gsi)));
        match (pic, ioapic) {
            (Some(pic), Some(ioapic)) => IrqLine::to_controller(move |level| {
                pic.set(level);
                ioapic.drive(level)
            }),
            (Some(line), None) | (None, Some(line)) => line,
            (None, None) => IrqLine::unconnected(),
        }
    }

    /// PIT and RTC, which need a thread that knows the time; those in KVM do not. The RTC goes by `wall_clock`.
    pub(super) fn clocks(&mut self, alarm: &Alarm, wall_clock: Arc<dyn Clock>) -> anyhow::Result<Vec<Timer>> {
        let timers = [self.pit(alarm)?, self.rtc(alarm, wall_clock)?];
        Ok(timers.into_iter().flatten().collect())
    }

    fn pit(&mut self, alarm: &Alarm) -> anyhow::Result<Option<Timer>> {
        let Some(plan) = self.plan.pit.filter(|_| self.plan.irqchip == Irqchip::Split) else {
            return Ok(None);
        };
        let (clock, alarm): (Arc<dyn Clock>, _) = (Arc::new(SteadyClock::start()), alarm.clone());
        let pit = Pit::new(self.line(plan.gsi), clock.clone(), move || alarm.ring());
        let device = pit.timer();
        self.pio("pit", plan.ports, pit)?;
        Ok(Some(Timer { device, clock }))
    }

    fn rtc(&mut self, alarm: &Alarm, clock: Arc<dyn Clock>) -> anyhow::Result<Option<Timer>> {
        let Some(plan) = self.plan.rtc else { return Ok(None) };
        let alarm = alarm.clone();
        let high = self.plan.high_ram.map_or(0, |range| range.len);
        let ram = RamSize { low: self.plan.low_ram.len, high };
        let rtc = Rtc::new(self.line(plan.gsi), clock.clone(), ram, move || alarm.ring());
        let device = rtc.timer();
        self.pio("rtc", plan.ports, rtc)?;
        Ok(Some(Timer { device, clock }))
    }

    /// What was asked for by name.
    pub(super) fn extras(&mut self, control: &Arc<Control>) -> anyhow::Result<()> {
        let plan = self.plan;
        plan.extras.iter().try_for_each(|extra| self.extra(extra, Arc::clone(control)))
    }

    /// One of the two ranges of ports that the test device has.
    fn test_device(&mut self, ports: Range) -> anyhow::Result<()> {
        if ports == TEST_LINES {
            let lines = (0..ports.len as Gsi).map(|irq| self.line(irq)).collect();
            return self.pio("pc-testdev lines", ports, Lines::new(lines));
        }
        self.pio("pc-testdev", ports, Latch::default())?;
        let Some(memory) = self.plan.test_memory else { return Ok(()) };
        self.mmio("pc-testdev", memory, Memory::new(memory.len as usize))
    }

    fn extra(&mut self, plan: &ExtraPlan, control: Arc<Control>) -> anyhow::Result<()> {
        let reset = move |control: &Control, cause| control.ask(Event::Reset(cause));
        match plan.device {
            ExtraDevice::PvPanic => {
                self.pio("pvpanic", plan.ports, PvPanic::new(move |event| panicked(&control, event)))
            }
            ExtraDevice::DebugExit { .. } => {
                let exit = DebugExit::new(move |status| control.ask(Event::Exit(status)));
                self.pio("debug-exit", plan.ports, exit)
            }
            ExtraDevice::ResetPort => {
                let device = ResetControl::new(move || reset(&control, Cause::ResetPort));
                self.pio("reset-port", plan.ports, device)
            }
            ExtraDevice::TestDevice => self.test_device(plan.ports),
            ExtraDevice::GenerationId(_) | ExtraDevice::Xhci(_) => Ok(()), // no ports
            ExtraDevice::KeyboardReset => {
                let device = KeyboardReset::new(move || reset(&control, Cause::Keyboard));
                self.pio("keyboard-reset", plan.ports, device)
            }
        }
    }
}

/// IRQ 0 goes to input 2, because input 0 of a PC's IOAPIC has the PIC.
const fn ioapic_input(gsi: Gsi) -> Gsi {
    if gsi == 0 { 2 } else { gsi }
}

/// A guest that will write a dump is let alone.
fn panicked(control: &Control, event: PanicEvent) {
    match event {
        PanicEvent::Panicked => control.ask(Event::Panicked),
        PanicEvent::CrashLoaded => tracing::warn!("the guest panicked, and boots its crash kernel"),
    }
}
