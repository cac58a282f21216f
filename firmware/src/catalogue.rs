//! The firmware that is bundled: found by the manifests that `cargo xtask firmware` leaves beside the images.
//!
//! ```text
//! $TINDERBOX_FIRMWARE_DIR               ┐
//! <folder of the program>/../firmware   ├─ each: [current/]<name>/manifest.json, <image>; the first to have a name wins
//! /usr/share/tinderbox/firmware         ┘
//! ```

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[cfg(test)]
mod tests;

/// Names the folder that is looked in first.
pub const DIR_VARIABLE: &str = "TINDERBOX_FIRMWARE_DIR";

/// Where a distribution's package puts the bundle.
const SYSTEM_DIR: &str = "/usr/share/tinderbox/firmware";

/// What an image is to the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What runs first.
    #[default]
    Bios,
    /// What firmware loads by fw_cfg, from a file below `genroms/`.
    OptionRom,
}

/// One bundled firmware, as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Firmware {
    /// What `--firmware` calls it.
    pub name: String,
    /// What it is to the machine.
    #[serde(default)]
    pub kind: Kind,
    /// The version of its source.
    pub version: String,
    /// What it starts, in a few words.
    pub boots: String,
    /// Its licence, an SPDX expression.
    pub licence: String,
    /// The size of the image in bytes.
    pub size: u64,
    /// The SHA-256 of the image, lower-case hexadecimal.
    pub sha256: String,
    /// The option ROMs by which it starts a kernel that the machine hands over.
    #[serde(default, rename = "option-roms")]
    pub option_roms: Vec<String>,
    /// The image; in the manifest, a file beside it.
    pub image: PathBuf,
}

/// All bundled firmware that was found.
#[derive(Debug, Default)]
pub struct Catalogue {
    found: BTreeMap<String, Firmware>,
    option_roms: BTreeMap<String, Firmware>,
    faults: Vec<CatalogueError>,
    searched: Vec<PathBuf>,
}

impl Catalogue {
    /// Looks where this program's bundle is: see the drawing above.
    #[must_use]
    pub fn standard() -> Self {
        let program = std::env::current_exe().ok();
        Self::discover(&search_dirs(std::env::var_os(DIR_VARIABLE), program.as_deref()))
    }

    /// Looks in `dirs`; of two firmwares with one name, that of the earlier folder counts. Folders that are not there
    /// are passed over, manifests that are no good are kept as [`faults`](Self::faults).
    #[must_use]
    pub fn discover(dirs: &[PathBuf]) -> Self {
        let mut catalogue = Self { searched: dirs.to_vec(), ..Self::default() };
        for manifest in dirs.iter().flat_map(|dir| manifests_in(dir)) {
            match read(&manifest) {
                Ok(firmware) => {
                    let found = match firmware.kind {
                        Kind::Bios => &mut catalogue.found,
                        Kind::OptionRom => &mut catalogue.option_roms,
                    };
                    found.entry(firmware.name.clone()).or_insert(firmware);
                }
                Err(fault) => catalogue.faults.push(fault),
            }
        }
        catalogue
    }

    /// The firmware called `name`.
    ///
    /// # Errors
    ///
    /// When there is none; the message says which names there are, or how to get some.
    pub fn resolve(&self, name: &str) -> Result<&Firmware, CatalogueError> {
        self.found.get(name).ok_or_else(|| self.unknown(name))
    }

    /// The option ROM called `name`.
    ///
    /// # Errors
    ///
    /// When there is none; the message says how to get it.
    pub fn option_rom(&self, name: &str) -> Result<&Firmware, CatalogueError> {
        let missing = || CatalogueError::NoOptionRom { name: name.to_owned() };
        self.option_roms.get(name).ok_or_else(missing)
    }

    /// What was found, by name, option ROMs excepted.
    pub fn iter(&self) -> impl Iterator<Item = &Firmware> {
        self.found.values()
    }

    /// The manifests that could not be used, and why.
    #[must_use]
    pub fn faults(&self) -> &[CatalogueError] {
        &self.faults
    }

    fn unknown(&self, name: &str) -> CatalogueError {
        let name = name.to_owned();
        if self.found.is_empty() {
            let searched: Vec<_> = self.searched.iter().map(|dir| dir.display().to_string()).collect();
            return CatalogueError::NothingBundled { name, searched: searched.join(", ") };
        }
        let known: Vec<_> = self.found.keys().map(String::as_str).collect();
        CatalogueError::Unknown { name, known: known.join(", ") }
    }
}

/// A table for people: a line of headings, then a line for each firmware.
impl fmt::Display for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = ["NAME", "VERSION", "SIZE", "LICENCE", "SHA-256", "BOOTS", "IMAGE"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(headings).chain(self.iter().map(row)).collect();
        for row in &rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width =
                    rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
                line += &format!("{cell:width$}  ", width = width.unwrap_or(0));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn row(firmware: &Firmware) -> [String; 7] {
    [
        firmware.name.clone(),
        firmware.version.clone(),
        format!("{} KiB", firmware.size >> 10),
        firmware.licence.clone(),
        firmware.sha256.chars().take(12).collect(),
        firmware.boots.clone(),
        firmware.image.display().to_string(),
    ]
}

/// Where bundles may be, in the order of precedence, given what the environment names and where the program lies.
fn search_dirs(named: Option<OsString>, program: Option<&Path>) -> Vec<PathBuf> {
    let beside = program.and_then(Path::parent).and_then(Path::parent).map(|dir| dir.join("firmware"));
    named
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from)
        .into_iter()
        .chain(beside)
        .chain([SYSTEM_DIR.into()])
        .collect()
}

/// The manifests of a bundle at `dir`, by name. Where builds are kept by the hash of their inputs, `current/` has links
/// to those that count.
fn manifests_in(dir: &Path) -> Vec<PathBuf> {
    let current = dir.join("current");
    let Ok(entries) = fs::read_dir(&current).or_else(|_| fs::read_dir(dir)) else { return Vec::new() };
    let manifests = entries.flatten().map(|entry| entry.path().join("manifest.json"));
    let mut manifests: Vec<_> = manifests.filter(|manifest| manifest.exists()).collect();
    manifests.sort();
    manifests
}

fn read(manifest: &Path) -> Result<Firmware, CatalogueError> {
    let path = || manifest.to_path_buf();
    let text = fs::read(manifest).map_err(|source| CatalogueError::Read { path: path(), source })?;
    let mut firmware: Firmware =
        serde_json::from_slice(&text).map_err(|source| CatalogueError::Malformed { path: path(), source })?;
    firmware.image = manifest.with_file_name(&firmware.image);
    Ok(firmware)
}

/// Why a bundled firmware cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// No firmware has that name, others are there.
    #[error("no bundled firmware is called {name:?}; there is: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// No firmware is there at all.
    #[error(
        "no firmware {name:?}: none is bundled (looked in {searched}); build it with `cargo xtask firmware build`, \
         or name an image file"
    )]
    NothingBundled {
        /// What was asked for.
        name: String,
        /// The folders that were looked in.
        searched: String,
    },
    /// An option ROM is not there.
    #[error("no option ROM {name:?} is bundled; build it with `cargo xtask firmware build {name}`")]
    NoOptionRom {
        /// What was asked for.
        name: String,
    },
    /// A manifest is there, but not for us.
    #[error("read firmware manifest {}", path.display())]
    Read {
        /// The manifest.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A manifest is not what `cargo xtask firmware` writes.
    #[error("firmware manifest {} is malformed, build the firmware again", path.display())]
    Malformed {
        /// The manifest.
        path: PathBuf,
        /// Where, and what was expected.
        source: serde_json::Error,
    },
}
