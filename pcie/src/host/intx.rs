//! Interrupt pins: functions share four wires. PCIe 5.0, 2.2.8.1.

use std::sync::{Arc, Mutex, PoisonError};

use bus::{IrqLine, Message};

/// A level-triggered wire that is high while any of its inputs is.
pub(super) struct WiredOr {
    line: IrqLine,
    /// How many inputs are high.
    high: Mutex<usize>,
}

impl WiredOr {
    pub(super) fn new(line: IrqLine) -> Arc<Self> {
        Arc::new(Self { line, high: Mutex::new(0) })
    }

    /// A new input, low.
    pub(super) fn input(self: &Arc<Self>) -> IrqLine {
        let (wire, own) = (Arc::clone(self), Mutex::new(false));
        IrqLine::to_controller(move |level| {
            let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new = std::mem::replace(&mut *own, level) != level;
            if is_new { wire.change(level) } else { None }
        })
    }

    fn change(&self, rises: bool) -> Option<Message> {
        let mut high = self.high.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *high;
        *high = if rises { before + 1 } else { before.saturating_sub(1) };
        if (before > 0) != (*high > 0) { self.line.drive(*high > 0) } else { None }
    }
}

/// The wire that pin `pin` of `device` leads to on the other side of its bridge, or at a host bridge. PCIe 5.0, table 2-21.
pub(super) const fn swizzle(device: u8, pin: u8) -> u8 {
    (device + pin) % 4
}
