//! What the machine starts with: firmware at the reset vector, or a kernel at its entry point.

use firmware::FirmwareImage;
use firmware::smbios::Tables;

use super::plan::{Plan, PlanError};
use crate::boot::{Boot, BootError, Entry, Handover, HandoverFormat, Kernel, Ram};
use crate::bundle::{self, NeedsOptionRom};
use crate::config::{Config, KernelConfig};
use crate::kvm::GuestRam;

/// What a configuration names, opened.
pub enum Start {
    /// Firmware, which finds everything else by itself, except for a kernel of the user's.
    Firmware(FirmwareImage, Option<Handed>),
    /// A kernel alone.
    Kernel(Kernel),
}

/// A kernel for firmware.
pub struct Handed {
    kernel: Kernel,
    needs: NeedsOptionRom,
    option_rom: Option<Vec<u8>>,
}

impl Handed {
    fn open(kernel: &KernelConfig, config: &Config) -> anyhow::Result<Self> {
        let kernel = Kernel::open(kernel)?;
        let (needs, option_rom) = bundle::option_rom(&config.firmware)?;
        let option_rom = option_rom.filter(|_| config.options.option_roms.or(true));
        Ok(Self { kernel, needs, option_rom })
    }

    fn place(self, plan: &Plan) -> Result<Handover, BootError> {
        let handover = self.kernel.hand_over(plan)?;
        if self.needs == NeedsOptionRom::Yes && handover.format() != HandoverFormat::BzImage {
            return Err(self.kernel.not_for_bios());
        }
        Ok(handover.with_option_rom(self.option_rom))
    }
}

impl Start {
    /// Opens what `config` starts with.
    ///
    /// # Errors
    /// When a file cannot be read, or is not what it should be.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        match (bundle::load(&config.firmware)?, &config.kernel) {
            (Some(image), kernel) => {
                let kernel = kernel.as_ref().map(|kernel| Handed::open(kernel, config));
                Ok(Self::Firmware(image, kernel.transpose()?))
            }
            (None, Some(kernel)) => Ok(Self::Kernel(Kernel::open(kernel)?)),
            (None, None) => Err(PlanError::NothingToStart.into()),
        }
    }

    /// Size of the firmware image in bytes, which the plan needs; 0 without one.
    #[must_use]
    pub fn firmware_len(&self) -> u64 {
        match self {
            Self::Firmware(image, _) => image.bytes().len() as u64,
            Self::Kernel(_) => 0,
        }
    }

    /// Decides where everything goes in the machine of `plan`.
    ///
    /// # Errors
    /// When a kernel does not fit.
    pub fn place(self, plan: &Plan) -> Result<Placed, BootError> {
        Ok(match self {
            Self::Firmware(image, kernel) => {
                Placed::Firmware(image, kernel.map(|kernel| kernel.place(plan)).transpose()?)
            }
            Self::Kernel(kernel) => Placed::Kernel(kernel.boot(plan)?),
        })
    }
}

/// What the machine starts with, and where it goes.
pub enum Placed {
    /// The plan says where; and what it is told of a kernel.
    Firmware(FirmwareImage, Option<Handover>),
    /// A kernel and what it is told.
    Kernel(Boot),
}

impl Placed {
    /// Puts it into memory, as at power-on.
    pub(super) fn write(&self, ram: &GuestRam, state: Ram) -> anyhow::Result<()> {
        match self {
            Self::Firmware(image, kernel) => {
                ram.restore_firmware(image.bytes())?;
                Ok(kernel.as_ref().map_or(Ok(()), |kernel| kernel.write(ram.memory(), state))?)
            }
            Self::Kernel(boot) => Ok(boot.write(ram.memory(), state)?),
        }
    }

    /// The kernel, without firmware.
    #[must_use]
    pub const fn kernel(&self) -> Option<&Boot> {
        match self {
            Self::Firmware(..) => None,
            Self::Kernel(boot) => Some(boot),
        }
    }

    /// The kernel that firmware starts.
    pub(super) const fn handover(&mut self) -> Option<&mut Handover> {
        match self {
            Self::Firmware(_, kernel) => kernel.as_mut(),
            Self::Kernel(_) => None,
        }
    }

    /// Adds the structures of SMBIOS, where no firmware would.
    pub(super) fn describe(&mut self, tables: &Tables) {
        if let Self::Kernel(boot) = self {
            boot.describe(tables);
        }
    }

    /// Where vCPU 0 starts, if not at the reset vector.
    pub(super) fn entry(&self) -> Option<&Entry> {
        self.kernel().map(Boot::entry)
    }
}
