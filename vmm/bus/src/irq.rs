//! Interrupt wires and message-signalled interrupts.

use std::fmt;
use std::sync::Arc;

/// One interrupt wire, active high, shared by everybody who may drive it.
///
/// Cloning gives another handle on the same wire. The level is kept by the receiver.
#[derive(Clone)]
pub struct IrqLine(Arc<dyn Fn(bool) -> Option<Message> + Send + Sync>);

/// A message that an interrupt controller has yet to send for a wire that was driven.
#[must_use = "it is sent by `send`"]
pub struct Message {
    routes: Arc<dyn MsiRoutes>,
    gsi: u32,
}

impl Message {
    /// What `gsi` stands for in `routes`.
    pub fn new(routes: Arc<dyn MsiRoutes>, gsi: u32) -> Self {
        Self { routes, gsi }
    }

    /// Sends it.
    pub fn send(self) {
        self.routes.fire(self.gsi);
    }
}

impl IrqLine {
    /// A wire whose receiver is `set`, called with each new level (true = asserted).
    pub fn new(set: impl Fn(bool) + Send + Sync + 'static) -> Self {
        Self::to_controller(move |level| {
            set(level);
            None
        })
    }

    /// A wire whose receiver is `set`, called with each new level, which gives back the message that is to be sent then.
    pub fn to_controller(set: impl Fn(bool) -> Option<Message> + Send + Sync + 'static) -> Self {
        Self(Arc::new(set))
    }

    /// A wire that leads nowhere.
    #[must_use]
    pub fn unconnected() -> Self {
        Self::new(|_| {})
    }

    /// Drives the wire to `level`. Repeating a level is harmless.
    pub fn set(&self, level: bool) {
        if let Some(message) = self.drive(level) {
            message.send();
        }
    }

    /// The same, but for the message that the interrupt controller sends, if any. For those who drive it with a lock held: a
    /// message wakes a vCPU, which had better not find the lock taken.
    #[must_use = "the message is to be sent"]
    pub fn drive(&self, level: bool) -> Option<Message> {
        (self.0)(level)
    }

    /// Raises and lowers the wire: one edge.
    pub fn pulse(&self) {
        self.set(true);
        self.set(false);
    }
}

impl fmt::Debug for IrqLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IrqLine")
    }
}

/// A message-signalled interrupt: a 32-bit write that a local APIC understands (Intel SDM 3A, 11.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msi {
    /// Where the message is written, 0xFEEx_xxxx.
    pub address: u64,
    /// What is written: vector, delivery mode, trigger mode.
    pub data: u32,
}

/// Where an interrupt controller outside KVM leaves its messages; implemented by the machine.
pub trait MsiRoutes: Send + Sync {
    /// From now on `gsi` means `msi`, or nothing. Slow; called when the guest programs the controller.
    fn route(&self, gsi: u32, msi: Option<Msi>);

    /// Sends the message that `gsi` stands for. Fast, and callable from any thread.
    fn fire(&self, gsi: u32);
}
