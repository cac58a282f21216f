//! What a recipe adds to a source that is not ours: a folder with packages of ours, which go into the tree beside its own,
//! and patches that make it build them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::build::{Work, clean};
use super::source::identity_of_tree;
use crate::paths;

/// The folder `name` below `firmware/`.
pub(crate) fn folder(name: &str) -> PathBuf {
    paths::root().join("firmware").join(name)
}

/// What tells its content from any other.
pub(crate) fn identity(folder: &Path) -> anyhow::Result<String> {
    identity_of_tree(folder)
}

/// Copies the folders in `folder` into `tree`, and applies its patches there, in the order of their names.
pub(crate) fn apply(work: &Work<'_>, folder: &Path, tree: &Path) -> anyhow::Result<()> {
    for path in entries(folder).with_context(|| format!("list {}", folder.display()))? {
        if path.is_dir() {
            work.run(
                clean("cp")
                    .args(["--recursive", "--no-target-directory"])
                    .arg(&path)
                    .arg(target(&path, tree)),
            )?;
        } else {
            work.patch_with(&path, tree)?;
        }
    }
    Ok(())
}

/// The folders and patches in `folder`, sorted.
fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let paths: Result<Vec<_>, _> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let is_patch = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "patch");
    let mut paths: Vec<_> = paths?.into_iter().filter(|path| path.is_dir() || is_patch(path)).collect();
    paths.sort();
    Ok(paths)
}

/// Where in `tree` the folder `path` goes.
fn target(path: &Path, tree: &Path) -> PathBuf {
    path.file_name().map_or_else(|| tree.to_owned(), |name| tree.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_patches_count_and_texts_beside_them_do_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("Package")).unwrap();
        for name in ["2.patch", "1.patch", "README.md"] {
            fs::write(dir.path().join(name), "").unwrap();
        }

        let entries = entries(dir.path()).unwrap();

        assert_eq!(entries, ["1.patch", "2.patch", "Package"].map(|name| dir.path().join(name)));
    }

    #[test]
    fn identity_is_that_of_the_content() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.patch");
        fs::write(&file, "one").unwrap();
        let before = identity(dir.path()).unwrap();
        fs::write(&file, "two").unwrap();

        assert_ne!(identity(dir.path()).unwrap(), before);
    }
}
