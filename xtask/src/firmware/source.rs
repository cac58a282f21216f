//! Where a firmware's source comes from: a pinned package of Debian, this tree, or what the user names. Each ends as a
//! tarball.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use super::recipe::{DebianSource, Origin, Recipe};
use crate::debian::PrivateApt;
use crate::{files, paths};

/// The source of a build.
pub(crate) enum Source {
    /// Debian's, known by its hash before it is fetched.
    Pinned(DebianSource),
    /// One that is here.
    Local(LocalSource),
}

/// A tarball that the user named, or that holds a tree: the user's or ours.
pub(crate) struct LocalSource {
    tarball: PathBuf,
    /// The tarball's SHA-256, and the version where that is known.
    identity: String,
    version: Option<String>,
    /// Removes a tarball that was made here.
    _made_in: Option<TempDir>,
}

impl Source {
    /// What `recipe` is about.
    pub(crate) fn of_recipe(recipe: &Recipe) -> anyhow::Result<Self> {
        match &recipe.source {
            Origin::Debian(source) => Ok(Self::Pinned(source.clone())),
            // The version of our own sources is the recipe's, not that of the checkout.
            Origin::Ours(source) => {
                LocalSource::of_tree(&paths::root().join("firmware").join(&source.tree), None)
                    .map(Self::Local)
            }
        }
    }

    /// The tree or the tarball at `path`; the top of a tree has `landmarks`.
    pub(crate) fn of_user(path: &Path, landmarks: &[&str]) -> anyhow::Result<Self> {
        let metadata = path.metadata().with_context(|| format!("--source {}", path.display()))?;
        if !metadata.is_dir() {
            return LocalSource::of_tarball(path).map(Self::Local);
        }
        if let Some(missing) = landmarks.iter().find(|name| !path.join(name).exists()) {
            bail!("--source {} is no source tree of this firmware, it has no {missing}", path.display());
        }
        LocalSource::of_tree(path, git_version(path)).map(Self::Local)
    }

    /// What tells this source from any other.
    pub(crate) fn identity(&self) -> &str {
        match self {
            Self::Pinned(debian) => debian.sha256(),
            Self::Local(local) => &local.identity,
        }
    }

    /// The version, where the source itself does not say it.
    pub(crate) fn version(&self) -> Option<&str> {
        match self {
            Self::Pinned(_) => None,
            Self::Local(local) => local.version.as_deref(),
        }
    }

    /// Where in the tarball the source is, below its only folder, if that is not all of it.
    pub(crate) fn folder(&self) -> Option<&str> {
        match self {
            Self::Pinned(debian) => debian.folder.as_deref(),
            Self::Local(_) => None,
        }
    }

    /// The archive of patches that the source is built with, beside the tarball.
    pub(crate) fn patches(&self) -> Option<&str> {
        match self {
            Self::Pinned(debian) => debian.patches.as_deref(),
            Self::Local(_) => None,
        }
    }

    /// The tarball; fetched, if it is pinned and not here.
    pub(crate) fn fetch(&self) -> anyhow::Result<PathBuf> {
        let debian = match self {
            Self::Local(local) => return Ok(local.tarball.clone()),
            Self::Pinned(debian) => debian,
        };
        let apt = PrivateApt::open(&format!("{}-src", debian.suite), &[&debian.suite], "main", true)?;
        let pins: Vec<_> =
            debian.files.iter().map(|(name, sha256)| (name.as_str(), sha256.as_str())).collect();
        let home = apt.source(&debian.package, &debian.version, &pins)?;
        Ok(home.join(&debian.tarball))
    }
}

impl LocalSource {
    fn of_tarball(path: &Path) -> anyhow::Result<Self> {
        let identity = files::sha256_of(path)?;
        Ok(Self { tarball: path.to_path_buf(), identity, version: None, _made_in: None })
    }

    /// Packs `dir` so that the same content gives the same bytes, whoever owns it and whenever it was checked out.
    fn of_tree(dir: &Path, version: Option<String>) -> anyhow::Result<Self> {
        let made_in = tempfile::tempdir().context("create a temporary folder")?;
        let tarball = made_in.path().join("source.tar");
        pack(dir, &tarball)?;
        let sha256 = files::sha256_of(&tarball)?;
        let identity = version.iter().fold(sha256, |sha256, version| format!("{sha256} {version}"));
        Ok(Self { tarball, identity, version, _made_in: Some(made_in) })
    }
}

/// What tells the content of `dir` from any other.
pub(crate) fn identity_of_tree(dir: &Path) -> anyhow::Result<String> {
    LocalSource::of_tree(dir, None).map(|source| source.identity)
}

/// Archives `dir` without what builds and git leave in it.
fn pack(dir: &Path, tarball: &Path) -> anyhow::Result<()> {
    let mut tar = Command::new("tar");
    tar.args([
        "--create",
        "--format=gnu",
        "--sort=name",
        "--mtime=@0",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
    ])
    .args(["--exclude-vcs", "--exclude=./out", "--exclude=./.config", "--exclude=./.config.old"])
    .args(["--mode=go=rX", "--file"])
    .arg(tarball)
    .arg("--directory")
    .arg(dir)
    .arg(".");
    let output = tar.output().context("start tar")?;
    if !output.status.success() {
        bail!("pack {}: {}", dir.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// How git describes the checkout at `dir`, if it is one.
fn git_version(dir: &Path) -> Option<String> {
    if !dir.join(".git").exists() {
        return None;
    }
    let mut git = Command::new("git");
    git.arg("-C").arg(dir).args(["describe", "--always", "--tags", "--long", "--dirty"]);
    let output = git.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A tree with one file of this text, and the leavings of a build.
    fn tree(text: &str, leavings: &str) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("Makefile"), text).unwrap();
        fs::write(dir.path().join(".config"), leavings).unwrap();
        fs::create_dir(dir.path().join("out")).unwrap();
        fs::write(dir.path().join("out/bios.bin"), leavings).unwrap();
        dir
    }

    #[test]
    fn identity_of_a_tree_is_that_of_its_content() {
        let (one, other) = (tree("all:", "x"), tree("all:", "y"));

        let of = |dir: &TempDir| Source::of_user(dir.path(), &["Makefile"]).unwrap().identity().to_owned();

        assert_eq!(of(&one), of(&other));
        assert_ne!(of(&one), of(&tree("all: x", "x")));
    }

    #[test]
    fn folder_that_is_no_source_tree_is_refused() {
        let dir = tempfile::tempdir().unwrap();

        let message = Source::of_user(dir.path(), &["Makefile"]).err().unwrap().to_string();

        assert!(message.ends_with("is no source tree of this firmware, it has no Makefile"), "{message}");
    }

    #[test]
    fn missing_source_is_named() {
        let message = format!("{:#}", Source::of_user(Path::new("/no/where"), &[]).err().unwrap());

        assert_eq!(message, "--source /no/where: No such file or directory (os error 2)");
    }
}
