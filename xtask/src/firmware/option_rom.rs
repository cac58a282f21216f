//! Option ROMs of our own: one assembler source each, padded and given a checksum here.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::build::{Builder, Output, Work, clean};
use crate::files;

/// Option ROMs come in blocks of this many bytes (PnP BIOS Specification 1.0A, 3.1).
const BLOCK: usize = 512;

/// Where a ROM says how many blocks it has.
const LENGTH: usize = 0x02;

/// Where a ROM says at which byte its PnP header starts (ibid., 3.2).
const PNP_POINTER: usize = 0x1a;

/// Length of that header.
const PNP_LEN: usize = 32;

/// The byte in it that makes its sum zero.
const PNP_CHECKSUM: usize = 9;

/// Builds `rom.S`.
pub(crate) struct OptionRom;

impl Builder for OptionRom {
    fn code_version(&self) -> u32 {
        1
    }

    fn packages(&self) -> &[&str] {
        &["binutils"]
    }

    fn toolchain(&self) -> &[&str] {
        &["as", "ld"]
    }

    fn landmarks(&self) -> &[&str] {
        &["rom.S"]
    }

    fn compile(&self, work: &Work<'_>, tree: &Path, version: Option<&str>) -> anyhow::Result<Output> {
        let (object, linked, image) = (tree.join("rom.o"), tree.join("linked"), tree.join("rom.bin"));
        work.run(clean("as").args(["--32", "--fatal-warnings", "-o"]).args([&object, &tree.join("rom.S")]))?;
        work.run(
            clean("ld")
                .args(["-m", "elf_i386", "-Ttext=0", "--entry=0", "--oformat=binary", "-o"])
                .args([&linked, &object]),
        )?;
        let code = fs::read(&linked).with_context(|| format!("read {}", linked.display()))?;
        files::write(&image, finish(code)?)?;
        Ok(Output { image, version: version.unwrap_or(&work.recipe.version).to_owned(), symbols: Vec::new() })
    }
}

/// Fills `code` up to whole blocks and puts in what the assembler cannot know: their number, and the checksums.
fn finish(mut code: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    ensure!(code.starts_with(&[0x55, 0xaa]), "the option ROM does not start with its signature");
    code.resize((code.len() + 1).next_multiple_of(BLOCK), 0);
    let blocks = code.len() / BLOCK;
    code[LENGTH] =
        u8::try_from(blocks).with_context(|| format!("{blocks} blocks are too many for an option ROM"))?;
    let header = pnp_header(&mut code).context("the option ROM has no PnP header where it says")?;
    header[PNP_CHECKSUM] = header[PNP_CHECKSUM].wrapping_sub(sum(header));
    let last = code.len() - 1;
    code[last] = code[last].wrapping_sub(sum(&code));
    Ok(code)
}

/// The PnP header, by the pointer to it.
fn pnp_header(rom: &mut [u8]) -> Option<&mut [u8]> {
    let at: [u8; 2] = rom.get(PNP_POINTER..PNP_POINTER + 2)?.try_into().ok()?;
    let header = rom.get_mut(usize::from(u16::from_le_bytes(at))..)?.get_mut(..PNP_LEN)?;
    header.starts_with(b"$PnP").then_some(header)
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ROM of `len` bytes of code.
    fn code(len: usize) -> Vec<u8> {
        let mut code = vec![0x77; len];
        code[..2].copy_from_slice(&[0x55, 0xaa]);
        code[PNP_POINTER..][..2].copy_from_slice(&[0x20, 0]);
        code[0x20..0x24].copy_from_slice(b"$PnP");
        code
    }

    #[test]
    fn finish_counts_blocks_and_makes_both_sums_zero() {
        let rom = finish(code(100)).unwrap();

        assert_eq!((rom.len(), rom[LENGTH]), (512, 1));
        assert_eq!((sum(&rom), sum(&rom[0x20..0x40])), (0, 0));
        assert_eq!(rom[0x40..100], [0x77; 36]);
    }

    #[test]
    fn finish_keeps_a_byte_for_the_checksum() {
        let rom = finish(code(512)).unwrap();

        assert_eq!((rom.len(), rom[LENGTH], rom[511], sum(&rom)), (1024, 2, 0x77, 0));
    }

    #[test]
    fn finish_refuses_what_is_no_rom() {
        assert!(finish(vec![0xeb, 0xfe]).is_err());
        assert!(finish(vec![0x55, 0xaa, 0, 0xcb]).is_err(), "no PnP header");
        assert!(finish(code(256 * BLOCK)).is_err());
    }
}
