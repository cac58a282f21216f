//! The function that the guest sees.

use std::io;
use std::sync::Arc;

use bus::{Access, Refused};
use pcie::{ConfigSpace, Effect, Function, Mode};

use crate::events::Events;
use crate::host::CONFIG_REGION;
use crate::{HostFunction, LayoutError, layout};

/// The command register. PCIe 5.0, 7.5.1.1.3.
const COMMAND: u64 = 4;
const MEMORY: u16 = 1 << 1;
const BUS_MASTER: u16 = 1 << 2;
const NO_PIN: u16 = 1 << 10;

/// A function of the host's in a slot of the guest's.
pub struct PassThrough {
    // Fixed, and glue. The host stops signalling before the events go.
    host: Arc<dyn HostFunction>,
    events: Events,
    config: ConfigSpace,
    // Volatile: what the host's function was last told.
    told: Told,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    command: u16,
    messages: bool,
}

impl PassThrough {
    /// Shows `host` to the guest, reset and silent.
    ///
    /// # Errors
    /// Why it cannot be shown; or the host has no more descriptors or threads.
    pub fn new(host: Arc<dyn HostFunction>) -> Result<Self, NewError> {
        let config = layout::config_space(host.as_ref())?;
        let interrupts = config.interrupts().clone();
        let events = Events::watch(layout::vectors(host.as_ref()), interrupts).map_err(NewError::Events)?;
        let mut function = Self { host, events, config, told: Told::default() };
        function.begin();
        Ok(function)
    }

    /// As after power-on.
    fn begin(&mut self) {
        if self.told.messages {
            self.deliver(false);
        }
        self.host.reset();
        self.told = Told { command: MEMORY | NO_PIN, messages: false };
        self.host.write(CONFIG_REGION, COMMAND, &self.told.command.to_le_bytes());
    }

    /// Tells the host's function what the guest's driver has changed: whether it may use memory, and messages.
    fn follow(&mut self) {
        let interrupts = self.config.interrupts();
        let messages = interrupts.mode() == Mode::Msix;
        let master = if interrupts.is_bus_master() { BUS_MASTER } else { 0 };
        let command = MEMORY | NO_PIN | master;
        if command != self.told.command {
            self.host.write(CONFIG_REGION, COMMAND, &command.to_le_bytes());
        }
        if messages != self.told.messages {
            self.deliver(messages);
        }
        self.told = Told { command, messages };
    }

    fn deliver(&self, messages: bool) {
        let events = if messages { self.events.vectors() } else { Vec::new() };
        if let Err(error) = self.host.deliver(&events) {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, messages, "VFIO refuses to switch the interrupts of a host's function");
        }
    }
}

/// Why there is no function.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// It is not like the functions that can be shown.
    #[error("this function cannot be handed to the guest")]
    Layout(#[from] LayoutError),
    /// No descriptors or threads.
    #[error("watch its interrupts")]
    Events(#[source] io::Error),
}

impl Function for PassThrough {
    fn config(&mut self) -> &mut ConfigSpace {
        &mut self.config
    }

    fn read_bar(&mut self, bar: usize, at: Access) -> Result<u64, Refused> {
        let mut bytes = [0xff; 8];
        let wanted = bytes.get_mut(..at.width.len() as usize).ok_or(Refused)?;
        self.host.read(bar as u32, at.offset, wanted);
        Ok(u64::from_le_bytes(bytes) & at.width.ones())
    }

    fn write_bar(&mut self, bar: usize, at: Access, value: u64) -> Result<(), Refused> {
        let bytes = value.to_le_bytes();
        let data = bytes.get(..at.width.len() as usize).ok_or(Refused)?;
        self.host.write(bar as u32, at.offset, data);
        Ok(())
    }

    fn reset(&mut self) {
        self.begin();
    }

    fn write_config(&mut self, at: Access, value: u64) -> Effect {
        let effect = self.config.write(at, value);
        self.follow();
        effect
    }
}

impl Drop for PassThrough {
    fn drop(&mut self) {
        self.begin();
    }
}

#[cfg(test)]
mod tests;
