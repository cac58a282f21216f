//! The files that an image stands on: which it may name, and how deep that goes.

use std::io;
use std::path::{Path, PathBuf};

use imago::file::File;
use imago::{FormatAccess, FormatDriverBuilder};
use imago::{StorageOpenOptions, format::gate::ImplicitOpenGate};

use super::storage;
use crate::host_file::{Cached, HostFile, Identity};
use crate::open_error::MAX_BACKING;
use crate::{Format, OpenError, OpenMode};

/// The images from the top one down.
pub(super) struct Chain {
    within: PathBuf,
    seen: Vec<Identity>,
}

impl Chain {
    pub(super) fn new(within: &Path) -> Self {
        Self { within: within.into(), seen: Vec::new() }
    }

    /// Goes down to `file`, which must not be there already.
    pub(super) fn enter(&mut self, file: &HostFile) -> Result<(), OpenError> {
        let identity = file.identity()?;
        if self.seen.contains(&identity) || self.seen.len() > MAX_BACKING {
            return Err(OpenError::Backing(file.path.clone()));
        }
        self.seen.push(identity);
        Ok(())
    }

    /// Opens the backing file that the image at `path` calls `name`, and says its format.
    pub(super) fn backing(
        &self,
        path: &Path,
        name: &str,
        format: Option<&String>,
    ) -> Result<(HostFile, Format), OpenError> {
        let backing = self.permitted(path, name)?;
        // What a guest wrote there while it was a disk of its own must not choose how it is read.
        let format = format.and_then(|format| format.parse().ok());
        let Some(format) = format else {
            return Err(OpenError::BackingFormat { path: path.into(), backing });
        };
        if self.is_seen(&backing) {
            return Err(OpenError::Backing(path.into())); // before its lock says that another process has it
        }
        Ok((HostFile::open(&backing, OpenMode::ReadOnly, Cached::Yes)?, format))
    }

    /// The file that the image at `path` calls `name`, if that may be.
    fn permitted(&self, path: &Path, name: &str) -> Result<PathBuf, OpenError> {
        let name = name.strip_prefix("file:").unwrap_or(name);
        let other = folder(path).join(name); // an absolute name replaces the folder
        let outside =
            || OpenError::Outside { path: path.into(), other: other.clone(), dir: self.within.clone() };
        match (other.canonicalize(), self.within.canonicalize()) {
            (Ok(real), Ok(within)) if real.starts_with(&within) => Ok(real),
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound => Err(OpenError::Missing(other)),
            _ => Err(outside()),
        }
    }

    fn is_seen(&self, path: &Path) -> bool {
        let stat = rustix::fs::stat(path);
        stat.is_ok_and(|stat| self.seen.contains(&(stat.st_dev, stat.st_ino)))
    }
}

/// Where the image at `path` looks for what it names.
pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Lets imago open the flat files of a vmdk, each where the [`Chain`] permits.
pub(super) struct SameFolder<'a> {
    path: &'a Path,
    chain: &'a Chain,
}

impl<'a> SameFolder<'a> {
    pub(super) fn new(path: &'a Path, chain: &'a Chain) -> Self {
        Self { path, chain }
    }

    fn open(&self, name: &Path) -> Result<File, OpenError> {
        let name = name.to_str().ok_or_else(|| OpenError::Missing(name.into()))?;
        let path = self.chain.permitted(self.path, name)?;
        let file = HostFile::open(&path, OpenMode::ReadOnly, Cached::Yes)?;
        storage(file).map_err(|source| OpenError::Host { path, source })
    }
}

impl ImplicitOpenGate<File> for SameFolder<'_> {
    fn open_format<F: FormatDriverBuilder<File>>(&mut self, _builder: F) -> io::Result<FormatAccess<File>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn open_storage(&mut self, options: StorageOpenOptions) -> io::Result<File> {
        let name = options.get_filename().ok_or(io::ErrorKind::InvalidInput)?;
        self.open(name).map_err(io::Error::other)
    }
}
