//! Sources that meson configures and ninja builds, without options: qboot.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::build::{Builder, Output, Work, clean, has_reset_vector};

/// What these builds call their result.
const OUTPUT: &str = "bios.bin";

/// Builds a tree with a `meson.build`.
pub(crate) struct Meson;

impl Builder for Meson {
    fn code_version(&self) -> u32 {
        1
    }

    fn packages(&self) -> &[&str] {
        // xz-utils because tar unpacks the source with it.
        &["binutils", "gcc", "libc6-dev", "meson", "ninja-build", "xz-utils"]
    }

    fn toolchain(&self) -> &[&str] {
        &["gcc", "ld"]
    }

    fn landmarks(&self) -> &[&str] {
        &["meson.build"]
    }

    fn compile(&self, work: &Work<'_>, tree: &Path, version: Option<&str>) -> anyhow::Result<Output> {
        let out = tree.join("out");
        work.run(clean("meson").arg("setup").arg(tree).arg(&out))?;
        work.run(clean("ninja").arg("-C").arg(&out).arg(OUTPUT))?;
        let image = out.join(OUTPUT);
        let bytes = fs::read(&image).with_context(|| format!("read {}", image.display()))?;
        ensure!(
            has_reset_vector(&bytes),
            "the image has no jump at its reset vector, 16 bytes before its end"
        );
        Ok(Output { image, version: version.unwrap_or(&work.recipe.version).to_owned(), symbols: Vec::new() })
    }
}
