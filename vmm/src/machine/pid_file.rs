//! `--pidfile`: the number of this process for those who look after it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A file that goes when the run ends.
pub(super) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the process's number and a line break to `path`.
    pub(super) fn write(path: &Path) -> anyhow::Result<Self> {
        let text = format!("{}\n", std::process::id());
        fs::write(path, text).with_context(|| format!("--pidfile: write {}", path.display()))?;
        // The folder may be another one when the run ends.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        Ok(Self(path))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody may have removed it before.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_has_the_number_and_goes_with_the_run() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("pid");
        let file = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn file_that_cannot_be_written_is_named() {
        let message = PidFile::write("/nonexistent/pid".as_ref()).err().unwrap().to_string();
        assert_eq!(message, "--pidfile: write /nonexistent/pid");
    }
}
