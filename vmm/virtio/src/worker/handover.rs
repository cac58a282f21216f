//! The rings of a device whose queues are served outside, from the driver's set-up to the handover and back.

use std::io;

use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::EventFd;

use crate::outside::{Outside, OutsideQueue};
use crate::queue::{Ring, Setup, Suppression};
use crate::{Broken, Features};

/// A queue with the events that are handed over with it.
struct Slot {
    kick: EventFd,
    call: EventFd,
    /// Where the driver has its rings, if it has made them ready.
    rings: Option<Setup>,
    /// Somebody else serves it.
    taken: bool,
}

/// What is, or will be, in somebody else's hands.
pub(super) struct Handover {
    slots: Vec<Slot>,
    features: Features,
    given: bool,
}

impl Handover {
    /// What of a device's queues, which are kicked by `kicks`, is for `outside`.
    pub(super) fn new(kicks: &[EventFd], outside: &dyn Outside) -> io::Result<Self> {
        let slot = |(kick, index): (&EventFd, u16)| {
            Ok(Slot {
                kick: kick.try_clone()?,
                call: super::event()?,
                rings: None,
                taken: outside.takes(index),
            })
        };
        let slots = kicks.iter().zip(0..).map(slot).collect::<io::Result<_>>()?;
        Ok(Self { slots, features: Features::NONE, given: false })
    }

    /// The events to wait for: what the guest kicks, or, where somebody else is kicked, what calls the guest.
    pub(super) fn events(&self) -> Vec<&EventFd> {
        self.slots.iter().map(|slot| if slot.taken { &slot.call } else { &slot.kick }).collect()
    }

    /// Whether queue `index` is for somebody else.
    pub(super) fn takes(&self, index: usize) -> bool {
        self.slots.get(index).is_some_and(|slot| slot.taken)
    }

    /// Whether the queues are being served.
    pub(super) fn is_given(&self) -> bool {
        self.given
    }

    /// What the driver accepted.
    pub(super) fn accept(&mut self, features: Features) {
        self.features = features;
    }

    /// The driver has made queue `index` ready.
    pub(super) fn add(
        &mut self,
        index: u16,
        setup: &Setup,
        suppression: Suppression,
        memory: &GuestMemoryMmap,
    ) -> Result<(), Broken> {
        Ring::new(setup, suppression, memory).ok_or(Broken::Rings(index))?;
        if let Some(slot) = self.slots.get_mut(usize::from(index)) {
            slot.rings = Some(*setup);
        }
        Ok(())
    }

    /// The driver has made queue `index` no longer ready: the others, too, come back for a moment.
    pub(super) fn remove(
        &mut self,
        index: u16,
        outside: &mut dyn Outside,
        memory: &GuestMemoryMmap,
    ) -> Result<(), Broken> {
        let was_given = self.given;
        self.take_back(outside)?;
        if let Some(slot) = self.slots.get_mut(usize::from(index)) {
            slot.rings = None;
        }
        if was_given { self.give(outside, memory) } else { Ok(()) }
    }

    /// The driver is ready: hands everything over.
    pub(super) fn give(&mut self, outside: &mut dyn Outside, memory: &GuestMemoryMmap) -> Result<(), Broken> {
        let queues: Vec<_> =
            self.slots.iter().zip(0..).filter_map(|(slot, index)| slot.queue(index)).collect();
        if !self.given && !queues.is_empty() {
            self.given = true; // even if it fails half-way
            outside.start(memory, self.features, &queues).map_err(Broken::Outside)?;
        }
        Ok(())
    }

    /// Takes everything back.
    pub(super) fn take_back(&mut self, outside: &mut dyn Outside) -> Result<(), Broken> {
        if std::mem::take(&mut self.given) {
            outside.stop().map_err(Broken::Outside)?;
        }
        Ok(())
    }

    /// Takes everything back, and forgets it.
    pub(super) fn reset(&mut self, outside: &mut dyn Outside) {
        self.slots.iter_mut().for_each(|slot| slot.rings = None);
        // Who is gone serves nothing.
        if let Err(error) = self.take_back(outside) {
            tracing::debug!(error = &error as &dyn std::error::Error, "queues came back from nobody");
        }
    }
}

impl Slot {
    fn queue(&self, index: u16) -> Option<OutsideQueue<'_>> {
        let Setup { size, descriptors, driver, device } = self.rings?;
        let (kick, call) = (&self.kick, &self.call);
        Some(OutsideQueue { index, size: size as u16, descriptors, driver, device, kick, call })
    }
}
