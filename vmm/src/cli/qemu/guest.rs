//! `-uuid`, `-smbios`, `-fw_cfg` and `-name`: what the guest is told.

use super::opts::Opts;
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
            "fw_cfg" => self.0.fw_cfg.push(text.parse()?),
            // The name of the process and its windows, of which there are none.
            _ => Opts::parse(text, Some("guest")).finish_name()?,
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

impl Opts {
    fn finish_name(mut self) -> Result<(), Reason> {
        self.ignore(&["guest", "process", "debug-threads"]);
        self.finish()
    }
}
