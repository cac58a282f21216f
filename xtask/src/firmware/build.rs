//! What all builds have in common: from a tarball to an image that is checked.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::additions;
use super::place::FixedPlace;
use super::recipe::Recipe;
use super::source::Source;
use crate::progress::Step;
use crate::{files, paths};

/// How one kind of source becomes an image.
pub(crate) trait Builder {
    /// Counted up when the code of this builder makes other bytes of the same recipe.
    fn code_version(&self) -> u32;

    /// Debian packages that it needs.
    fn packages(&self) -> &[&str];

    /// The programs whose version shows in the bytes.
    fn toolchain(&self) -> &[&str];

    /// Files by which the top of a source tree is known.
    fn landmarks(&self) -> &[&str];

    /// The folder in which it must be built, where the image tells in which one it was.
    fn place(&self) -> Option<&Path> {
        None
    }

    /// Builds the source at `tree` and checks what comes out, all but its size. `version` is for sources that do not say it.
    fn compile(&self, work: &Work<'_>, tree: &Path, version: Option<&str>) -> anyhow::Result<Output>;
}

/// What a [`Builder`] made.
pub(crate) struct Output {
    pub(crate) image: PathBuf,
    /// What the source says it is.
    pub(crate) version: String,
    /// Files that debuggers read, if the recipe wants them.
    pub(crate) symbols: Vec<PathBuf>,
}

/// An image that passed all checks, and what belongs to it.
pub(crate) struct Product {
    pub(crate) image: PathBuf,
    /// The licence texts, which go wherever the image goes.
    pub(crate) licences: Vec<PathBuf>,
    /// Files that debuggers read.
    pub(crate) symbols: Vec<PathBuf>,
    pub(crate) version: String,
    /// Holds all the files.
    _scratch: TempDir,
}

/// What a build needs beside its source.
pub(crate) struct Work<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) config: &'a str,
    pub(crate) step: &'a Step,
    pub(crate) log: &'a Path,
}

impl Work<'_> {
    /// Builds `source`, whose files are in `tarball`, in a new folder that ends in `place`, or in the one place that its
    /// builder can do it in.
    pub(crate) fn compile(&self, source: &Source, tarball: &Path, place: &str) -> anyhow::Result<Product> {
        let scratch = files::scratch_dir(&paths::target_dir("firmware")?)?;
        match self.recipe.builder().place() {
            None => self.compile_at(source, tarball, &scratch.path().join(place), scratch),
            Some(place) => {
                let place = FixedPlace::take(place)?;
                self.compile_at(source, tarball, &place.tree, scratch)
            }
        }
    }

    /// Builds in the new folder `tree`; what is wanted of it goes to `scratch`.
    fn compile_at(
        &self,
        source: &Source,
        tarball: &Path,
        tree: &Path,
        scratch: TempDir,
    ) -> anyhow::Result<Product> {
        self.unpack(source, tarball, tree)?;
        let Output { image, version, symbols } =
            self.recipe.builder().compile(self, tree, source.version())?;
        let len = image.metadata().with_context(|| format!("read {}", image.display()))?.len();
        let size = self.recipe.size;
        ensure!(len == size, "the image has {len} bytes, the recipe says {size}");
        let licences = self.recipe.licence_texts.iter().map(|name| tree.join(name));
        let licences = licences.filter(|path| path.exists());
        let licences =
            licences.map(|path| files::copy_into(&path, scratch.path())).collect::<Result<_, _>>()?;
        let image = files::copy_into(&image, scratch.path())?;
        let kept = scratch.path().join("symbols");
        files::create_dir(&kept)?;
        let symbols = symbols.iter().map(|path| files::copy_into(path, &kept)).collect::<Result<_, _>>()?;
        Ok(Product { image, licences, symbols, version, _scratch: scratch })
    }

    fn unpack(&self, source: &Source, tarball: &Path, tree: &Path) -> anyhow::Result<()> {
        files::create_dir(tree)?;
        let mut tar = clean("tar");
        tar.args(["--extract", "--no-same-owner", "--file"]).arg(tarball).arg("--directory").arg(tree);
        match source.folder() {
            None => tar.arg("--strip-components=1"),
            Some(folder) => tar
                .arg(format!("--strip-components={}", 1 + Path::new(folder).components().count()))
                .args(["--wildcards", &format!("*/{folder}/*")]),
        };
        self.run(&mut tar)?;
        let missing = self.recipe.builder().landmarks().iter().find(|name| !tree.join(name).exists());
        ensure!(
            missing.is_none(),
            "{} does not hold the source: no {}",
            tarball.display(),
            missing.unwrap_or(&"")
        );
        if let Some(patches) = source.patches() {
            self.patch(&tarball.with_file_name(patches), tree)?;
        }
        match &self.recipe.additions {
            Some(name) => additions::apply(self, &additions::folder(name), tree),
            None => Ok(()),
        }
    }

    /// Applies Debian's patches, in their order, out of the tarball of its packaging, which then lies in the tree.
    fn patch(&self, packaging: &Path, tree: &Path) -> anyhow::Result<()> {
        self.run(clean("tar").args(["--extract", "--file"]).arg(packaging).arg("--directory").arg(tree))?;
        let patches = tree.join("debian/patches");
        let series = fs::read_to_string(patches.join("series")).context("read Debian's list of patches")?;
        patch_names(&series).try_for_each(|name| self.patch_with(&patches.join(name), tree))
    }

    /// Applies one patch.
    pub(crate) fn patch_with(&self, patch: &Path, tree: &Path) -> anyhow::Result<()> {
        let mut command = clean("patch");
        command.args(["--strip=1", "--forward", "--directory"]).arg(tree);
        self.run(command.arg("--input").arg(patch))
    }

    /// Runs a program of the build, its output shown and logged.
    pub(crate) fn run(&self, command: &mut Command) -> anyhow::Result<()> {
        self.step.command(command, self.log)
    }
}

/// The names in a list of patches, which may have comments and options.
fn patch_names(series: &str) -> impl Iterator<Item = &str> {
    let words = series.lines().filter_map(|line| line.split_whitespace().next());
    words.filter(|word| !word.starts_with('#'))
}

/// `program` with nothing of the caller's environment but the search path: compiler flags and cargo's job server would
/// show in the result.
pub(crate) fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/sbin:/usr/bin:/sbin:/bin"));
    command.env_clear().env("PATH", path).env("LC_ALL", "C");
    command
}

/// The versions of `programs`, a line of text: others make other bytes.
pub(crate) fn toolchain(programs: &[&str]) -> anyhow::Result<String> {
    let lines = programs.iter().map(|program| version_line(program)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(lines.join("; "))
}

fn version_line(program: &str) -> anyhow::Result<String> {
    let output = clean(program).arg("--version").output().with_context(|| format!("start {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Whether the processor's first instruction, at f000:fff0, is a far jump (EA) into the same segment or a near one (E9).
pub(crate) fn has_reset_vector(image: &[u8]) -> bool {
    image.last_chunk::<16>().is_some_and(|vector| matches!(vector, [0xea, _, _, 0x00, 0xf0, ..] | [0xe9, ..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_names_are_first_words_without_comments() {
        let series = "# upstream\none.diff\n\nsub/two.patch -p1\n#three.patch\n";

        assert_eq!(patch_names(series).collect::<Vec<_>>(), ["one.diff", "sub/two.patch"]);
    }
}
