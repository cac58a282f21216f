//! The handle by which the machine plugs, unplugs and resets.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use super::shared::Shared;
use crate::{PlugError, UsbDevice};

/// A root hub port's number, from 1, as registers and drivers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u8);

/// Why a device cannot be plugged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// All ports of its kind are taken.
    #[error("all USB ports for a device of this speed are taken")]
    NoFreePort,
    /// The port is taken.
    #[error("USB port {} is taken", .0.0)]
    Taken(PortId),
    /// There is no such port.
    #[error("USB port {} does not exist", .0.0)]
    NoSuchPort(PortId),
    /// A USB 2 device in a USB 3 port or the other way round.
    #[error("USB port {} is for devices of another speed", .0.0)]
    WrongSpeed(PortId),
    /// There is no hub where the device is to be behind one.
    #[error("USB port {} leads to no hub", .0.0)]
    NoHub(PortId),
    /// The hub does not take it.
    #[error(transparent)]
    Hub(#[from] PlugError),
    /// The controller is shutting down.
    #[error("the USB controller is gone")]
    Gone,
}

/// What the machine asks of the worker.
pub(crate) enum Order {
    Attach {
        port: Option<PortId>,
        device: Box<dyn UsbDevice>,
        reply: Sender<Result<PortId, AttachError>>,
    },
    AttachBehind {
        port: PortId,
        path: Vec<u8>,
        device: Box<dyn UsbDevice>,
        reply: Sender<Result<(), AttachError>>,
    },
    Detach {
        port: PortId,
        path: Vec<u8>,
        reply: Sender<Option<Box<dyn UsbDevice>>>,
    },
    Reset {
        reply: Sender<()>,
    },
    Exit,
}

/// Plugs devices in and out while the machine runs. Calls wait for the worker, at most for one transfer; never make one from
/// a vCPU or from a device.
#[derive(Clone)]
pub struct Control {
    orders: Sender<Order>,
    shared: Arc<Shared>,
}

impl Control {
    pub(crate) fn new(orders: Sender<Order>, shared: Arc<Shared>) -> Self {
        Self { orders, shared }
    }

    /// Plugs `device` into `port`, or into the first free one for its speed; returns which.
    ///
    /// # Errors
    /// No such port is free; the device is dropped.
    pub fn attach(&self, port: Option<PortId>, device: Box<dyn UsbDevice>) -> Result<PortId, AttachError> {
        self.call(|reply| Order::Attach { port, device, reply }).unwrap_or(Err(AttachError::Gone))
    }

    /// Plugs `device` in behind the hub in `port`: `path` has the port of that hub, and of each hub behind it.
    ///
    /// # Errors
    /// There is no hub, or its port is not free; the device is dropped.
    pub fn attach_behind(
        &self,
        port: PortId,
        path: &[u8],
        device: Box<dyn UsbDevice>,
    ) -> Result<(), AttachError> {
        let path = path.to_vec();
        self.call(|reply| Order::AttachBehind { port, path, device, reply }).unwrap_or(Err(AttachError::Gone))
    }

    /// Pulls out what is in `port` and returns it. Transfers that it has not acknowledged fail.
    #[must_use]
    pub fn detach(&self, port: PortId) -> Option<Box<dyn UsbDevice>> {
        self.detach_behind(port, &[])
    }

    /// Pulls out what is at the end of `path` behind the hub in `port`, as [`detach`](Self::detach) does.
    #[must_use]
    pub fn detach_behind(&self, port: PortId, path: &[u8]) -> Option<Box<dyn UsbDevice>> {
        self.call(|reply| Order::Detach { port, path: path.to_vec(), reply }).flatten()
    }

    /// Power-on state of controller and devices, which stay plugged in.
    pub(crate) fn reset(&self) {
        let _ = self.call(|reply| Order::Reset { reply });
    }

    /// Ends the worker's thread.
    pub(crate) fn exit(&self) {
        if self.orders.send(Order::Exit).is_ok() {
            self.shared.wake();
        }
    }

    fn call<T>(&self, order: impl FnOnce(Sender<T>) -> Order) -> Option<T> {
        let (reply, answer) = channel();
        self.orders.send(order(reply)).ok()?;
        self.shared.wake();
        answer.recv().ok()
    }
}
