//! How a device asks for the driver's attention.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bus::IrqLine;

/// Why the driver should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// This queue has used buffers.
    Used(u16),
    /// Configuration or status changed.
    Config,
}

/// A transport's way to interrupt, called from the worker.
pub(crate) trait Interrupt: Send + Sync {
    /// Interrupts the guest.
    fn raise(&self, cause: Cause);

    /// Forgets all causes.
    fn clear(&self);
}

/// A level-triggered line that is high while the InterruptStatus register is not 0. virtio 1.2, 4.2.2.
///
/// The line is driven with the register's lock held: the worker's raise and the vCPU's acknowledgement reach the interrupt
/// controller in the order in which they changed the register. It is driven on changes alone, because each time costs a
/// trip through the interrupt controller. Its message leaves without the lock, for a vCPU that it wakes reads the register.
pub(crate) struct StatusLine {
    causes: Mutex<u32>,
    line: IrqLine,
}

impl StatusLine {
    /// Nothing pending, line low.
    pub(crate) fn new(line: IrqLine) -> Self {
        Self { causes: Mutex::new(0), line }
    }

    /// The InterruptStatus register.
    pub(crate) fn causes(&self) -> u32 {
        *self.lock()
    }

    /// The InterruptACK register: forgets the causes whose bits are set.
    pub(crate) fn acknowledge(&self, bits: u32) {
        self.update(|causes| causes & !bits);
    }

    fn update(&self, change: impl FnOnce(u32) -> u32) {
        let mut causes = self.lock();
        let before = *causes;
        *causes = change(before);
        let is_new = (before != 0) != (*causes != 0);
        let message = if is_new { self.line.drive(*causes != 0) } else { None };
        drop(causes);
        if let Some(message) = message {
            message.send();
        }
    }

    fn lock(&self) -> MutexGuard<'_, u32> {
        self.causes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interrupt for StatusLine {
    fn raise(&self, cause: Cause) {
        let bit = match cause {
            Cause::Used(_) => 1,
            Cause::Config => 2,
        };
        self.update(|causes| causes | bit);
    }

    fn clear(&self) {
        self.update(|_| 0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A line that keeps every level it is driven to.
    fn recorded() -> (StatusLine, Arc<Mutex<Vec<bool>>>) {
        let levels = Arc::new(Mutex::new(vec![]));
        let record = Arc::clone(&levels);
        (StatusLine::new(IrqLine::new(move |level| record.lock().unwrap().push(level))), levels)
    }

    #[test]
    fn line_is_high_until_every_cause_is_acknowledged() {
        let (line, levels) = recorded();
        line.raise(Cause::Used(0));
        line.raise(Cause::Config);
        assert_eq!(line.causes(), 3);
        line.acknowledge(1);
        assert_eq!(*levels.lock().unwrap(), [true]);
        line.acknowledge(2);
        assert_eq!(*levels.lock().unwrap(), [true, false]);
    }

    #[test]
    fn line_is_driven_on_changes_alone() {
        let (line, levels) = recorded();
        line.acknowledge(u32::MAX);
        line.clear();
        assert!(levels.lock().unwrap().is_empty());
        line.raise(Cause::Used(0));
        line.raise(Cause::Used(1));
        line.clear();
        assert_eq!(*levels.lock().unwrap(), [true, false]);
    }
}
