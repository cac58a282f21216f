//! The option ROM by which a BIOS starts a kernel that fw_cfg holds. PnP BIOS Specification 1.0A, 3.1.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::boot_order::BootDevice;

/// Name of the fw_cfg file. SeaBIOS runs every file below `genroms/`.
pub const FILE: &str = "genroms/linuxboot.bin";

/// Its line in the boot order.
pub const BOOT_DEVICE: BootDevice = BootDevice::OptionRom { file: FILE };

/// Which of the bundle it is.
pub const NAME: &str = "linuxboot";

const BLOCK: usize = 512;

/// Reads the ROM at `path`.
///
/// # Errors
/// When it cannot be read, or is no option ROM.
pub fn load(path: &Path) -> Result<Vec<u8>, OptionRomError> {
    let rom = fs::read(path).map_err(|source| OptionRomError::Read { path: path.into(), source })?;
    match rom.as_slice() {
        [0x55, 0xaa, blocks, ..] if usize::from(*blocks) * BLOCK == rom.len() => Ok(rom),
        _ => Err(OptionRomError::Malformed { path: path.into() }),
    }
}

/// Why there is no option ROM.
#[derive(Debug, thiserror::Error)]
pub enum OptionRomError {
    /// The file is not there, or not for us.
    #[error("read option ROM {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No signature, or another length than it says.
    #[error("{} is no option ROM, build it again with `cargo xtask firmware build {NAME}`", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_bytes(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        load(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn rom_is_taken_if_it_is_as_long_as_it_says() {
        let mut rom = vec![0; 1024];
        rom[..3].copy_from_slice(&[0x55, 0xaa, 2]);

        assert_eq!(load_bytes(&rom), Ok(rom.clone()));
        rom.truncate(1023);
        assert!(load_bytes(&rom).unwrap_err().contains("is no option ROM, build it again"));
    }

    #[test]
    fn other_files_are_refused() {
        assert!(load_bytes(&[]).is_err());
        assert!(load_bytes(&[0x55, 0xaa]).is_err());
        assert!(load_bytes(&[0; 512]).is_err());
    }
}
