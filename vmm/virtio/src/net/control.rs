//! The control queue. virtio 1.2, 5.1.6.5.

use super::spec::{self, command};
use super::{Mac, Net};
use crate::{Chain, Features};

/// The longest command that anything is read of: class, command, and 64 bits.
const LEN: usize = 10;

impl Net {
    /// Carries out a command and writes what became of it; returns how many bytes that is.
    pub(super) fn control(&mut self, chain: &mut Chain<'_>) -> u32 {
        let mut bytes = [0; LEN];
        let len = chain.readable.copy_to(&mut bytes);
        let done = match bytes.get(..len) {
            Some([class, command, data @ ..]) => self.command(*class, *command, data).is_some(),
            _ => false,
        };
        chain.writable.copy_from(&[if done { command::OK } else { command::ERR }]) as u32
    }

    /// Carries out a command, if there is one of this kind.
    fn command(&mut self, class: u8, command: u8, data: &[u8]) -> Option<()> {
        match (class, command) {
            // Filters: the driver gets more than it asks for.
            (command::RX, 0..=command::RX_LAST)
            | (command::MAC, command::MAC_TABLE_SET)
            | (command::VLAN, 0..=command::VLAN_LAST) => {}
            (command::MAC, command::MAC_ADDR_SET) => self.config.mac = *data.first_chunk()?,
            (command::OFFLOADS, command::OFFLOADS_SET) => {
                let wanted = Features::from_bits(u64::from_le_bytes(*data.first_chunk()?));
                let possible = self.pairs.have_offloads() && spec::OFFLOADS.contains(wanted);
                possible.then(|| self.pairs.set_offloads(spec::guest_offloads(wanted)))?;
            }
            (command::QUEUES, command::QUEUES_SET) if self.multiqueue => {
                self.pairs.use_first(u16::from_le_bytes(*data.first_chunk()?))?;
            }
            _ => return None,
        }
        Some(())
    }

    /// The address that the driver uses now.
    #[must_use]
    pub fn mac(&self) -> Mac {
        Mac(self.config.mac)
    }
}
