//! ioeventfds that come and go with the BARs of PCI functions.

use std::sync::Arc;

use kvm_ioctls::{IoEventAddress, NoDatamatch, VmFd};
use pcie::DoorbellSink;
use vmm_sys_util::eventfd::EventFd;

/// Connects doorbells: any write to the address signals the event, without an exit.
pub struct Doorbells(Arc<VmFd>);

impl Doorbells {
    pub(super) fn new(vm: Arc<VmFd>) -> Self {
        Self(vm)
    }
}

/// Without its ioeventfd a doorbell still works: the write comes to the function, which rings it itself.
impl DoorbellSink for Doorbells {
    fn connect(&mut self, address: u64, event: &EventFd) {
        if let Err(error) = self.0.register_ioevent(event, &IoEventAddress::Mmio(address), NoDatamatch) {
            tracing::warn!(address, %error, "KVM refused an ioeventfd");
        }
    }

    fn disconnect(&mut self, address: u64, event: &EventFd) {
        if let Err(error) = self.0.unregister_ioevent(event, &IoEventAddress::Mmio(address), NoDatamatch) {
            tracing::warn!(address, %error, "KVM kept an ioeventfd");
        }
    }
}
