//! Guests of our own, in assembly, made for one test in its folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Makes the bzImage of `guest/kernel.S` in `dir`.
///
/// # Errors
/// When the assembler is missing or the file cannot be written.
pub fn tiny_kernel(dir: &Path) -> anyhow::Result<PathBuf> {
    assemble(dir, "kernel", 0)?;
    Ok(dir.join("kernel.bin"))
}

/// Makes the 64-bit ELF file of `guest/long.S` in `dir`, with its symbols.
///
/// # Errors
/// When the assembler is missing or the file cannot be written.
pub fn long_kernel(dir: &Path) -> anyhow::Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest/long.S");
    let (object, kernel) = (dir.join("long.o"), dir.join("long.elf"));
    run(Command::new("as").arg("--64").arg("-o").args([&object, &source]))?;
    run(Command::new("ld")
        .args(["-m", "elf_x86_64", "-N", "-Ttext", "0x200000", "-o"])
        .args([&kernel, &object]))?;
    Ok(kernel)
}

/// The bytes of `guest/NAME.S`, linked to run at `base`, with the binutils that every Rust installation needs anyway. They
/// are in `NAME.bin` of `dir`, too.
pub(crate) fn assemble(dir: &Path, name: &str, base: u32) -> anyhow::Result<Vec<u8>> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest");
    let source = sources.join(name).with_extension("S");
    let (object, image) = (dir.join(name).with_extension("o"), dir.join(name).with_extension("bin"));
    run(Command::new("as").args(["--32", "-I"]).arg(&sources).arg("-o").args([&object, &source]))?;
    run(Command::new("ld")
        .args(["-m", "elf_i386", "-Ttext", &format!("{base:#x}"), "--oformat", "binary", "-o"])
        .args([&image, &object]))?;
    fs::read(&image).with_context(|| format!("read {}", image.display()))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
