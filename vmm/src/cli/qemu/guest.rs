//! `-uuid`, `-smbios` and `-fw_cfg`: what the guest is told.

use super::{Reason, Wrong};
use crate::cli::guest_info::{GuestInfoArgs, GuestInfoError};
use crate::config::GuestInfo;

/// Identity and data for the guest.
#[derive(Default)]
pub(super) struct Guest(GuestInfoArgs);

impl Guest {
    /// Takes the option `name`.
    pub(super) fn option(&mut self, name: &str, text: &str) -> Result<(), Reason> {
        match name {
            "uuid" => self.0.uuid = Some(text.parse()?),
            "smbios" => self.0.smbios.push(text.parse()?),
            _ => self.0.fw_cfg.push(text.parse()?),
        }
        Ok(())
    }

    /// All of it together.
    pub(super) fn finish(self) -> Result<GuestInfo, Wrong> {
        self.0.merge().map_err(|error| match error {
            GuestInfoError::Repeated(name) => ("-fw_cfg", name, "it is given twice, give it once".into()),
            GuestInfoError::Smbios(error) => ("-smbios", "".into(), error.into()),
            GuestInfoError::TwoUuids => {
                ("-uuid", "".into(), "-smbios type=1,uuid= is given too, give one".into())
            }
        })
    }
}
