//! What the machine starts with: firmware at the reset vector, or a kernel at its entry point.

use firmware::FirmwareImage;

use super::plan::{Plan, PlanError};
use crate::boot::{Boot, BootError, Entry, Kernel, Ram};
use crate::bundle;
use crate::config::Config;
use crate::kvm::GuestRam;

/// What a configuration names, opened.
pub enum Start {
    /// Firmware, which finds everything else by itself.
    Firmware(FirmwareImage),
    /// A kernel alone.
    Kernel(Kernel),
}

impl Start {
    /// Opens what `config` starts with.
    ///
    /// # Errors
    /// When a file cannot be read, or is not what it should be.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        match (bundle::load(&config.firmware)?, &config.kernel) {
            (Some(image), _) => Ok(Self::Firmware(image)),
            (None, Some(kernel)) => Ok(Self::Kernel(Kernel::open(kernel)?)),
            (None, None) => Err(PlanError::NothingToStart.into()),
        }
    }

    /// Size of the firmware image in bytes, which the plan needs; 0 without one.
    #[must_use]
    pub fn firmware_len(&self) -> u64 {
        match self {
            Self::Firmware(image) => image.bytes().len() as u64,
            Self::Kernel(_) => 0,
        }
    }

    /// Decides where everything goes in the machine of `plan`.
    ///
    /// # Errors
    /// When a kernel does not fit.
    pub fn place(self, plan: &Plan) -> Result<Placed, BootError> {
        Ok(match self {
            Self::Firmware(image) => Placed::Firmware(image),
            Self::Kernel(kernel) => Placed::Kernel(kernel.boot(plan)?),
        })
    }
}

/// What the machine starts with, and where it goes.
pub enum Placed {
    /// The plan says where.
    Firmware(FirmwareImage),
    /// A kernel and what it is told.
    Kernel(Boot),
}

impl Placed {
    /// Puts it into memory, as at power-on.
    pub(super) fn write(&self, ram: &GuestRam, state: Ram) -> anyhow::Result<()> {
        match self {
            Self::Firmware(image) => Ok(ram.restore_firmware(image.bytes())?),
            Self::Kernel(boot) => Ok(boot.write(ram.memory(), state)?),
        }
    }

    /// The kernel, without firmware.
    #[must_use]
    pub const fn kernel(&self) -> Option<&Boot> {
        match self {
            Self::Firmware(_) => None,
            Self::Kernel(boot) => Some(boot),
        }
    }

    /// Where vCPU 0 starts, if not at the reset vector.
    pub(super) fn entry(&self) -> Option<&Entry> {
        self.kernel().map(Boot::entry)
    }
}
