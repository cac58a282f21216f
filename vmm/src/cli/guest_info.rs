//! `--uuid`, `--smbios` and `--fw-cfg`: what the guest's software is told.

use clap::Args;
use firmware::smbios::Uuid;

use super::failure::Failure;
use super::smbios::{self, SmbiosError, SmbiosOption};
use crate::config::{FwCfgFile, GuestInfo};

/// Identity and data for the guest.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "What the guest is told")]
pub(crate) struct GuestInfoArgs {
    /// The machine's UUID, in SMBIOS and fw_cfg
    #[arg(long, value_name = "UUID")]
    pub(super) uuid: Option<Uuid>,
    /// Strings of an SMBIOS structure (types 0, 1, 3, 4, 11, 17), repeatable; a systemd credential is
    /// type=11,value=io.systemd.credential:NAME=TEXT
    #[arg(long, value_name = "type=N,KEY=VALUE…")]
    pub(super) smbios: Vec<SmbiosOption>,
    /// A file in fw_cfg, repeatable; Linux shows it in /sys/firmware/qemu_fw_cfg
    #[arg(long, value_name = "name=opt/NAME,string=TEXT|file=PATH")]
    pub(super) fw_cfg: Vec<FwCfgFile>,
}

impl GuestInfoArgs {
    /// All options together.
    ///
    /// # Errors
    /// When two of them say the same thing.
    pub(crate) fn into_guest_info(self) -> Result<GuestInfo, Failure> {
        self.merge().map_err(|error| Failure::Usage(error.to_string()))
    }

    /// As [`Self::into_guest_info`], whatever the options are called.
    pub(super) fn merge(self) -> Result<GuestInfo, GuestInfoError> {
        let Self { uuid, smbios, fw_cfg: files } = self;
        if let Some(name) = repeated(&files) {
            return Err(GuestInfoError::Repeated(name.into()));
        }
        let mut info = smbios::merge(&smbios)?;
        if uuid.is_some() && info.uuid.is_some() {
            return Err(GuestInfoError::TwoUuids);
        }
        info.uuid = info.uuid.or(uuid);
        info.files = files;
        Ok(info)
    }
}

/// Why options do not go together.
#[derive(Debug, thiserror::Error)]
pub(super) enum GuestInfoError {
    /// A name for the second time.
    #[error("--fw-cfg {0} is given twice, give it once")]
    Repeated(String),
    /// Two say the same thing.
    #[error("--smbios {0}")]
    Smbios(#[from] SmbiosError),
    /// A UUID in two places.
    #[error("--uuid and --smbios type=1,uuid= are both given, give one")]
    TwoUuids,
}

/// The first name that a file before it has.
fn repeated(files: &[FwCfgFile]) -> Option<&str> {
    let mut earlier = Vec::new();
    files.iter().map(|file| file.name.as_str()).find(|name| {
        let known = earlier.contains(name);
        earlier.push(*name);
        known
    })
}
