//! What the guest is told that does not follow from its hardware.

use std::path::PathBuf;

use firmware::smbios::{Smbios, Uuid};

/// Identity and data for the guest's software.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestInfo {
    /// The machine's UUID.
    pub uuid: Option<Uuid>,
    /// What SMBIOS says, if any of it was asked for.
    pub smbios: Option<SmbiosConfig>,
    /// Files in fw_cfg, each name once.
    pub files: Vec<FwCfgFile>,
}

impl GuestInfo {
    /// Whether the guest gets SMBIOS structures of ours: it does to learn its UUID, too.
    #[must_use]
    pub fn has_smbios(&self) -> bool {
        self.uuid.is_some() || self.smbios.is_some()
    }
}

/// What SMBIOS says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmbiosConfig {
    /// Everything but the OEM strings, some of which are not read yet.
    pub names: Smbios,
    /// The OEM strings, none empty if given as text.
    pub oem_strings: Vec<Source>,
}

/// A file that the guest finds in fw_cfg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FwCfgFile {
    /// Its name there.
    pub name: String,
    /// What is in it.
    pub content: Source,
}

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Text(String),
    /// A file of the host, read when the machine starts.
    File(PathBuf),
}
