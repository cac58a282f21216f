//! Disks for tests, each made for one test in its own folder.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::guest;

const SECTOR: usize = 512;

/// Has qemu-img do `args`, words with a space between, in `dir`; gives what it prints.
///
/// # Errors
/// When it fails.
pub fn qemu_img(dir: &Path, args: &str) -> anyhow::Result<String> {
    let output = Command::new("qemu-img").args(args.split(' ')).current_dir(dir).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "qemu-img {args}: {text} {}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

/// A disk whose boot sector is `guest/boot.S`.
pub struct BootSector {
    path: PathBuf,
}

impl BootSector {
    /// Makes the disk `name` in `dir`; `actions` says what to do after each run (see the source).
    ///
    /// # Errors
    /// When the assembler is missing or the file cannot be written.
    pub fn create(dir: &Path, name: &str, actions: &str) -> anyhow::Result<Self> {
        let path = dir.join(name);
        let mut image = guest::assemble(dir, "boot", 0x7c00)?;
        ensure!((SECTOR..=2 * SECTOR).contains(&image.len()), "the boot sectors have {} bytes", image.len());
        image.resize(1 << 20, 0); // SeaBIOS wants at least a cylinder
        let magic = b"TINDERBOX";
        image[SECTOR..][..magic.len()].copy_from_slice(magic);
        image[SECTOR + 17..][..actions.len()].copy_from_slice(actions.as_bytes());
        fs::write(&path, image).with_context(|| format!("write {}", path.display()))?;
        Ok(Self { path })
    }

    /// Lets the action `O` write `value` to `port`.
    ///
    /// # Errors
    /// When the image cannot be written.
    pub fn writes_port(&self, port: u16, value: u8) -> anyhow::Result<()> {
        let [low, high] = port.to_le_bytes();
        let mut file = File::options().write(true).open(&self.path)?;
        file.seek(SeekFrom::Start(SECTOR as u64 + 32))?;
        Ok(file.write_all(&[low, high, value])?)
    }

    /// Where the image is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many times the guest wrote its counter.
    ///
    /// # Errors
    /// When the image cannot be read.
    pub fn runs(&self) -> anyhow::Result<u8> {
        let mut counter = [0];
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(SECTOR as u64 + 16))?;
        file.read_exact(&mut counter)?;
        Ok(counter[0])
    }
}

/// A disc that boots `guest/boot.S` by BIOS.
///
/// # Errors
/// When the assembler is missing or the file cannot be written.
pub fn boot_disc(dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
    const BIOS: u8 = 0;
    disc(&dir.join(name), BIOS, 4, &guest::assemble(dir, "boot", 0x7c00)?)
}

/// A disc that boots by UEFI as the Debian image does: with that image's EFI system partition.
///
/// # Errors
/// When there is no such image or partition, or the file cannot be written.
pub fn efi_disc(dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
    const EFI: u8 = 0xef;
    // The entry of partition 15, in the array behind the header. UEFI 2.10, 5.3.3.
    const ENTRY: u64 = 2 * 512 + 14 * 128;
    let mut disk = File::open(crate::setting("TINDERBOX_DEBIAN")?)?;
    let mut entry = [0; 48];
    disk.seek(SeekFrom::Start(ENTRY))?;
    disk.read_exact(&mut entry)?;
    let [first, last] =
        [32, 40].map(|at| entry[at..at + 8].iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte)));
    let sectors = (last + 1).checked_sub(first).context("no partition 15")?;
    let mut partition = Vec::new();
    disk.seek(SeekFrom::Start(first * 512))?;
    disk.take(sectors * 512).read_to_end(&mut partition)?;
    // A number of sectors that the field has no room for is 0: all that follows.
    disc(&dir.join(name), EFI, 0, &partition)
}

/// El Torito 1.0 without emulation, on the least of ISO 9660 that there can be: `sectors` of 512 bytes of `code` for
/// `platform`.
fn disc(path: &Path, platform: u8, sectors: u8, code: &[u8]) -> anyhow::Result<PathBuf> {
    const BLOCK: usize = 2048;
    let [volume, record, end, catalog, start] = [16, 17, 18, 19, 20];
    let mut image = vec![0; (start * BLOCK + code.len()).next_multiple_of(BLOCK).max(64 * BLOCK)];
    let blocks = (image.len() / BLOCK) as u32;
    let mut put = |block: usize, at: usize, bytes: &[u8]| {
        image[block * BLOCK + at..][..bytes.len()].copy_from_slice(bytes)
    };
    put(volume, 0, b"\x01CD001\x01");
    put(volume, 80, &[blocks.to_le_bytes(), blocks.to_be_bytes()].concat());
    put(record, 0, b"\x00CD001\x01EL TORITO SPECIFICATION");
    put(record, 71, &(catalog as u32).to_le_bytes());
    put(end, 0, b"\xffCD001\x01");
    // Validation entry, whose 16-bit words add up to 0; then the default entry, bootable.
    put(catalog, 0, &[1, platform]);
    let sum = 0_u16.wrapping_sub(0xaa55).wrapping_sub(1).wrapping_sub(u16::from(platform) << 8);
    put(catalog, 28, &[sum.to_le_bytes(), [0x55, 0xaa]].concat());
    put(catalog, 32, &[0x88, 0, 0, 0, 0, 0, sectors, 0]);
    put(catalog, 40, &(start as u32).to_le_bytes());
    put(start, 0, code);
    fs::write(path, image).with_context(|| format!("write {}", path.display()))?;
    Ok(path.into())
}

/// A disk of `len` bytes that starts with `label`.
///
/// # Errors
/// When it cannot be written.
pub fn blank_disk(dir: &Path, name: &str, len: u64, label: &str) -> anyhow::Result<PathBuf> {
    let path = dir.join(name);
    let mut file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    file.write_all(label.as_bytes())?;
    file.set_len(len)?;
    Ok(path)
}

/// A kernel of Debian's, or an initial RAM disk.
///
/// # Errors
/// When `cargo xtask test` did not say where they are.
pub fn debian_boot_file(name: &str) -> anyhow::Result<PathBuf> {
    Ok(crate::setting("TINDERBOX_DEBIAN_BOOT")?.join(name))
}

/// The copy of the Debian image that the one test of this run may write to for whom it was made: copying is slow in an
/// emulated host, and copies are large.
pub(crate) fn debian_copy(dir: &Path) -> anyhow::Result<PathBuf> {
    let (copy, mine) = (crate::setting("TINDERBOX_DEBIAN_COPY")?, dir.join("debian.raw"));
    fs::rename(&copy, &mine).with_context(|| format!("take {}, which is there once", copy.display()))?;
    Ok(mine)
}
