//! The root hub: what is plugged in, and where.

use crate::xhci::Config;
use crate::xhci::control::{AttachError, PortId};
use crate::xhci::port::Protocol;
use crate::xhci::shared::Shared;
use crate::{Hub, Speed, UsbDevice, Waker};
use std::sync::Arc;

/// Hubs between the root and a device, at most. xHCI 1.2, 8.9.
const TIERS: u32 = 5;

/// Devices by port index.
pub(super) struct RootHub(Vec<(Protocol, Option<Box<dyn UsbDevice>>)>);

impl RootHub {
    pub(super) fn new(config: &Config) -> Self {
        Self(config.protocols().map(|protocol| (protocol, None)).collect())
    }

    /// Plugs a device in; returns the port's index.
    pub(super) fn attach(
        &mut self,
        shared: &Arc<Shared>,
        port: Option<PortId>,
        mut device: Box<dyn UsbDevice>,
    ) -> Result<usize, AttachError> {
        let protocol = Protocol::of(device.speed());
        let index = match port {
            Some(port) => self.check(port, protocol)?,
            None => self
                .0
                .iter()
                .position(|(p, d)| *p == protocol && d.is_none())
                .ok_or(AttachError::NoFreePort)?,
        };
        let shared = Arc::clone(shared);
        device.attach(Waker::new(move || shared.tell(index)));
        if let Some((_, place)) = self.0.get_mut(index) {
            *place = Some(device);
        }
        Ok(index)
    }

    fn check(&self, port: PortId, protocol: Protocol) -> Result<usize, AttachError> {
        let index = usize::from(port.0).wrapping_sub(1);
        match self.0.get(index) {
            None => Err(AttachError::NoSuchPort(port)),
            Some((_, Some(_))) => Err(AttachError::Taken(port)),
            Some((other, None)) if *other != protocol => Err(AttachError::WrongSpeed(port)),
            Some(_) => Ok(index),
        }
    }

    pub(super) fn detach(&mut self, index: usize) -> Option<Box<dyn UsbDevice>> {
        self.0.get_mut(index)?.1.take()
    }

    /// The device at the end of `route`, which has a hub's port in each 4 bits. USB 3.2, 8.9.
    pub(super) fn find(&mut self, index: usize, route: u32) -> Option<&mut dyn UsbDevice> {
        let mut device: &mut dyn UsbDevice = self.0.get_mut(index)?.1.as_deref_mut()?;
        for tier in 0..TIERS {
            match (route >> (4 * tier) & 0xf) as u8 {
                0 => break,
                port => device = device.downstream(port)?,
            }
        }
        Some(device)
    }

    /// The last hub of `path` behind root port `port`, and the port of it that ends the path.
    pub(super) fn hub_before(&mut self, port: PortId, path: &[u8]) -> Option<(&mut Hub, u8)> {
        let index = usize::from(port.0).checked_sub(1)?;
        let (&last, between) = path.split_last()?;
        let mut hub = self.0.get_mut(index)?.1.as_deref_mut()?.as_hub()?;
        for &number in between {
            hub = hub.hub_in(number)?;
        }
        Some((hub, last))
    }

    pub(super) fn reset_devices(&mut self) {
        self.0.iter_mut().filter_map(|(_, device)| device.as_mut()).for_each(|device| device.reset());
    }

    /// Port index and speed of each device.
    pub(super) fn speeds(&self) -> impl Iterator<Item = (usize, Speed)> {
        let ports = (0..).zip(&self.0);
        ports.filter_map(|(index, (_, device))| Some((index, device.as_ref()?.speed())))
    }
}
