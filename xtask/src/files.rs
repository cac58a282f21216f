//! Files and folders that are whole or not there, and the hashes that tell which they are.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// Checks that the file at `path` has this SHA-256.
///
/// # Errors
///
/// When it has another, or cannot be read.
pub(crate) fn verify(path: &Path, sha256: &str) -> anyhow::Result<()> {
    let found = sha256_of(path)?;
    ensure!(found == sha256, "{} has SHA-256 {found}, not the pinned {sha256}", path.display());
    Ok(())
}

/// The SHA-256 of the file at `path`, in lower-case hexadecimal.
///
/// # Errors
///
/// When it cannot be read.
pub(crate) fn sha256_of(path: &Path) -> anyhow::Result<String> {
    let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut hash).with_context(|| format!("read {}", path.display()))?;
    Ok(format!("{:x}", hash.finalize()))
}

/// How the names of unfinished folders start.
const SCRATCH: &str = "new-";

/// A new folder in `parent` that is removed when dropped.
pub(crate) fn scratch_dir(parent: &Path) -> anyhow::Result<TempDir> {
    let made = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(parent);
    made.with_context(|| format!("create a folder in {}", parent.display()))
}

/// Puts the finished folder `made` at `home`, in place of what is there.
pub(crate) fn keep(made: TempDir, home: &Path) -> anyhow::Result<()> {
    if home.exists() {
        fs::remove_dir_all(home).with_context(|| format!("remove {}", home.display()))?;
    }
    if let Some(parent) = home.parent() {
        create_dir(parent)?;
    }
    fs::rename(made.keep(), home).with_context(|| format!("create {}", home.display()))
}

/// Makes `dir` and what it lies in, where they are not there.
pub(crate) fn create_dir(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))
}

/// Writes a whole file.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    fs::write(path, content).with_context(|| format!("write {}", path.display()))
}

/// Copies the file `from` to `to`.
pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to).map(drop).with_context(|| format!("copy {} to {}", from.display(), to.display()))
}

/// Copies the file `from` into the folder `dir`, under its own name; gives the copy's path.
pub(crate) fn copy_into(from: &Path, dir: &Path) -> anyhow::Result<PathBuf> {
    let to = dir.join(file_name(from).as_ref());
    copy(from, &to)?;
    Ok(to)
}

/// The last part of `path`, for people.
pub(crate) fn file_name(path: &Path) -> Cow<'_, str> {
    path.file_name().map_or_else(Default::default, |name| name.to_string_lossy())
}

/// Keeps other processes that lock `dir` out, until the result is dropped, and clears away what processes that were
/// ended in the middle have left in it. Folders of [`scratch_dir`] are therefore made under this lock.
pub(crate) fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join("lock");
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .with_context(|| format!("lock {}", path.display()))?;
    for entry in fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(SCRATCH) {
            fs::remove_dir_all(entry.path()).with_context(|| format!("remove {}", entry.path().display()))?;
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verify_names_the_file_and_both_hashes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        fs::write(&file, "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // FIPS 180-2, B.1

        assert!(verify(&file, abc).is_ok());
        let message = verify(&file, "00").unwrap_err().to_string();
        assert!(message.contains(abc) && message.contains("not the pinned 00"), "{message}");
    }

    #[test]
    fn keep_replaces_the_folder_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("deep/home");
        create_dir(&home).unwrap();
        write(&home.join("old"), "").unwrap();
        let made = scratch_dir(dir.path()).unwrap();
        write(&made.path().join("new"), "").unwrap();

        keep(made, &home).unwrap();

        let names: Vec<_> = fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["new"]);
    }

    #[test]
    fn lock_clears_away_unfinished_folders_only() {
        let dir = tempfile::tempdir().unwrap();
        let left = scratch_dir(dir.path()).unwrap().keep();
        create_dir(&dir.path().join("finished")).unwrap();

        let _lock = lock(dir.path()).unwrap();

        assert!(!left.exists());
        assert!(dir.path().join("finished").exists());
    }
}
