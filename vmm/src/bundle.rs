//! The firmware image that a configuration asks for.

use firmware::{Catalogue, CatalogueError, FirmwareImage, ImageError};

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
