//! Places of fixed name, for builds whose result tells where it was made.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::files;

/// A folder of one name on every machine, for one build at a time, whichever checkout it is of.
pub(crate) struct FixedPlace {
    /// For the source. It is not there yet, and goes away with this value.
    pub(crate) tree: PathBuf,
    _lock: File,
}

impl FixedPlace {
    /// Waits until no other build is in `dir`, and clears away what one that was ended has left.
    pub(crate) fn take(dir: &Path) -> anyhow::Result<Self> {
        make_private(dir)?;
        let lock = files::lock(dir)?;
        let place = Self { tree: dir.join("tree"), _lock: lock };
        place.clear().with_context(|| format!("empty {}", place.tree.display()))?;
        Ok(place)
    }

    fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.tree) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for FixedPlace {
    fn drop(&mut self) {
        // What stays is in the way of nobody: the next build clears it away.
        let _ = self.clear();
    }
}

/// Makes `dir`, which only this user may enter. Where everybody may write, somebody else may have been there first.
fn make_private(dir: &Path) -> anyhow::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("create {}", dir.display()));
        }
        _ => {}
    }
    let found = fs::symlink_metadata(dir).with_context(|| format!("read {}", dir.display()))?;
    let is_ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    ensure!(
        is_ours,
        "{} belongs to another user, and this build can be done nowhere else: remove it",
        dir.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn place_is_private_and_empty_again() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("place");
        {
            let place = FixedPlace::take(&dir).unwrap();
            files::create_dir(&place.tree.join("left/by/a/build")).unwrap();
        }

        assert!(!dir.join("tree").exists());
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn link_to_elsewhere_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("place");
        symlink(parent.path(), &dir).unwrap();

        let message = FixedPlace::take(&dir).err().unwrap().to_string();

        assert!(message.contains("belongs to another user"), "{message}");
    }
}
