//! A vector for each queue and one for the configuration; without MSI-X, the pin and the ISR status. virtio 1.2, 4.1.5.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pcie::{Interrupts, Mode};

use super::spec::{ISR_CONFIG, ISR_QUEUE, NO_VECTOR};
use crate::interrupt::{Cause, Interrupt};

/// What the driver chose, and what it has not seen.
struct State {
    config_vector: u16,
    queue_vectors: Vec<u16>,
    isr: u8,
}

/// How a device on PCI interrupts.
pub(super) struct Vectors {
    interrupts: Interrupts,
    /// How many vectors the function has.
    count: u16,
    state: Mutex<State>,
}

impl Vectors {
    /// No vector chosen, nothing pending.
    pub(super) fn new(interrupts: Interrupts, queues: u16, count: u16) -> Self {
        let queue_vectors = vec![NO_VECTOR; queues.into()];
        Self {
            interrupts,
            count,
            state: Mutex::new(State { config_vector: NO_VECTOR, queue_vectors, isr: 0 }),
        }
    }

    /// The vector of configuration changes.
    pub(super) fn config_vector(&self) -> u16 {
        self.lock().config_vector
    }

    /// Chooses it. A vector that does not exist is none, by which the driver sees that it failed.
    pub(super) fn set_config_vector(&self, vector: u16) {
        self.lock().config_vector = self.existing(vector);
    }

    /// The vector of `queue`.
    pub(super) fn queue_vector(&self, queue: u16) -> u16 {
        self.lock().queue_vectors.get(usize::from(queue)).copied().unwrap_or(NO_VECTOR)
    }

    /// Chooses it, as [`set_config_vector`](Self::set_config_vector).
    pub(super) fn set_queue_vector(&self, queue: u16, vector: u16) {
        let vector = self.existing(vector);
        if let Some(chosen) = self.lock().queue_vectors.get_mut(usize::from(queue)) {
            *chosen = vector;
        }
    }

    /// Reads the ISR status, which clears it and releases the pin. virtio 1.2, 4.1.4.5.1.
    pub(super) fn take_isr(&self) -> u8 {
        let mut state = self.lock();
        self.interrupts.set_pin(false);
        std::mem::take(&mut state.isr)
    }

    fn existing(&self, vector: u16) -> u16 {
        if vector < self.count { vector } else { NO_VECTOR }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interrupt for Vectors {
    /// The state stays locked meanwhile, so that pin and ISR status change together.
    fn raise(&self, cause: Cause) {
        let mut state = self.lock();
        let (vector, isr) = match cause {
            Cause::Used(queue) => (state.queue_vectors.get(usize::from(queue)).copied(), ISR_QUEUE),
            Cause::Config => (Some(state.config_vector), ISR_CONFIG),
        };
        match self.interrupts.mode() {
            Mode::Pin => {
                state.isr |= isr;
                self.interrupts.set_pin(true);
            }
            Mode::Msi(_) | Mode::Msix => vector.into_iter().for_each(|vector| self.interrupts.fire(vector)),
        }
    }

    fn clear(&self) {
        let mut state = self.lock();
        state.config_vector = NO_VECTOR;
        state.queue_vectors.fill(NO_VECTOR);
        state.isr = 0;
        self.interrupts.set_pin(false);
    }
}
