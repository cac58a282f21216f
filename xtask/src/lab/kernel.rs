//! The emulated host's kernel, unpacked outside: what its own decompressor does in the emulator takes as long as the rest
//! of its start.
//!
//! A bzImage (Linux Documentation/arch/x86/boot.rst) holds the compressed ELF kernel; QEMU starts the bare ELF by its PVH
//! entry point.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::host;

/// `setup_sects`: sectors of real-mode code after the first.
const SETUP_SECTORS: usize = 0x1f1;
/// `header`: "HdrS".
const MAGIC: usize = 0x202;
/// `payload_offset`: from the end of the real-mode code. Protocol 2.08.
const PAYLOAD_OFFSET: usize = 0x248;
/// `payload_length`. Protocol 2.08.
const PAYLOAD_LENGTH: usize = 0x24c;
/// First bytes of an xz stream, which is how Debian compresses kernels.
const XZ: &[u8] = b"\xfd7zXZ\0";

/// Writes the ELF kernel in `bzimage` to `into`.
///
/// # Errors
///
/// When it is no such image, or not compressed with xz.
pub(crate) fn unpack(bzimage: &[u8], into: &File) -> anyhow::Result<()> {
    let payload = payload(bzimage).context("the kernel is no bzImage with an xz payload")?;
    host::ensure_packages("unpacking a kernel", &["xz-utils"])?;
    let mut compressed = tempfile::tempfile().context("create a temporary file")?;
    compressed.write_all(payload).and_then(|()| compressed.rewind()).context("write a temporary file")?;
    // The size of the kernel follows the stream: trailing garbage for xz.
    let status = Command::new("xz")
        .args(["--decompress", "--stdout", "--single-stream"])
        .stdin(Stdio::from(compressed))
        .stdout(into.try_clone().context("clone a descriptor")?)
        .status()
        .context("start xz")?;
    if !status.success() {
        bail!("unpack the kernel: xz ended with {status}");
    }
    Ok(())
}

fn payload(bzimage: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| Some(u32::from_le_bytes(bzimage.get(at..at + 4)?.try_into().ok()?) as usize);
    if bzimage.get(MAGIC..)?.get(..4)? != b"HdrS" {
        return None;
    }
    let protected_mode = (usize::from(*bzimage.get(SETUP_SECTORS)?) + 1) * 512;
    let start = protected_mode.checked_add(word(PAYLOAD_OFFSET)?)?;
    let payload = bzimage.get(start..)?.get(..word(PAYLOAD_LENGTH)?)?;
    payload.starts_with(XZ).then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image with one setup sector, whose payload is at offset 16 of the protected-mode code.
    fn bzimage(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 1024 + 16];
        image[SETUP_SECTORS] = 1;
        image[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
        image[PAYLOAD_OFFSET] = 16;
        image[PAYLOAD_LENGTH] = u8::try_from(payload.len()).unwrap();
        image.extend_from_slice(payload);
        image.extend_from_slice(b"after");
        image
    }

    #[test]
    fn payload_is_cut_out_exactly() {
        assert_eq!(payload(&bzimage(b"\xfd7zXZ\0stream")), Some(b"\xfd7zXZ\0stream".as_slice()));
    }

    #[test]
    fn payload_of_another_compressor_is_refused() {
        assert_eq!(payload(&bzimage(b"\x28\xb5\x2f\xfd")), None);
    }

    #[test]
    fn payload_beyond_the_end_is_refused() {
        let mut image = bzimage(b"\xfd7zXZ\0stream");
        image[PAYLOAD_LENGTH + 3] = 0xff;

        assert_eq!(payload(&image), None);
        assert_eq!(payload(&image[..300]), None);
    }
}
