//! `target/firmware`: complete builds by the hash of their inputs, and links to those that are current.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::build::Product;
use super::recipe::{Inputs, Recipe};
use crate::{files, paths};

/// A firmware in the store.
#[derive(Debug)]
pub(crate) struct Built {
    /// What the bundle calls it.
    pub(crate) name: String,
    /// The folder with all that belongs to it.
    pub(crate) dir: PathBuf,
    /// The image.
    pub(crate) image: PathBuf,
}

/// The folder of all builds.
pub(crate) struct Store {
    dir: PathBuf,
}

impl Store {
    pub(crate) fn open() -> anyhow::Result<Self> {
        Ok(Self { dir: paths::target_dir("firmware")? })
    }

    /// Keeps other builds out until dropped.
    pub(crate) fn lock(&self) -> anyhow::Result<fs::File> {
        files::lock(&self.dir)
    }

    /// The build of these inputs, if it is there and its image is the one that was stored. Its papers say what the recipe
    /// says now.
    pub(crate) fn find(&self, inputs: &Inputs<'_>) -> anyhow::Result<Option<Built>> {
        let built = self.place(inputs)?;
        let Some(found) = read_manifest(&built.dir) else { return Ok(None) };
        let Ok(sha256) = files::sha256_of(&built.image) else { return Ok(None) };
        if found["sha256"] != sha256 {
            return Ok(None);
        }
        let version = found["version"].as_str().unwrap_or(&inputs.recipe.version);
        if manifest(inputs, version, &sha256) != found {
            write_papers(&built.dir, inputs, version, &sha256, &built.image)?;
        }
        Ok(Some(built))
    }

    /// Where the build of these inputs belongs.
    fn place(&self, inputs: &Inputs<'_>) -> anyhow::Result<Built> {
        let dir = self.dir.join(inputs.hash()?);
        Ok(Built { name: inputs.name.to_owned(), image: dir.join(&inputs.recipe.image), dir })
    }

    /// Takes `product` in, with its papers.
    pub(crate) fn keep(&self, inputs: &Inputs<'_>, product: Product) -> anyhow::Result<Built> {
        let built = self.place(inputs)?;
        let made = files::scratch_dir(&self.dir)?;
        files::copy(&product.image, &made.path().join(files::file_name(&built.image).as_ref()))?;
        for licence in &product.licences {
            files::copy_into(licence, made.path())?;
        }
        if !product.symbols.is_empty() {
            let symbols = made.path().join("symbols");
            files::create_dir(&symbols)?;
            product.symbols.iter().try_for_each(|path| files::copy_into(path, &symbols).map(drop))?;
        }
        let sha256 = files::sha256_of(&product.image)?;
        write_papers(made.path(), inputs, &product.version, &sha256, &built.image)?;
        files::keep(made, &built.dir)?;
        Ok(built)
    }

    /// Makes `current/<name>` lead to `built`, in one step.
    pub(crate) fn make_current(&self, built: &Built) -> anyhow::Result<()> {
        let current = self.dir.join("current");
        files::create_dir(&current)?;
        let link = current.join(&built.name);
        let to = Path::new("..").join(files::file_name(&built.dir).as_ref());
        if fs::read_link(&link).is_ok_and(|now| now == to) {
            return Ok(());
        }
        let new = self.dir.join(format!("link.{}", std::process::id()));
        let _ = fs::remove_file(&new); // of a process of this number that was ended between the next two lines
        symlink(&to, &new).with_context(|| format!("create {}", new.display()))?;
        fs::rename(&new, &link).with_context(|| format!("create {}", link.display()))
    }

    /// For people: a line for each recipe and each build that is current.
    pub(crate) fn table(&self, recipes: &BTreeMap<String, Recipe>) -> String {
        let current = self.dir.join("current");
        let mut lines: BTreeMap<_, _> =
            recipes.iter().map(|(name, recipe)| (name.clone(), unbuilt(recipe))).collect();
        for entry in fs::read_dir(&current).into_iter().flatten().flatten() {
            if let Some(manifest) = read_manifest(&entry.path()) {
                lines
                    .insert(entry.file_name().to_string_lossy().into_owned(), line(&manifest, &entry.path()));
            }
        }
        lines.iter().map(|(name, line)| format!("{name:16}{line}\n")).collect()
    }
}

fn unbuilt(recipe: &Recipe) -> String {
    format!("{:24}not built", recipe.version)
}

fn line(manifest: &Value, dir: &Path) -> String {
    let text = |field: &str| manifest[field].as_str().unwrap_or_default();
    let image = dir.join(text("image"));
    let sha256: String = text("sha256").chars().take(12).collect();
    format!("{:24}{} bytes  SHA-256 {sha256}  {}", text("version"), manifest["size"], image.display())
}

/// Writes into `dir` what tools read about an image that is, or will be, at `image`.
fn write_papers(
    dir: &Path,
    inputs: &Inputs<'_>,
    version: &str,
    sha256: &str,
    image: &Path,
) -> anyhow::Result<()> {
    if inputs.recipe.kind() == "bios" {
        write_json(&dir.join("descriptor.json"), &descriptor(inputs, version, image))?;
    }
    write_json(&dir.join("manifest.json"), &manifest(inputs, version, sha256))
}

/// What `tinderbox firmware list` reads.
fn manifest(inputs: &Inputs<'_>, version: &str, sha256: &str) -> Value {
    let recipe = inputs.recipe;
    let mut source =
        json!({ "sha256": inputs.source, "config": recipe.config, "toolchain": inputs.toolchain });
    if let Some(additions) = inputs.additions {
        source["additions"] = additions.into();
    }
    json!({
        "name": inputs.name,
        "kind": recipe.kind(),
        "version": version,
        "description": recipe.description,
        "boots": recipe.boots,
        "licence": recipe.licence,
        "image": recipe.image,
        "size": recipe.size,
        "option-roms": recipe.option_roms,
        "sha256": sha256,
        "source": source,
    })
}

/// What QEMU's tools read: `docs/interop/firmware.json` of QEMU, type Firmware.
fn descriptor(inputs: &Inputs<'_>, version: &str, image: &Path) -> Value {
    json!({
        "description": format!("{} ({version}); boots {}", inputs.recipe.description, inputs.recipe.boots),
        "interface-types": [inputs.recipe.interface()],
        "mapping": { "device": "memory", "filename": image },
        "targets": [{ "architecture": "x86_64", "machines": ["microvm"] }],
        "features": [],
        "tags": [inputs.name],
    })
}

fn read_manifest(dir: &Path) -> Option<Value> {
    let text = fs::read(dir.join("manifest.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

/// In one step: papers are written anew while somebody may read them.
fn write_json(path: &Path, value: &Value) -> anyhow::Result<()> {
    let new = path.with_extension(format!("new.{}", std::process::id()));
    files::write(&new, format!("{value:#}\n"))?;
    fs::rename(&new, path).with_context(|| format!("create {}", path.display()))
}
