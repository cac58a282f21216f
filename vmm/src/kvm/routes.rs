//! GSI routing: what message an interrupt input stands for, and the eventfd that sends it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bus::{Msi, MsiRoutes};
use kvm_bindings::{KVM_IRQ_ROUTING_MSI, KvmIrqRouting, kvm_irq_routing_entry};
use kvm_ioctls::VmFd;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// The routes of one VM: each GSI is an MSI, fired through an irqfd.
pub struct Routes {
    vm: Arc<VmFd>,
    /// How the controllers in KVM are wired, which is told with the messages each time.
    wiring: Vec<kvm_irq_routing_entry>,
    /// Whether the messages name APIC ids of more than eight bits.
    wide: bool,
    messages: Mutex<BTreeMap<u32, Msi>>,
    /// Complete before the guest starts, so that nobody waits for the lock.
    irqfds: RwLock<BTreeMap<u32, EventFd>>,
}

impl Routes {
    pub(super) fn new(vm: Arc<VmFd>, wiring: Vec<kvm_irq_routing_entry>, wide: bool) -> Self {
        Self { vm, wiring, wide, messages: Mutex::default(), irqfds: RwLock::default() }
    }

    /// Adds an irqfd for each of `gsis`; others cannot fire.
    ///
    /// # Errors
    /// When the host has no more eventfds, or KVM refuses.
    pub fn connect(&self, gsis: impl Iterator<Item = u32>) -> io::Result<()> {
        for gsi in gsis {
            let event = EventFd::new(EFD_NONBLOCK)?;
            self.vm.register_irqfd(&event, gsi)?;
            self.irqfds.write().unwrap_or_else(PoisonError::into_inner).insert(gsi, event);
        }
        Ok(())
    }
}

impl MsiRoutes for Routes {
    fn route(&self, gsi: u32, msi: Option<Msi>) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        match msi {
            Some(msi) => messages.insert(gsi, msi),
            None => messages.remove(&gsi),
        };
        let messages =
            messages.iter().map(|(&gsi, &msi)| entry(gsi, if self.wide { widened(msi) } else { msi }));
        let entries: Vec<_> = self.wiring.iter().copied().chain(messages).collect();
        let result = KvmIrqRouting::from_entries(&entries)
            .map_err(|error| format!("{error:?}"))
            .and_then(|table| self.vm.set_gsi_routing(&table).map_err(|error| error.to_string()));
        if let Err(error) = result {
            tracing::error!(gsi, error, "KVM refused the interrupt routes");
        }
    }

    fn fire(&self, gsi: u32) {
        // The counter of an eventfd that KVM drains cannot overflow; without the fd nobody listens.
        if let Some(event) = self.irqfds.read().unwrap_or_else(PoisonError::into_inner).get(&gsi) {
            let _ = event.write(1);
        }
    }
}

/// A guest of KVM's has bits 14:8 of the APIC id in bits 11:5 of the address; KVM wants the id's upper bits in the upper half.
fn widened(msi: Msi) -> Msi {
    const EXTENSION: u64 = 0x7f << 5;
    let id = (msi.address & EXTENSION) >> 5;
    Msi { address: msi.address & !EXTENSION | id << 40, ..msi }
}

fn entry(gsi: u32, msi: Msi) -> kvm_irq_routing_entry {
    let mut entry = kvm_irq_routing_entry { gsi, type_: KVM_IRQ_ROUTING_MSI, ..Default::default() };
    entry.u.msi.address_lo = msi.address as u32;
    entry.u.msi.address_hi = (msi.address >> 32) as u32;
    entry.u.msi.data = msi.data;
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_bits_of_the_apic_id_move_to_the_upper_half_of_the_address() {
        let msi = |address| Msi { address, data: 0x31 };
        assert_eq!(widened(msi(0xfee1_f020)), msi(0x100_fee1_f000)); // id 0x11f
        assert_eq!(widened(msi(0xfeea_5004)), msi(0xfeea_5004));
    }
}
