//! The firmware image that a configuration asks for.

use firmware::{Catalogue, CatalogueError, FirmwareImage, ImageError, OptionRomError, option_rom};

use crate::config::FirmwareChoice;

/// Why there is no firmware to start.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The bundle does not have it.
    #[error("--firmware")]
    Name(#[from] CatalogueError),
    /// The file is no firmware.
    #[error("--firmware")]
    Image(#[from] ImageError),
    /// The option ROM that it needs is none.
    #[error("--firmware")]
    OptionRom(#[from] OptionRomError),
}

/// Finds and reads the image that `choice` means, if any.
///
/// # Errors
/// If the bundle has no firmware of that name, or the file is not what a firmware image must be.
pub fn load(choice: &FirmwareChoice) -> Result<Option<FirmwareImage>, BundleError> {
    let image = match choice {
        FirmwareChoice::None => return Ok(None),
        FirmwareChoice::File(path) => FirmwareImage::load(path)?,
        FirmwareChoice::Named(name) => FirmwareImage::load(&Catalogue::standard().resolve(name)?.image)?,
    };
    Ok(Some(image))
}

/// Whether a firmware starts a kernel of the user's by an option ROM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeedsOptionRom {
    /// It does: SeaBIOS.
    Yes,
    /// It does so by itself: qboot.
    No,
    /// It is a file of the user's, of which nothing is known.
    Unknown,
}

/// Says how the firmware `choice` starts a kernel, and gives the option ROM, which firmware that does not need it ignores.
///
/// # Errors
/// If the firmware needs the option ROM and it is not there, or it is none.
pub fn option_rom(choice: &FirmwareChoice) -> Result<(NeedsOptionRom, Option<Vec<u8>>), BundleError> {
    let catalogue = Catalogue::standard();
    let (needs, rom) = match choice {
        FirmwareChoice::None => (NeedsOptionRom::No, None),
        FirmwareChoice::File(_) => (NeedsOptionRom::Unknown, catalogue.option_rom(option_rom::NAME).ok()),
        FirmwareChoice::Named(name) => match catalogue.resolve(name)?.option_roms.first() {
            Some(rom) => (NeedsOptionRom::Yes, Some(catalogue.option_rom(rom)?)),
            None => (NeedsOptionRom::No, None),
        },
    };
    Ok((needs, rom.map(|rom| option_rom::load(&rom.image)).transpose()?))
}
