//! A firmware image: the bytes at the top of the first 4 GiB, checked before any machine is made of them.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Images come in blocks of this many bytes.
const GRANULE: u64 = 64 << 10;

/// The largest image: below it, KVM's own pages end at 0xff00_0000.
const MAX_LEN: u64 = 16 << 20;

/// How much of an image's end also shows below 1 MiB, where a processor in real mode can reach it.
const SHADOW_LEN: usize = 128 << 10;

/// The content of a firmware image, of a size that the machine can hold.
///
/// It stays as it was read: the guest writes to a copy, and every reset starts from this one again (SeaBIOS keeps
/// variables in its image, and takes stale ones for a resume).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareImage {
    bytes: Vec<u8>,
}

impl FirmwareImage {
    /// Reads the image at `path`.
    ///
    /// # Errors
    ///
    /// When there is no such file, it is no regular file, cannot be read, or has a size that no image has: nothing,
    /// not a multiple of 64 KiB, or more than 16 MiB.
    pub fn load(path: &Path) -> Result<Self, ImageError> {
        // Ask before opening: a pipe would block, a terminal would be read from.
        let metadata = path.metadata().map_err(|source| ImageError::opening(path, source))?;
        check_kind(path, &metadata)?;
        check_len(path, metadata.len())?;
        let file = File::open(path).map_err(|source| ImageError::opening(path, source))?;
        let mut bytes = Vec::new();
        // The file may grow meanwhile: one byte more than an image can have is enough to see that.
        let read = file.take(MAX_LEN + 1).read_to_end(&mut bytes);
        read.map_err(|source| ImageError::Read { path: path.into(), source })?;
        check_len(path, bytes.len() as u64)?;
        Ok(Self { bytes })
    }

    /// The whole image; its last byte belongs at 0xffff_ffff.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The end of the image that also shows below 1 MiB: its last 128 KiB, or all of it if it is smaller. Its last byte
    /// belongs at 0xf_ffff.
    #[must_use]
    pub fn shadow(&self) -> &[u8] {
        self.bytes.last_chunk::<SHADOW_LEN>().map_or(&self.bytes, |end| end.as_slice())
    }
}

fn check_kind(path: &Path, metadata: &Metadata) -> Result<(), ImageError> {
    if metadata.is_dir() {
        return Err(ImageError::Directory { path: path.into() });
    }
    if !metadata.is_file() {
        return Err(ImageError::Special { path: path.into() });
    }
    Ok(())
}

fn check_len(path: &Path, len: u64) -> Result<(), ImageError> {
    let path = || path.to_path_buf();
    match len {
        0 => Err(ImageError::Empty { path: path() }),
        len if len > MAX_LEN => Err(ImageError::TooLarge { path: path(), len }),
        len if len % GRANULE != 0 => Err(ImageError::Unaligned { path: path(), len }),
        _ => Ok(()),
    }
}

/// Why a file cannot be the firmware of a machine.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// There is no such file.
    #[error("there is no firmware image {}; `tinderbox firmware list` shows what is bundled", path.display())]
    Missing {
        /// As the user wrote it.
        path: PathBuf,
    },
    /// The file is there, but not for us.
    #[error("open firmware image {}", path.display())]
    Open {
        /// As the user wrote it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Reading stopped half-way.
    #[error("read firmware image {}", path.display())]
    Read {
        /// As the user wrote it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory.
    #[error("firmware image {} is a directory, name the image file in it", path.display())]
    Directory {
        /// As the user wrote it.
        path: PathBuf,
    },
    /// A device, a pipe or a socket.
    #[error("firmware image {} is a device, a pipe or a socket, copy the image to a regular file", path.display())]
    Special {
        /// As the user wrote it.
        path: PathBuf,
    },
    /// No bytes at all.
    #[error("firmware image {} is empty, build or copy it again", path.display())]
    Empty {
        /// As the user wrote it.
        path: PathBuf,
    },
    /// Not in whole blocks.
    #[error(
        "firmware image {} has {len} bytes, not a multiple of 64 KiB: it is cut short, or no firmware image",
        path.display()
    )]
    Unaligned {
        /// As the user wrote it.
        path: PathBuf,
        /// Its size in bytes.
        len: u64,
    },
    /// Larger than the space below 4 GiB.
    #[error(
        "firmware image {} has {len} bytes, more than the 16 MiB that this machine has room for: is it a disk image?",
        path.display()
    )]
    TooLarge {
        /// As the user wrote it.
        path: PathBuf,
        /// Its size in bytes.
        len: u64,
    },
}

impl ImageError {
    fn opening(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::Open { path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// What `load` makes of the file that `fill` fills.
    fn load_filled(fill: impl FnOnce(&File)) -> Result<FirmwareImage, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bios.bin");
        fill(&File::create(&path).unwrap());
        let image = FirmwareImage::load(&path);
        image.map_err(|error| error.to_string().replace(&*dir.path().to_string_lossy(), "DIR"))
    }

    fn load(bytes: &[u8]) -> Result<FirmwareImage, String> {
        load_filled(|mut file| file.write_all(bytes).unwrap())
    }

    fn load_sized(len: u64) -> Result<FirmwareImage, String> {
        load_filled(|file| file.set_len(len).unwrap())
    }

    #[test]
    fn image_of_one_block_is_its_own_shadow() {
        let bytes: Vec<u8> = (0..GRANULE).map(|at| at as u8).collect();

        let image = load(&bytes).unwrap();

        assert_eq!(image.bytes(), bytes);
        assert_eq!(image.shadow(), bytes);
    }

    #[test]
    fn shadow_of_a_large_image_is_its_last_128_kib() {
        let mut bytes = vec![1; 4 << 20];
        let end = bytes.len() - (128 << 10);
        bytes[end..].fill(2);

        let image = load(&bytes).unwrap();

        assert_eq!(image.shadow(), vec![2; 128 << 10]);
    }

    #[test]
    fn largest_image_is_taken() {
        assert_eq!(load_sized(MAX_LEN).unwrap().bytes().len(), 16 << 20);
    }

    #[test]
    fn empty_image_is_refused() {
        assert_eq!(load(&[]).unwrap_err(), "firmware image DIR/bios.bin is empty, build or copy it again");
    }

    #[test]
    fn image_cut_short_is_refused_with_its_size() {
        let message = load_sized(131_071).unwrap_err();

        assert_eq!(
            message,
            "firmware image DIR/bios.bin has 131071 bytes, not a multiple of 64 KiB: it is cut short, or no firmware image"
        );
    }

    #[test]
    fn image_above_16_mib_is_refused_with_its_real_size_and_not_read() {
        let message = load_sized(1 << 40).unwrap_err();

        assert_eq!(
            message,
            "firmware image DIR/bios.bin has 1099511627776 bytes, more than the 16 MiB that this machine has room for: \
             is it a disk image?"
        );
    }

    #[test]
    fn missing_image_points_to_the_list() {
        let message = FirmwareImage::load(Path::new("/nowhere/bios.bin")).unwrap_err().to_string();

        assert_eq!(
            message,
            "there is no firmware image /nowhere/bios.bin; `tinderbox firmware list` shows what is bundled"
        );
    }

    #[test]
    fn directory_is_refused_as_one() {
        let message = FirmwareImage::load(Path::new("/usr")).unwrap_err().to_string();

        assert_eq!(message, "firmware image /usr is a directory, name the image file in it");
    }

    #[test]
    fn endless_device_is_refused_unread() {
        let error = FirmwareImage::load(Path::new("/dev/zero")).unwrap_err();

        assert!(matches!(error, ImageError::Special { .. }), "{error}");
    }
}
