//! The interrupt controllers of a PC: two i8259A, and the registers that choose edge or level.
//!
//! ```text
//!  IRQ 0, 1, 3-7 ──────────────► first   ── INTR ──► whoever injects ExtINT into a vCPU, which then calls
//!                          2 ┌──► 0x20                IrqLine         Pic::acknowledge for the vector
//!  IRQ 8-15 ──► second 0xA0 ─┘
//! ```
//!
//! An input that is edge-triggered remembers the edge until it is acknowledged; one that is level-triggered requests as
//! long as it is high. Requests that are gone, or masked, between INTR and the acknowledgement become the spurious IRQ 7.
//! There is no spurious IRQ 15: the first controller sees at once what the second has to request, and both acknowledge in
//! one step, while in a PC the second can lose its request between the two pulses of the acknowledgement.
//!
//! A controller that no guest initialized has no vectors, and interrupts nobody. That matters, because the local APIC
//! passes ExtINT at power-on, and firmware for this machine leaves the controllers alone.
//!
//! Standards: Intel 8259A data sheet, 1988; ELCR as in Intel 82371AB. Left out: the modes for an 8080, buffered mode
//! (there are no buffers), ICW3 (the cascade is wired).

mod chip;
pub mod spec;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::{Access, Device, IrqLine, Refused};
use chip::Chip;
use spec::{CASCADE, ELCR_WRITABLE, INPUTS, SPURIOUS};

use crate::isa::byte_wide;

/// Both controllers, shared by their registers, their wires and whoever injects their interrupts.
pub struct Pic(Mutex<Pair>);

/// One of the two controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// At 0x20: IRQ 0 to 7, and the output.
    First,
    /// At 0xA0: IRQ 8 to 15.
    Second,
}

impl Pic {
    /// Controllers with all inputs low, which must be initialized.
    ///
    /// `intr` is driven with the lock held; its receiver does no more than note the level and wake a vCPU.
    #[must_use]
    pub fn new(intr: IrqLine) -> Arc<Self> {
        let chips = [Chip::new(1 << CASCADE), Chip::new(0)];
        Arc::new(Self(Mutex::new(Pair { intr, raised: false, chips })))
    }

    /// The registers of one controller, for the bus.
    #[must_use]
    pub fn ports(self: &Arc<Self>, half: Half) -> PicPorts {
        PicPorts { pic: self.clone(), half }
    }

    /// The edge/level control registers, for the bus.
    #[must_use]
    pub fn elcr(self: &Arc<Self>) -> Elcr {
        Elcr(self.clone())
    }

    /// The wire to the input of `irq`, 0 to 15. The cascade has none.
    #[must_use]
    pub fn line(self: &Arc<Self>, irq: u32) -> Option<IrqLine> {
        let irq = u8::try_from(irq).ok().filter(|&irq| irq < 2 * INPUTS && irq != CASCADE)?;
        let half = if irq < INPUTS { Half::First } else { Half::Second };
        let pic = self.clone();
        Some(IrqLine::new(move |high| pic.act(|pair| pair.chip(half).set_input(irq % INPUTS, high))))
    }

    /// Whether INTR is high.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.lock().raised
    }

    /// Acknowledges the interrupt of the highest priority and returns its vector; the spurious one if there is none.
    pub fn acknowledge(&self) -> u8 {
        self.act(Pair::acknowledge)
    }

    /// Lets somebody act, and drives the output.
    fn act<T>(&self, act: impl FnOnce(&mut Pair) -> T) -> T {
        let mut pair = self.lock();
        let result = act(&mut pair);
        pair.settle();
        result
    }

    fn lock(&self) -> MutexGuard<'_, Pair> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pic").field("is_pending", &self.is_pending()).finish_non_exhaustive()
    }
}

struct Pair {
    intr: IrqLine,
    /// The level of `intr`.
    raised: bool,
    chips: [Chip; 2],
}

impl Pair {
    fn chip(&mut self, half: Half) -> &mut Chip {
        &mut self.chips[half as usize]
    }

    fn acknowledge(&mut self) -> u8 {
        let [first, second] = &mut self.chips;
        let level = first.acknowledge();
        if level != Some(CASCADE) {
            return first.vector(level.unwrap_or(SPURIOUS));
        }
        let level = second.acknowledge();
        second.vector(level.unwrap_or(SPURIOUS))
    }

    /// Passes the request of the second controller to the first, and that of the first to the outside.
    fn settle(&mut self) {
        let [first, second] = &mut self.chips;
        first.set_input(CASCADE, second.request().is_some());
        let raised = first.request().is_some();
        if raised != self.raised {
            self.raised = raised;
            self.intr.set(raised);
        }
    }
}

/// The registers of one controller: [`spec::LEN`] ports.
#[derive(Debug)]
pub struct PicPorts {
    pic: Arc<Pic>,
    half: Half,
}

impl Device for PicPorts {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        let offset = byte_wide(at)?;
        Ok(self.pic.act(|pair| pair.chip(self.half).read(offset)).into())
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        let offset = byte_wide(at)?;
        self.pic.act(|pair| pair.chip(self.half).write(offset, value as u8));
        Ok(())
    }

    fn reset(&mut self) {
        self.pic.act(|pair| pair.chip(self.half).reset());
    }
}

/// The edge/level control registers: [`spec::ELCR_LEN`] ports.
#[derive(Debug)]
pub struct Elcr(Arc<Pic>);

impl Device for Elcr {
    fn read(&mut self, at: Access) -> Result<u64, Refused> {
        let half = controlled(at)?;
        Ok(self.0.act(|pair| pair.chip(half).elcr()).into())
    }

    fn write(&mut self, at: Access, value: u64) -> Result<(), Refused> {
        let half = controlled(at)?;
        let elcr = value as u8 & ELCR_WRITABLE[half as usize];
        self.0.act(|pair| pair.chip(half).set_elcr(elcr));
        Ok(())
    }

    /// All inputs are edge-triggered.
    fn reset(&mut self) {
        self.0.act(|pair| pair.chips.iter_mut().for_each(|chip| chip.set_elcr(0)));
    }
}

/// The controller whose edge/level control register is accessed.
fn controlled(at: Access) -> Result<Half, Refused> {
    Ok(if byte_wide(at)? == 0 { Half::First } else { Half::Second })
}
