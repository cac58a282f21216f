//! Recipes: what `firmware/manifest.toml` says, and what the bytes of an image depend on.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::build::Builder;
use super::edk2::Edk2;
use super::meson::Meson;
use super::option_rom::OptionRom;
use super::seabios::SeaBios;
use crate::paths;

/// How one firmware is made.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Recipe {
    /// One sentence, for people.
    #[serde(skip_serializing)]
    pub(crate) description: String,
    /// The version of the source.
    pub(crate) version: String,
    /// The licence of the image, an SPDX expression.
    pub(crate) licence: String,
    /// What it starts, in a few words.
    #[serde(skip_serializing)]
    pub(crate) boots: String,
    /// Who builds it.
    pub(crate) build: Build,
    /// The build's configuration, a path below `firmware/`, if it takes one.
    pub(crate) config: Option<String>,
    /// A second configuration, each of whose options takes the place of the one with its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) overrides: Option<String>,
    /// What is added to the source: a folder below `firmware/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) additions: Option<String>,
    /// What the image file is called.
    pub(crate) image: String,
    /// The size the image must have, in bytes.
    pub(crate) size: u64,
    /// Files of the source that go with the image.
    pub(crate) licence_texts: Vec<String>,
    /// Whether the files that debuggers read are kept beside it, in `symbols/`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) symbols: bool,
    /// The option ROMs by which it starts a kernel of the VMM's: recipes too, built along with it.
    #[serde(default)]
    pub(crate) option_roms: Vec<String>,
    /// Where the source comes from.
    pub(crate) source: Origin,
}

/// The kinds of sources there are builders for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Build {
    Seabios,
    Meson,
    Edk2,
    OptionRom,
}

/// Where a source comes from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Origin {
    /// Debian.
    Debian(DebianSource),
    /// This tree.
    Ours(OwnSource),
}

/// A source in this tree.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnSource {
    /// The folder below `firmware/`.
    pub(crate) tree: String,
}

/// A pinned source package of Debian.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DebianSource {
    /// The release that has it.
    pub(crate) suite: String,
    /// Its name.
    pub(crate) package: String,
    /// Its exact version, revision included.
    pub(crate) version: String,
    /// Which of its files is built.
    pub(crate) tarball: String,
    /// Where in the tarball the source is, below its only folder; by default all of it.
    pub(crate) folder: Option<String>,
    /// Which of its files holds `debian/patches/series`, where that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) patches: Option<String>,
    /// The SHA-256 of each of its files.
    pub(crate) files: BTreeMap<String, String>,
}

impl DebianSource {
    /// The SHA-256 of the tarball.
    pub(crate) fn sha256(&self) -> &str {
        self.files.get(&self.tarball).map_or("", String::as_str)
    }

    /// The file that is used and not pinned, if there is one.
    fn unpinned(&self) -> Option<&str> {
        let mut used = std::iter::once(&self.tarball).chain(&self.patches);
        used.find(|name| !self.files.contains_key(*name)).map(String::as_str)
    }
}

/// All recipes, by name.
pub(crate) fn all() -> anyhow::Result<BTreeMap<String, Recipe>> {
    let path = paths::root().join("firmware/manifest.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let tables = toml::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
    let recipes = complete(tables)?.try_into().with_context(|| format!("parse {}", path.display()))?;
    check(&recipes)?;
    Ok(recipes)
}

/// Says which recipe another one is like, in all that it does not say itself.
const VARIANT_OF: &str = "variant-of";

/// Gives every variant the fields that it does not have from the recipe that it is a variant of.
fn complete(mut recipes: toml::Table) -> anyhow::Result<toml::Table> {
    let originals = recipes.clone();
    for (name, recipe) in recipes.iter_mut().filter_map(|(name, recipe)| Some((name, recipe.as_table_mut()?)))
    {
        let Some(original) = recipe.remove(VARIANT_OF) else { continue };
        let original = original.as_str().and_then(|original| originals.get(original)?.as_table());
        let original = original.with_context(|| format!("recipe {name}: {VARIANT_OF} names no recipe"))?;
        for (field, value) in original {
            recipe.entry(field).or_insert_with(|| value.clone());
        }
    }
    Ok(recipes)
}

/// What the types do not say: what is built is among the files that are pinned, and names lead to recipes.
fn check(recipes: &BTreeMap<String, Recipe>) -> anyhow::Result<()> {
    for (name, recipe) in recipes {
        if let Origin::Debian(source) = &recipe.source
            && let Some(file) = source.unpinned()
        {
            bail!("recipe {name}: {file} has no SHA-256 among source.files");
        }
        if let Some(unknown) = recipe.option_roms.iter().find(|other| !recipes.contains_key(*other)) {
            bail!("recipe {name}: its option ROM {unknown} has no recipe");
        }
    }
    Ok(())
}

impl Recipe {
    /// The recipe called `name`.
    pub(crate) fn load(name: &str) -> anyhow::Result<Self> {
        let mut recipes = all()?;
        let Some(recipe) = recipes.remove(name) else {
            let known: Vec<_> = recipes.into_keys().collect();
            bail!("firmware/manifest.toml has no recipe {name:?}; there is: {}", known.join(", "));
        };
        Ok(recipe)
    }

    /// Who builds it.
    pub(crate) fn builder(&self) -> &'static dyn Builder {
        match self.build {
            Build::Seabios => &SeaBios,
            Build::Meson => &Meson,
            Build::Edk2 => &Edk2,
            Build::OptionRom => &OptionRom,
        }
    }

    /// What the image is to the machine, as its manifest says it.
    pub(crate) fn kind(&self) -> &'static str {
        match self.build {
            Build::Seabios | Build::Meson | Build::Edk2 => "bios",
            Build::OptionRom => "option-rom",
        }
    }

    /// What it is to the guest, in the words of QEMU's `docs/interop/firmware.json`.
    pub(crate) fn interface(&self) -> &'static str {
        match self.build {
            Build::Edk2 => "uefi",
            Build::Seabios | Build::Meson | Build::OptionRom => "bios",
        }
    }

    /// The text of its configuration, if it has one.
    pub(crate) fn read_config(&self) -> anyhow::Result<String> {
        let config = self.config.as_deref().map_or_else(|| Ok(String::new()), read)?;
        match &self.overrides {
            Some(overrides) => Ok(overridden(&config, &read(overrides)?)),
            None => Ok(config),
        }
    }
}

/// The text at `path`, below `firmware/`.
fn read(path: &str) -> anyhow::Result<String> {
    let path = paths::root().join("firmware").join(path);
    fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

/// `config` without the options (`NAME=VALUE`) that `overrides` has, and then those.
fn overridden(config: &str, overrides: &str) -> String {
    let name = |line: &str| line.split_once('=').map(|(name, _)| name.to_owned());
    let taken: Vec<_> = overrides.lines().filter_map(name).collect();
    let kept = config.lines().filter(|line| name(line).is_none_or(|name| !taken.contains(&name)));
    kept.chain(overrides.lines()).flat_map(|line| [line, "\n"]).collect()
}

/// Everything that the bytes of an image depend on; what people are told about it is written down, and no part of the hash.
#[derive(Serialize)]
pub(crate) struct Inputs<'a> {
    pub(crate) name: &'a str,
    pub(crate) recipe: &'a Recipe,
    /// The version of the code that carries the recipe out.
    pub(crate) recipe_code: u32,
    pub(crate) config: &'a str,
    /// Which source it is, whatever its path.
    pub(crate) source: &'a str,
    /// What is added to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) additions: Option<&'a str>,
    pub(crate) toolchain: &'a str,
}

impl Inputs<'_> {
    /// Their hash: the name of the folder that the result lies in.
    pub(crate) fn hash(&self) -> anyhow::Result<String> {
        let text = serde_json::to_string(self).context("write down the inputs")?;
        let hex = format!("{:x}", Sha256::digest(text));
        Ok(hex.chars().take(16).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_of_the_tree_is_well_formed() {
        let recipes = all().unwrap();

        assert_eq!(recipes["seabios"].size, 128 << 10);
        assert!(recipes.values().all(|recipe| recipe.read_config().is_ok()));
    }

    #[test]
    fn unknown_recipe_is_answered_with_the_known_ones() {
        let message = Recipe::load("seabois").unwrap_err().to_string();

        assert_eq!(
            message,
            r#"firmware/manifest.toml has no recipe "seabois"; there is: edk2, edk2-debug, edk2-usb, linuxboot, qboot, seabios, seabios-usb"#
        );
    }

    #[test]
    fn variant_has_what_it_says_and_the_rest_of_the_original() {
        let text = "[a]\nsize = 1\nimage = 'x'\n[b]\nvariant-of = 'a'\nimage = 'y'\n";

        let recipes = complete(toml::from_str(text).unwrap()).unwrap();

        assert_eq!(recipes["b"], toml::from_str::<toml::Value>("size = 1\nimage = 'y'").unwrap());
    }

    #[test]
    fn variant_of_nothing_is_refused() {
        let message = complete(toml::from_str("[b]\nvariant-of = 'a'").unwrap()).unwrap_err().to_string();

        assert_eq!(message, "recipe b: variant-of names no recipe");
    }

    #[test]
    fn overrides_take_the_place_of_options_of_the_same_name() {
        let config = "# text\nCONFIG_USB=n\nCONFIG_USB_OHCI=y\n";

        assert_eq!(overridden(config, "CONFIG_USB=y\n"), "# text\nCONFIG_USB_OHCI=y\nCONFIG_USB=y\n");
    }

    #[test]
    fn recipe_without_the_hash_of_its_tarball_is_refused() {
        let mut recipes = all().unwrap();
        let Origin::Debian(source) = &mut recipes.get_mut("seabios").unwrap().source else { panic!() };
        source.files.clear();

        let message = check(&recipes).unwrap_err().to_string();

        assert_eq!(message, "recipe seabios: seabios_1.16.2.orig.tar.gz has no SHA-256 among source.files");
    }

    #[test]
    fn recipe_with_an_unknown_option_rom_is_refused() {
        let mut recipes = all().unwrap();
        recipes.remove("linuxboot");

        let message = check(&recipes).unwrap_err().to_string();

        assert_eq!(message, "recipe seabios: its option ROM linuxboot has no recipe");
    }

    #[test]
    fn words_for_people_do_not_change_the_hash() {
        let recipe = Recipe::load("seabios").unwrap();
        let reworded = Recipe {
            description: "other words".into(),
            boots: "this".into(),
            ..Recipe::load("seabios").unwrap()
        };
        let hash = |recipe| {
            let (config, source, toolchain) = ("c", "s", "t");
            Inputs { name: "n", recipe, recipe_code: 1, config, source, additions: None, toolchain }
                .hash()
                .unwrap()
        };

        assert_eq!(hash(&recipe), hash(&reworded));
    }

    #[test]
    fn every_input_changes_the_hash() {
        let recipe = Recipe::load("seabios").unwrap();
        let inputs = |name, config, source, additions, toolchain, recipe_code| {
            Inputs { name, recipe: &recipe, recipe_code, config, source, additions, toolchain }
                .hash()
                .unwrap()
        };

        let hashes = std::collections::BTreeSet::from([
            inputs("seabios", "c", "s", None, "t", 1),
            inputs("seabios-local", "c", "s", None, "t", 1),
            inputs("seabios", "other", "s", None, "t", 1),
            inputs("seabios", "c", "other", None, "t", 1),
            inputs("seabios", "c", "s", Some("a"), "t", 1),
            inputs("seabios", "c", "s", Some("other"), "t", 1),
            inputs("seabios", "c", "s", None, "other", 1),
            inputs("seabios", "c", "s", None, "t", 2),
        ]);

        assert_eq!(hashes.len(), 8);
    }
}
